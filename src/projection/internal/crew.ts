import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { CheckpointStore, LeaseLost, ProjectionStatus, RollCall } from "../../store/CheckpointStore.ts"
import type { RunError } from "../ProjectionError.ts"
import type { Feed } from "./feed.ts"
import { backOffMillis, inTime, mayPass, type Runner, STAND_BY } from "./runner.ts"
import { takeTurn, type Turn } from "./turn.ts"

/** The followers that a process runs. */
export interface Crew<R, E> {
  /** At least one; all of one owner and with the same lease. */
  readonly runners: ReadonlyArray<Runner<R>>
  readonly feed: Feed
  /** What happens when a follower ends, which is with an error: the others go on unless it fails. */
  readonly onEnd: (runner: Runner<R>, cause: Cause.Cause<RunError>) => Effect.Effect<void, E>
}

/**
 * Runs followers until all of them have ended: as many of their slices as are
 * this process's fair share.
 *
 * **Details**
 *
 * A share is the number of slices divided by the number of runners that are
 * there, rounded up over all followers. Who has more gives some up, who has less
 * takes what is free; a runner that died is not there any more when its leases
 * have run out. A follower that was halted is taken up again when somebody has
 * resumed it, as long as another one is run.
 */
export const runCrew = <R, E>({ feed, onEnd, runners }: Crew<R, E>): Effect.Effect<void, E | RunError, R> =>
  Effect.scoped(Effect.gen(function*() {
    const [first] = runners
    if (first === undefined) return
    const { checkpoints, leaseMillis, owner } = first
    const scope = yield* Effect.scope
    yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeoutOption(checkpoints.leave(owner), LEAVE)))
    const hasEnded = yield* Latch.make(false)
    let followers = runners.map(toFollower)
    let failures = 0
    while (true) {
      for (const follower of followers) yield* settle(follower, onEnd)
      followers = followers.filter(({ isOver }) => !isOver)
      if (followers.every(({ isHalted }) => isHalted)) return
      const calls = yield* callRoll(checkpoints, owner, leaseMillis, followers)
      failures = calls === undefined ? failures + 1 : 0
      if (calls !== undefined) {
        note(followers, calls, owner)
        yield* giveUp(followers)
        yield* takeUp(followers, (runner, work) => startWork(scope, hasEnded, runner, feed, work))
      }
      const pause = calls === undefined ? backOffMillis(failures) : Math.min(LOOK_MS, leaseMillis / 3)
      yield* Effect.timeoutOption(hasEnded.await, Duration.millis(pause))
      yield* hasEnded.close
    }
  }))

// internal

/** Pause between two looks at who is there and what is free. */
const LOOK_MS = Duration.toMillis(STAND_BY)

/** A runner that could not say that it leaves counts as there until its lease would have run out. */
const LEAVE = Duration.seconds(1)

interface FollowerState<R> {
  readonly runner: Runner<R>
  readonly slices: ReadonlyArray<Work>
  /** Runners that could run it, this one among them. */
  runners: number
  isOver: boolean
  /** Until it is resumed. */
  isHalted: boolean
}

/** A slice, and what this process knows of it. */
interface Work {
  readonly slice: number
  /** Whether it is run here. */
  isRunning: boolean
  /** What runs it, or ran it last. */
  fiber: Fiber.Fiber<Turn, RunError | LeaseLost> | undefined
  /** What came of it, until somebody has looked. */
  outcome: Exit.Exit<Turn, RunError | LeaseLost> | undefined
  status: ProjectionStatus
  isFree: boolean
  /** Until it was run here, or by another: what another one halted later is left alone. */
  isFresh: boolean
  failures: number
  notBeforeMillis: number
}

const toFollower = <R>(runner: Runner<R>): FollowerState<R> => ({
  runner,
  runners: 1,
  isOver: false,
  isHalted: false,
  slices: Array.from({ length: runner.slices }, (_, slice) => ({
    slice,
    isRunning: false,
    fiber: undefined,
    outcome: undefined,
    status: "running",
    isFree: true,
    isFresh: true,
    failures: 0,
    notBeforeMillis: 0
  }))
})

/** Says that this process is there; `undefined` when the storage is away. */
const callRoll = (
  checkpoints: CheckpointStore["Service"],
  owner: string,
  leaseMillis: number,
  followers: ReadonlyArray<FollowerState<unknown>>
) =>
  inTime(
    "attendProjections",
    checkpoints.attend({
      owner,
      leaseMillis,
      projections: followers.map(({ runner: { projection: { build, name, version } } }) => ({ name, version, build }))
    })
  ).pipe(
    Effect.catchTag("StorageError", (error) => mayPass(error) ? Effect.succeed(undefined) : Effect.fail(error))
  )

const note = (
  followers: ReadonlyArray<FollowerState<unknown>>,
  calls: ReadonlyArray<RollCall>,
  owner: string
): void => {
  for (const [index, follower] of followers.entries()) {
    const call = calls[index]
    if (call === undefined) continue
    follower.runners = call.runners
    const states = new Map(call.slices.map((state) => [state.slice, state]))
    for (const work of follower.slices) {
      const state = states.get(work.slice)
      work.status = state?.status ?? "running"
      work.isFree = state?.owner === undefined || state.owner === owner
      if (!work.isFree) work.isFresh = false
    }
    if (follower.slices.every(({ status }) => status !== "halted")) follower.isHalted = false
  }
}

const workOf = (followers: ReadonlyArray<FollowerState<unknown>>): ReadonlyArray<Work> =>
  followers.flatMap(({ slices }) => slices.filter(({ isRunning }) => isRunning))

/** How many slices this process shall have; a sum of fractions is not quite exact. */
const shareOf = (followers: ReadonlyArray<FollowerState<unknown>>): number =>
  Math.ceil(followers.reduce((sum, { runners, slices }) => sum + slices.length / runners, 0) - 1e-6)

/** Stops what is more than this process's share, and gives its leases back. */
const giveUp = (followers: ReadonlyArray<FollowerState<unknown>>): Effect.Effect<void> => {
  const surplus = workOf(followers).length - shareOf(followers)
  if (surplus <= 0) return Effect.void
  // of the follower of which it has the most in relation to what others could take
  const candidates = followers.filter(({ runners }) => runners > 1).flatMap(({ runners, slices }) =>
    slices.filter(({ isRunning }) => isRunning).map((work, index) => ({
      work,
      excess: index + 1 - slices.length / runners
    }))
  )
  const given = candidates.sort((a, b) => b.excess - a.excess).slice(0, surplus)
  return Effect.forEach(
    given,
    ({ work }) => work.fiber === undefined ? Effect.void : Fiber.interrupt(work.fiber),
    { concurrency: "unbounded", discard: true }
  )
}

/** Begins with what is free, up to this process's share. */
const takeUp = <R>(
  followers: ReadonlyArray<FollowerState<R>>,
  start: (runner: Runner<R>, work: Work) => Effect.Effect<void, never, R>
): Effect.Effect<void, never, R> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    let room = shareOf(followers) - workOf(followers).length
    for (const { isHalted, runner, slices } of followers) {
      if (isHalted) continue
      for (const work of slices) {
        if (room <= 0) return
        const isOpen = work.status === "running" || (work.status === "halted" && work.isFresh)
        const isIdle = !work.isRunning && work.outcome === undefined
        if (!work.isFree || !isOpen || !isIdle || now < work.notBeforeMillis) continue
        work.isRunning = true
        yield* start(runner, work)
        room--
      }
    }
  })

const startWork = <R>(
  scope: Scope.Scope,
  hasEnded: Latch.Latch,
  runner: Runner<R>,
  feed: Feed,
  work: Work
): Effect.Effect<void, never, R> =>
  takeTurn(runner, feed, {
    slice: work.slice,
    statuses: work.isFresh ? ["running", "halted"] : ["running"],
    until: undefined
  }).pipe(
    Effect.forkIn(scope),
    Effect.map((fiber) => {
      work.fiber = fiber
      // also when it is stopped before it has begun
      fiber.addObserver((exit) => {
        work.isRunning = false
        work.outcome = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? undefined : exit
        hasEnded.openUnsafe()
      })
    })
  )

/** Looks at what came of the slices of a follower that have stopped. */
const settle = <R, E>(
  follower: FollowerState<R>,
  onEnd: Crew<R, E>["onEnd"]
): Effect.Effect<void, E> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    for (const work of follower.slices) {
      const { outcome } = work
      if (outcome === undefined) continue
      work.outcome = undefined
      const verdict = judge(outcome)
      if (verdict === "away") {
        work.notBeforeMillis = now + backOffMillis(++work.failures)
        continue
      }
      work.failures = 0
      work.notBeforeMillis = now + LOOK_MS
      if (verdict === "early") continue
      // a runner that stands by does not take on what another one halted before
      work.isFresh = false
      if (verdict === "over") continue
      follower.isHalted = verdict.reasons.some((reason) =>
        Cause.isFailReason(reason) && reason.error._tag === "ProjectionHalted"
      )
      follower.isOver = !follower.isHalted
      const others = follower.slices.flatMap(({ fiber, isRunning }) => isRunning && fiber !== undefined ? [fiber] : [])
      yield* Fiber.interruptAll(others)
      return yield* onEnd(follower.runner, verdict)
    }
  })

/** Whether a slice is over for now, cannot be run yet or for a while, or why its follower ends. */
const judge = (
  outcome: Exit.Exit<Turn, RunError | LeaseLost>
): "away" | "early" | "over" | Cause.Cause<RunError> => {
  if (Exit.isSuccess(outcome)) return outcome.value._tag === "TooEarly" ? "early" : "over"
  const { cause } = outcome
  const failure = cause.reasons.find(Cause.isFailReason)?.error
  if (failure === undefined) return Cause.hasInterruptsOnly(cause) ? "over" : cause as Cause.Cause<never>
  if (failure._tag === "LeaseLost") return "over"
  return failure._tag === "StorageError" && mayPass(failure) ? "away" : Cause.fail(failure)
}
