import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RecordedEvent } from "../../event/Event.ts"
import type { Position } from "../../event/Revision.ts"
import { type HistoryChanged, historyChanged, type LeaseLost, type ParkedEvent } from "../../store/CheckpointStore.ts"
import { addDigests, addEvents } from "../../store/EventDigest.ts"
import { Refused, StorageError } from "../../store/EventStoreError.ts"
import {
  type DependencyBehind,
  EventFailed,
  ProjectionHalted,
  type ProjectionInvalid,
  type StateUnreadable,
  TooManyParked
} from "../ProjectionError.ts"
import { begin } from "./begin.ts"
import { isAhead, type Leader, type LeaderOptions, write } from "./commit.ts"
import { awaitDependencies } from "./dependencies.ts"
import type { Failure } from "./failure.ts"
import { digestOfPiece } from "./pieces.ts"
import { makeDivider } from "./slices.ts"
import { forget, isDue, writeStates } from "./states.ts"
import { applyAgain, applyTo, orderKey } from "./targets.ts"

export { type Leader, type LeaderOptions, write }

/** Everything that applying events can answer. */
export type ApplyError =
  | DependencyBehind
  | LeaseLost
  | HistoryChanged
  | ProjectionHalted
  | ProjectionInvalid
  | StateUnreadable
  | TooManyParked
  | StorageError

/** Makes what is not there yet, and learns what is parked. */
export const makeLeader = Effect.fnUntraced(function*<R>(options: LeaderOptions<R>) {
  const { checkpoints, lease, projection: { name, target, version }, record, store } = options
  const parked = yield* Effect.catchTag(
    checkpoints.listParked(lease, { limit: PARKED_MAX + 1 }),
    "InvalidInput",
    (fault) => Effect.die(fault)
  )
  if (parked.length > PARKED_MAX) return yield* new TooManyParked({ name, version, limit: PARKED_MAX })
  const moved = yield* moveKeys(options, parked)
  const handsOutKeys = target._tag === "Custom" || target._tag === "Reactor"
  const parent = handsOutKeys ? (yield* store.head).parent : undefined
  const { count, digest, position } = record.checkpoint
  const place = { count, digest, position }
  const leader: Leader<R> = {
    ...options,
    checkpoint: place,
    written: place,
    writtenAt: yield* Clock.currentTimeMillis,
    unwritten: 0,
    isCareful: false,
    states: new Map(),
    times: new Map(),
    dirty: new Map(),
    oldest: Number.NEGATIVE_INFINITY,
    seenAt: undefined,
    parent,
    reached: new Map(),
    parkedKeys: new Set(parked.map(({ key, position }) => moved.get(position)?.key ?? key)),
    parked: parked.length,
    reacted: new Set(),
    attempts: new Map()
  }
  if (!record.isSetUp) yield* begin(leader)
  if (moved.size > 0) {
    const failure = yield* write(leader, { to: leader.checkpoint, park: [...moved.values()] })
    if (failure !== undefined) return yield* refused(failure)
  }
  return leader
})

/**
 * Applies the events up to a position, as soon as those have seen them that it
 * comes after: all of them in one commit, or, when one of them fails, those before
 * it, it alone, and those after it. A reactor has commits of its own size, and
 * states may be kept for a while. Called without events and with the old
 * position, it writes what was kept for long enough.
 */
export const applyEvents = <R>(
  self: Leader<R>,
  events: ReadonlyArray<RecordedEvent>,
  position: Position
): Effect.Effect<void, ApplyError, R> => {
  const { after } = self.projection
  self.isCareful = false
  return after.length === 0
    ? applyAll(self, events, position)
    : Effect.gen(function*() {
      let rest = events
      while (true) {
        const [first] = rest
        const last = rest.at(-1)
        if (first === undefined || last === undefined) return yield* applyAll(self, rest, position)
        const reached = yield* awaitDependencies(self, after, first.position, last.position)
        if (reached >= last.position) return yield* applyAll(self, rest, position)
        yield* applyUpTo(self, rest.filter((event) => event.position <= reached))
        rest = rest.filter((event) => event.position > reached)
      }
    })
}

/** Writes what was kept. */
export const settle = <R>(self: Leader<R>): Effect.Effect<void, ApplyError, R> =>
  Effect.gen(function*() {
    const { target } = self.projection
    if (target._tag !== "State" || !isAhead(self)) return
    const failure = yield* writeStates(self, target, { to: self.checkpoint })
    if (failure === undefined) return
    self.isCareful = true
    yield* rewind(self)
  })

/** Applies a parked event, which waits no longer then; says why when it still fails. */
export const applyParked = <R>(
  self: Leader<R>,
  event: RecordedEvent,
  attempts = 0
): Effect.Effect<EventFailed | undefined, ApplyError, R> =>
  Effect.gen(function*() {
    self.attempts.set(event.position, attempts)
    const failure = yield* applyAgain(self, event, { to: self.checkpoint, unpark: [event.position] })
    return failure === undefined ? undefined : toEventFailed(event, failure)
  })

// internal

/** Parked events that a runner keeps in mind; bounds its memory. */
const PARKED_MAX = 10_000

const BEHIND = "waits behind an earlier event of its key"

/** Events that are looked up at a time. */
const LOOK_UPS = 8

/**
 * Parked events whose key is another one now, with it: those that come later wait behind them as the code says now, not
 * as it said when they were parked.
 */
const moveKeys = <R>(
  { projection, store }: LeaderOptions<R>,
  parked: ReadonlyArray<ParkedEvent>
): Effect.Effect<ReadonlyMap<Position, Omit<ParkedEvent, "parkedAt">>, StorageError> => {
  // one that is out of reach, in an archive, stays as it is
  const keyOf = (event: ParkedEvent): Effect.Effect<string, StorageError> =>
    projection.onError.key === undefined ? Effect.succeed(event.streamId) : store.findEvent(event.id).pipe(
      Effect.map((found) => Option.isNone(found) ? event.key : orderKey(projection, found.value)),
      Effect.catch((error) =>
        error._tag === "InvalidInput"
          ? Effect.die(error)
          : error.reason._tag === "Archived"
          ? Effect.succeed(event.key)
          : Effect.fail(error)
      )
    )
  return Effect.map(
    Effect.forEach(parked, (event) => Effect.map(keyOf(event), (key) => ({ event, key })), { concurrency: LOOK_UPS }),
    (found) =>
      new Map(
        found.flatMap(({ event: { parkedAt: _, ...event }, key }) =>
          key === event.key ? [] : [[event.position, { ...event, key }]]
        )
      )
  )
}

const applyAll = <R>(
  self: Leader<R>,
  events: ReadonlyArray<RecordedEvent>,
  position: Position
): Effect.Effect<void, ApplyError, R> =>
  Effect.gen(function*() {
    const { target } = self.projection
    if (events.length === 0 && position <= self.checkpoint.position) {
      const isWanted = target._tag === "State" && target.save !== undefined && (yield* isDue(self, target.save))
      return isWanted ? yield* settle(self) : undefined
    }
    if (target._tag === "Reactor" && events.length > target.commitEvery) {
      yield* applyUpTo(self, events.slice(0, target.commitEvery))
      return yield* applyAll(self, events.slice(target.commitEvery), position)
    }
    const failure = yield* applyBatch(self, events, position)
    if (failure === undefined) return
    // from here on each step is written, so that nothing is lost with what is forgotten
    self.isCareful = true
    if (isAhead(self)) {
      yield* rewind(self)
      return yield* applyAll(self, events.filter((event) => event.position > self.checkpoint.position), position)
    }
    if (events.length === 0) return yield* refused(failure)
    const index = events.length === 1 ? 0 : failure.index
    if (index === undefined) {
      const half = Math.floor(events.length / 2)
      yield* applyUpTo(self, events.slice(0, half))
      return yield* applyAll(self, events.slice(half), position)
    }
    yield* applyUpTo(self, events.slice(0, index))
    const culprit = events[index]
    // what has effects was tried by the batch, too
    const isTried = events.length === 1 || target._tag === "Reactor"
    if (culprit !== undefined) yield* applyAlone(self, culprit, isTried ? failure : undefined)
    yield* applyAll(self, events.slice(index + 1), position)
  })

const applyUpTo = <R>(
  self: Leader<R>,
  events: ReadonlyArray<RecordedEvent>
): Effect.Effect<void, ApplyError, R> => {
  const last = events.at(-1)
  return last === undefined ? Effect.void : applyAll(self, events, last.position)
}

/** A commit without events that the database refuses is nobody's fault among them. */
const refused = ({ detail }: Failure) =>
  new StorageError({ operation: "commitProjection", reason: new Refused({ detail }) })

/** Forgets what is not written, and applies it again from the log, this time batch by batch. */
const rewind = <R>(self: Leader<R>): Effect.Effect<void, ApplyError, R> =>
  Effect.gen(function*() {
    const { lease, projection, store } = self
    const { position: until } = self.checkpoint
    const divide = makeDivider(projection)
    forget(self)
    self.checkpoint = self.written
    while (self.checkpoint.position < until) {
      const { position: after } = self.checkpoint
      const page = yield* store.readPage({ after, until, filter: projection.filter }).pipe(
        Effect.catchTags({
          // the filter was checked before
          InvalidInput: Effect.die,
          PositionAheadOfLog: () =>
            Effect.flatMap(store.head, (head) =>
              Effect.fail(historyChanged(projection, { incarnation: lease.incarnation, position: until }, head)))
        })
      )
      const events = divide === undefined ? page.events : page.events.filter((event) =>
        divide(event) === lease.slice
      )
      yield* applyAll(self, events, page.isEnd ? until : page.position)
    }
  })

/** Applies what need not wait behind parked events, and parks the rest. */
const applyBatch = <R>(self: Leader<R>, events: ReadonlyArray<RecordedEvent>, position: Position) => {
  const to = { ...addDigests(self.checkpoint, digestOfPiece(events)), position }
  if (self.parkedKeys.size === 0) return applyTo(self, events, { to })
  const isWaiting = (event: RecordedEvent) => self.parkedKeys.has(orderKey(self.projection, event))
  const park = events.filter(isWaiting).map((event) => toParked(self, event, 0, BEHIND))
  return Effect.gen(function*() {
    yield* requireRoom(self, park.length)
    const failure = yield* applyTo(self, events, { to, park }, isWaiting)
    if (failure === undefined) self.parked += park.length
    return failure
  })
}

/** Tries an event alone as often as the schedule says; then parks it, or halts. `first` is a try that was made. */
const applyAlone = Effect.fnUntraced(function*<R>(self: Leader<R>, event: RecordedEvent, first: Failure | undefined) {
  const { checkpoints, lease, projection: { name, onError, version }, retry } = self
  let attempts = 0
  const once = Effect.gen(function*() {
    attempts++
    const failure = attempts === 1 && first !== undefined ? first : yield* applyBatch(self, [event], event.position)
    if (failure !== undefined) return yield* toEventFailed(event, failure)
  })
  const failed = yield* Effect.retry(once, { schedule: retry, while: (error) => error._tag === "EventFailed" }).pipe(
    Effect.as(undefined),
    Effect.catchTag("EventFailed", (failure) => Effect.succeed(failure))
  )
  if (failed === undefined) return
  const halt = onError.action !== "park"
  yield* Effect.logWarning(failed.message, halt ? "(halted)" : "(parked)")
  yield* checkpoints.reportFailure(lease, { message: failed.message, position: event.position, halt })
  if (halt) return yield* new ProjectionHalted({ name, version, attempts, failure: failed })
  yield* requireRoom(self, 1)
  const parked = toParked(self, event, attempts, `${failed.detail} (${failed.reason})`)
  yield* write(self, { to: { ...addEvents(self.checkpoint, [event]), position: event.position }, park: [parked] })
  self.parkedKeys.add(parked.key)
  self.parked++
})

const requireRoom = ({ parked, projection: { name, version } }: Leader<unknown>, more: number) =>
  parked + more > PARKED_MAX
    ? Effect.fail(new TooManyParked({ name, version, limit: PARKED_MAX }))
    : Effect.void

const toParked = (
  { projection }: Leader<unknown>,
  event: RecordedEvent,
  attempts: number,
  reason: string
): Omit<ParkedEvent, "parkedAt"> => ({
  position: event.position,
  key: orderKey(projection, event),
  id: event.id,
  type: event.type,
  streamId: event.streamId,
  revision: event.revision,
  attempts,
  reason
})

const toEventFailed = ({ position, revision, streamId, type }: RecordedEvent, { detail, reason }: Failure) =>
  new EventFailed({ position, revision, streamId, type, reason, detail })
