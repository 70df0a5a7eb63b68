import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Position } from "../../event/Revision.ts"
import type { Checkpoint, Lease, LeaseLost, ProjectionRecord, ProjectionStatus } from "../../store/CheckpointStore.ts"
import type { RunError } from "../ProjectionError.ts"
import type { Feed } from "./feed.ts"
import { follow } from "./follow.ts"
import { keepTidy } from "./retired.ts"
import { claim, inTime, lead, LEASES, mayPass, type Runner, whileLeased } from "./runner.ts"

/**
 * What came of a turn: led until it was paused, held by another, not yet its
 * turn because the first slice has not made what all of them need, or done.
 */
export type Turn =
  | { readonly _tag: "Led" }
  | { readonly _tag: "Held"; readonly record: ProjectionRecord }
  | { readonly _tag: "TooEarly" }
  | { readonly _tag: "Done"; readonly checkpoint: Checkpoint }

/** What is to be done in a turn. */
export interface TurnOptions {
  readonly slice: number
  /** Statuses in which it is taken. */
  readonly statuses: ReadonlyArray<ProjectionStatus>
  /** How far it goes: to where the log ends now, or for ever. */
  readonly until: "now" | undefined
}

/** Takes the lease of a slice and leads, or says who has it. */
export const takeTurn = <R>(
  runner: Runner<R>,
  feed: Feed,
  { slice, statuses, until }: TurnOptions
): Effect.Effect<Turn, RunError | LeaseLost, R> =>
  Effect.gen(function*() {
    const answer = yield* claim(runner, slice, statuses)
    if (answer._tag === "Held") return answer
    const { lease, record } = answer
    let place: { readonly checkpoint: Pick<Checkpoint, "position"> } = record
    const work = Effect.gen(function*() {
      const isReady = record.isSetUp || slice === 0 || runner.projection.target._tag === "State"
      if (!isReady) return { _tag: "TooEarly" } satisfies Turn
      if (until === undefined && slice === 0) {
        yield* Effect.forkChild(keepTidy(runner.checkpoints, runner.projection.name))
      }
      const leader = yield* lead(runner, lease, record, until === undefined ? undefined : LEASES * runner.leaseMillis)
      place = leader
      const end = until === undefined ? undefined : (yield* runner.store.head).position
      const seat = feed.join(runner.projection.filter)
      yield* Effect.ensuring(follow(runner, leader, seat, end), Effect.sync(seat.leave))
      return {
        _tag: "Done",
        checkpoint: { ...leader.checkpoint, incarnation: lease.incarnation }
      } satisfies Turn
    })
    const noted = Effect.tapError(work, (error) => noteFailure(runner, lease, place.checkpoint.position, error))
    return yield* whileLeased(runner, lease, Effect.raceFirst(noted, untilPaused(runner, lease)))
  })

// internal

/**
 * Notes what ends a run for good, so that whoever asks is told, and no other
 * runner tries the same. An event that cannot be applied was noted before; a
 * storage that refuses is not the projection's fault.
 */
const noteFailure = (
  { checkpoints }: Runner<unknown>,
  lease: Lease,
  position: Position,
  error: RunError | LeaseLost
): Effect.Effect<void> => {
  const isNoted = error._tag === "StorageError" ? !mayPass(error) : LASTING.has(error._tag)
  if (!isNoted) return Effect.void
  const halt = error._tag !== "StorageError"
  return Effect.ignore(
    inTime("reportFailure", checkpoints.reportFailure(lease, { message: error.message, position, halt }))
  )
}

const LASTING: ReadonlySet<string> = new Set<RunError["_tag"]>([
  "HistoryChanged",
  "ProjectionInvalid",
  "StateUnreadable",
  "TooManyParked"
])

/** Renews the lease until the projection shall not run any more; fails when the lease is lost. */
const untilPaused = ({ checkpoints, leaseMillis }: Runner<unknown>, lease: Lease): Effect.Effect<Turn, LeaseLost> =>
  Effect.gen(function*() {
    let status: ProjectionStatus = "running"
    while (status !== "paused") {
      yield* Effect.sleep(Duration.millis(leaseMillis / 3))
      // a storage that is away fails the work, too
      const record = yield* inTime("renewLease", checkpoints.renew(lease)).pipe(
        Effect.catchTag("StorageError", () => Effect.succeed(undefined))
      )
      status = record?.status ?? status
    }
    return { _tag: "Led" }
  })
