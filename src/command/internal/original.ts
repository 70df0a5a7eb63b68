/**
 * What was done before by the same command, or by the same event ids: read from the log.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { RecordedEvent } from "../../event/Event.ts"
import type { Recorded, TypedEvent } from "../../event/EventType.ts"
import type { Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { EventStore } from "../../store/EventStore.ts"
import { CommandIdReused, type LoadError } from "../CommandError.ts"
import type { Executed } from "../Executed.ts"
import { foldInto, makeSight, type Rules } from "./folding.ts"
import { withoutTime } from "./proposal.ts"
import { type Identity, isOf } from "./request.ts"

/** Finds the first event of a command that was executed before; fails when it was another command. */
export const findFirstEvent = (
  store: EventStore["Service"],
  identity: Identity,
  isHere: (event: RecordedEvent) => boolean
): Effect.Effect<Option.Option<RecordedEvent>, LoadError | CommandIdReused> =>
  Effect.tap(store.findEvent(identity.eventId(0)), (found) => {
    if (found._tag === "None" || (isHere(found.value) && isOf(identity, found.value))) return Effect.void
    const { position, revision, streamId } = found.value
    return Effect.fail(new CommandIdReused({ commandId: identity.commandId, streamId, revision, position }))
  })

/** Finds what a command did to a stream before, if it did. */
export const findOriginal = <State, E extends TypedEvent>(
  store: EventStore["Service"],
  rules: Rules<State, E>,
  streamId: StreamId,
  identity: Identity
): Effect.Effect<Option.Option<Executed<State, E>>, LoadError | CommandIdReused> =>
  Effect.flatMap(findFirstEvent(store, identity, (event) => event.streamId === streamId), (first) => {
    if (Option.isNone(first)) return Effect.succeed(Option.none())
    const { revision } = first.value
    const isOwn = (event: RecordedEvent) => event.revision >= revision
    const isPast = (event: RecordedEvent) => !isOwn(event) || event.id === identity.eventId(event.revision - revision)
    return Effect.asSome(restore(store, rules, streamId, { isPast, isOwn }))
  })

/** Which part of a stream is restored. */
export interface Past {
  /** Whether an event had happened by then. */
  readonly isPast: (event: RecordedEvent) => boolean
  /** Whether it is one of those that are given back. */
  readonly isOwn: (event: RecordedEvent) => boolean
}

/** Folds a stream as far as it was in the past, and gives some of its events back. */
export const restore = <State, E extends TypedEvent>(
  store: EventStore["Service"],
  rules: Rules<State, E>,
  streamId: StreamId,
  { isOwn, isPast }: Past
): Effect.Effect<Executed<State, E>, LoadError> =>
  Effect.suspend(() => {
    const sight = makeSight(streamId, rules.initial)
    const kept: Array<Recorded<E>> = []
    return Effect.map(
      Stream.runForEachArray(Stream.takeWhile(store.readStream(streamId), isPast), (events) => {
        const own = events.findIndex(isOwn)
        const before = own < 0 ? events : events.slice(0, own)
        const fault = foldInto(rules, sight, before) ?? foldInto(rules, sight, events.slice(before.length), kept)
        return fault === undefined ? Effect.void : Effect.fail(fault)
      }),
      () => ({
        streamId,
        state: sight.state,
        events: withoutTime(kept),
        revision: sight.revision < 0 ? undefined : sight.revision as Revision,
        position: kept.at(-1)?.position,
        alreadyExecuted: true
      })
    )
  })
