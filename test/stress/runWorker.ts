/**
 * A stress process: takes its settings as JSON in its first argument and orders
 * as lines on its standard input, and prints how far it is.
 */
import { Cause, Effect, Exit, Latch, Logger } from "effect"
import { writeSync } from "node:fs"
import { createInterface } from "node:readline"
import { openStore } from "./openStore.ts"
import { work, type WorkerSettings } from "./worker.ts"

/**
 * Orders to a stress process: to begin, to begin nothing new, and to append the
 * event that ends the run.
 */
export type Order = "begin" | "finish" | "end"

/**
 * What a stress process prints: that its store is open, that it only follows,
 * that it has seen the end, or why it stopped before.
 */
export type Report = "open" | "idle" | "done" | `wrong ${string}`

/**
 * Runs a stress process. It ends when its standard input does, so that it never
 * outlives the one who started it.
 */
export const runWorker = async (overrides: Partial<WorkerSettings> = {}): Promise<void> => {
  const settings: WorkerSettings = { ...JSON.parse(process.argv[2] ?? "{}"), ...overrides }
  const begin = Latch.makeUnsafe(false)
  const finish = Latch.makeUnsafe(false)
  const end = Latch.makeUnsafe(false)
  const orders: Readonly<Record<string, Latch.Latch>> = { begin, finish, end } satisfies Record<Order, Latch.Latch>
  createInterface({ input: process.stdin })
    .on("line", (line) => orders[line]?.openUnsafe())
    .on("close", () => process.exit(2))
  const program = Effect.gen(function*() {
    const store = yield* openStore(settings.url)
    report("open")
    yield* Effect.provide(work(settings, { begin, finish, end, onIdle: () => report("idle") }), store)
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
  const exit = await Effect.runPromiseExit(program)
  report(Exit.isSuccess(exit) ? "done" : `wrong ${Cause.pretty(exit.cause).replaceAll("\n", " | ")}`)
  process.exit(Exit.isSuccess(exit) ? 0 : 1)
}

// internal

const report = (line: Report): void => {
  writeSync(1, `${line}\n`)
}
