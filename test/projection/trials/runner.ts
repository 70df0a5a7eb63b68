/**
 * A process of a trial: runs the projections until its standard input ends.
 * Takes its settings as JSON in its first argument.
 */
import { Effect, Layer, Logger, Schedule } from "effect"
import { writeSync } from "node:fs"
import { InlineProjections, ProjectionRunner } from "../../../src/projection/index.ts"
import { layerPostgres } from "../../../src/runtime/index.ts"
import { EventStore } from "../../../src/store/EventStore.ts"
import { makeRandom } from "../../checker/random.ts"
import { Ledger } from "./ledger.ts"
import { makeInline, makeWorld, proposeSales, type WorldSettings } from "./world.ts"

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
  const applicationName = `trial ${settings.name}`
  const layer = InlineProjections.layer(makeInline(settings)).pipe(
    Layer.provideMerge(layerPostgres({ ...PATIENCE, url: settings.url, migrate: false, applicationName })),
    Layer.merge(Ledger.layer(settings.url, applicationName))
  )
  const program = Effect.andThen(
    Effect.sync(() => report("started")),
    Effect.raceFirst(runAll(settings), writeOn(settings))
  ).pipe(
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

/** A trial has no time for a server that has gone silent: an append without an answer keeps a process from stopping. */
const PATIENCE = { lockTimeout: "2 seconds", resolveTimeout: "2 seconds" } as const

const report = (line: string): void => {
  writeSync(1, `${line}\n`)
}

/** Appends sales now and then, and with them what is inline; tells what no fault of the trial can cause. */
const writeOn = ({ knows, name }: RunnerSettings) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const random = makeRandom(Number.parseInt(name.replace(/\D/g, ""), 10))
    while (true) {
      const append = store.append({
        streamId: `trial-${random.int(WRITTEN_STREAMS)}`,
        expected: "any",
        events: proposeSales(random, knows)
      })
      const written = yield* Effect.result(append)
      const failure = written._tag === "Failure" ? written.failure : undefined
      if (failure?._tag === "StorageError" && failure.reason._tag.startsWith("Inline")) {
        return yield* Effect.die(failure)
      }
      yield* Effect.sleep(random.int(WRITE_PAUSE_MS))
    }
  })

const WRITTEN_STREAMS = 7

const WRITE_PAUSE_MS = 250

const runAll = (settings: RunnerSettings) => {
  const { batchEvents, mode, name, statementMillis } = settings
  const options = {
    batchEvents,
    statementTimeout: statementMillis,
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
