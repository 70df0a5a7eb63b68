/**
 * Writes backups into a directory, one after the other, until it is killed; says the id of each that is finished.
 *
 *   node write.ts DIRECTORY [TIMES]
 */
import { Effect } from "effect"
import { BackupCatalog, layerDirectory } from "../../../src/backup/index.ts"
import { writeBackup } from "../fixtures.ts"

const [directory = "", times = "1000"] = process.argv.slice(2)

const one = Effect.gen(function*() {
  yield* BackupCatalog.removeIncomplete({ idleMillis: 0 })
  const { id } = yield* writeBackup({ to: 2_000, segmentBytes: 64 * 1024 })
  process.stdout.write(`${id}\n`)
})

const program = Effect.forEach(Array.from({ length: Number(times) }), () => one, { discard: true })

Effect.runPromise(Effect.provide(program, layerDirectory(directory))).catch((cause: unknown) => {
  process.stderr.write(`${String(cause)}\n`)
  process.exitCode = 1
})
