/**
 * The state of one stream on its way through a command.
 */
import type { RecordedEvent } from "../../event/Event.ts"
import type { Recorded, TypedEvent } from "../../event/EventType.ts"
import type { Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { Registry } from "../../version/Registry.ts"
import type { DecodeError } from "../../version/VersionError.ts"
import { DecisionFailed } from "../CommandError.ts"

/** What folding needs of a decider. */
export interface Rules<State, E extends TypedEvent> {
  readonly registry: Registry<E>
  readonly initial: State
  readonly evolve: (state: State, event: E) => State
}

/** A state, and how far it has come; one command's own, and moved forward by it. */
export interface Sight<State> {
  readonly streamId: StreamId
  state: State
  /** Last revision that is in the state; -1 for a stream without events. */
  revision: number
  /** First revision that is in the state; -1 while there is none. */
  firstRevision: number
  /** Whether it was read from the log by this command, not only found in the cache. */
  isCurrent: boolean
  /** Revision of the snapshot it began with; -1 for none. */
  snapshotRevision: number
  eventsReplayed: number
  loadMillis: number
}

/** The state of a stream of which nothing was read yet. */
export const makeSight = <State>(streamId: StreamId, initial: State): Sight<State> => ({
  streamId,
  state: initial,
  revision: -1,
  firstRevision: -1,
  isCurrent: false,
  snapshotRevision: -1,
  eventsReplayed: 0,
  loadMillis: 0
})

/** Begins anew, as what was folded is not shown any more: the stream was truncated. */
export const restart = <State>(sight: Sight<State>, initial: State): void => {
  sight.state = initial
  sight.revision = -1
  sight.firstRevision = -1
  sight.snapshotRevision = -1
}

/**
 * Folds events of the stream into its state, as far as they fold; keeps them
 * decoded where `kept` is given. Where there is a gap before them the state
 * begins with them: whatever was before was truncated.
 */
export const foldInto = <State, E extends TypedEvent>(
  { evolve, initial, registry }: Rules<State, E>,
  sight: Sight<State>,
  events: ReadonlyArray<RecordedEvent>,
  kept?: Array<Recorded<E>>
): DecodeError | DecisionFailed | undefined => {
  for (const event of events) {
    if (sight.revision >= 0 && event.revision > sight.revision + 1) restart(sight, initial)
    const decoded = registry.decode(event)
    if (decoded._tag === "Failure") return decoded.failure
    if (decoded.success._tag === "Some") {
      const typed = decoded.success.value
      try {
        sight.state = evolve(sight.state, typed)
      } catch (cause) {
        return evolveFailed(event, cause)
      }
      kept?.push(typed)
    }
    if (sight.firstRevision < 0) sight.firstRevision = event.revision
    sight.revision = event.revision
    sight.eventsReplayed++
  }
  return undefined
}

/** Says that `evolve` threw on an event. */
export const evolveFailed = (
  { revision, streamId, type, version }: Pick<RecordedEvent, "revision" | "streamId" | "type" | "version">,
  cause: unknown
): DecisionFailed => new DecisionFailed({ rule: "evolve", type, version, streamId, revision, cause })

/** Says that a function of the user broke on a state. */
export const ruleFailed = (
  rule: string,
  type: string | undefined,
  place: Pick<Sight<unknown>, "streamId" | "revision"> | undefined,
  cause: unknown
): DecisionFailed =>
  new DecisionFailed({
    rule,
    type,
    version: undefined,
    streamId: place?.streamId,
    revision: place === undefined || place.revision < 0 ? undefined : place.revision as Revision,
    cause
  })

/** The `_tag` of a command that has one. */
export const tagOf = (command: unknown): string | undefined =>
  typeof command === "object" && command !== null && "_tag" in command && typeof command._tag === "string"
    ? command._tag
    : undefined
