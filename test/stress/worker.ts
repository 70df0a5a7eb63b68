/**
 * What a stress process does with a store, and how it writes it down.
 */
import { Duration, Effect, Fiber, type Latch, Option, Result, Stream } from "effect"
import { type AppendError, type AppendResult, EventStore, type StorageError } from "../../src/store/index.ts"
import type { History } from "../checker/history.ts"
import { makeRandom, type Random } from "../checker/random.ts"
import { type AppendAnswer, type AppendCall, openRecorder, readHistory, type Recorder } from "../checker/recorder.ts"
import {
  END_STREAM,
  type FilterName,
  FILTERS,
  propose,
  proposeAgain,
  proposeEnd,
  toOptions,
  type View
} from "./requests.ts"

/**
 * What a stress process is told when it starts.
 */
export interface WorkerSettings {
  readonly url: string
  readonly name: string
  readonly seed: number
  /** Its history file, which is not there yet. */
  readonly file: string
  /** History files of its earlier lives: what was left in doubt there is sent again. */
  readonly earlier: ReadonlyArray<string>
  /** Appends and reads to do, unless it is told to finish before. */
  readonly operations: number
  /** How many of them at a time. */
  readonly concurrency: number
  /** What it follows, a subscription each; at least one thing, by which it sees the end. */
  readonly followers: ReadonlyArray<FilterName>
}

/**
 * How the one who started it speaks to a stress process.
 */
export interface Signals {
  /** Opened when it may write. */
  readonly begin: Latch.Latch
  /** Opened when it shall begin nothing new. */
  readonly finish: Latch.Latch
  /** Opened when it shall append the event that ends the run. */
  readonly end: Latch.Latch
  /** Called when it does nothing any more but follow. */
  readonly onIdle: () => void
}

/**
 * Name of a subscription of a stress process.
 */
export const subscriptionOf = (worker: string, filter: FilterName): string => `${worker}/${filter}`

/**
 * Writes and follows until it sees the event that ends the run.
 *
 * **Details**
 *
 * Dies of everything that a correct store never answers: an error that is not
 * temporary, a subscription that ends.
 */
export const work = (settings: WorkerSettings, signals: Signals): Effect.Effect<void, never, EventStore> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const recorder = openRecorder(settings.file, settings.name)
    const before = readHistory(settings.earlier, { log: [] })
    const worker: Worker = {
      store,
      recorder,
      random: makeRandom(settings.seed),
      view: { revisions: new Map(), head: 0 },
      doubts: doubtsOf(before),
      recorded: [],
      left: settings.operations
    }
    yield* Effect.forkScoped(Effect.andThen(
      signals.finish.await,
      Effect.sync(() => {
        worker.left = 0
      })
    ))
    const followers = settings.followers.map((name) =>
      follow(worker, name, subscriptionOf(settings.name, name), startOf(before.followings, settings.name, name))
    )
    const writing = Effect.forEach(
      Array.from({ length: settings.concurrency }),
      () => Effect.andThen(signals.begin.await, writeAll(worker)),
      { concurrency: "unbounded", discard: true }
    ).pipe(Effect.andThen(Effect.sync(signals.onIdle)))
    let isEnding = false
    const ending = yield* Effect.forkScoped(Effect.andThen(
      signals.end.await,
      Effect.suspend(() => {
        isEnding = true
        return settle(worker, proposeEnd())
      })
    ))
    yield* Effect.all([writing, ...followers], { concurrency: "unbounded", discard: true })
    if (isEnding) yield* Fiber.join(ending)
    recorder.close()
  }).pipe(Effect.scoped)

// internal

interface Worker {
  readonly store: EventStore["Service"]
  readonly recorder: Recorder
  readonly random: Random
  readonly view: View
  /** Appends of which nobody knows whether they were recorded. */
  readonly doubts: Array<AppendCall>
  /** Ids of some acknowledged events. */
  readonly recorded: Array<string>
  /** Operations left to do. */
  left: number
}

/** Pause before what is temporary is tried again, in milliseconds. */
const PAUSE_MS = 50

const pause = Effect.sleep(Duration.millis(PAUSE_MS))

/** One of several that work through the operations; first of all what is in doubt. */
const writeAll = (worker: Worker): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { random, view } = worker
    for (;;) {
      const doubt = worker.doubts.shift()
      if (doubt !== undefined) {
        yield* settle(worker, proposeAgain(random, view, doubt))
        continue
      }
      if (worker.left <= 0) return
      worker.left--
      if (random.chance(0.12)) yield* readStream(worker)
      else yield* once(worker, propose(random, view, worker.recorded), random.chance(0.03))
    }
  })

/** Appends; puts what is in doubt afterwards to the others. */
const once = (worker: Worker, call: AppendCall, isHasty: boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    const outcome = yield* append(worker, call, isHasty)
    if (outcome === "unknown") worker.doubts.push(call)
    if (outcome === "unavailable") yield* pause
  })

/** Appends what may be recorded already until the answer is certain. */
const settle = (worker: Worker, call: AppendCall): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let next = call;; next = proposeAgain(worker.random, worker.view, call)) {
      const outcome = yield* append(worker, next, false)
      if (outcome === "ok" || outcome === "fail") return
      yield* pause
    }
  })

/** Appends and writes down the answer. */
const append = (
  worker: Worker,
  call: AppendCall,
  isHasty: boolean
): Effect.Effect<AppendAnswer["outcome"] | "unavailable"> =>
  Effect.gen(function*() {
    const { recorder, store } = worker
    const options = toOptions(call)
    const answer = recorder.append(call)
    const sent: Effect.Effect<ReadonlyArray<AppendResult>, AppendError> = "writes" in options
      ? Effect.map(store.appendAll(options), ({ writes }) => writes)
      : Effect.map(store.append(options), (write) => [write])
    // an append that is interrupted may be recorded or not
    const patience = isHasty ? Effect.timeoutOption(sent, Duration.millis(worker.random.int(8))) : Effect.asSome(sent)
    const result = yield* Effect.result(patience)
    if (Result.isFailure(result)) {
      const outcome = judge(worker, result.failure)
      answer({ outcome: outcome === "unknown" ? "unknown" : "fail" })
      if (outcome === "wrong") return yield* Effect.die(result.failure)
      return outcome
    }
    if (Option.isNone(result.success)) {
      answer({ outcome: "unknown" })
      return "unknown"
    }
    const writes = result.success.value
    answer({
      outcome: "ok",
      places: writes.flatMap(({ firstPosition, firstRevision, revision }) =>
        Array.from({ length: revision - firstRevision + 1 }, (_, i) => ({
          revision: firstRevision + i,
          position: firstPosition + i
        }))
      )
    })
    for (const { position, revision, streamId } of writes) {
      see(worker.view, streamId, revision)
      worker.view.head = Math.max(worker.view.head, position)
    }
    if (worker.random.chance(0.2)) worker.recorded.push(call.events[0]?.id ?? "")
    return "ok"
  })

const see = ({ revisions }: View, stream: string, revision: number): void => {
  revisions.set(stream, Math.max(revision, revisions.get(stream) ?? 0))
}

/** What an append's failure means; learns from it. */
const judge = ({ view }: Worker, error: AppendError): "fail" | "unknown" | "unavailable" | "wrong" => {
  switch (error._tag) {
    case "RevisionConflict":
      if (error.actual !== undefined) see(view, error.streamId, error.actual)
      return "fail"
    case "AppendConditionFailed":
      view.head = Math.max(view.head, error.position)
      return "fail"
    case "IdempotencyConflict":
      return "fail"
    case "AppendOutcomeUnknown":
      return "unknown"
    case "StorageError":
      return error.isRetryable ? "unavailable" : "wrong"
    default:
      return "wrong"
  }
}

const readStream = ({ random, recorder, store, view }: Worker): Effect.Effect<void> =>
  Effect.suspend(() => {
    const stream = random.pick([...view.revisions.keys()]) ?? END_STREAM
    const from = random.chance(0.7) ? 0 : random.int((view.revisions.get(stream) ?? 0) + 2)
    const limit = random.chance(0.7) ? undefined : 1 + random.int(5)
    const got = recorder.read({ stream, from, isToEnd: limit === undefined })
    return Stream.runCollect(store.readStream(stream, { from, limit })).pipe(
      Effect.matchEffect({
        onFailure: (error) => isTemporary(error) ? pause : Effect.die(error),
        onSuccess: (events) =>
          Effect.sync(() => {
            got(events.map(({ id }) => id))
            const last = events.at(-1)
            if (last !== undefined) see(view, stream, last.revision)
          })
      })
    )
  })

const isTemporary = (error: { readonly _tag: string } | StorageError): boolean =>
  error._tag === "StorageError" && "isRetryable" in error && error.isRetryable

/** What was left without an answer, and was not sent again with success. */
const doubtsOf = ({ appends }: History): Array<AppendCall> => {
  const acknowledged = new Set(appends.filter(({ outcome }) => outcome === "ok").map(({ events }) => events[0]?.id))
  return appends.filter(({ events, outcome }) => outcome === "unknown" && !acknowledged.has(events[0]?.id))
    .map(({ claims, condition, events }) =>
      condition === undefined ? { events, claims } : { events, claims, condition }
    )
}

interface Start {
  readonly incarnation: number
  /** The checkpoint is anywhere from here … */
  readonly after: number
  /** … to what was delivered. */
  readonly delivered: number
}

const startOf = (
  followings: History["followings"],
  worker: string,
  filter: FilterName
): Start => {
  const lives = followings.filter(({ subscription }) => subscription === subscriptionOf(worker, filter))
  const after = Math.max(0, ...lives.map((life) => life.after))
  return {
    incarnation: Math.max(-1, ...lives.map((life) => life.incarnation)) + 1,
    after,
    delivered: Math.max(after, ...lives.map(({ deliveries }) => deliveries.at(-1)?.position ?? 0))
  }
}

/** Follows life after life, from a checkpoint that may be behind, until it gets the end. */
const follow = (worker: Worker, name: FilterName, subscription: string, start: Start): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { random, recorder, store, view } = worker
    let { after, delivered, incarnation } = start
    for (;;) {
      after += random.int(delivered - after + 1)
      const life = recorder.follow({ subscription, incarnation: incarnation++, after })
      const count = random.chance(0.6) ? 1 + random.int(120) : Number.MAX_SAFE_INTEGER
      let [reached, isEnded] = [after, false]
      yield* store.subscribe({ after, filter: FILTERS[name].filter }).pipe(
        Stream.take(count),
        Stream.takeUntil(({ streamId }) => streamId === END_STREAM),
        Stream.runForEach(({ id, position, revision, streamId }) =>
          Effect.sync(() => {
            life.deliver({ position, id })
            see(view, streamId, revision)
            view.head = Math.max(view.head, position)
            reached = position
            isEnded = streamId === END_STREAM
          })
        ),
        Effect.orDie
      )
      delivered = Math.max(delivered, reached)
      life.reach(reached)
      if (isEnded) return
    }
  })
