/**
 * What an operator does to a projection: pause, verify, reset, replay what was
 * parked, make a version live.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { Position, START } from "../event/Revision.ts"
import {
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
import { EMPTY_DIGEST, type EventDigest } from "../store/EventDigest.ts"
import { EventStore } from "../store/EventStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { applyParked, type Leader, write } from "./internal/leader.ts"
import { lead, withLease } from "./internal/runner.ts"
import { promoteStatements, setUpStatements, tearDownStatements } from "./internal/setUp.ts"
import type { Projection, TableProjection } from "./Projection.ts"
import { type LeaseHeld, ProjectionInvalid, type RunError } from "./ProjectionError.ts"

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
  { name, version }: ProjectionKey
): Effect.Effect<boolean, InvalidInput | StorageError, CheckpointStore> =>
  CheckpointStore.use((store) => store.setStatus({ name, version }, "paused"))

/**
 * Lets a projection run again that was paused or halted; false when it is not
 * known.
 *
 * @category control
 * @since 0.1.0
 */
export const resume = (
  { name, version }: ProjectionKey
): Effect.Effect<boolean, InvalidInput | StorageError, CheckpointStore> =>
  CheckpointStore.use((store) => store.setStatus({ name, version }, "running"))

/**
 * How a projection stands.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionReport extends ProjectionRecord {
  /** Last position of the log. */
  readonly head: Position
  /** Positions of the log that it has not looked at. */
  readonly lagEvents: number
  /** How long ago the first event that it has not seen was recorded, by the log's clock; 0 when it saw all. */
  readonly lagMillis: number
}

/**
 * Describes a projection, and how far it is behind; none when it never ran.
 *
 * @category control
 * @since 0.1.0
 */
export const describe = (
  projection: ProjectionKey & { readonly filter?: Projection["filter"] | undefined }
): Effect.Effect<Option.Option<ProjectionReport>, InvalidInput | StorageError, CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const { filter, name, version } = projection
    const found = yield* CheckpointStore.use((checkpoints) => checkpoints.find({ name, version }))
    if (Option.isNone(found)) return Option.none()
    const record = found.value
    const head = yield* store.head
    const after = record.checkpoint.position
    const next = after >= head.position ? undefined : (yield* Effect.catchTag(
      store.readPage({ after, filter, limit: 1 }),
      "PositionAheadOfLog",
      () => Effect.succeed(undefined)
    ))?.events[0]
    const now = yield* Clock.currentTimeMillis
    return Option.some({
      ...record,
      head: head.position,
      lagEvents: Math.max(0, head.position - after),
      lagMillis: next === undefined ? 0 : Math.max(0, now - next.recordedAt.epochMilliseconds)
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
 * Reads the log once, in the database where that can. The projection may go on
 * meanwhile.
 *
 * @category control
 * @since 0.1.0
 */
export const verify = (
  projection: Projection
): Effect.Effect<
  Option.Option<Verification>,
  InvalidInput | HistoryChanged | StorageError,
  CheckpointStore | EventStore
> =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const found = yield* checkpoints.find(projection)
    if (Option.isNone(found)) return Option.none()
    const { checkpoint, parked } = found.value
    const head = yield* EventStore.use((store) => store.head)
    if (!isOfHistory(checkpoint, head)) return yield* historyChanged(projection, checkpoint, head)
    const log = yield* checkpoints.digestLog({ filter: projection.filter, until: checkpoint.position })
    const isComplete = log.count === checkpoint.count && log.digest === checkpoint.digest
    return Option.some({ isComplete, checkpoint, log, parked })
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
 *
 * @category control
 * @since 0.1.0
 */
export const reset = (
  projection: Projection
): Effect.Effect<void, RunError | LeaseHeld | LeaseLost, CheckpointStore | EventStore> =>
  withLease(projection, { evenWhenChanged: true }, ({ checkpoints }, lease, record) => {
    const { definition, name, target, version } = projection
    return checkpoints.commit(lease, {
      from: record.checkpoint.position,
      to: { position: START, ...EMPTY_DIGEST },
      reset: { definition },
      setUp: target._tag === "Table",
      statements: target._tag === "Table"
        ? [...tearDownStatements(target, version), ...setUpStatements(target, version)]
        : []
    }).pipe(
      Effect.catchTag(
        "StatementFailed",
        (refusal) => Effect.fail(new ProjectionInvalid({ name, problems: [`set-up: ${refusal.message}`] }))
      )
    )
  })

/**
 * Makes the views of a projection show the tables of this version, in one
 * transaction: whoever reads sees the old or the new ones, never half of each.
 *
 * **Details**
 *
 * Build the new version first, with `ProjectionRunner.runOnce` or beside the old one,
 * and {@link verify} it. Fails with `ProjectionInvalid` when something depends
 * on the views.
 *
 * @category control
 * @since 0.1.0
 */
export const promote = (
  projection: TableProjection
): Effect.Effect<void, RunError | LeaseHeld | LeaseLost, CheckpointStore | EventStore> =>
  withLease(projection, {}, (runner, lease, record) =>
    Effect.gen(function*() {
      const leader = yield* lead(runner, lease, record)
      const failure = yield* write(leader, {
        to: leader.checkpoint,
        statements: promoteStatements(projection.target, projection.version)
      })
      if (failure !== undefined) {
        return yield* new ProjectionInvalid({ name: projection.name, problems: [`promote: ${failure.detail}`] })
      }
    }))

/**
 * Lists parked events by position.
 *
 * @category parked events
 * @since 0.1.0
 */
export const listParked = (
  { name, version }: ProjectionKey,
  page?: ParkedPage
): Effect.Effect<ReadonlyArray<ParkedEvent>, InvalidInput | StorageError, CheckpointStore> =>
  CheckpointStore.use((store) => store.listParked({ name, version }, page))

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
export const replayParked = (
  projection: Projection,
  options: { readonly key?: string | undefined } = {}
): Effect.Effect<Replayed, RunError | LeaseHeld | LeaseLost, CheckpointStore | EventStore> =>
  withLease(projection, {}, (runner, lease, record) =>
    Effect.gen(function*() {
      const leader = yield* lead(runner, lease, record)
      const failed = new Set<string>()
      let applied = 0
      yield* eachParked(leader, options.key, (event) =>
        Effect.gen(function*() {
          if (failed.has(event.key)) return
          const wasApplied = yield* replay(leader, runner.store, event)
          if (wasApplied) applied++
          else failed.add(event.key)
        }))
      return { applied, remaining: yield* countParked(leader, lease, options.key) }
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
export const discardParked = (
  projection: Projection,
  options: { readonly key?: string | undefined } = {}
): Effect.Effect<number, RunError | LeaseHeld | LeaseLost, CheckpointStore | EventStore> =>
  withLease(projection, {}, (runner, lease, record) =>
    Effect.gen(function*() {
      const leader = yield* lead(runner, lease, record)
      let discarded = 0
      yield* eachParked(leader, options.key, ({ position }) =>
        Effect.gen(function*() {
          yield* write(leader, { to: leader.checkpoint, unpark: [position] })
          discarded++
        }))
      return discarded
    }))

/**
 * Represents a read model that has not come as far as was asked, in the time
 * allowed.
 *
 * @category errors
 * @since 0.1.0
 */
export class StaleRead
  extends Schema.TaggedError<StaleRead>("effect-event-store/projection/ProjectionControl/StaleRead")("StaleRead", {
    name: Schema.String,
    version: Schema.Int,
    wanted: Position,
    reached: Position
  })
{
  override get message(): string {
    return `The projection ${this.name}, version ${this.version}, is at position ${this.reached}, not yet at ${this.wanted}`
  }
}

/**
 * Waits until a projection has seen everything up to a position, such as the one
 * that an append returned: whoever reads then sees what was written.
 *
 * **Details**
 *
 * Events that do not matter to the projection are not waited for. `timeout` is 5
 * seconds when absent.
 *
 * @category control
 * @since 0.1.0
 */
export const awaitPosition = (
  projection: Projection,
  position: number,
  timeout: Duration.Input = "5 seconds"
): Effect.Effect<void, StaleRead | InvalidInput | StorageError, CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const { filter, name, version } = projection
    const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(Duration.fromInputUnsafe(timeout))
    while (true) {
      const found = yield* checkpoints.find({ name, version })
      const reached = Option.match(found, { onNone: () => START, onSome: ({ checkpoint }) => checkpoint.position })
      if (reached >= position || !(yield* hasEvents(filter, reached, position))) return
      if ((yield* Clock.currentTimeMillis) >= until) {
        return yield* new StaleRead({ name, version, wanted: position as Position, reached })
      }
      yield* Effect.sleep(LOOK_AGAIN)
    }
  })

// internal

/** Pause between two looks at a checkpoint. */
const LOOK_AGAIN = Duration.millis(20)

/** Whether a matching event may stand between two places of the log. */
const hasEvents = (filter: Projection["filter"], after: number, until: number) =>
  EventStore.use((store) => store.readPage({ after, until, filter, limit: 1 })).pipe(
    Effect.map(({ events, isEnd }) => events.length > 0 || !isEnd),
    Effect.catchTag("PositionAheadOfLog", () => Effect.succeed(true))
  )

/** Parked events that are looked at in one go; bounds the memory of a replay. */
const PARKED_PAGE = 100

const eachParked = <E>(
  { checkpoints, projection }: Leader,
  key: string | undefined,
  use: (event: ParkedEvent) => Effect.Effect<void, E>
): Effect.Effect<void, E | InvalidInput | StorageError> =>
  Effect.gen(function*() {
    let after = 0
    while (true) {
      const page = yield* checkpoints.listParked(projection, { key, after, limit: PARKED_PAGE })
      for (const event of page) yield* use(event)
      const last = page.at(-1)
      if (last === undefined) return
      after = last.position
    }
  })

const countParked = ({ checkpoints }: Leader, { name, version }: Lease, key: string | undefined) =>
  key === undefined
    ? Effect.map(checkpoints.find({ name, version }), (found) =>
      Option.match(found, { onNone: () => 0, onSome: ({ parked }) => parked }))
    : Effect.map(checkpoints.listParked({ name, version }, { key, limit: 10_000 }), (page) =>
      page.length)

/** Whether a parked event could be applied; if not, it is noted why. */
const replay = Effect.fnUntraced(function*(leader: Leader, store: EventStore["Service"], parked: ParkedEvent) {
  const event = yield* store.findEvent(parked.id)
  if (Option.isNone(event)) return false
  const failure = yield* applyParked(leader, event.value)
  if (failure === undefined) return true
  const { parkedAt: _, ...rest } = parked
  yield* write(leader, {
    to: leader.checkpoint,
    park: [{ ...rest, attempts: parked.attempts + 1, reason: `${failure.detail} (${failure.reason})` }]
  })
  return false
})
