/**
 * Keys that are reserved and released in the append that needs them.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ProposedEvent, RecordedEvent } from "../../event/Event.ts"
import * as EventType from "../../event/EventType.ts"
import type { TypedEvent } from "../../event/EventType.ts"
import { StreamId } from "../../event/StreamId.ts"
import type { AppendResult, EventStore, StreamCondition, StreamWrite } from "../../store/EventStore.ts"
import type { AppendError } from "../../store/EventStoreError.ts"
import { KeyTaken, type LoadError } from "../CommandError.ts"
import { sha256 } from "./digest.ts"
import { ruleFailed, type Rules, type Sight } from "./folding.ts"
import type { Proposal } from "./proposal.ts"
import { eventIdOf, type Request } from "./request.ts"

/**
 * What happens to a key because of an event.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reservation {
  readonly _tag: "Release" | "Reserve"
  /** What the key must be unique among: a name, such as `email`. */
  readonly scope: string
  /** The key as it is compared; bring it into one form first, such as lower case. */
  readonly key: string
}

/** Says which keys an event reserves and releases, given the state before it. */
export type KeysOf<State, E extends TypedEvent> = (event: E, before: State) => ReadonlyArray<Reservation>

const KeyReserved = EventType.make("KeyReserved", { owner: StreamId })
const KeyReleased = EventType.make("KeyReleased", { owner: StreamId })

/** The stream that knows who has a key. The key is not in its name: it may be personal data. */
const streamOfKey = (scope: string, key: string): string => `${CATEGORY}-${scope}:${sha256(`${scope}\n${key}`)}`

/** Who has a key. */
export interface Holder {
  readonly streamId: string
  /** Last revision of the key's stream; -1 when it has no events. */
  readonly revision: number
  readonly owner: StreamId | undefined
}

/** Reads who has a key: the last event of its stream. */
export const readHolder = (
  store: EventStore["Service"],
  scope: string,
  key: string
): Effect.Effect<Holder, LoadError> => {
  const streamId = streamOfKey(scope, key)
  return Effect.map(
    Stream.runHead(store.readStream(streamId, { direction: "backwards", limit: 1 })),
    Option.match({
      onNone: () => ({ streamId, revision: -1, owner: undefined }),
      onSome: (event) => ({ streamId, revision: event.revision, owner: ownerIn(event) })
    })
  )
}

/** Appends a proposal, and with it what its events reserve and release. */
export const writeWithKeys = <State, E extends TypedEvent>(
  store: EventStore["Service"],
  { evolve }: Rules<State, E>,
  keysOf: KeysOf<State, E>
) =>
(
  sight: Sight<State>,
  { encoded, events }: Proposal<State, E>,
  request: Request
): Effect.Effect<AppendResult, AppendError | LoadError | KeyTaken> => {
  const own: StreamWrite = {
    streamId: sight.streamId,
    expected: sight.revision < 0 ? "noStream" : sight.revision,
    events: encoded
  }
  const reservations: Array<Reservation> = []
  try {
    let { state } = sight
    for (const event of events) {
      for (const reservation of keysOf(event, state)) reservations.push(checked(reservation))
      state = evolve(state, event)
    }
  } catch (cause) {
    return Effect.fail(ruleFailed("reservations", undefined, sight, cause))
  }
  return reservations.length === 0
    ? store.append(own)
    : Effect.flatMap(
      readHolders(store, reservations),
      (holders): Effect.Effect<AppendResult, AppendError | KeyTaken> => {
        const plan = settle(holders, reservations, own, request)
        return plan instanceof KeyTaken
          ? Effect.fail(plan)
          : Effect.map(store.appendAll(plan), ({ writes }) => writes[0])
      }
    )
}

// internal

const CATEGORY = "reservation"

/** Most keys that are looked up at the same time. */
const LOOKUPS = 8

const ownerIn = ({ data, type }: RecordedEvent): StreamId | undefined => {
  const decoded = type === KeyReserved.name ? Schema.decodeUnknownOption(KeyReserved.schema)(data) : Option.none()
  return Option.isSome(decoded) ? decoded.value.owner : undefined
}

/** Throws what is no reservation: a key that was left out by mistake would be everybody's. */
const checked = (reservation: Reservation): Reservation => {
  const { _tag, key, scope } = reservation
  const isSound = (_tag === "Reserve" || _tag === "Release") && typeof scope === "string" && scope !== "" &&
    typeof key === "string"
  if (!isSound) {
    throw new TypeError("expected what Uniqueness.reserve or Uniqueness.release gave, with a scope and a key")
  }
  return reservation
}

const readHolders = (store: EventStore["Service"], reservations: ReadonlyArray<Reservation>) =>
  Effect.forEach(
    new Map(reservations.map((reservation) => [streamOfKey(reservation.scope, reservation.key), reservation])).values(),
    ({ key, scope }) => readHolder(store, scope, key),
    { concurrency: LOOKUPS }
  )

/** Goes through the reservations in order; what comes of them is claimed or written in the key's stream. */
const settle = (
  holders: ReadonlyArray<Holder>,
  reservations: ReadonlyArray<Reservation>,
  own: StreamWrite,
  request: Request
):
  | { readonly writes: ReadonlyArray<StreamWrite>; readonly streamConditions: ReadonlyArray<StreamCondition> }
  | KeyTaken =>
{
  const self = own.streamId as StreamId
  const keys = new Map(
    holders.map((holder) => [holder.streamId, { owner: holder.owner, events: [] as Array<ProposedEvent> }])
  )
  let index = own.events.length
  for (const { _tag, key, scope } of reservations) {
    const held = keys.get(streamOfKey(scope, key))
    if (held === undefined) continue
    const isOwn = held.owner === self
    if (_tag === "Reserve" && held.owner !== undefined && !isOwn) return new KeyTaken({ scope, owner: held.owner })
    if (isOwn === (_tag === "Reserve")) continue
    held.owner = _tag === "Reserve" ? self : undefined
    const { data, type } = (_tag === "Reserve" ? KeyReserved : KeyReleased).make({ owner: self })
    held.events.push({ id: eventIdOf(request.identity, index++, undefined), type, data, metadata: request.metadata })
  }
  const claims = holders.map(({ revision, streamId }) => ({
    streamId,
    expected: revision < 0 ? "noStream" as const : revision,
    events: keys.get(streamId)?.events ?? []
  }))
  return {
    writes: [own, ...claims.filter(({ events }) => events.length > 0)],
    streamConditions: claims.filter(({ events }) => events.length === 0)
  }
}
