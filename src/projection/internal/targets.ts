import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { RecordedEvent } from "../../event/Event.ts"
import { nameFault } from "../../event/Name.ts"
import { START } from "../../event/Revision.ts"
import type { LogHead } from "../../store/EventStore.ts"
import { historyOf } from "../../store/History.ts"
import type { CustomTarget, DecodedEvent, TableTarget } from "../Projection.ts"
import type { Follower, ReactorTarget } from "../Reactor.ts"
import { type Leader, write } from "./commit.ts"
import type { Failure } from "./failure.ts"
import { makeStatements, placeOf, selectEvents, type Selection } from "./prepare.ts"
import { applyStates, type Batch, type Rest, type WriteError } from "./states.ts"
import { runUserEffect } from "./userEffect.ts"

/**
 * Applies events and commits them with what else is to be written. Those that
 * wait are only seen. Says why it cannot, and because of which event.
 */
export const applyTo = <R>(
  self: Leader<R>,
  events: ReadonlyArray<RecordedEvent>,
  rest: Rest,
  isWaiting?: (event: RecordedEvent) => boolean
): Effect.Effect<Failure | undefined, WriteError, R> => applyBatch(self, events, { seen: events, rest }, isWaiting)

/** Applies an event that was seen long ago. */
export const applyAgain = <R>(
  self: Leader<R>,
  event: RecordedEvent,
  rest: Rest
): Effect.Effect<Failure | undefined, WriteError, R> => applyBatch(self, [event], { seen: [], rest }, undefined)

/**
 * What must stay in order. A function that throws, or gives no name, leaves the
 * event to its stream.
 */
export const orderKey = ({ onError }: Follower<unknown>, event: RecordedEvent): string => {
  const made = onError.key === undefined ? undefined : Result.try(() => onError.key?.(event))
  const key = made === undefined || Result.isFailure(made) ? undefined : made.success
  return key === undefined || nameFault(key) !== undefined ? event.streamId : key
}

/**
 * The same for an event whenever it is delivered: it names the follower, the history in which the event was recorded and
 * the place in it. So a restored store has the keys of the one that it was restored from for what both have.
 */
export const dedupeKeyOf = (
  history: Pick<LogHead, "incarnation" | "parent">,
  { name, version }: Pick<Follower<unknown>, "name" | "version">,
  { position }: Pick<DecodedEvent, "position">
): string => `${historyOf(position, history)}:${position}:${version}:${name}`

// internal

const applyBatch = <R>(
  self: Leader<R>,
  events: ReadonlyArray<RecordedEvent>,
  batch: Batch,
  isWaiting: ((event: RecordedEvent) => boolean) | undefined
): Effect.Effect<Failure | undefined, WriteError, R> =>
  Effect.suspend(() => {
    const { target } = self.projection
    const selected = selectEvents(self.decode, self.projection, events, isWaiting)
    if (Result.isFailure(selected)) return Effect.succeed(selected.failure)
    const commit = (failure: Failure | undefined) =>
      failure === undefined ? write(self, batch.rest) : Effect.succeed(failure)
    switch (target._tag) {
      case "State":
        return applyStates(self, target, selected.success, batch)
      case "Table":
        return applyTables(self, target, selected.success, batch)
      case "Custom":
        return Effect.flatMap(applyCustom(self, target, selected.success), commit)
      case "Reactor":
        return Effect.flatMap(react(self, target, selected.success, events), commit)
    }
  })

const applyTables = Effect.fnUntraced(function*(
  self: Leader<unknown>,
  target: TableTarget,
  selection: Selection,
  { rest, seen }: Batch
) {
  if (target.retention !== undefined && self.seenAt === undefined) self.seenAt = yield* findSeenAt(self)
  const made = makeStatements(target, selection, seen, self.seenAt)
  if (Result.isFailure(made)) return made.failure
  const failure = yield* write(self, { ...rest, statements: made.success.statements }, made.success.owners)
  if (failure === undefined) self.seenAt = seen.at(-1)?.recordedAt.epochMilliseconds ?? self.seenAt
  return failure
})

/** When the last event before the checkpoint was recorded. */
const findSeenAt = Effect.fnUntraced(
  function*({ projection: { filter }, store, written: { position } }: Leader<unknown>) {
    if (position === START) return undefined
    const { position: head } = yield* store.head
    const after = position < head ? position + 1 : undefined
    const last = yield* store.readAll({ after, filter, direction: "backwards" }).pipe(
      Stream.filter((event) => event.position <= position),
      Stream.runHead,
      // the filter was checked, and the log is at least as long as it was
      Effect.catchTags({ InvalidInput: Effect.die, PositionAheadOfLog: Effect.die })
    )
    return Option.isNone(last) ? undefined : last.value.recordedAt.epochMilliseconds
  }
)

const dedupeKey = ({ lease: { incarnation }, parent, projection }: Leader<unknown>, event: DecodedEvent): string =>
  dedupeKeyOf({ incarnation, parent }, projection, event)

const applyCustom = <R>(
  self: Leader<R>,
  target: CustomTarget<R>,
  { events }: Selection
): Effect.Effect<Failure | undefined, never, R> => {
  if (events.length === 0) return Effect.succeed(undefined)
  const deliveries = events.map((event) => ({ event, dedupeKey: dedupeKey(self, event) }))
  return Effect.map(
    runUserEffect(() => target.apply(deliveries), target.timeoutMillis),
    // which of the events it is, the halves of the batch will tell
    (failure) => failure === undefined ? undefined : { ...failure, index: undefined }
  )
}

/** Reacts to what was not reacted to yet, in order for each key; says which was the first to fail. */
const react = <R>(
  self: Leader<R>,
  target: ReactorTarget<R>,
  selection: Selection,
  recorded: ReadonlyArray<RecordedEvent>
): Effect.Effect<Failure | undefined, never, R> => {
  const groups = new Map<string, Array<{ readonly event: DecodedEvent; readonly index: number }>>()
  for (const [selected, event] of selection.events.entries()) {
    const index = placeOf(selection, selected)
    const source = recorded[index]
    if (source === undefined || self.reacted.has(event.position)) continue
    const key = target.concurrency === 1 ? "" : orderKey(self.projection, source)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [{ event, index }])
    else group.push({ event, index })
  }
  const inOrder = Effect.fnUntraced(function*(group: ReadonlyArray<{ event: DecodedEvent; index: number }>) {
    for (const { event, index } of group) {
      const attempt = (self.attempts.get(event.position) ?? 0) + 1
      self.attempts.set(event.position, attempt)
      const failure = yield* runUserEffect(
        () => target.react(event, { dedupeKey: dedupeKey(self, event), attempt }),
        target.timeoutMillis
      )
      if (failure !== undefined) return { ...failure, index }
      self.reacted.add(event.position)
    }
    return undefined
  })
  return Effect.map(
    Effect.forEach(groups.values(), inOrder, { concurrency: target.concurrency }),
    (answers) =>
      answers.flatMap((failure) => failure === undefined ? [] : [failure]).sort((a, b) => a.index - b.index)[0]
  )
}
