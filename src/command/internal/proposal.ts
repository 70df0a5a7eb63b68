/**
 * Events on their way from a decision to an append.
 */
import * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type { ProposedEvent, RecordedEvent } from "../../event/Event.ts"
import type { Proposed, Recorded, TypedEvent } from "../../event/EventType.ts"
import { type Position, type Revision, START } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { AppendResult } from "../../store/EventStore.ts"
import type { DecodeError, EncodeError } from "../../version/VersionError.ts"
import type { DecisionFailed } from "../CommandError.ts"
import type { Appended } from "../Executed.ts"
import { evolveFailed, ruleFailed, type Rules } from "./folding.ts"
import { eventIdOf, metadataOf, type Request } from "./request.ts"

/** Events that are ready to append, and the state that they will leave behind. */
export interface Proposal<State, E extends TypedEvent> {
  readonly encoded: ReadonlyArray<ProposedEvent>
  /** As a reader will get them, but for what only the store knows. */
  readonly events: ReadonlyArray<Recorded<E>>
  readonly state: State
}

/** Where a proposal begins. */
export interface Place<State> {
  readonly streamId: StreamId
  readonly state: State
  /** Last revision before the events. */
  readonly revision: number
}

/** Why there is no proposal. */
export type ProposalError = EncodeError | DecodeError | DecisionFailed

/**
 * Encodes what was decided and folds it, as a reader will: what is folded is
 * what was encoded, decoded again. Nothing that does not fold is appended.
 */
export const propose = <State, E extends TypedEvent>(
  rules: Rules<State, E>,
  request: Request,
  place: Place<State>,
  decided: ReadonlyArray<Proposed<E>>,
  firstIndex = 0
): Result.Result<Proposal<State, E>, ProposalError> => {
  try {
    return proposeEvents(rules, request, place, decided, firstIndex)
  } catch (cause) {
    // what was decided holds something that is no event
    return Result.fail(ruleFailed("decide", undefined, place, cause))
  }
}

/** The events of a proposal, now that they stand somewhere. */
export const toAppended = <E extends TypedEvent>(
  events: ReadonlyArray<Recorded<E>>,
  { firstPosition, firstRevision }: Pick<AppendResult, "firstPosition" | "firstRevision">
): ReadonlyArray<Appended<E>> =>
  events.map((event, index) => {
    const { data, id, metadata, storedVersion, streamId, tags, type, version } = event as Recorded<TypedEvent>
    const appended: Appended<TypedEvent> = {
      position: (firstPosition + index) as Position,
      streamId,
      revision: (firstRevision + index) as Revision,
      id,
      type,
      version,
      storedVersion,
      data,
      metadata,
      tags
    }
    return appended as Appended<E>
  })

/** Recorded events, without what only the store knows. */
export const withoutTime = <E extends TypedEvent>(events: ReadonlyArray<Recorded<E>>): ReadonlyArray<Appended<E>> =>
  events.flatMap((event) => toAppended<E>([event], { firstPosition: event.position, firstRevision: event.revision }))

// internal

const proposeEvents = <State, E extends TypedEvent>(
  { evolve, registry }: Rules<State, E>,
  request: Request,
  place: Place<State>,
  decided: ReadonlyArray<Proposed<E>>,
  firstIndex: number
): Result.Result<Proposal<State, E>, ProposalError> => {
  const encoded: Array<ProposedEvent> = []
  const events: Array<Recorded<E>> = []
  let { state } = place
  for (const event of decided) {
    const stored = registry.encode(event)
    if (stored._tag === "Failure") return Result.fail(stored.failure)
    const { data, tags, type, version } = stored.success
    const id = eventIdOf(request.identity, firstIndex + encoded.length, stored.success.id)
    const metadata = metadataOf(request, stored.success.metadata)
    encoded.push({ id, type, version, data, metadata, tags })
    const recorded: RecordedEvent = {
      ...UNKNOWN,
      streamId: place.streamId,
      revision: (place.revision + encoded.length) as Revision,
      id,
      type,
      version: version ?? 1,
      data: data as Schema.Json,
      metadata: (metadata ?? NO_METADATA) as RecordedEvent["metadata"],
      tags: tags === undefined || tags.length < 2 ? tags ?? NO_TAGS : [...new Set(tags)].sort()
    }
    const decoded = registry.decode(recorded)
    if (decoded._tag === "Failure") return Result.fail(decoded.failure)
    if (decoded.success._tag === "None") continue
    try {
      state = evolve(state, decoded.success.value)
    } catch (cause) {
      return Result.fail(evolveFailed(recorded, cause))
    }
    events.push(decoded.success.value)
  }
  return Result.succeed({ encoded, events, state })
}

/** What only the store knows. */
const UNKNOWN = { position: START, recordedAt: DateTime.makeUnsafe(0) }

const NO_METADATA = {}
const NO_TAGS: ReadonlyArray<string> = []
