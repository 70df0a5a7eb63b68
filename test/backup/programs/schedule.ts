/**
 * Watches a schedule that is due every second; its task says so, and never ends.
 *
 *   node schedule.ts DIRECTORY
 */
import { Effect } from "effect"
import { BackupSchedule, layerDirectory } from "../../../src/backup/index.ts"

const [directory = ""] = process.argv.slice(2)

const program = BackupSchedule.run({
  cron: "* * * * * *",
  name: "nightly",
  leaseMillis: 1_000,
  task: () => Effect.andThen(Effect.sync(() => process.stdout.write("began\n")), Effect.never)
})

Effect.runPromise(Effect.provide(program, layerDirectory(directory))).catch((cause: unknown) => {
  process.stderr.write(`${String(cause)}\n`)
  process.exitCode = 1
})
