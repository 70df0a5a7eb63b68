/**
 * What an operator does to a projection: pause, verify, reset, replay what was
 * parked, make a version live.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { EventFilter } from "../event/EventQuery.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { type Position, START } from "../event/Revision.ts"
import {
  BuildMissing,
  type Checkpoint,
  CheckpointStore,
  type HistoryChanged,
  historyChanged,
  isOfHistory,
  type Lease,
  type LeaseLost,
  type ParkedEvent,
  type ParkedPage,
  type ProjectionKey,
  type ProjectionRecord
} from "../store/CheckpointStore.ts"
import { addDigests, EMPTY_DIGEST, type EventDigest } from "../store/EventDigest.ts"
import { EventStore } from "../store/EventStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { awaitReached, readToken } from "./internal/awaiting.ts"
import { changesOf } from "./internal/changes.ts"
import { findAwaited } from "./internal/dependencies.ts"
import { applyParked, type Leader, write } from "./internal/leader.ts"
import { findReached } from "./internal/reached.ts"
import { lead, withLeases } from "./internal/runner.ts"
import { physicalTables, setUpStatements, tearDownStatements } from "./internal/setUp.ts"
import { isPure, KEEP_OLD, swapIn } from "./internal/swap.ts"
import { digestsOf, joinRecords } from "./internal/verification.ts"
import { type Projection, withBuild } from "./Projection.ts"
import { type LeaseHeld, ProjectionInvalid, ReactorReplay, type RunError } from "./ProjectionError.ts"
import { runOnce } from "./ProjectionRunner.ts"
import type { ReadTokenInvalid, StaleRead } from "./QueryError.ts"
import type { Follower } from "./Reactor.ts"

/**
 * Stops a projection on whatever process it runs, until {@link resume}; false when
 * it is not known.
 *
 * **Details**
 *
 * Its runner stops within a third of its lease and stands by.
 *
 * @category control
 * @since 0.1.0
 */
export const pause = (
  { build, name, version }: ProjectionKey
): Effect.Effect<boolean, InvalidInput | StorageError, CheckpointStore> =>
  CheckpointStore.use((store) => store.setStatus({ name, version, build }, "paused"))

/**
 * Lets a projection run again that was paused or halted; false when it is not
 * known.
 *
 * @category control
 * @since 0.1.0
 */
export const resume = (
  { build, name, version }: ProjectionKey
): Effect.Effect<boolean, InvalidInput | StorageError, CheckpointStore> =>
  CheckpointStore.use((store) => store.setStatus({ name, version, build }, "running"))

/**
 * How a projection stands; of one that is divided, all of its slices together:
 * the lowest position, the sum of what they saw, the worst status.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionReport extends ProjectionRecord {
  /** Each slice; one when it is not divided. */
  readonly slices: ReadonlyArray<ProjectionRecord>
  /** Last position of the log. */
  readonly head: Position
  /** Positions of the log that it has not looked at. */
  readonly lagEvents: number
  /** How long ago the first event that it has not seen was recorded, by the log's clock; 0 when it saw all. */
  readonly lagMillis: number
  /** What has to see the next event before, and has not. */
  readonly waitsFor: ReadonlyArray<AwaitedFollower>
}

/**
 * A follower that another one waits for.
 *
 * @category models
 * @since 0.1.0
 */
export interface AwaitedFollower {
  readonly name: string
  readonly version: number
  /** How far it has seen the log. */
  readonly position: Position
}

/**
 * Describes a projection, and how far it is behind; none when it never ran.
 *
 * @category control
 * @since 0.1.0
 */
export const describe = (
  projection: ProjectionKey & Partial<Pick<Projection, "after" | "filter" | "slices">>
): Effect.Effect<Option.Option<ProjectionReport>, InvalidInput | StorageError, CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const checkpoints = yield* CheckpointStore
    const { after: dependencies = [], build, name, version } = projection
    const slices = yield* checkpoints.findSlices({ name, version, build })
    if (!Arr.isReadonlyArrayNonEmpty(slices)) return Option.none()
    const record = joinRecords([slices[0], ...slices.slice(1)])
    const head = yield* store.head
    const after = record.checkpoint.position
    const { next } = yield* findReached(store, projection, slices, head.position)
    const now = yield* Clock.currentTimeMillis
    return Option.some({
      ...record,
      slices,
      head: head.position,
      lagEvents: Math.max(0, head.position - after),
      lagMillis: next === undefined ? 0 : Math.max(0, now - next.recordedAt.epochMilliseconds),
      waitsFor: next === undefined ? [] : yield* findAwaited({ checkpoints, store }, dependencies, next.position)
    })
  })

/**
 * What a verification found.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verification {
  /** Whether the projection saw exactly the matching events up to its checkpoint, each one once. */
  readonly isComplete: boolean
  readonly checkpoint: Checkpoint
  /** What the log has up to the checkpoint. */
  readonly log: EventDigest
  /** Events that it saw but that wait to be applied. */
  readonly parked: number
}

/**
 * Proves that a projection skipped nothing and saw nothing twice: compares the
 * count and digest of its checkpoint with those of the log. None when it never
 * ran.
 *
 * **Details**
 *
 * Reads the log once, in the database where that can; one that is divided by a
 * function is divided again here. The projection may go on meanwhile.
 *
 * @category control
 * @since 0.1.0
 */
export const verify = (
  projection: Follower<unknown>
): Effect.Effect<
  Option.Option<Verification>,
  InvalidInput | HistoryChanged | StorageError,
  CheckpointStore | EventStore
> =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const store = yield* EventStore
    const { build, name, version } = projection
    const slices = yield* checkpoints.findSlices({ name, version, build })
    if (!Arr.isReadonlyArrayNonEmpty(slices)) return Option.none()
    const head = yield* store.head
    for (const { checkpoint } of slices) {
      if (!isOfHistory(checkpoint, head)) return yield* historyChanged(projection, checkpoint, head)
    }
    const records: Parameters<typeof joinRecords>[0] = [slices[0], ...slices.slice(1)]
    const logs = yield* Effect.catchTag(
      digestsOf({ checkpoints, store }, projection, records),
      "PositionAheadOfLog",
      () => Effect.fail(historyChanged(projection, joinRecords(records).checkpoint, head))
    )
    const isComplete = records.every(({ checkpoint: { count, digest } }, slice) =>
      logs[slice]?.count === count && logs[slice].digest === digest
    )
    const { checkpoint, parked } = joinRecords(records)
    return Option.some({ isComplete, checkpoint, log: logs.reduce(addDigests), parked })
  })

/**
 * Forgets everything that a projection made, and puts it at the start of the
 * log: its states and tables are empty until a runner has filled them again.
 *
 * **Details**
 *
 * Works for a projection whose definition was changed, or whose store was
 * restored, too. Runs between two batches of a runner. Views of its tables, and
 * whatever else depends on them, are removed with them; its own views are made again.
 * A projection with a storage of its own runs its set-up again, which empties it.
 * A reactor, which goes back to where it began, does everything again: it is refused with
 * `ReactorReplay` unless `force` is true.
 *
 * @category control
 * @since 0.1.0
 */
export const reset = (
  projection: Follower<unknown>,
  options: { readonly force?: boolean | undefined } = {}
): Effect.Effect<void, RunError | ReactorReplay | LeaseHeld | LeaseLost, CheckpointStore | EventStore> =>
  projection._tag === "Reactor" && options.force !== true
    ? Effect.fail(new ReactorReplay({ name: projection.name }))
    : withLeases(
      projection,
      { evenWhenChanged: true },
      ({ checkpoints, slices, store }, [first, ...others]) =>
        Effect.gen(function*() {
          const { lease, record } = first
          const built = withBuild(projection, lease.build)
          const { definition, name, target } = built
          const { position: head } = yield* store.head
          yield* checkpoints.commit(lease, {
            from: record.checkpoint.position,
            // a restored store may end before the start of a reactor
            to: { position: record.start < head ? record.start : head, ...EMPTY_DIGEST },
            reset: { definition, slices, leases: others.map((other) => other.lease) },
            setUp: target._tag === "Table" || target._tag === "Reactor",
            statements: target._tag === "Table"
              ? [...tearDownStatements(target), ...setUpStatements(target, record.isLive)]
              : [],
            tables: target._tag === "Table" ? physicalTables(target) : undefined,
            changes: changesOf(built)
          }).pipe(
            Effect.catchTag(
              "StatementFailed",
              (refusal) => Effect.fail(new ProjectionInvalid({ name, problems: [`set-up: ${refusal.message}`] }))
            )
          )
        })
    )

/**
 * Makes a version live: those who read the projection by its name, or its tables
 * through their views, see the old one or this one, never half of each.
 *
 * **Details**
 *
 * Build the version first, with `ProjectionRunner.runOnce` or beside the old one,
 * and {@link verify} it; it is caught up before the change. What was live is kept
 * for 24 hours, and can be promoted back. Nothing but a mark is changed for a
 * projection with a storage of its own. Fails with `ProjectionInvalid` when something
 * depends on views that would get other columns. `ProjectionRebuild` builds
 * and promotes in one go.
 *
 * @category control
 * @since 0.1.0
 */
export const promote = (
  projection: Projection<unknown>
): Effect.Effect<void, RunError | LeaseHeld | LeaseLost, CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const { name, version } = projection
    const found = yield* CheckpointStore.use((store) => store.find(projection))
    if (Option.isNone(found)) return yield* new BuildMissing({ name, version, build: projection.build })
    const { build } = found.value
    const bound = { ...withBuild(projection, build), build }
    const catchUp = isPure(bound) ? runOnce(bound) : Effect.void
    yield* swapIn(bound, Duration.toMillis(KEEP_OLD), catchUp)
  })

/**
 * Lists parked events by position.
 *
 * @category parked events
 * @since 0.1.0
 */
export const listParked = (
  { build, name, slice, version }: ProjectionKey,
  page?: ParkedPage
): Effect.Effect<ReadonlyArray<ParkedEvent>, InvalidInput | StorageError, CheckpointStore> =>
  CheckpointStore.use((store) => store.listParked({ name, version, build, slice }, page))

/**
 * What a replay of parked events came to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Replayed {
  /** Events that were applied, and wait no longer. */
  readonly applied: number
  /** Events that failed again, and those behind them. */
  readonly remaining: number
}

/**
 * Applies parked events, of one key or all, in order of position: one that fails
 * again stays, and those of its key behind it.
 *
 * **Details**
 *
 * Each one is applied and forgotten in one transaction. Runs between two batches
 * of a runner.
 *
 * @category parked events
 * @since 0.1.0
 */
export const replayParked = <R = never>(
  projection: Follower<R>,
  options: { readonly key?: string | undefined } = {}
): Effect.Effect<Replayed, RunError | LeaseHeld | LeaseLost, R | CheckpointStore | EventStore> =>
  withLeases(projection, {}, (runner, held) =>
    Effect.gen(function*() {
      let applied = 0
      let remaining = 0
      for (const { lease, record } of held) {
        const leader = yield* lead(runner, lease, record)
        const failed = new Set<string>()
        yield* eachParked(leader, options.key, (event) =>
          Effect.gen(function*() {
            if (failed.has(event.key)) return
            const wasApplied = yield* replay(leader, runner.store, event)
            if (wasApplied) applied++
            else failed.add(event.key)
          }))
        remaining += yield* countParked(leader, lease, options.key)
      }
      return { applied, remaining }
    }))

/**
 * Forgets parked events, of one key or all, without applying them, and returns
 * how many.
 *
 * **Gotchas**
 *
 * What the projection made is then not the fold of all that it saw; only a reset
 * heals that.
 *
 * @category parked events
 * @since 0.1.0
 */
export const discardParked = <R = never>(
  projection: Follower<R>,
  options: { readonly key?: string | undefined } = {}
): Effect.Effect<number, RunError | LeaseHeld | LeaseLost, R | CheckpointStore | EventStore> =>
  withLeases(projection, {}, (runner, held) =>
    Effect.gen(function*() {
      let discarded = 0
      for (const { lease, record } of held) {
        const leader = yield* lead(runner, lease, record)
        yield* eachParked(leader, options.key, ({ position }) =>
          Effect.gen(function*() {
            yield* write(leader, { to: leader.checkpoint, unpark: [position] })
            discarded++
          }))
      }
      return discarded
    }))

/**
 * Waits until a projection has seen everything up to a position, such as the one
 * that an append returned, or up to the place of a `ReadToken`: whoever reads
 * then sees what was written.
 *
 * **Details**
 *
 * Events that do not matter to the projection are not waited for. `timeout` is 5
 * seconds when absent. Slices must all be there.
 *
 * @category control
 * @since 0.1.0
 */
export function awaitPosition(
  projection: Awaitable,
  position: number,
  timeout?: Duration.Input
): Effect.Effect<void, StaleRead | InvalidInput | StorageError, CheckpointStore | EventStore>
export function awaitPosition(
  projection: Awaitable,
  token: string,
  timeout?: Duration.Input
): Effect.Effect<void, StaleRead | ReadTokenInvalid | InvalidInput | StorageError, CheckpointStore | EventStore>
export function awaitPosition(
  projection: Awaitable,
  place: number | string,
  timeout?: Duration.Input
): Effect.Effect<void, StaleRead | ReadTokenInvalid | InvalidInput | StorageError, CheckpointStore | EventStore> {
  return Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const store = yield* EventStore
    const { build, filter, name, version } = projection
    const { incarnation, position } = typeof place === "number"
      ? { position: place, incarnation: undefined }
      : yield* readToken(place)
    const look = Effect.gen(function*() {
      const slices = yield* checkpoints.findSlices({ name, version, build })
      const least = Math.min(...slices.map(({ checkpoint }) => checkpoint.position)) as Position
      // of several slices some have nothing to do with what is between
      const reached = slices.length > 1 && least < position
        ? (yield* findReached(store, projection, slices, position as Position)).position
        : least
      return { position: slices.length === 0 ? START : reached, incarnation: slices[0]?.checkpoint.incarnation }
    })
    const read = Effect.map(look, (point) => ({ point }))
    yield* awaitReached({ name, version, filter, position, incarnation, timeout }, look, read)
  })
}

/**
 * What can be waited for: a projection, or a reactor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Awaitable extends ProjectionKey {
  readonly filter: EventFilter
  readonly slices?: Projection["slices"]
}

// internal

/** Parked events that are looked at in one go; bounds the memory of a replay. */
const PARKED_PAGE = 100

const eachParked = <E, R>(
  { checkpoints, lease }: Leader<unknown>,
  key: string | undefined,
  use: (event: ParkedEvent) => Effect.Effect<void, E, R>
): Effect.Effect<void, E | InvalidInput | StorageError, R> =>
  Effect.gen(function*() {
    let after = 0
    while (true) {
      const page = yield* checkpoints.listParked(lease, { key, after, limit: PARKED_PAGE })
      for (const event of page) yield* use(event)
      const last = page.at(-1)
      if (last === undefined) return
      after = last.position
    }
  })

const countParked = ({ checkpoints }: Leader<unknown>, lease: Lease, key: string | undefined) =>
  key === undefined
    ? Effect.map(checkpoints.find(lease), (found) =>
      Option.match(found, { onNone: () => 0, onSome: ({ parked }) => parked }))
    : Effect.map(checkpoints.listParked(lease, { key, limit: 10_000 }), (page) =>
      page.length)

/** Whether a parked event could be applied; if not, it is noted why. */
const replay = Effect.fnUntraced(function*<R>(leader: Leader<R>, store: EventStore["Service"], parked: ParkedEvent) {
  const event = yield* store.findEvent(parked.id)
  if (Option.isNone(event)) return false
  const failure = yield* applyParked(leader, event.value, parked.attempts)
  if (failure === undefined) return true
  const { parkedAt: _, ...rest } = parked
  yield* write(leader, {
    to: leader.checkpoint,
    park: [{ ...rest, attempts: parked.attempts + 1, reason: `${failure.detail} (${failure.reason})` }]
  })
  return false
})
