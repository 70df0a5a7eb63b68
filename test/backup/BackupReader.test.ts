import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import {
  type BackupCorrupt,
  type BackupKeys,
  type BackupManifest,
  BackupReader,
  type BackupStorage,
  BackupVerification
} from "../../src/backup/index.ts"
import {
  at,
  collect,
  encryptionKey,
  eventRows,
  filesOf,
  makePlace,
  NOON,
  OTHER_KINDS,
  otherRows,
  placeOf,
  signingKeys,
  writeBackup
} from "./fixtures.ts"

describe("BackupReader", () => {
  const { signing, trusted } = signingKeys()
  const variants = [
    { name: "zstd", options: {} },
    { name: "gzip", options: { compression: { codec: "gzip" } } },
    { name: "no compression", options: { compression: { codec: "none" } } },
    { name: "encrypted and signed", options: { encryption: encryptionKey(), signing } }
  ] as const

  for (const { name, options } of variants) {
    it.effect(`gives every row of every kind as it was written (${name})`, () =>
      Effect.gen(function*() {
        const storage = yield* makePlace
        const events = eventRows(1, 3_000)
        const manifest = yield* at(storage, writeBackup({ events, segmentBytes: 64 * 1024, ...options }))
        const reader = yield* at(
          storage,
          BackupReader.open(manifest.id, {
            encryption: [encryptionKey()],
            trusted: "signing" in options ? trusted : undefined
          })
        )
        assert.deepStrictEqual(yield* collect(reader.events()), events)
        for (const kind of OTHER_KINDS) {
          assert.deepStrictEqual<ReadonlyArray<unknown>>(yield* collect(reader.rows(kind)), otherRows[kind])
        }
        assert.deepStrictEqual(reader.manifest, manifest)
        const report = yield* at(
          storage,
          BackupVerification.verify(manifest.id, { keys: { encryption: [encryptionKey()] } })
        )
        assert.deepStrictEqual(report.faults, [])
        assert.isTrue(report.isSound)
        assert.deepStrictEqual(report.events, manifest.events)
      }))
  }

  it.effect("reads a chain as one log, and loads what it needs only", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const options = { segmentBytes: 64 * 1024, withOthers: false }
      const full = yield* at(storage, writeBackup({ to: 1_000, ...options }))
      const second = yield* at(storage, writeBackup({ from: 1_001, to: 1_800, parent: full, ...options }))
      const third = yield* at(storage, writeBackup({ from: 1_801, to: 1_805, parent: second, withOthers: true }))
      const loaded: Array<string> = []
      const watched: BackupStorage["Service"] = {
        ...storage,
        get: (name, range) => {
          loaded.push(name)
          return storage.get(name, range)
        }
      }
      const reader = yield* at(watched, BackupReader.open(third.id))
      assert.deepStrictEqual(reader.chain.map(({ id }) => id), [full.id, second.id, third.id])
      assert.deepStrictEqual(yield* collect(reader.events()), eventRows(1, 1_805))
      assert.deepStrictEqual(yield* collect(reader.rows("states")), otherRows.states)
      for (
        const [after, until] of [[0, 1], [999, 1_001], [1_000, 1_000], [1_799, 1_805], [1_805, 9_999], [
          500,
          400
        ]] as const
      ) {
        const expected = eventRows(1, 1_805).filter(({ position }) => position > after && position <= until)
        assert.deepStrictEqual(yield* collect(reader.events({ after, until })), expected)
      }
      loaded.length = 0
      yield* collect(reader.events({ after: 1_001, until: 1_002 }))
      assert.deepStrictEqual(loaded, [`${second.id}.000000000001.esb`])
    }))

  it.effect("finds the position at any time: before the first, after the last, at one and between two", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      // several events of one moment, over the end of a segment too
      const events = eventRows(1, 1_500).map((row) => ({
        ...row,
        recordedAt: NOON + Math.floor(row.position / 4) * 1_000
      }))
      const options = { segmentBytes: 64 * 1024, withOthers: false }
      const full = yield* at(storage, writeBackup({ events: events.slice(0, 1_000), ...options }))
      const next = yield* at(storage, writeBackup({ events: events.slice(1_000), parent: full, ...options }))
      const reader = yield* at(storage, BackupReader.open(next.id))
      for (let micros = NOON - 500; micros < NOON + 376_500; micros += 500) {
        const expected = events.findLast(({ recordedAt }) => recordedAt <= micros)?.position ?? 0
        assert.strictEqual(yield* reader.positionAt(micros), expected)
      }
      const empty = yield* at(storage, writeBackup({ events: [], withOthers: false }))
      assert.strictEqual(yield* (yield* at(storage, BackupReader.open(empty.id))).positionAt(NOON), 0)
    }))

  it.effect("gives no row of a segment that is damaged, and names it", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const manifest = yield* at(storage, writeBackup({ to: 1_500, segmentBytes: 64 * 1024 }))
      const files = yield* filesOf(storage)
      const last = manifest.segments.findLast(({ kind }) => kind === "events")!
      const name = `${manifest.id}.${String(last.number).padStart(12, "0")}.esb`
      const damaged = Buffer.from(files.get(name)!)
      damaged[damaged.length - 5]! ^= 4
      const place = yield* placeOf(new Map(files).set(name, damaged))
      const reader = yield* at(place, BackupReader.open(manifest.id))
      const seen: Array<number> = []
      const error = yield* Effect.flip(
        Stream.runForEach(reader.events(), ({ position }) => Effect.sync(() => seen.push(position)))
      )
      assert.strictEqual((error as BackupCorrupt).file, name)
      assert.strictEqual((error as BackupCorrupt).position, last.first)
      assert.strictEqual(seen.length, last.first - 1)
    }))

  it.effect("opens no chain that does not fit together", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const full = yield* at(storage, writeBackup({ to: 10 }))
      const child = yield* at(storage, writeBackup({ from: 11, to: 12, parent: full }))
      const other = yield* at(storage, writeBackup({ to: 10 }))
      // another backup under the parent's name
      const files = new Map<string, Uint8Array>(yield* filesOf(storage))
      const forged = firstLine(files, `${child.id}.manifest.json`)
      forged.parent = { id: other.id, chain: full.chain }
      files.set(`${child.id}.manifest.json`, manifestBytes(forged))
      const place = yield* placeOf(files)
      const error = yield* Effect.flip(at(place, BackupReader.open(child.id)))
      assert.strictEqual(error._tag, "BackupChainBroken")
      const changes: ReadonlyArray<(json: BackupManifest) => object> = [
        (json) => ({ ...json, incarnation: "another" }),
        (json) => ({
          ...json,
          events: { ...json.events, digest: "0".repeat(16) },
          total: { ...json.total, digest: "0".repeat(16) }
        })
      ]
      for (const change of changes) {
        const changed = change(firstLine(files, `${full.id}.manifest.json`))
        const swapped = yield* placeOf(
          new Map<string, Uint8Array>(yield* filesOf(storage)).set(`${full.id}.manifest.json`, manifestBytes(changed))
        )
        const broken = yield* Effect.flip(at(swapped, BackupReader.open(child.id)))
        assert.strictEqual(broken._tag, "BackupChainBroken", String(change))
      }
      yield* storage.remove(`${full.id}.manifest.json`)
      assert.strictEqual((yield* Effect.flip(at(storage, BackupReader.open(child.id))))._tag, "BackupChainBroken")
    }))

  it.effect("needs the right key, and says so before it reads a segment", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const manifest = yield* at(storage, writeBackup({ encryption: encryptionKey() }))
      const tag = (keys: BackupKeys) =>
        Effect.map(Effect.flip(at(storage, BackupReader.open(manifest.id, keys))), ({ _tag }) => _tag)
      assert.strictEqual(yield* tag({}), "BackupKeyMissing")
      assert.strictEqual(yield* tag({ encryption: [encryptionKey(1, "other")] }), "BackupKeyMissing")
      assert.strictEqual(yield* tag({ encryption: [encryptionKey(2)] }), "BackupKeyWrong")
      assert.strictEqual(yield* tag({ encryption: [encryptionKey()], trusted }), "BackupSignatureInvalid")
    }))

  it.effect("shows nothing of an encrypted backup: neither texts nor names", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      yield* at(storage, writeBackup({ encryption: encryptionKey(), compression: { codec: "none" } }))
      for (const [name, bytes] of yield* filesOf(storage)) {
        for (const text of ["order-1", "OrderPlaced", "schlüssel", "owner", "customer"]) {
          assert.isFalse(bytes.includes(text), name)
        }
      }
    }))
})

const firstLine = (files: ReadonlyMap<string, Uint8Array>, name: string) =>
  JSON.parse(Buffer.from(files.get(name)!).toString().split("\n")[0]!)

const manifestBytes = (json: object): Buffer => {
  const line = `${JSON.stringify(json)}\n`
  return Buffer.from(`${line}sha256 ${createHash("sha256").update(line).digest("hex")}\n`)
}
