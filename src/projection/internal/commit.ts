import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type {
  Checkpoint,
  CheckpointStore,
  HistoryChanged,
  Lease,
  LeaseLost,
  ProjectionCommit,
  ProjectionRecord
} from "../../store/CheckpointStore.ts"
import type { EventStore } from "../../store/EventStore.ts"
import { StorageError, Unavailable } from "../../store/EventStoreError.ts"
import type { HistoryParent } from "../../store/LogTransfer.ts"
import type { Dependency } from "../Projection.ts"
import type { Follower } from "../Reactor.ts"
import { changesOf } from "./changes.ts"
import type { Failure } from "./failure.ts"
import type { Decoder } from "./prepare.ts"

/** What a leader is made of. */
export interface LeaderOptions<out R = never> {
  readonly projection: Follower<R>
  readonly decode: Decoder
  readonly store: EventStore["Service"]
  readonly checkpoints: CheckpointStore["Service"]
  readonly lease: Lease
  readonly record: ProjectionRecord
  readonly retry: Schedule.Schedule<unknown, unknown>
  /** How long one statement may take. */
  readonly statementMillis: number
  /** How long one commit may take. */
  readonly commitMillis: number
  /** How long it waits for those it comes after while they do not move; for ever when absent. */
  readonly waitMillis?: number | undefined
}

/** Who has the lease of a projection, and what it keeps in mind. */
export interface Leader<out R = never> extends LeaderOptions<R> {
  /** What is applied; ahead of what is written when states are kept for a while. */
  checkpoint: Place
  /** What is written. */
  written: Place
  /** When the last write was, by the clock. */
  writtenAt: number
  /** Events that were applied since then. */
  unwritten: number
  /** Whether each batch is written, because one of those before failed. */
  isCareful: boolean
  /** States after the checkpoint, as values; some of them, and all that are not written. */
  readonly states: Map<string, unknown>
  /** When the event was recorded that changed a state last, for states that grow old. */
  readonly times: Map<string, number>
  /** States that are not written, and which event of the last batch changed each. */
  readonly dirty: Map<string, number>
  /** No state that is written is older. */
  oldest: number
  /** When the last event was recorded that was seen. */
  seenAt: number | undefined
  /** The history that the log was restored from, for those who hand out keys of events. */
  readonly parent: HistoryParent | undefined
  /** How far those have come that it comes after, as far as it knows. */
  readonly reached: Map<Dependency, number>
  /** Keys with parked events. */
  readonly parkedKeys: Set<string>
  parked: number
  /** Events after the checkpoint that a reactor has reacted to. */
  readonly reacted: Set<number>
  /** How often a reactor has tried an event after the checkpoint. */
  readonly attempts: Map<number, number>
}

/** How far a follower has come. */
export type Place = Omit<Checkpoint, "incarnation">

/** Whether something is applied that is not written. */
export const isAhead = ({ checkpoint, written }: Leader<unknown>): boolean => checkpoint.position > written.position

/** Commits, within the time that it may take. Returns what the database refused. */
export const write = (
  self: Leader<unknown>,
  commit: Omit<ProjectionCommit, "from">,
  owners: ReadonlyArray<number> = []
): Effect.Effect<Failure | undefined, LeaseLost | HistoryChanged | StorageError> =>
  self.checkpoints.commit(self.lease, {
    ...commit,
    from: self.written.position,
    changes: changesOf(self.projection),
    statementMillis: self.statementMillis
  }).pipe(
    Effect.timeoutOrElse({ duration: self.commitMillis, orElse: () => Effect.fail(tooSlow) }),
    Effect.map(() => {
      self.checkpoint = commit.to
      self.written = commit.to
      for (const position of self.attempts.keys()) {
        if (position <= commit.to.position) self.attempts.delete(position)
      }
      for (const position of self.reacted) if (position <= commit.to.position) self.reacted.delete(position)
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

const tooSlow = new StorageError({
  operation: "commitProjection",
  reason: new Unavailable({ detail: "the commit took longer than it may" })
})
