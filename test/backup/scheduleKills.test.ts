import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { waitFor } from "../support/waitFor.ts"

const program = join(import.meta.dirname, "programs/schedule.ts")

interface Watcher {
  readonly child: ChildProcess
  /** How often its task began. */
  began: number
}

/** A process that watches the schedule of a directory, and goes with the scope. */
const watch = (directory: string) =>
  Effect.acquireRelease(
    Effect.sync((): Watcher => {
      const child = spawn(process.execPath, [program, directory], { stdio: ["ignore", "pipe", "inherit"] })
      const watcher: Watcher = { child, began: 0 }
      child.stdout.on("data", (text) => {
        watcher.began += String(text).split("began").length - 1
      })
      return watcher
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** The number of the file that counts: a process that has its turn makes a new one three times a lease. */
const generation = (directory: string): number =>
  Math.max(0, ...readdirSync(directory).map((name) => Number(/^schedule-nightly-(\d{12})\.json$/.exec(name)?.[1] ?? 0)))

describe("BackupSchedule in processes", () => {
  it.live(
    "of two processes one works; when it is killed in the middle the other one does, and never both",
    () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "schedule-" })
        const watchers = [yield* watch(directory), yield* watch(directory)]
        const begun = Effect.sync(() => watchers.filter(({ began }) => began > 0))
        const deadline = { deadlineMs: 60_000 }
        const [first] = yield* waitFor(begun, (found) => found.length > 0, deadline)
        // as long as it says that it is alive, over more than two leases, the other one waits
        const then = generation(directory)
        yield* waitFor(Effect.sync(() => generation(directory)), (now) => now >= then + 8, deadline)
        assert.deepStrictEqual(yield* begun, [first!])
        assert.strictEqual(first!.began, 1)
        first!.child.kill("SIGKILL")
        const both = yield* waitFor(begun, (found) => found.length === 2, deadline)
        assert.strictEqual(both.find((each) => each !== first)?.began, 1)
      }).pipe(Effect.provide(NodeServices.layer)),
    180_000
  )
})
