/**
 * The ways in which the same events reach a projection: whichever it is, the
 * answer is the same.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import { ProjectionControl, ProjectionRunner } from "../../projection/index.ts"
import type { LeaseHeld, RunError } from "../../projection/ProjectionError.ts"
import type { Follower } from "../../projection/Reactor.ts"
import { CheckpointStore, type LeaseLost } from "../../store/CheckpointStore.ts"
import type { EventStore } from "../../store/EventStore.ts"

/** A way to deliver events, and what it is called. */
export interface Law {
  readonly name: string
  readonly run: <R>(follower: Follower<R>) => Effect.Effect<void, LawError, R | CheckpointStore | EventStore>
}

/** What can go wrong on the way. */
export type LawError = RunError | LeaseHeld | LeaseLost

/** All events in one batch. */
export const AT_ONCE: Law = { name: "all at once", run: (follower) => run(follower, {}) }

const ONE_BY_ONE: Law = { name: "one event at a time", run: (follower) => run(follower, { batchEvents: 1 }) }

const KILLED_AGAIN: Law = { name: "delivered again to runners that are killed", run: (follower) => killed(follower) }

const BUILT_ANEW: Law = {
  name: "built anew, one event at a time",
  run: (follower) =>
    run(follower, {}).pipe(
      Effect.andThen(
        // reactors, which are not built anew, have laws of their own
        Effect.catchTag(ProjectionControl.reset(follower), "ReactorReplay", (refusal) => Effect.die(refusal))
      ),
      Effect.andThen(run(follower, { batchEvents: 1 }))
    )
}

const UNDIVIDED: Law = {
  name: "without its slices",
  run: (follower) => run({ ...follower, slices: undefined }, {})
}

/** The laws that a projection has to keep besides the first. */
export const lawsOf = ({ slices }: Follower<unknown>): ReadonlyArray<Law> => [
  BUILT_ANEW,
  KILLED_AGAIN,
  ...(slices === undefined ? [] : [UNDIVIDED])
]

/** The laws of a reactor: it is not divided, and not built anew. */
export const REACTOR_LAWS: ReadonlyArray<Law> = [ONE_BY_ONE, KILLED_AGAIN]

// internal

/** Of a scenario one runner after the other: each has the lease of the one before. */
const OWNER = "scenario"

/** A scenario's events fail for good. */
const NO_RETRY = Schedule.recurs(0)

/** Commits at which a runner is killed; bounds how long a scenario takes. */
const KILLS_MAX = 6

const run = <R>(follower: Follower<R>, options: ProjectionRunner.RunnerOptions) =>
  Effect.asVoid(ProjectionRunner.runOnce(follower, { ...options, owner: OWNER, retry: NO_RETRY }))

/**
 * Runs with batches of two, and kills runner after runner: each commits what the
 * one before was killed with, and is killed in turn, behind its next commit or before it.
 */
const killed = <R>(follower: Follower<R>): Effect.Effect<void, LawError, R | CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const store = yield* CheckpointStore
    for (let kills = 0; kills < KILLS_MAX; kills++) {
      const exit = yield* Effect.exit(
        Effect.provideService(run(follower, { batchEvents: 2 }), CheckpointStore, killing(store, kills))
      )
      if (Exit.isSuccess(exit)) return
      if (!exit.cause.reasons.some((reason) => Cause.isDieReason(reason) && reason.defect === KILLED)) {
        return yield* Effect.failCause(exit.cause)
      }
    }
    yield* run(follower, {})
  })

const KILLED = new Error("the runner was killed")

/** The same checkpoints, but who commits is killed: not even the lease is given back. */
const killing = (store: CheckpointStore["Service"], kills: number): CheckpointStore["Service"] => {
  const when = kills % 2 === 0 ? "before" : "behind"
  // after a runner that was killed before its commit, the next one has it all to do again
  let allowed = when === "before" ? Math.min(kills, 1) : 0
  return {
    ...store,
    release: () => Effect.void,
    commit: (lease, commit) => {
      if (commit.to.position === commit.from || allowed-- > 0) return store.commit(lease, commit)
      return when === "before" ? Effect.die(KILLED) : Effect.andThen(store.commit(lease, commit), Effect.die(KILLED))
    }
  }
}
