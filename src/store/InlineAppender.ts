/**
 * The contract of appends that take something along: what is made of their
 * events is written in the transaction that records them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { RecordedEvent } from "../event/Event.ts"
import { type EventFilter, matchesFilter } from "../event/EventQuery.ts"
import { type Position, START } from "../event/Revision.ts"
import type {
  Checkpoint,
  CheckpointStore,
  ProjectionRecord,
  ProjectionVersion,
  SqlStatement
} from "./CheckpointStore.ts"
import type { LogHead } from "./EventStore.ts"
import { InlineBehind, InlineFailed, StorageError } from "./EventStoreError.ts"
import type { KeptChanges } from "./KeptChanges.ts"
import type { Storage } from "./Storage.ts"

/**
 * Service for appends that take followers of the log along.
 *
 * **Details**
 *
 * Invariant: an append of {@link InlineAppend} that is acknowledged was seen by
 * all its followers, with everything that stands before it in the log; one that
 * fails has changed nothing, neither the log nor what a follower made.
 *
 * @category services
 * @since 0.1.0
 */
export class InlineAppender extends Context.Service<InlineAppender, {
  /**
   * Makes an append that takes these followers along; it works until the scope
   * closes. The checkpoints are those of the same storage.
   */
  readonly open: (
    followers: ReadonlyArray<InlineFollower>
  ) => Effect.Effect<InlineAppend, never, CheckpointStore | Scope.Scope>
}>()("effect-event-store/store/InlineAppender") {}

/**
 * An append that takes followers along. Fails as others do, and with the
 * reasons `InlineFailed` and `InlineBehind` of `StorageError`.
 *
 * @category models
 * @since 0.1.0
 */
export type InlineAppend = Storage["append"]

/**
 * Reference to the followers that appends take along in this context; none by
 * default. For what appends by other ways than `EventStore`.
 *
 * @category references
 * @since 0.1.0
 */
export const InlineFollowers = Context.Reference<ReadonlyArray<InlineFollower>>(
  "effect-event-store/store/InlineAppender/InlineFollowers",
  { defaultValue: () => [] }
)

/**
 * A follower of the log that is taken along: pure functions, called while
 * nobody else can append.
 *
 * @category models
 * @since 0.1.0
 */
export interface InlineFollower extends ProjectionVersion {
  readonly definition: string
  readonly filter: EventFilter
  /** Whether it writes to tables, which must have been made. */
  readonly hasTables: boolean
  /** Looks at matching events, in order of position, for a build: which states it needs to go on. */
  readonly begin: (events: ReadonlyArray<RecordedEvent>, build: number) => Result.Result<InlineBatch, InlineFault>
}

/**
 * Events that a follower has looked at.
 *
 * @category models
 * @since 0.1.0
 */
export interface InlineBatch {
  /** Keys of the states that are to be at hand. */
  readonly keys: ReadonlyArray<string>
  /** Says what is to be written, of the states as they are stored. */
  readonly finish: (states: ReadonlyMap<string, string>) => Result.Result<InlineEffects, InlineFault>
}

/**
 * What is written together with events.
 *
 * @category models
 * @since 0.1.0
 */
export interface InlineEffects {
  readonly statements: ReadonlyArray<SqlStatement>
  /** Of which event each statement is. */
  readonly owners: ReadonlyArray<number>
  /** States as they are after; `undefined` removes one. */
  readonly states: ReadonlyMap<string, string | undefined>
  /** Which changes are recorded; none when absent. */
  readonly changes?: KeptChanges | undefined
}

/**
 * Why events cannot be applied, and because of which of them; of nobody knows
 * which when `undefined`.
 *
 * @category models
 * @since 0.1.0
 */
export interface InlineFault {
  readonly index: number | undefined
  readonly reason: InlineFailed["why"]
  readonly detail: string
}

/**
 * Most positions of the log that an append looks at for a follower that is
 * behind, while it keeps all others from appending: about 10 ms (measured).
 *
 * @category constants
 * @since 0.1.0
 */
export const INLINE_GAP_POSITIONS = 10_000

/**
 * Most events that an append makes up for.
 *
 * @category constants
 * @since 0.1.0
 */
export const INLINE_GAP_EVENTS = 1_000

/**
 * How a follower stands, as far as an append must know.
 *
 * @category models
 * @since 0.1.0
 */
export interface InlineStand extends Pick<ProjectionRecord, "build" | "definition" | "isSetUp"> {
  readonly checkpoint: Checkpoint
  /** Whether somebody has its lease to whom appends leave it, see {@link FENCE}. */
  readonly isFenced: boolean
}

/**
 * What the owner of a lease begins with when appends are to leave the projection
 * to it, as runners do: while it is reset, or swapped for another build. They wait
 * until the lease is given back or runs out.
 *
 * @category constants
 * @since 0.1.0
 */
export const FENCE = "fence "

/**
 * How long an append waits for a fence before it fails with `InlineBehind`, and
 * the pause between two looks, in milliseconds.
 *
 * @category constants
 * @since 0.1.0
 */
export const FENCE_MILLIS = { wait: 5_000, look: 20 } as const

/**
 * Says why an append cannot take a follower along from where it stands;
 * `undefined` when it can, after the events between. `head` is that of the log
 * before the append.
 *
 * @category validation
 * @since 0.1.0
 */
export const standFault = (
  follower: InlineFollower,
  stand: InlineStand | undefined,
  head: LogHead
): StorageError | undefined => {
  if (stand === undefined) return inlineBehind(follower, START, head, "it is not known to the storage")
  const { checkpoint: { incarnation, position }, definition, isFenced, isSetUp } = stand
  if (isFenced) return inlineBehind(follower, position, head, "it is reset, or swapped for another build")
  if (follower.hasTables && !isSetUp) return inlineBehind(follower, position, head, "its tables were not made")
  if (definition !== follower.definition) {
    return inlineBehind(follower, position, head, `it was built as ${definition}, and is now ${follower.definition}`)
  }
  if (position > head.position || (position > START && incarnation !== head.incarnation)) {
    return inlineBehind(follower, position, head, "its checkpoint is not of this log")
  }
  return head.position - position > INLINE_GAP_POSITIONS
    ? inlineBehind(follower, position, head, `an append looks at ${INLINE_GAP_POSITIONS} at most`)
    : undefined
}

/**
 * Makes the failure of an append that came too early for a follower.
 *
 * @category errors
 * @since 0.1.0
 */
export const inlineBehind = (
  { name, version }: ProjectionVersion,
  position: Position,
  head: LogHead,
  why: string
): StorageError =>
  new StorageError({
    operation: "append",
    reason: new InlineBehind({
      name,
      version,
      position,
      head: head.position,
      detail:
        `the inline projection ${name}, version ${version}, is at position ${position} and the log at ${head.position}: ${why}; run ProjectionRunner.runOnce first`
    })
  })

/**
 * Makes the failure of an append with an event that a follower cannot apply.
 *
 * @category errors
 * @since 0.1.0
 */
export const inlineFailed = (
  { name, version }: ProjectionVersion,
  { id, revision, streamId, type }: RecordedEvent,
  { detail, reason }: InlineFault
): StorageError =>
  new StorageError({
    operation: "append",
    reason: new InlineFailed({
      name,
      version,
      id,
      type,
      streamId,
      revision,
      why: reason,
      detail:
        `the inline projection ${name}, version ${version}, cannot apply ${type} (revision ${revision} of stream ${streamId}): ${detail} (${reason})`
    })
  })

/**
 * The events that a follower looks at.
 *
 * @category filtering
 * @since 0.1.0
 */
export const eventsFor = (
  { filter }: InlineFollower,
  events: ReadonlyArray<RecordedEvent>
): ReadonlyArray<RecordedEvent> => events.filter((event) => matchesFilter(filter, event))

/**
 * Why an append does not make up for what was archived meanwhile: nothing is
 * fetched from elsewhere while others wait for the append.
 *
 * @category constants
 * @since 0.1.0
 */
export const MISSED_ARCHIVED = "events that it has missed are archived"
