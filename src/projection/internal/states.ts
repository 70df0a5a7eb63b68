import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { RecordedEvent } from "../../event/Event.ts"
import type { HistoryChanged, LeaseLost, ProjectionCommit } from "../../store/CheckpointStore.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import type { StateTarget } from "../Projection.ts"
import { StateUnreadable } from "../ProjectionError.ts"
import { isAhead, type Leader, write } from "./commit.ts"
import type { Failure } from "./failure.ts"
import { findKeys, foldStates, isExpired, placeOf, type Selection } from "./prepare.ts"
import { keyDivider, sliceCount } from "./slices.ts"
import { decodeState, encodeState } from "./stateCodec.ts"

/** What a commit writes besides what the events lead to. */
export type Rest = Omit<ProjectionCommit, "from">

/** What is seen, and what is committed with what it leads to. */
export interface Batch {
  /** All events, also those that are not applied; none when a parked event is replayed. */
  readonly seen: ReadonlyArray<RecordedEvent>
  readonly rest: Rest
}

/** What applying events and committing them can answer. */
export type WriteError = LeaseLost | HistoryChanged | StateUnreadable | StorageError

/** Folds events into states, and writes these, unless they may wait. */
export const applyStates = (
  self: Leader<unknown>,
  target: StateTarget,
  selection: Selection,
  { rest, seen }: Batch
): Effect.Effect<Failure | undefined, WriteError> =>
  Effect.gen(function*() {
    const { events } = selection
    const placed = (failure: Failure): Failure =>
      failure.index === undefined ? failure : { ...failure, index: placeOf(selection, failure.index) }
    const keys = findKeys(target, events)
    if (Result.isFailure(keys)) return placed(keys.failure)
    const stray = findStray(self, keys.success)
    if (stray !== undefined) return placed(stray)
    yield* loadStates(self, target, new Set(keys.success.flat()))
    const changed = foldStates(target, events, keys.success, self)
    if (Result.isFailure(changed)) {
      forget(self)
      return placed(changed.failure)
    }
    for (const [key, { index, time, value }] of changed.success) {
      self.states.set(key, value)
      self.dirty.set(key, placeOf(selection, index))
      if (target.maxAgeMillis === undefined) continue
      // a parked event that is replayed may be older than what has changed the state since
      self.times.set(key, Math.max(time, self.times.get(key) ?? time))
      self.oldest = Math.min(self.oldest, time)
    }
    self.unwritten += seen.length
    self.seenAt = seen.at(-1)?.recordedAt.epochMilliseconds ?? self.seenAt
    if (target.save === undefined || !mayWait(self, rest)) return yield* writeStates(self, target, rest)
    self.checkpoint = rest.to
    return (yield* isDue(self, target.save)) ? yield* writeStates(self, target, rest) : undefined
  })

/** Whether it is time to write what was kept. */
export const isDue = (
  self: Leader<unknown>,
  save: NonNullable<StateTarget["save"]>
): Effect.Effect<boolean> =>
  Effect.map(
    Clock.currentTimeMillis,
    (now) =>
      isAhead(self) &&
      (self.unwritten >= save.events || self.dirty.size >= STATES_MAX || now - self.writtenAt >= save.millis)
  )

/** Writes the states that are not written, with the checkpoint after them. */
export const writeStates = Effect.fnUntraced(function*(self: Leader<unknown>, target: StateTarget, rest: Rest) {
  const { maxAgeMillis } = target
  const states = new Map<string, string | undefined>()
  const stateTimes = new Map<string, number>()
  for (const [key, index] of self.dirty) {
    const time = self.times.get(key)
    if (isExpired(time, self.seenAt, maxAgeMillis)) self.states.set(key, undefined)
    const value = self.states.get(key)
    const text = value === undefined ? Result.succeed(undefined) : encodeState(target, value)
    if (Result.isFailure(text)) {
      // of states that were kept for a while nobody knows which event it was
      const failure = {
        index: isAhead(self) ? undefined : index,
        reason: "StateInvalid",
        detail: text.failure
      } as const
      forget(self)
      return failure
    }
    states.set(key, text.success)
    if (text.success !== undefined && time !== undefined) stateTimes.set(key, time)
  }
  let expired = yield* findExpired(self, maxAgeMillis)
  for (const key of expired.keys) states.set(key, undefined)
  const failure = yield* write(self, { ...rest, states, stateTimes })
  if (failure !== undefined) {
    forget(self)
    return failure
  }
  self.dirty.clear()
  self.unwritten = 0
  self.writtenAt = yield* Clock.currentTimeMillis
  while (expired.isMore) {
    expired = yield* findExpired(self, maxAgeMillis)
    yield* write(self, { to: self.checkpoint, states: new Map(expired.keys.map((key) => [key, undefined])) })
  }
  return undefined
})

/** Forgets what is kept in mind: a handler that changed a state in place has changed it here. */
export const forget = (self: Leader<unknown>): void => {
  self.states.clear()
  self.times.clear()
  self.dirty.clear()
  self.unwritten = 0
  self.oldest = Number.NEGATIVE_INFINITY
  self.seenAt = undefined
}

// internal

/** States that a leader keeps between batches; bounds its memory. */
const STATES_MAX = 10_000

/** States that one commit removes because of their age; bounds its size. */
const EXPIRED_PAGE = 1_000

/** Only a plain step of the checkpoint may wait. */
const mayWait = ({ isCareful }: Leader<unknown>, { park = [], unpark = [] }: Rest): boolean =>
  !isCareful && park.length === 0 && unpark.length === 0

/** The first event that changes a state of another slice: two runners would write it. */
const findStray = (
  { lease, projection }: Leader<unknown>,
  keys: ReadonlyArray<ReadonlyArray<string>>
): Failure | undefined => {
  const count = sliceCount(projection)
  if (count === 1) return undefined
  const divide = keyDivider(count)
  const index = keys.findIndex((names) => names.some((name) => divide(name) !== lease.slice))
  return index === -1 ? undefined : { index, reason: "StateInvalid", detail: "the state is of another slice" }
}

const NONE_EXPIRED = { keys: [], isMore: false }

/** Stored states that have grown too old, as many as one commit removes; not those that it writes. */
const findExpired = Effect.fnUntraced(function*(self: Leader<unknown>, maxAgeMillis: number | undefined) {
  const { dirty, seenAt } = self
  if (seenAt === undefined || !isExpired(self.oldest, seenAt, maxAgeMillis)) return NONE_EXPIRED
  const page = yield* self.checkpoints.oldestStates(self.lease, EXPIRED_PAGE)
  const isOld = ({ time }: { readonly time: number }) => isExpired(time, seenAt, maxAgeMillis)
  const isMore = page.length === EXPIRED_PAGE && page.every(isOld)
  if (!isMore) {
    const times = [...dirty.keys()].map((key) => self.times.get(key) ?? seenAt)
    self.oldest = times.reduce((a, b) => Math.min(a, b), page.find((state) => !isOld(state))?.time ?? seenAt)
  }
  const keys = page.filter(isOld).flatMap(({ key }) => dirty.has(key) ? [] : [key])
  for (const key of keys) self.states.set(key, undefined)
  return { keys, isMore }
})

/** Makes sure that the states of these keys are at hand; those that do not exist are `undefined`. */
const loadStates = Effect.fnUntraced(function*(
  self: Leader<unknown>,
  target: StateTarget,
  keys: ReadonlySet<string>
) {
  if (self.states.size > STATES_MAX) {
    for (const key of self.states.keys()) {
      if (keys.has(key) || self.dirty.has(key)) continue
      self.states.delete(key)
      self.times.delete(key)
    }
  }
  const missing = [...keys].filter((key) => !self.states.has(key))
  if (missing.length === 0) return
  const { checkpoints, lease, projection: { name, version } } = self
  const found = yield* checkpoints.loadStates(lease, missing)
  for (const key of missing) {
    const text = found.get(key)
    const state = text === undefined ? Result.succeed(undefined) : decodeState(target, text)
    if (Result.isFailure(state)) return yield* new StateUnreadable({ name, version, key, detail: state.failure })
    self.states.set(key, state.success)
  }
  if (target.maxAgeMillis === undefined) return
  for (const [key, time] of yield* checkpoints.stateTimes(lease, missing)) self.times.set(key, time)
})
