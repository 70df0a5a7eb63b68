/**
 * Runs projections and reactors: catches up with the log, then follows it.
 *
 * **Details**
 *
 * One runner at a time has a slice of a projection, over all processes: the
 * others stand by, and one of them takes over when its lease runs out. A batch of
 * events and the checkpoint after it are one commit, so a runner that dies
 * anywhere neither skips an event nor applies one twice; one that stood still for
 * too long cannot commit any more.
 *
 * What one call runs shares what it reads: followers that are at about the same
 * place of the log read it once, and decode each event once. None waits for
 * another: one that is slower or begins later reads alone until it meets the
 * others.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type { Checkpoint, CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import { runCrew } from "./internal/crew.ts"
import { type Feed, makeFeed } from "./internal/feed.ts"
import { backOffMillis, LEASES, makeRunner, mayPass, type Runner, STAND_BY } from "./internal/runner.ts"
import { takeTurn } from "./internal/turn.ts"
import { joinCheckpoints } from "./internal/verification.ts"
import type { EventTypes } from "./Projection.ts"
import { LeaseHeld, ProjectionInvalid, type RunError } from "./ProjectionError.ts"
import type { Follower } from "./Reactor.ts"
import type { ProjectionProgress, RunnerOptions } from "./RunnerOptions.ts"

export type { ProjectionProgress, RunnerOptions }

/**
 * Runs a projection or a reactor for ever: as the one that has it, or standing
 * by; of one that is divided, as many slices as are this process's share.
 *
 * **Details**
 *
 * Waits for a storage that is away or takes no writes, stands by while the projection is paused,
 * and goes on when a lost lease comes back. Begins with a new attempt when the
 * projection was halted. Interrupt it to stop: the batch on its way is undone,
 * and the lease is given back.
 *
 * @category running
 * @since 0.1.0
 */
export const run = <R = never>(
  projection: Follower<R>,
  options: RunnerOptions = {}
): Effect.Effect<never, RunError, R | EventStore | CheckpointStore> =>
  Effect.scoped(Effect.gen(function*() {
    const runner = yield* makeRunner(projection, options)
    const feed = yield* makeFeed(runner.store, runner.batchBytes)
    yield* runCrew({ runners: [runner], feed, onEnd: (_, cause) => Effect.failCause(cause) })
    return yield* Effect.never
  }))

/**
 * Runs a projection or a reactor up to where the log ends now, and returns its
 * checkpoint; of one that is divided, the lowest position of its slices, and all
 * that they saw.
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
export const runOnce = <R = never>(
  projection: Follower<R>,
  options: RunnerOptions = {}
): Effect.Effect<Checkpoint, RunError | LeaseHeld, R | EventStore | CheckpointStore> =>
  Effect.scoped(Effect.gen(function*() {
    const runner = yield* makeRunner(projection, options)
    return yield* catchUp(runner, yield* makeFeed(runner.store, runner.batchBytes))
  }))

/**
 * Runs several projections and reactors for ever: one that ends with an error is
 * logged, and the others go on; one that was halted does so, too, when it is resumed.
 * Ends when all have ended. Started in several processes, they share the
 * work: each one runs about as many slices as the others.
 *
 * @category running
 * @since 0.1.0
 */
export const runAll = <R = never>(
  projections: ReadonlyArray<Follower<R>>,
  options: RunnerOptions = {}
): Effect.Effect<void, never, R | EventStore | CheckpointStore> =>
  Effect.scoped(Effect.gen(function*() {
    const { failed, runners } = yield* makeRunners(projections, options)
    yield* Effect.forEach(failed, ({ error, projection }) => logEnd(projection, Cause.fail(error)), { discard: true })
    const [first] = runners
    if (first === undefined) return
    const feed = yield* makeFeed(first.store, first.batchBytes)
    const crew = runCrew({ runners, feed, onEnd: ({ projection }, cause) => logEnd(projection, cause) })
    yield* Effect.catch(crew, (error) => Effect.logError("The projections of this process ended", error))
  }))

/**
 * Runs several projections and reactors up to where the log ends now, beside each
 * other, and returns what came of each, in their order.
 *
 * **Details**
 *
 * One that fails does not end the others. Fails itself never.
 *
 * @category running
 * @since 0.1.0
 */
export const runAllOnce = <R = never>(
  projections: ReadonlyArray<Follower<R>>,
  options: RunnerOptions = {}
): Effect.Effect<
  ReadonlyArray<Result.Result<Checkpoint, RunError | LeaseHeld>>,
  never,
  R | EventStore | CheckpointStore
> =>
  Effect.scoped(Effect.gen(function*() {
    const { failed, runners } = yield* makeRunners(projections, options)
    const [first] = runners
    const feed = first === undefined ? undefined : yield* makeFeed(first.store, first.batchBytes)
    return yield* Effect.forEach(projections, (projection) => {
      const runner = runners.find((made) => made.projection === projection)
      const failure = failed.find((made) => made.projection === projection)
      return runner === undefined || feed === undefined
        ? Effect.succeed(Result.fail(failure?.error as RunError))
        : Effect.result(catchUp(runner, feed))
    }, { concurrency: "unbounded" })
  }))

/**
 * Layer that runs projections and reactors in the background for as long as it
 * is in use, as {@link runAll} does.
 *
 * **Example**
 *
 * ```ts
 * ProjectionRunner.layer([balances, revenue]).pipe(Layer.provideMerge(stores))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  projections: ReadonlyArray<Follower<R>>,
  options: RunnerOptions = {}
): Layer.Layer<never, never, R | EventStore | CheckpointStore> =>
  Layer.effectDiscard(Effect.forkScoped(runAll(projections, options)))

// internal

/** How often `runOnce` asks a storage that is away. */
const ONCE_FAILURES_MAX = 10

const logEnd = ({ name, version }: Follower<unknown>, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.logError(`Projection ${name}, version ${version}, ended`, cause)

/** The same runners, but those that read the same types have one decoder, and so decode each event once. */
const shareDecoders = <R>(runners: ReadonlyArray<Runner<R>>): ReadonlyArray<Runner<R>> =>
  runners.map((runner) => {
    const first = runners.find(({ projection }) => haveSameTypes(projection.events, runner.projection.events))
    return { ...runner, decode: first?.decode ?? runner.decode }
  })

const haveSameTypes = (one: EventTypes, other: EventTypes): boolean =>
  one === "all" || other === "all"
    ? one === other
    : one.length === other.length && one.every((type) => other.includes(type))

const isSameBuild = (one: Follower<unknown>, other: Follower<unknown>): boolean =>
  one.name === other.name && one.version === other.version && one.build === other.build

/** Two of one name would take the lease from each other, and only one of them would see an event. */
const namedTwice = ({ name, version }: Follower<unknown>): ProjectionInvalid =>
  new ProjectionInvalid({ name, problems: [`another one of the same run has the name and version ${version}, too`] })

/** Checks all, as one owner; those that cannot be run, and why. */
const makeRunners = Effect.fnUntraced(function*<R>(projections: ReadonlyArray<Follower<R>>, options: RunnerOptions) {
  const owner = options.owner ?? uuidV7Unsafe()
  const runners: Array<Runner<R>> = []
  const failed: Array<{ readonly projection: Follower<R>; readonly error: RunError }> = []
  for (const projection of new Set(projections)) {
    if (runners.some((runner) => isSameBuild(runner.projection, projection))) {
      failed.push({ projection, error: namedTwice(projection) })
      continue
    }
    const made = yield* Effect.result(makeRunner(projection, { ...options, owner }))
    if (Result.isSuccess(made)) runners.push(made.success)
    else failed.push({ projection, error: made.failure })
  }
  return { runners: shareDecoders(runners), failed }
})

/** Runs all slices up to where the log ends now. */
const catchUp = <R>(runner: Runner<R>, feed: Feed): Effect.Effect<Checkpoint, RunError | LeaseHeld, R> =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: runner.slices }, (_, slice) => slice),
      (slice) => catchUpSlice(runner, feed, slice),
      { concurrency: "unbounded" }
    ),
    ([first, ...others]) =>
      // there is one slice at least
      joinCheckpoints([first as Checkpoint, ...others], first as Checkpoint)
  )

const catchUpSlice = <R>(
  runner: Runner<R>,
  feed: Feed,
  slice: number
): Effect.Effect<Checkpoint, RunError | LeaseHeld, R> =>
  Effect.gen(function*() {
    const { name, version } = runner.projection
    let failures = 0
    let deadline: number | undefined
    while (true) {
      const turn = yield* takeTurn(runner, feed, { slice, statuses: ["running", "halted"], until: "now" }).pipe(
        Effect.catchTag("StorageError", (error) =>
          mayPass(error) && failures < ONCE_FAILURES_MAX ? Effect.succeed("Away" as const) : Effect.fail(error)),
        Effect.catchTag("LeaseLost", (lost) =>
          Effect.as(Effect.logDebug(lost.message), "Away" as const))
      )
      if (turn === "Away") {
        yield* Effect.sleep(Duration.millis(backOffMillis(++failures)))
        continue
      }
      failures = 0
      if (turn._tag === "Done") {
        return turn.checkpoint
      }
      const now = yield* Clock.currentTimeMillis
      deadline ??= now + LEASES * runner.leaseMillis
      if (turn._tag !== "TooEarly") {
        const held = turn._tag === "Led" ? undefined : turn.record
        const status = held?.status ?? "paused"
        if (status === "paused" || now >= deadline) {
          return yield* new LeaseHeld({ name, version, status, owner: held?.owner })
        }
      }
      yield* Effect.sleep(STAND_BY)
    }
  })
