/**
 * A process of a trial: runs the projections until its standard input ends.
 * Takes its settings as JSON in its first argument.
 */
import { Effect, Layer, Logger, Schedule } from "effect"
import { writeSync } from "node:fs"
import { ProjectionRunner } from "../../../src/projection/index.ts"
import { layerPostgres } from "../../../src/runtime/index.ts"
import { makeWorld, type WorldSettings } from "./world.ts"

/**
 * What a process of a trial is told when it starts.
 */
export interface RunnerSettings extends WorldSettings {
  readonly url: string
  readonly name: string
  /** `each`: a runner a projection, with an owner that names the process. `all`: one call for all of them. */
  readonly mode: "each" | "all"
  readonly batchEvents: number
  readonly statementMillis: number
}

/**
 * Runs it, and exits when it was told to stop and has stopped.
 */
export const runProcess = async (): Promise<void> => {
  const settings: RunnerSettings = JSON.parse(process.argv[2] ?? "{}")
  const stop = new AbortController()
  process.stdin.on("end", () => {
    stop.abort()
    // whoever cannot stop is no better than one that was killed
    setTimeout(() => process.exit(3), STOP_MS).unref()
  }).resume()
  const layer = layerPostgres({ url: settings.url, migrate: false, applicationName: `trial ${settings.name}` })
  const program = Effect.andThen(Effect.sync(() => report("started")), runAll(settings)).pipe(
    Effect.andThen(Effect.never),
    Effect.provide(Layer.fresh(layer)),
    // a fault may meet the start, too
    Effect.retry(Schedule.spaced("50 millis")),
    Effect.provide(Logger.layer([]))
  )
  const exit = await Effect.runPromiseExit(program, { signal: stop.signal })
  if (!stop.signal.aborted) report(`died ${JSON.stringify(exit).slice(0, 1_000)}`)
  report(`rss ${Math.round(process.resourceUsage().maxRSS / 1_024)}`)
  process.exit(stop.signal.aborted ? 0 : 1)
}

// internal

const STOP_MS = 10_000

const report = (line: string): void => {
  writeSync(1, `${line}\n`)
}

const runAll = (settings: RunnerSettings) => {
  const { batchEvents, mode, name, statementMillis } = settings
  const options = {
    batchEvents,
    statementTimeout: statementMillis,
    // a trial has no time for a server that has gone silent
    commitTimeout: "3 seconds",
    retry: Schedule.recurs(2)
  } as const
  const { all } = makeWorld(settings)
  return mode === "all"
    ? ProjectionRunner.runAll(all, options)
    : Effect.forEach(
      all,
      (projection) =>
        Effect.catch(
          ProjectionRunner.run(projection, { ...options, owner: `${name}/${projection.name}` }),
          (error) => Effect.sync(() => report(`ended ${projection.name} ${error._tag}`))
        ),
      { concurrency: "unbounded", discard: true }
    )
}
