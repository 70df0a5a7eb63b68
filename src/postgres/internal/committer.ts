import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { AppendOutcomeUnknown, StorageError, Unavailable } from "../../store/EventStoreError.ts"
import type { AppendRequest, Storage } from "../../store/Storage.ts"
import { type RequestOutcome, toOutcomes, toStatement } from "./batch.ts"
import { judge, toStorageError, type Verdict } from "./sqlErrors.ts"
import type { QueryFailure, WriterSession } from "./writerSession.ts"

/** What the committer is given. */
export interface CommitterOptions {
  /** Of its own, so that no reader and no transaction holds it. */
  readonly writer: WriterSession
  readonly schema: string
  readonly notify: boolean
  /** How long the server lets an append wait for the append lock. */
  readonly lockTimeout: Duration.Duration
  /** How long an append whose connection was lost is asked about before its outcome is unknown. */
  readonly resolveTimeout: Duration.Duration
  /** Called with the last position of every batch. */
  readonly onCommit: (position: number) => void
  /** How a batch is sent, one at a time; as one statement, and two at a time, when absent. */
  readonly send?: Send | undefined
}

/** Sends requests, and says what became of each. What fails has written nothing, or is asked about by id. */
export type Send = (
  requests: ReadonlyArray<AppendRequest>,
  options: {
    readonly checkIds: boolean
    /** How long to wait for the answer before the connection counts as lost. */
    readonly patienceMs: number
  }
) => Effect.Effect<ReadonlyArray<RequestOutcome>, QueryFailure>

/**
 * Makes the `append` that all fibers of the process share.
 *
 * Appends queue; while a batch is on its way the next one collects, so that
 * the more wait the more one commit takes, and a lone append waits for nothing.
 * A batch is one statement, each append in it succeeds or fails by itself.
 * Appends are recorded in the order in which they were submitted, except those
 * that had to be sent again.
 */
export const make = (
  options: CommitterOptions
): Effect.Effect<Storage["append"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const queue: Array<Entry> = []
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const settle = settler(options)
    const flight = makeFlight()
    const batchesMax = options.send === undefined ? PIPELINE_BATCHES : 1
    let lastEvents = 0
    let queuedEvents = 0
    let isScheduled = false
    let isClosed = false

    const send = (batch: ReadonlyArray<Entry>): void => {
      lastEvents = countEvents(batch)
      const place = flight.enter(lastEvents)
      place.fiber = fork(Effect.ensuring(
        settle(batch, place),
        Effect.sync(() => {
          place.leave()
          if (queue.length > 0) schedule()
        })
      ))
    }
    // a second batch leaves while the first is on its way once it is worth a statement
    const isWorthSending = (): boolean =>
      queue.length > 0 && (flight.places.size === 0 ||
        (flight.places.size < batchesMax && queuedEvents >= Math.max(PIPELINE_EVENTS_MIN, flight.events())))
    const flush = (): void => {
      while (isWorthSending()) {
        const batch = takeBatch(queue)
        queuedEvents = countEvents(queue)
        if (batch.length > 0) send(batch)
      }
    }
    // whoever the last batch resumed gets in before the next one leaves
    const schedule = (): void => {
      if (isScheduled) return
      isScheduled = true
      fork(Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => {
          isScheduled = false
          flush()
        })
      ))
    }
    yield* Effect.addFinalizer(() => {
      isClosed = true
      for (const entry of queue.splice(0)) entry.resume(closed)
      return Fiber.interruptAll([...flight.places].flatMap(({ fiber }) => fiber ?? []))
    })

    return (request) =>
      Effect.callback((resume) => {
        if (isClosed) return resume(closed)
        const entry: Entry = { request, resume, isGone: false }
        queue.push(entry)
        queuedEvents += request.eventCount
        if (flight.places.size > 0) flush()
        else if (lastEvents > 1 && queuedEvents < Math.max(PIPELINE_EVENTS_MIN, lastEvents / PIPELINE_BATCHES)) {
          schedule()
        } else flush()
        return Effect.sync(() => {
          entry.isGone = true
        })
      })
  })

// internal

/** Most events of a batch: past 256 to 512 only the latency grows (measured). */
const BATCH_EVENTS = 512

/**
 * Batches on their way at a time, on one connection: the server works on one
 * while the client reads and writes the others. One after the other leaves half
 * of two cores idle (measured: 64 appenders).
 */
const PIPELINE_BATCHES = 2

/** Fewest events for which a statement beside another one is worth its fixed cost (measured: below, an event costs twice as much). */
const PIPELINE_EVENTS_MIN = 16

/** Most bytes of JSON of a batch of several appends. */
const BATCH_SIZE_BYTES = 1024 * 1024

/** Pause before an append is sent again: 10 ms, doubled up to 1 s, of which a random part is taken. */
const PAUSE_MS_MIN = 10
const PAUSE_MS_MAX = 1_000

/** How often a statement is sent again after a deadlock or the like, which wrote nothing. */
const AGAIN_TIMES = 10

/** How often a connection is tried again before an append is answered with `Unavailable`. */
const CONNECT_AGAIN_TIMES = 2

type AppendExit = ReturnType<Storage["append"]>

/** Of a batch among those on their way. */
interface Place {
  /** Waits for the batches that were sent before. */
  readonly before: Effect.Effect<unknown>
  /** Takes the batch off; before anyone is resumed, so that who appends again at once does not count it. */
  readonly leave: () => void
  fiber?: Fiber.Fiber<void>
}

interface Entry {
  readonly request: AppendRequest
  readonly resume: (effect: AppendExit) => void
  /** Interrupted; an append that was not sent yet is not sent any more. */
  isGone: boolean
}

const closed: AppendExit = Effect.fail(
  new StorageError({
    operation: "append",
    reason: new Unavailable({ detail: "the store was closed before the append was sent" })
  })
)

/** The batches on their way, oldest first, and how many events they hold. */
const makeFlight = () => {
  const places = new Set<Place>()
  let events = 0
  return {
    places,
    events: () => events,
    enter: (eventCount: number): Place => {
      const earlier = [...places]
      const place: Place = {
        before: Effect.suspend(() => Fiber.awaitAll(earlier.flatMap(({ fiber }) => fiber ?? []))),
        leave: () => {
          if (places.delete(place)) events -= eventCount
        }
      }
      places.add(place)
      events += eventCount
      return place
    }
  }
}

const countEvents = (entries: ReadonlyArray<Entry>): number =>
  entries.reduce((sum, { request }) => sum + request.eventCount, 0)

const takeBatch = (queue: Array<Entry>): Array<Entry> => {
  const batch: Array<Entry> = []
  let events = 0
  let sizeBytes = 0
  let taken = 0
  for (const entry of queue) {
    if (!entry.isGone) {
      events += entry.request.eventCount
      sizeBytes += entry.request.sizeBytes
      if (batch.length > 0 && (events > BATCH_EVENTS || sizeBytes > BATCH_SIZE_BYTES)) break
      batch.push(entry)
    }
    taken++
  }
  queue.splice(0, taken)
  return batch
}

const sender =
  ({ notify, onCommit, schema, writer }: CommitterOptions): Send => (requests, { checkIds, patienceMs }) => {
    const { parameters, text } = toStatement(schema, requests, { checkIds, notify })
    return Effect.map(writer.query(text, parameters, patienceMs), (rows) => {
      const outcomes = toOutcomes(requests, rows)
      for (const outcome of outcomes) {
        if (Result.isSuccess(outcome)) onCommit(Arr.lastNonEmpty(outcome.success).position)
      }
      return outcomes
    })
  }

/** Answers every append of a batch, whatever happens on the way. */
const settler = (options: CommitterOptions) => {
  const timing: Timing = {
    send: options.send ?? sender(options),
    endLost: options.writer.endLost,
    lockMs: Duration.toMillis(options.lockTimeout),
    resolveMs: Duration.toMillis(options.resolveTimeout)
  }
  return (batch: ReadonlyArray<Entry>, place: Place): Effect.Effect<void> =>
    Effect.uninterruptibleMask((restore) => attempt(timing, batch, false, place, restore)).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit)) failAll(batch, (request) => unknown(request, Cause.squash(exit.cause)))
        })
      )
    )
}

interface Timing {
  readonly send: Send
  readonly endLost: WriterSession["endLost"]
  readonly lockMs: number
  readonly resolveMs: number
}

/**
 * Sends a batch until its outcome is known: again, by id, when the connection
 * was lost; again after what wrote nothing and passes; append by append when
 * one of them may be at fault.
 */
const attempt: (
  timing: Timing,
  batch: ReadonlyArray<Entry>,
  checkIds: boolean,
  place: Place,
  restore: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
) => Effect.Effect<void> = Effect.fnUntraced(function*(timing, batch, checkIds, place, restore) {
  const requests = batch.map((entry) => entry.request)
  const startedAt = yield* Clock.currentTimeMillis
  let elapsedMs = 0
  let isLost = false
  let isChecked = checkIds
  for (let tries = 0;; tries++) {
    const patienceMs = timing.lockMs + timing.resolveMs - elapsedMs
    const result: Result.Result<ReadonlyArray<RequestOutcome>, QueryFailure> = yield* Effect.result(
      Effect.andThen(
        isLost ? timing.endLost(timing.resolveMs - elapsedMs) : Effect.void,
        timing.send(requests, { checkIds: isChecked, patienceMs })
      )
    )
    if (Result.isSuccess(result)) {
      place.leave()
      return answer(batch, result.success)
    }
    // what was submitted before is sent again before
    if (tries === 0) yield* place.before
    const { error, wasSent }: QueryFailure = result.failure
    const verdict: Verdict = wasSent ? judge(error) : judgeConnect(error, tries)
    isLost ||= verdict === "lost"
    if (isLost) {
      isChecked = true
      elapsedMs = (yield* Clock.currentTimeMillis) - startedAt
      if (elapsedMs >= timing.resolveMs) return failAll(batch, (request) => unknown(request, error))
    } else if (verdict === "duplicate" && !isChecked) {
      isChecked = true
      continue
    } else if (verdict !== "again" || tries >= AGAIN_TIMES) {
      if (wasSent && batch.length > 1) {
        for (const entry of batch) yield* attempt(timing, [entry], isChecked, inTurn, restore)
        return
      }
      return failAll(batch, () => toStorageError("append", error))
    }
    yield* restore(pause(tries))
  }
})

/** Of appends that are sent one by one: their batch keeps its place until the last. */
const inTurn: Place = { before: Effect.void, leave: () => {} }

/** A server that restarts refuses for a moment; nothing was sent, so trying again is safe. */
const judgeConnect = (error: SqlError, tries: number): Verdict =>
  error.reason._tag === "ConnectionError" && tries < CONNECT_AGAIN_TIMES ? "again" : "refused"

const pause = (tries: number): Effect.Effect<void> =>
  Effect.flatMap(
    Random.nextBetween(0.5, 1),
    (part) => Effect.sleep(part * Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** tries))
  )

const answer = (batch: ReadonlyArray<Entry>, outcomes: ReadonlyArray<RequestOutcome>): void => {
  for (const [index, entry] of batch.entries()) {
    const outcome = outcomes[index]
    if (outcome !== undefined) entry.resume(Effect.fromResult(outcome))
  }
}

const failAll = (
  batch: ReadonlyArray<Entry>,
  toError: (request: AppendRequest) => AppendOutcomeUnknown | StorageError
): void => {
  for (const entry of batch) entry.resume(Effect.fail(toError(entry.request)))
}

const unknown = (request: AppendRequest, cause: unknown): AppendOutcomeUnknown =>
  new AppendOutcomeUnknown({
    streamIds: request.writes.map((write) => write.streamId),
    ids: request.writes.flatMap((write) => write.events.map((event) => event.id)),
    cause
  })
