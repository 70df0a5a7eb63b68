/**
 * Judges a run by what its processes wrote down and the log that is there.
 */
import { Context, Effect, Stream } from "effect"
import { EventStore, StoreAdmin } from "../../src/store/index.ts"
import { check, type Violation } from "../checker/historyChecker.ts"
import { openRecorder, readHistory } from "../checker/recorder.ts"
import { openStore } from "./openStore.ts"
import { FILTER_NAMES, FILTERS, toRow } from "./requests.ts"
import { subscriptionOf } from "./worker.ts"

/**
 * What became of a run.
 */
export interface Verdict {
  readonly violations: ReadonlyArray<Violation>
  /** What the store finds wrong with its own log. */
  readonly faults: ReadonlyArray<string>
  readonly appends: number
  readonly acknowledged: number
  /** Appends that nobody answered, or whose answer was that nobody knows. */
  readonly doubtful: number
  /** How many of those were recorded all the same. */
  readonly doubtfulRecorded: number
  readonly events: number
  readonly deliveries: number
}

/**
 * Reads the whole log and every stream, and checks them against the history.
 */
export const verify = (run: {
  readonly url: string
  /** History files of all processes. */
  readonly files: ReadonlyArray<string>
  /** Names of all processes. */
  readonly workers: ReadonlyArray<string>
  /** History file of this reading, which is not there yet. */
  readonly file: string
}): Effect.Effect<Verdict> =>
  Effect.gen(function*() {
    const opened = yield* openStore(run.url)
    const store = Context.get(opened, EventStore)
    const admin = Context.get(opened, StoreAdmin)
    const log = (yield* Stream.runCollect(store.readAll())).map(toRow)
    const recorder = openRecorder(run.file, "verifier")
    for (const stream of new Set(log.map((row) => row.stream))) {
      const got = recorder.read({ stream, from: 0, isToEnd: true })
      got((yield* Stream.runCollect(store.readStream(stream))).map(({ id }) => id))
    }
    recorder.close()
    const faults = yield* admin.verifyLog
    const filters = Object.fromEntries(run.workers.flatMap((worker) =>
      FILTER_NAMES.map((name) => [subscriptionOf(worker, name), FILTERS[name].matches] as const)
    ))
    const history = readHistory([...run.files, run.file], { log, filters })
    const doubtful = history.appends.filter(({ outcome }) =>
      outcome === "unknown"
    )
    return {
      violations: check(history),
      faults,
      appends: history.appends.length,
      acknowledged: history.appends.filter(({ outcome }) => outcome === "ok").length,
      doubtful: doubtful.length,
      doubtfulRecorded: doubtful.filter(({ events }) => log.some(({ id }) => id === events[0]?.id)).length,
      events: log.length,
      deliveries: history.followings.reduce((sum, { deliveries }) => sum + deliveries.length, 0)
    }
  }).pipe(Effect.scoped, Effect.orDie)
