/**
 * Builds projections anew for practice, and compares what comes of it with what
 * is stored: in a backup that was restored for a drill, say.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Position, START } from "../event/Revision.ts"
import {
  BuildMissing,
  type BuildsExhausted,
  type Checkpoint,
  CheckpointStore,
  type ProjectionRecord
} from "../store/CheckpointStore.ts"
import type { EventDigest } from "../store/EventDigest.ts"
import { EventStore } from "../store/EventStore.ts"
import { endingAt } from "./internal/paced.ts"
import { type Divider, makeDivider } from "./internal/slices.ts"
import { type Projection, withBuild } from "./Projection.ts"
import { verify } from "./ProjectionControl.ts"
import { diff, type DiffError, type PartDifference } from "./ProjectionDiff.ts"
import { type LeaseHeld, ProjectionInvalid, type RunError } from "./ProjectionError.ts"
import { runOnce } from "./ProjectionRunner.ts"
import type { RunnerOptions } from "./RunnerOptions.ts"

/**
 * What a rehearsal came to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rehearsal {
  readonly name: string
  readonly version: number
  /** Whether the new build is complete, and nothing that is stored differs from it. */
  readonly isSound: boolean
  /** Whether the new build saw each matching event of the log once. */
  readonly isComplete: boolean
  /** Where the new build ended. */
  readonly checkpoint: Checkpoint
  /** What the log has up to there. */
  readonly log: EventDigest
  /** Events that the new build saw but could not apply. */
  readonly parked: number
  readonly stored: StoredComparison
}

/**
 * How what is stored compares with what was built anew from the same events.
 *
 * **Details**
 *
 * `Absent`: the store has no build of the version that is current; tables are never
 * in a backup. `OtherDefinition`: the version is stored, of another definition.
 *
 * @category models
 * @since 0.1.0
 */
export type StoredComparison =
  | {
    readonly _tag: "Equal" | "Differs"
    /** Checkpoint of what is stored: of the slice that is furthest behind. */
    readonly position: Position
    /** Events that wait to be applied to what is stored. */
    readonly parked: number
    /** States, or the tables: before is what is stored, after is what was built anew. */
    readonly parts: ReadonlyArray<PartDifference>
  }
  | { readonly _tag: "Absent" }
  | { readonly _tag: "OtherDefinition"; readonly position: Position; readonly definition: string }

/**
 * Options of a rehearsal.
 *
 * @category models
 * @since 0.1.0
 */
export interface RehearsalOptions
  extends Pick<RunnerOptions, "batchBytes" | "batchEvents" | "lease" | "onProgress" | "retry">
{
  /** Most differences that are returned, 0 to 10,000; 10 when absent. */
  readonly samples?: number | undefined
}

/**
 * Everything that a rehearsal can answer instead.
 *
 * @category errors
 * @since 0.1.0
 */
export type RehearsalError = RunError | LeaseHeld | BuildsExhausted | DiffError

/**
 * Builds a projection from the first event to the end of the log, in a build of
 * its own that is removed afterwards; proves with count and digest that it saw each
 * event once; and compares it with what is stored, at the place that that has come to.
 *
 * **Details**
 *
 * What is stored is not touched. Nobody is waited for: what the projection comes after
 * otherwise need not be there. Fails with `ProjectionInvalid` for one whose storage is its
 * own, which would be written to, and as a runner does when an event cannot be
 * applied.
 *
 * **Example**
 *
 * ```ts
 * const report = yield* backups.drill({
 *   scratch: layerPglite(),
 *   probe: Effect.forEach([balances, revenue], (projection) => ProjectionRehearsal.rehearse(projection))
 * })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const rehearse = Effect.fn("ProjectionRehearsal.rehearse")(function*(
  given: Projection,
  options: RehearsalOptions = {}
): Effect.fn.Return<Rehearsal, RehearsalError, CheckpointStore | EventStore> {
  const { name, target, version } = given
  if (target._tag === "Custom") {
    const problems = ["its storage is its own: a rehearsal would write to it"]
    return yield* new ProjectionInvalid({ name, problems })
  }
  const checkpoints = yield* CheckpointStore
  const projection: Projection = { ...given, after: [] }
  const slices = yield* checkpoints.findSlices({ name, version })
  const [first] = slices
  if (first === undefined || first.definition !== projection.definition) {
    const end = yield* onBuild(projection, (built) => finish(built, options))
    const stored: StoredComparison = first === undefined
      ? { _tag: "Absent" }
      : { _tag: "OtherDefinition", position: leastOf(slices), definition: first.definition }
    return { name, version, isSound: end.isComplete, ...end, stored }
  }
  const { end, stored } = yield* compared(projection, slices, options)
  return { name, version, isSound: end.isComplete && stored._tag === "Equal", ...end, stored }
})

// internal

/** A build of its own, which nobody else sees, and which goes in the end. */
const onBuild = <A, E>(
  projection: Projection,
  use: (built: Projection) => Effect.Effect<A, E, CheckpointStore | EventStore>
) =>
  Effect.flatMap(CheckpointStore, (checkpoints) => {
    const { name, version } = projection
    return Effect.acquireUseRelease(
      checkpoints.addBuild({ name, version }),
      ({ build }) => use(withBuild(projection, build)),
      ({ build }) => checkpoints.removeBuild({ name, version, build })
    )
  })

const leastOf = (slices: ReadonlyArray<ProjectionRecord>): Position =>
  slices.reduce<Position>(
    (least, { checkpoint: { position } }) => position < least ? position : least,
    slices[0]?.checkpoint.position ?? START
  )

const furthestOf = (slices: ReadonlyArray<ProjectionRecord>): Position =>
  slices.reduce<Position>((most, { checkpoint: { position } }) => position > most ? position : most, START)

const compared = (
  projection: Projection,
  slices: ReadonlyArray<ProjectionRecord>,
  options: RehearsalOptions
) => {
  const isEven = leastOf(slices) === furthestOf(slices)
  const compare = (built: Projection) => compareThere(projection, slices, built, options)
  // slices that stand apart are met by a build that saw of each slice what that has seen
  return isEven
    ? onBuild(projection, (built) =>
      Effect.gen(function*() {
        const stored = yield* compare(built)
        return { stored, end: yield* finish(built, options) }
      }))
    : Effect.gen(function*() {
      const stored = yield* onBuild(projection, compare)
      return { stored, end: yield* onBuild(projection, (built) => finish(built, options)) }
    })
}

/** Brings the new build to where the stored one is, and compares the two. */
const compareThere = Effect.fnUntraced(function*(
  projection: Projection,
  slices: ReadonlyArray<ProjectionRecord>,
  built: Projection,
  options: RehearsalOptions
) {
  const store = yield* EventStore
  const position = leastOf(slices)
  const divide = makeDivider(projection)
  const ended = endingAt(store, furthestOf(slices))
  const log = divide === undefined ? ended : endingApart(ended, divide, slices)
  yield* Effect.provideService(runOnce(built, runnerOptions(options)), EventStore, log)
  const stored = withBuild(projection, slices[0]?.build ?? 1)
  const { isSame, parts } = yield* diff(stored, built, { samples: options.samples })
  const parked = slices.reduce((sum, slice) => sum + slice.parked, 0)
  return { _tag: isSame ? "Equal" : "Differs", position, parked, parts } satisfies StoredComparison
})

/** The same log, of each slice as if it ended where the stored one has come to. */
const endingApart = (
  store: EventStore["Service"],
  divide: Divider,
  slices: ReadonlyArray<ProjectionRecord>
): EventStore["Service"] => {
  const ends = slices.map(({ checkpoint }) => checkpoint.position)
  return {
    ...store,
    readPage: (options) =>
      Effect.map(store.readPage(options), (page) => ({
        ...page,
        events: page.events.filter((event) => event.position <= (ends[divide(event)] ?? START))
      }))
  }
}

/** Brings the new build to the end of the log, and proves it. */
const finish = Effect.fnUntraced(function*(built: Projection, options: RehearsalOptions) {
  const { build, name, version } = built
  yield* runOnce(built, runnerOptions(options))
  const found = yield* verify(built)
  if (Option.isNone(found)) return yield* new BuildMissing({ name, version, build })
  return found.value
})

const runnerOptions = ({ batchBytes, batchEvents, lease, onProgress, retry }: RehearsalOptions): RunnerOptions => ({
  batchBytes,
  batchEvents,
  lease,
  onProgress,
  retry
})
