/**
 * Flips single bits of a large backup, one at a time and each in another place, and looks whether verification finds
 * every one of them, in the file and at the bytes where it is.
 *
 *   node bin/backup-flips.ts [--flips 10000] [--events 50000] [--seed 1]
 */
import { Effect, Redacted, Stream } from "effect"
import { parseArgs } from "node:util"
import { BackupStorage, BackupVerification, BackupWriter, layerMemory } from "../src/backup/index.ts"

const { values } = parseArgs({
  options: {
    flips: { type: "string", default: "10000" },
    events: { type: "string", default: "50000" },
    seed: { type: "string", default: "1" }
  }
})
const flips = Number(values.flips)
const events = Number(values.events)
let seed = Number(values.seed)

/** From 0 to 1; the same for the same seed. */
const random = (): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

const hex = (digits: number): string =>
  Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join("")

const rows = Array.from({ length: events }, (_, index) => ({
  position: index + 1,
  streamId: `order-${index % 997}`,
  revision: Math.floor(index / 997),
  id: `${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}`,
  type: "OrderPlaced",
  version: 1,
  data: JSON.stringify({ index, customer: hex(12) }),
  metadata: "",
  tags: [],
  recordedAt: 1_795_262_400_000_000 + index * 1_000
}))

const program = Effect.gen(function*() {
  const storage = yield* BackupStorage
  const encryption = { id: "flips", key: Redacted.make(new Uint8Array(32).fill(7)) }
  const manifest = yield* Effect.scoped(Effect.gen(function*() {
    const writer = yield* BackupWriter.make({ incarnation: "flips", segmentBytes: 64 * 1024, encryption })
    yield* writer.write("events", rows)
    return yield* writer.finish
  }))
  const files = new Map<string, Buffer>()
  for (const { name } of yield* Stream.runCollect(storage.list())) {
    files.set(name, Buffer.concat(yield* Stream.runCollect(storage.get(name))))
  }
  const names = [...files.keys()]
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0)
  console.log(`${events} events, ${names.length} files, ${bytes} bytes, ${flips} flips`)

  let missed = 0
  let misplaced = 0
  for (let flip = 0; flip < flips; flip++) {
    const name = names[Math.floor(random() * names.length)] ?? ""
    const whole = files.get(name) ?? Buffer.alloc(0)
    const bit = Math.floor(random() * whole.length * 8)
    const damaged = Buffer.from(whole)
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const place: BackupStorage["Service"] = {
      ...storage,
      get: (wanted, range) => wanted === name ? Stream.make(damaged) : storage.get(wanted, range)
    }
    const report = yield* Effect.provideService(
      BackupVerification.verify(manifest.id, { keys: { encryption: [encryption] } }),
      BackupStorage,
      place
    )
    const [fault] = report.faults
    if (report.isSound || fault === undefined) missed++
    else if (
      fault._tag !== "BackupCorrupt" || fault.file !== name || (fault.offset ?? Infinity) > bit >> 3 ||
      (fault.offset ?? 0) + (fault.length ?? Infinity) <= bit >> 3
    ) misplaced++
    if ((flip + 1) % 500 === 0) console.log(`${flip + 1} flips, ${missed} missed, ${misplaced} in another place`)
  }
  console.log(`${flips} flips: ${flips - missed} found, ${missed} missed, ${misplaced} in another place`)
  if (missed + misplaced > 0) process.exitCode = 1
})

await Effect.runPromise(Effect.provide(program, layerMemory))
