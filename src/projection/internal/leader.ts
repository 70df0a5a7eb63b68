import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type { RecordedEvent } from "../../event/Event.ts"
import type * as EventType from "../../event/EventType.ts"
import { nameFault } from "../../event/Name.ts"
import type { Position } from "../../event/Revision.ts"
import type {
  Checkpoint,
  CheckpointStore,
  HistoryChanged,
  Lease,
  LeaseLost,
  ParkedEvent,
  ProjectionCommit,
  ProjectionRecord
} from "../../store/CheckpointStore.ts"
import { addEvents } from "../../store/EventDigest.ts"
import { StorageError, Unavailable } from "../../store/EventStoreError.ts"
import type { Registry } from "../../version/Registry.ts"
import type { Projection, StateTarget } from "../Projection.ts"
import { EventFailed, ProjectionHalted, ProjectionInvalid, StateUnreadable, TooManyParked } from "../ProjectionError.ts"
import { decodeEvents, type Failure, findKeys, foldStates, makeStatements } from "./prepare.ts"
import { setUpStatements } from "./setUp.ts"
import { decodeState } from "./stateCodec.ts"

/** What a leader is made of. */
export interface LeaderOptions {
  readonly projection: Projection
  readonly registry: Registry<EventType.TypedEvent>
  readonly checkpoints: CheckpointStore["Service"]
  readonly lease: Lease
  readonly record: ProjectionRecord
  readonly retry: Schedule.Schedule<unknown, unknown>
  /** How long one statement may take. */
  readonly statementMillis: number
  /** How long one commit may take. */
  readonly commitMillis: number
}

/** Who has the lease of a projection, and what it keeps in mind. */
export interface Leader extends LeaderOptions {
  checkpoint: Omit<Checkpoint, "incarnation">
  /** States after the checkpoint, as values; some of them. */
  readonly states: Map<string, unknown>
  /** Keys with parked events. */
  readonly parkedKeys: Set<string>
  parked: number
}

/** Everything that applying events can answer. */
export type ApplyError =
  | LeaseLost
  | HistoryChanged
  | ProjectionHalted
  | ProjectionInvalid
  | StateUnreadable
  | TooManyParked
  | StorageError

/** Makes the tables if they are not there, and learns what is parked. */
export const makeLeader = Effect.fnUntraced(function*(options: LeaderOptions) {
  const { checkpoints, projection, record } = options
  const { name, version } = projection
  const parked = yield* Effect.catchTag(
    checkpoints.listParked(projection, { limit: PARKED_MAX + 1 }),
    "InvalidInput",
    (fault) => Effect.die(fault)
  )
  if (parked.length > PARKED_MAX) return yield* new TooManyParked({ name, version, limit: PARKED_MAX })
  const { count, digest, position } = record.checkpoint
  const leader: Leader = {
    ...options,
    checkpoint: { count, digest, position },
    states: new Map(),
    parkedKeys: new Set(parked.map(({ key }) => key)),
    parked: parked.length
  }
  if (!record.isSetUp && projection.target._tag === "Table") {
    const failure = yield* write(leader, {
      to: leader.checkpoint,
      statements: setUpStatements(projection.target, version),
      setUp: true
    })
    if (failure !== undefined) return yield* new ProjectionInvalid({ name, problems: [`set-up: ${failure.detail}`] })
  }
  return leader
})

/**
 * Applies the events up to a position: all of them in one commit, or, when one of
 * them fails, those before it, it alone, and those after it.
 */
export const applyEvents = (
  self: Leader,
  events: ReadonlyArray<RecordedEvent>,
  position: Position
): Effect.Effect<void, ApplyError> =>
  Effect.gen(function*() {
    if (events.length === 0 && position <= self.checkpoint.position) return
    const failure = yield* applyBatch(self, events, position)
    if (failure === undefined) return
    const index = events.length === 1 ? 0 : failure.index
    if (index === undefined) {
      const half = Math.floor(events.length / 2)
      yield* applyUpTo(self, events.slice(0, half))
      return yield* applyEvents(self, events.slice(half), position)
    }
    yield* applyUpTo(self, events.slice(0, index))
    const culprit = events[index]
    if (culprit !== undefined) yield* applyAlone(self, culprit)
    yield* applyEvents(self, events.slice(index + 1), position)
  })

/** Applies a parked event, which waits no longer then; says why when it still fails. */
export const applyParked = (self: Leader, event: RecordedEvent): Effect.Effect<EventFailed | undefined, ApplyError> =>
  Effect.gen(function*() {
    const failure = yield* applyTo(self, [event], { to: self.checkpoint, unpark: [event.position] })
    return failure === undefined ? undefined : toEventFailed(event, failure)
  })

/** Commits, within the time that it may take. Returns what the database refused. */
export const write = (
  self: Leader,
  commit: Omit<ProjectionCommit, "from">,
  owners: ReadonlyArray<number> = []
): Effect.Effect<Failure | undefined, LeaseLost | HistoryChanged | StorageError> =>
  self.checkpoints.commit(self.lease, {
    ...commit,
    from: self.checkpoint.position,
    statementMillis: self.statementMillis
  }).pipe(
    Effect.timeoutOrElse({ duration: self.commitMillis, orElse: () => Effect.fail(tooSlow) }),
    Effect.map(() => {
      self.checkpoint = commit.to
      return undefined
    }),
    Effect.catchTag("StatementFailed", (refusal) =>
      Effect.succeed<Failure>({
        index: refusal.index === undefined ? undefined : owners[refusal.index],
        reason: refusal.index === undefined ? "CommitRefused" : "StatementFailed",
        detail: `${refusal.detail} (${refusal.code})`
      }))
  )

// internal

/** Parked events that a runner keeps in mind; bounds its memory. */
const PARKED_MAX = 10_000

/** States that a leader keeps between batches; bounds its memory. */
const STATES_MAX = 10_000

const tooSlow = new StorageError({
  operation: "commitProjection",
  reason: new Unavailable({ detail: "the commit took longer than it may" })
})

const BEHIND = "waits behind an earlier event of its key"

const applyUpTo = (self: Leader, events: ReadonlyArray<RecordedEvent>): Effect.Effect<void, ApplyError> => {
  const last = events.at(-1)
  return last === undefined ? Effect.void : applyEvents(self, events, last.position)
}

/** Applies what need not wait behind parked events, and parks the rest. */
const applyBatch = (self: Leader, events: ReadonlyArray<RecordedEvent>, position: Position) => {
  const to = { ...addEvents(self.checkpoint, events), position }
  if (self.parkedKeys.size === 0) return applyTo(self, events, { to })
  const isFree = events.map((event) => !self.parkedKeys.has(parkingKey(self.projection, event)))
  const free = events.filter((_, index) => isFree[index])
  const park = events.filter((_, index) => !isFree[index]).map((event) => toParked(self, event, 0, BEHIND))
  const places = [...events.keys()].filter((index) => isFree[index])
  return Effect.gen(function*() {
    yield* requireRoom(self, park.length)
    const failure = yield* applyTo(self, free, { to, park })
    if (failure === undefined) self.parked += park.length
    return failure?.index === undefined ? failure : { ...failure, index: places[failure.index] }
  })
}

/** Tries an event alone as often as the schedule says; then parks it, or halts. */
const applyAlone = Effect.fnUntraced(function*(self: Leader, event: RecordedEvent) {
  const { checkpoints, lease, projection: { name, onError, version }, retry } = self
  let attempts = 0
  const once = Effect.gen(function*() {
    attempts++
    const failure = yield* applyBatch(self, [event], event.position)
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

/** Applies events and commits them with what else is to be written. */
const applyTo = (
  self: Leader,
  events: ReadonlyArray<RecordedEvent>,
  commit: Omit<ProjectionCommit, "from">
): Effect.Effect<Failure | undefined, LeaseLost | HistoryChanged | StateUnreadable | StorageError> =>
  Effect.gen(function*() {
    const { target } = self.projection
    const decoded = decodeEvents(self.registry, events)
    if (Result.isFailure(decoded)) return decoded.failure
    if (target._tag === "Table") {
      const made = makeStatements(target, decoded.success)
      if (Result.isFailure(made)) return made.failure
      return yield* write(self, { ...commit, statements: made.success.statements }, made.success.owners)
    }
    const keys = findKeys(target, decoded.success)
    if (Result.isFailure(keys)) return keys.failure
    const wanted = new Set(keys.success.flat())
    yield* loadStates(self, target, wanted)
    const folded = foldStates(target, decoded.success, keys.success, self.states)
    if (Result.isFailure(folded)) {
      // a handler that changed a state in place has changed what is kept here
      self.states.clear()
      return folded.failure
    }
    const failure = yield* write(self, { ...commit, states: folded.success.texts })
    if (failure !== undefined) return failure
    for (const [key, value] of folded.success.values) self.states.set(key, value)
    return undefined
  })

/** Makes sure that the states of these keys are at hand; those that do not exist are `undefined`. */
const loadStates = Effect.fnUntraced(function*(self: Leader, target: StateTarget, keys: ReadonlySet<string>) {
  if (self.states.size > STATES_MAX) {
    for (const key of self.states.keys()) if (!keys.has(key)) self.states.delete(key)
  }
  const missing = [...keys].filter((key) => !self.states.has(key))
  if (missing.length === 0) return
  const { checkpoints, projection: { name, version } } = self
  const found = yield* checkpoints.loadStates({ name, version }, missing)
  for (const key of missing) {
    const text = found.get(key)
    const state = text === undefined ? Result.succeed(undefined) : decodeState(target, text)
    if (Result.isFailure(state)) return yield* new StateUnreadable({ name, version, key, detail: state.failure })
    self.states.set(key, state.success)
  }
})

const requireRoom = ({ parked, projection: { name, version } }: Leader, more: number) =>
  parked + more > PARKED_MAX
    ? Effect.fail(new TooManyParked({ name, version, limit: PARKED_MAX }))
    : Effect.void

/** A function that throws, or gives no name, leaves the event to its stream. */
const parkingKey = ({ onError }: Projection, event: RecordedEvent): string => {
  const made = onError.key === undefined ? undefined : Result.try(() => onError.key?.(event))
  const key = made === undefined || Result.isFailure(made) ? undefined : made.success
  return key === undefined || nameFault(key) !== undefined ? event.streamId : key
}

const toParked = (
  { projection }: Leader,
  event: RecordedEvent,
  attempts: number,
  reason: string
): Omit<ParkedEvent, "parkedAt"> => ({
  position: event.position,
  key: parkingKey(projection, event),
  id: event.id,
  type: event.type,
  streamId: event.streamId,
  revision: event.revision,
  attempts,
  reason
})

const toEventFailed = ({ position, revision, streamId, type }: RecordedEvent, { detail, reason }: Failure) =>
  new EventFailed({ position, revision, streamId, type, reason, detail })
