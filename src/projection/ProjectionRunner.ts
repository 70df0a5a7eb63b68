/**
 * Runs projections: catches up with the log, then follows it.
 *
 * **Details**
 *
 * One runner at a time has a projection, over all processes: the others stand
 * by, and one of them takes over when its lease runs out. A batch of events and
 * the checkpoint after it are one commit, so a runner that dies anywhere neither
 * skips an event nor applies one twice; one that stood still for too long
 * cannot commit any more.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Position } from "../event/Revision.ts"
import {
  type Checkpoint,
  type CheckpointStore,
  type HistoryChanged,
  historyChanged,
  type Lease,
  type LeaseLost,
  type ProjectionRecord,
  type ProjectionStatus
} from "../store/CheckpointStore.ts"
import type { EventStore, LogPage } from "../store/EventStore.ts"
import type { ReadError } from "../store/EventStoreError.ts"
import { applyEvents, type Leader } from "./internal/leader.ts"
import { makePager } from "./internal/pager.ts"
import { claim, inTime, lead, LEASES, makeRunner, type Runner, STAND_BY, whileLeased } from "./internal/runner.ts"
import type { Projection } from "./Projection.ts"
import { LeaseHeld, type RunError } from "./ProjectionError.ts"
import type { RunnerOptions } from "./RunnerOptions.ts"

export type { RunnerOptions }

/**
 * Runs a projection for ever: as the one that has it, or standing by.
 *
 * **Details**
 *
 * Waits for a storage that is away, stands by while the projection is paused,
 * and goes on when a lost lease comes back. Begins with a new attempt when the
 * projection was halted. Interrupt it to stop: the batch on its way is undone,
 * and the lease is given back.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (
  projection: Projection,
  options: RunnerOptions = {}
): Effect.Effect<never, RunError, EventStore | CheckpointStore> =>
  Effect.gen(function*() {
    const runner = yield* makeRunner(projection, options)
    let statuses: ReadonlyArray<ProjectionStatus> = ["running", "halted"]
    let failures = 0
    while (true) {
      const turn = yield* takeTurn(runner, statuses, undefined).pipe(
        Effect.catchTag("StorageError", (error) =>
          error.isRetryable ? Effect.succeed("Away" as const) : Effect.fail(error)),
        Effect.catchTag("LeaseLost", (lost) =>
          Effect.as(Effect.logDebug(lost.message), "Led" as const))
      )
      // a runner that stands by does not take on what another one halted before
      if (turn !== "Away") statuses = ["running"]
      failures = turn === "Away" ? failures + 1 : 0
      yield* Effect.sleep(turn === "Away" ? backOff(failures) : STAND_BY)
    }
  })

/**
 * Runs a projection up to where the log ends now, and returns its checkpoint.
 *
 * **Details**
 *
 * Waits for three leases when another runner has it, then fails with `LeaseHeld`; at
 * once when it is paused. Fails with `StorageError` when the storage is away
 * for longer than about 10 seconds.
 *
 * @category running
 * @since 0.1.0
 */
export const runOnce = (
  projection: Projection,
  options: RunnerOptions = {}
): Effect.Effect<Checkpoint, RunError | LeaseHeld, EventStore | CheckpointStore> =>
  Effect.gen(function*() {
    const runner = yield* makeRunner(projection, options)
    const { name, version } = projection
    let failures = 0
    let deadline: number | undefined
    while (true) {
      const turn = yield* takeTurn(runner, ["running", "halted"], "now").pipe(
        Effect.catchTag("StorageError", (error) =>
          error.isRetryable && failures < ONCE_FAILURES_MAX ? Effect.succeed("Away" as const) : Effect.fail(error)),
        Effect.catchTag("LeaseLost", (lost) =>
          Effect.as(Effect.logDebug(lost.message), "Away" as const))
      )
      if (turn === "Away") {
        yield* Effect.sleep(backOff(++failures))
        continue
      }
      failures = 0
      if (turn !== "Led" && turn._tag === "Done") {
        return turn.checkpoint
      }
      const now = yield* Clock.currentTimeMillis
      deadline ??= now + LEASES * runner.leaseMillis
      const held = turn === "Led" ? undefined : turn.record
      const status = held?.status ?? "paused"
      if (status === "paused" || now >= deadline) {
        return yield* new LeaseHeld({ name, version, status, owner: held?.owner })
      }
      yield* Effect.sleep(STAND_BY)
    }
  })

/**
 * Runs several projections for ever, each by itself: one that ends with an error
 * is logged, and the others go on.
 *
 * @category running
 * @since 0.1.0
 */
export const runAll = (
  projections: ReadonlyArray<Projection>,
  options: Omit<RunnerOptions, "owner"> = {}
): Effect.Effect<void, never, EventStore | CheckpointStore> =>
  Effect.forEach(
    projections,
    (projection) =>
      Effect.catch(run(projection, options), (error) =>
        Effect.logError(`Projection ${projection.name}, version ${projection.version}, ended`, error)),
    { concurrency: "unbounded", discard: true }
  )

// internal

/** How long a follower without matching events waits before it moves its checkpoint past the others. */
const IDLE = Duration.seconds(5)

/** How often `runOnce` asks a storage that is away. */
const ONCE_FAILURES_MAX = 10

/** Pause before a storage that is away is asked again: 50 ms, doubled up to 2 s. */
const backOff = (failures: number): Duration.Duration => Duration.millis(Math.min(2_000, 50 * 2 ** (failures - 1)))

/** What came of a turn: led until it was paused, held by another, or done. */
type Turn =
  | "Led"
  | { readonly _tag: "Held"; readonly record: ProjectionRecord }
  | { readonly _tag: "Done"; readonly checkpoint: Checkpoint }

/** Takes the lease and leads, or says who has it. */
const takeTurn = (
  runner: Runner,
  statuses: ReadonlyArray<ProjectionStatus>,
  until: "now" | undefined
): Effect.Effect<Turn, RunError | LeaseLost> =>
  Effect.gen(function*() {
    const answer = yield* claim(runner, statuses, false)
    if (answer._tag === "Held") return answer
    const { lease, record } = answer
    const work = Effect.gen(function*() {
      const leader = yield* lead(runner, lease, record)
      const end = until === undefined ? undefined : (yield* runner.store.head).position
      yield* follow(runner, leader, end)
      return { _tag: "Done" as const, checkpoint: { ...leader.checkpoint, incarnation: lease.incarnation } }
    })
    return yield* whileLeased(runner, lease, Effect.raceFirst(work, untilPaused(runner, lease)))
  })

/** Renews the lease until the projection shall not run any more; fails when the lease is lost. */
const untilPaused = ({ checkpoints, leaseMillis }: Runner, lease: Lease): Effect.Effect<"Led", LeaseLost> =>
  Effect.gen(function*() {
    let status: ProjectionStatus = "running"
    while (status !== "paused") {
      yield* Effect.sleep(leaseMillis / 3)
      // a storage that is away fails the work, too
      const record = yield* inTime("renewLease", checkpoints.renew(lease)).pipe(
        Effect.catchTag("StorageError", () => Effect.succeed(undefined))
      )
      status = record?.status ?? status
    }
    return "Led" as const
  })

/** Applies page after page; the next one is fetched while one is applied. */
const follow = Effect.fnUntraced(function*(runner: Runner, leader: Leader, end: Position | undefined) {
  const { batchBytes: maxBytes, batchEvents: maxEvents, projection: { filter }, store } = runner
  const pager = makePager(store, { filter, until: end, maxEvents, maxBytes })
  const fetch = (after: number) => Effect.forkChild(pager.read(after), { startImmediately: true })
  if (end !== undefined && leader.checkpoint.position >= end) return
  let next = yield* fetch(leader.checkpoint.position)
  while (true) {
    const page = yield* joinPage(runner, leader, next)
    if (!page.isEnd) next = yield* fetch(page.position)
    // whoever got to the end has looked at everything up to it
    yield* applyEvents(leader, page.events, page.isEnd && end !== undefined ? end : page.position)
    if (!page.isEnd) continue
    if (end !== undefined) return
    yield* growth(store, page.position, filter)
    next = yield* fetch(page.position)
  }
})

const joinPage = (
  { projection, store }: Runner,
  { checkpoint, lease }: Leader,
  page: Fiber.Fiber<LogPage, ReadError>
): Effect.Effect<LogPage, Exclude<ReadError, { readonly _tag: "PositionAheadOfLog" }> | HistoryChanged> =>
  Effect.catchTag(Fiber.join(page), "PositionAheadOfLog", () =>
    Effect.flatMap(store.head, (head) =>
      Effect.fail(
        historyChanged(projection, { incarnation: lease.incarnation, position: checkpoint.position }, head)
      )))

/** Returns when a matching event was recorded, or after a while. What a read fails with, the next page says. */
const growth = (store: EventStore["Service"], after: number, filter: Projection["filter"]): Effect.Effect<void> =>
  store.subscribe({ after, filter }).pipe(
    Stream.runHead,
    Effect.timeoutOption(IDLE),
    Effect.ignore
  )
