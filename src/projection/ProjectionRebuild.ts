/**
 * Builds projections anew without anybody noticing: beside what is live, and
 * then in its place.
 *
 * **Details**
 *
 * A build of a version has tables, states and a checkpoint of its own. Readers
 * and runners see the one that is current, and a swap changes that in one
 * commit: whoever reads sees the old build or the new one, and whoever runs the old
 * one goes on with the new one.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../event/InvalidInput.ts"
import {
  type BuildKey,
  BuildMissing,
  type BuildsExhausted,
  type Checkpoint,
  CheckpointStore,
  type ProjectionVersion
} from "../store/CheckpointStore.ts"
import { EventStore } from "../store/EventStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { endingAt, throttled } from "./internal/paced.ts"
import { dropExpired, type Dropped } from "./internal/retired.ts"
import { type Bound, KEEP_OLD, type SwapError, swapIn, toBuildKey } from "./internal/swap.ts"
import { type Projection, withBuild } from "./Projection.ts"
import { verify } from "./ProjectionControl.ts"
import { LeaseHeld, ProjectionInvalid } from "./ProjectionError.ts"
import { type RunnerOptions, runOnce } from "./ProjectionRunner.ts"

export type { Dropped }

/**
 * How a projection is built anew.
 *
 * @category models
 * @since 0.1.0
 */
export interface BuildOptions extends Omit<RunnerOptions, "owner"> {
  /** Most events a second; as fast as it goes when absent. */
  readonly throttle?: number | undefined
  /** Last position that is applied (inclusive); the head of the log when absent. */
  readonly until?: number | undefined
  /** Begins anew even when a build was left half-done; false when absent. */
  readonly fresh?: boolean | undefined
  /** Keeps what was built when it is interrupted, to go on there; false when absent. */
  readonly keepOnInterrupt?: boolean | undefined
}

/**
 * How a build takes the place of what is live.
 *
 * @category models
 * @since 0.1.0
 */
export interface SwapOptions {
  /** How long what was live before is kept; 24 hours when absent. */
  readonly keepOld?: Duration.Input | undefined
}

/**
 * A build that is complete.
 *
 * @category models
 * @since 0.1.0
 */
export interface Built {
  readonly build: BuildKey
  readonly checkpoint: Checkpoint
  /** Events that it saw but that wait to be applied. */
  readonly parked: number
}

/**
 * What a rebuild came to.
 *
 * @category models
 * @since 0.1.0
 */
export interface RebuildReport extends Built {
  /** The builds that were live, or current, before. */
  readonly replaced: ReadonlyArray<BuildKey>
  readonly elapsedMillis: number
}

/**
 * Represents a build that did not see exactly the events of the log. It is kept
 * as it is, and what is live is untouched.
 *
 * @category errors
 * @since 0.1.0
 */
export class BuildIncomplete
  extends Schema.TaggedError<BuildIncomplete>("effect-event-store/projection/ProjectionRebuild/BuildIncomplete")(
    "BuildIncomplete",
    {
      name: Schema.String,
      version: Schema.Int,
      build: Schema.Int,
      /** Events that it saw. */
      seen: Schema.Int,
      /** Events that the log has. */
      recorded: Schema.Int
    }
  )
{
  override get message(): string {
    const { build, name, recorded, seen, version } = this
    const why = seen === recorded ? "but others than the log has" : `but the log has ${recorded}`
    return `Build ${build} of projection ${name}, version ${version}, saw ${seen} events, ${why}: cancel it`
  }
}

/**
 * Everything that building can answer instead of a build.
 *
 * @category errors
 * @since 0.1.0
 */
export type BuildError = SwapError | BuildsExhausted | BuildIncomplete

/**
 * Builds a projection anew beside what is live, proves that it is complete, and
 * puts it in its place.
 *
 * **Details**
 *
 * {@link build}, then {@link swap}. The version may be one that never ran, or the one
 * that is live, whose runner goes on until the swap, and then with the new build.
 *
 * **Example**
 *
 * ```ts
 * const report = yield* ProjectionRebuild.blueGreen(revenue, {
 *   throttle: 20_000,
 *   onProgress: ({ position, head, etaMillis }) => Console.log(position, head, etaMillis)
 * })
 * ```
 *
 * @category rebuilding
 * @since 0.1.0
 */
export const blueGreen = (
  projection: Projection,
  options: Omit<BuildOptions, "until"> & SwapOptions = {}
): Effect.Effect<RebuildReport, BuildError, CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const startMillis = yield* Clock.currentTimeMillis
    const built = yield* build(projection, options)
    const bound = bind(projection, built.build)
    const replaced = yield* dropWhenInterrupted(
      built.build,
      options,
      swapIn(bound, keepMillisOf(options), runOnce(bound, runnerOptions(options)))
    )
    const elapsedMillis = (yield* Clock.currentTimeMillis) - startMillis
    return { ...built, checkpoint: yield* checkpointOf(built), replaced, elapsedMillis }
  })

/**
 * {@link blueGreen} of several projections, some at a time (2 when absent), so that
 * they do not take all connections of the pool. The first that fails ends the
 * others, whose builds are kept.
 *
 * @category rebuilding
 * @since 0.1.0
 */
export const blueGreenAll = (
  projections: ReadonlyArray<Projection>,
  options: Omit<BuildOptions, "until"> & SwapOptions & { readonly concurrency?: number | undefined } = {}
): Effect.Effect<ReadonlyArray<RebuildReport>, BuildError, CheckpointStore | EventStore> =>
  Effect.forEach(projections, (projection) => blueGreen(projection, { keepOnInterrupt: true, ...options }), {
    concurrency: options.concurrency ?? CONCURRENCY
  })

/**
 * Builds a projection anew beside what is live, up to where the log ends now,
 * and proves with count and digest that it saw each event once.
 *
 * **Details**
 *
 * Goes on with a build of the version that was left half-done, by a process that
 * died say, unless its definition is another one. When it is interrupted, what was
 * built is removed. Fails with `BuildMissing` when {@link cancel} removed it meanwhile.
 *
 * @category rebuilding
 * @since 0.1.0
 */
export const build = (
  projection: Projection,
  options: BuildOptions = {}
): Effect.Effect<Built, BuildError, CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    yield* requireRebuildable(projection, options)
    const store = yield* pace(options)
    const key = yield* findOrAdd(projection, options.fresh === true)
    const bound = bind(projection, key)
    const filled = runOnce(bound, runnerOptions(options)).pipe(
      Effect.provideService(EventStore, store),
      Effect.andThen(requireComplete(bound))
    )
    return yield* dropWhenInterrupted(key, options, filled)
  })

/**
 * Puts the newest build of the version that is complete but not live in the
 * place of what is live: the end of {@link build}. It is caught up before.
 *
 * **Details**
 *
 * In one commit the views show the new tables, readers of states see the new
 * states, and the runner of the old build loses its lease, to go on with the new one.
 * Readers never go back: the new build has seen at least as much. Fails with
 * `ProjectionInvalid` when something depends on views that would get other columns,
 * and with `BuildMissing` when there is no such build.
 *
 * @category rebuilding
 * @since 0.1.0
 */
export const swap = (
  projection: Projection,
  options: SwapOptions & Omit<RunnerOptions, "owner"> = {}
): Effect.Effect<RebuildReport, BuildError, CheckpointStore | EventStore> =>
  swapTo(projection, options, ({ status, version }) => status === "building" && version === projection.version)

/**
 * Puts back what was live before: the build of this version that was retired
 * last, or this version itself when another one is live. It is caught up before.
 *
 * **Details**
 *
 * Possible as long as it is kept. Its handlers are those of the definition that is
 * given, so deploy the old code too when it was the code that was wrong.
 *
 * @category rebuilding
 * @since 0.1.0
 */
export const rollback = (
  projection: Projection,
  options: SwapOptions & Omit<RunnerOptions, "owner"> = {}
): Effect.Effect<RebuildReport, BuildError, CheckpointStore | EventStore> =>
  swapTo(projection, options, ({ retiredAt, version }) => retiredAt !== undefined && version === projection.version)

/**
 * Removes the builds of a version that are under way or were left half-done, on
 * whatever process, and returns how many. What is live is untouched.
 *
 * @category rebuilding
 * @since 0.1.0
 */
export const cancel = (
  { name, version }: ProjectionVersion
): Effect.Effect<number, InvalidInput | StorageError, CheckpointStore> =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    let removed = 0
    for (const found of yield* checkpoints.listBuilds(name)) {
      if (found.version !== version || (found.status !== "building" && found.status !== "removing")) continue
      if ((yield* checkpoints.removeBuild(toBuildKey(found))) === "removed") removed++
    }
    return removed
  })

/**
 * Removes the builds whose time is over, with their tables and states; of one
 * name, or of all. One that is still run is kept, and so is one that something
 * depends on.
 *
 * @category rebuilding
 * @since 0.1.0
 */
export const dropRetired = (
  options: { readonly name?: string | undefined } = {}
): Effect.Effect<ReadonlyArray<Dropped>, InvalidInput | StorageError, CheckpointStore> =>
  CheckpointStore.use((checkpoints) => dropExpired(checkpoints, options.name))

// internal

/** Projections that are built at a time, unless somebody says otherwise. */
const CONCURRENCY = 2

const keepMillisOf = ({ keepOld = KEEP_OLD }: SwapOptions): number =>
  Duration.toMillis(Duration.fromInputUnsafe(keepOld))

const bind = (projection: Projection, key: BuildKey): Projection & BuildKey => ({
  ...withBuild(projection, key.build),
  ...toBuildKey(key)
})

/** What of the options is meant for the runner. */
const runnerOptions = (
  { batchBytes, batchEvents, commitTimeout, lease, onProgress, retry, statementTimeout }: RunnerOptions
): RunnerOptions => ({ batchBytes, batchEvents, commitTimeout, lease, onProgress, retry, statementTimeout })

const requireRebuildable = ({ name, target }: Projection, { throttle, until }: BuildOptions) => {
  const problems = [
    ...(target._tag === "State" || target._tag === "Table"
      ? []
      : ["its storage is its own: give it another version, with a storage beside, and promote that"]),
    ...(throttle === undefined || throttle > 0 ? [] : ["throttle: expected events a second, more than 0"]),
    ...(until === undefined || (Number.isInteger(until) && until >= 0) ? [] : ["until: expected a position"])
  ]
  return problems.length === 0 ? Effect.void : Effect.fail(new ProjectionInvalid({ name, problems }))
}

/** The log as the options let it be seen. */
const pace = ({ throttle, until }: BuildOptions) =>
  Effect.flatMap(EventStore, (log) => {
    const bounded = until === undefined ? log : endingAt(log, until)
    return throttle === undefined ? Effect.succeed(bounded) : throttled(bounded, throttle)
  })

/** A build of the version that nobody reads yet: one that was left, or a new one. */
const findOrAdd = Effect.fnUntraced(function*({ definition, name, version }: Projection, fresh: boolean) {
  const checkpoints = yield* CheckpointStore
  const found = (yield* checkpoints.listBuilds(name)).filter((build) => build.version === version)
  for (const left of found.filter(({ status }) => status === "building")) {
    const key = toBuildKey(left)
    const record = yield* checkpoints.find(key)
    const isOther = Option.isSome(record) && record.value.definition !== definition
    if (!fresh && !isOther) return key
    if ((yield* checkpoints.removeBuild(key, { onlyIdle: true })) === "leased") {
      const owner = Option.getOrUndefined(record)?.owner
      return yield* new LeaseHeld({ name, version, status: "running", owner })
    }
  }
  return toBuildKey(yield* checkpoints.addBuild({ name, version }))
})

const requireComplete = (bound: Bound<never>) =>
  Effect.gen(function*() {
    const { build, name, version } = bound
    const found = yield* verify(bound)
    if (Option.isNone(found)) return yield* new BuildMissing({ name, version, build })
    const { checkpoint, isComplete, log, parked } = found.value
    if (isComplete) return { build: toBuildKey(bound), checkpoint, parked } satisfies Built
    return yield* new BuildIncomplete({ name, version, build, seen: checkpoint.count, recorded: log.count })
  })

const dropWhenInterrupted = <A, E, R>(
  key: BuildKey,
  { keepOnInterrupt = false }: BuildOptions,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | CheckpointStore> =>
  Effect.onExit(self, (exit) =>
    !keepOnInterrupt && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
      ? Effect.ignore(CheckpointStore.use((checkpoints) => checkpoints.removeBuild(key)))
      : Effect.void)

const checkpointOf = ({ build, checkpoint }: Built) =>
  Effect.map(
    CheckpointStore.use((checkpoints) => checkpoints.find(build)),
    (found) => Option.match(found, { onNone: () => checkpoint, onSome: (record) => record.checkpoint })
  )

const isBuiltAs = ({ definition }: Projection, build: BuildKey) =>
  Effect.map(
    CheckpointStore.use((checkpoints) => checkpoints.find(toBuildKey(build))),
    Option.exists((record) => record.definition === definition)
  )

/** Swaps to the newest of the builds that are wanted. */
const swapTo = Effect.fnUntraced(function*(
  projection: Projection,
  options: SwapOptions & Omit<RunnerOptions, "owner">,
  isWanted: (build: { readonly status: string; readonly retiredAt: unknown; readonly version: number }) => boolean
): Effect.fn.Return<RebuildReport, BuildError, CheckpointStore | EventStore> {
  const startMillis = yield* Clock.currentTimeMillis
  const { name, version } = projection
  yield* requireRebuildable(projection, {})
  const builds = yield* CheckpointStore.use((checkpoints) => checkpoints.listBuilds(name))
  const at = (time: { readonly epochMilliseconds: number } | undefined) => time?.epochMilliseconds ?? 0
  const wanted = builds.filter((build) => isWanted(build) && build.status !== "removing").toSorted((a, b) =>
    at(b.retiredAt) - at(a.retiredAt) || at(b.createdAt) - at(a.createdAt) || b.build - a.build
  )
  // one of a replay, or of what the definition was before, can never be it
  const newest = (yield* Effect.filter(wanted, (build) => isBuiltAs(projection, build)))[0] ?? wanted[0]
  if (newest === undefined) {
    return yield* new BuildMissing({ name, version, build: undefined })
  }
  const bound = bind(projection, newest)
  const catchUp = runOnce(bound, runnerOptions(options))
  yield* catchUp
  const built = yield* requireComplete(bound)
  const replaced = yield* swapIn(bound, keepMillisOf(options), catchUp)
  const elapsedMillis = (yield* Clock.currentTimeMillis) - startMillis
  return { ...built, checkpoint: yield* checkpointOf(built), replaced, elapsedMillis }
})
