/**
 * Replays a part of the log: to a handler, a projection, another store, or as a
 * stream; as fast as it goes, at a rate, or in the time in which it was recorded.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { RecordedEvent } from "../event/Event.ts"
import { type EventFilter, matchesFilter } from "../event/EventQuery.ts"
import type { Position } from "../event/Revision.ts"
import {
  type BuildKey,
  type BuildMissing,
  type BuildsExhausted,
  type Checkpoint,
  CheckpointStore,
  type HistoryChanged,
  type LeaseLost,
  ProjectionChanged,
  type ProjectionVersion
} from "../store/CheckpointStore.ts"
import { EventStore } from "../store/EventStore.ts"
import type { AppendError, ReadError } from "../store/EventStoreError.ts"
import type { RegistryInvalid } from "../version/VersionError.ts"
import { endingAt, inRecordedTime, throttled } from "./internal/paced.ts"
import { makeDecoder } from "./internal/prepare.ts"
import { reactWith } from "./internal/reactAgain.ts"
import { isMark, isMarkName, type MarkError, withMark } from "./internal/replayMark.ts"
import { toBuildKey } from "./internal/swap.ts"
import { type Projection, withBuild } from "./Projection.ts"
import { type EventFailed, type LeaseHeld, ReactorReplay, type RunError } from "./ProjectionError.ts"
import { runOnce } from "./ProjectionRunner.ts"
import type { Follower, Reactor } from "./Reactor.ts"
import type { RunnerOptions } from "./RunnerOptions.ts"

/**
 * Which events are replayed.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayRange {
  /** First position (inclusive); the start of the log when absent. */
  readonly from?: number | undefined
  /** Last position (inclusive); where the log ends when the replay begins when absent. */
  readonly to?: number | undefined
  /** Which events between, by type, stream, category, tag or time; all when absent. */
  readonly filter?: EventFilter | undefined
}

/**
 * How fast events are replayed.
 *
 * **Details**
 *
 * `factor` is of the time in which they were recorded: 1 is as it was, 60 shows an
 * hour in a minute. An event that is late, because what came before it took
 * longer, follows at once.
 *
 * @category models
 * @since 0.1.0
 */
export type ReplaySpeed = "max" | { readonly factor: number } | { readonly eventsPerSecond: number }

/**
 * How events are replayed.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayOptions extends ReplayRange {
  /** `max` when absent. */
  readonly speed?: ReplaySpeed | undefined
  /** Most events that are read at a time, 1 to 10,000; 500 when absent. */
  readonly batchEvents?: number | undefined
}

/**
 * Options of a replay that notes how far it has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface MarkedOptions extends ReplayOptions {
  /**
   * Name under which it is kept how far the replay has come, 1 to 500 bytes: the
   * same replay under this name goes on there. Apart from the names of projections.
   * Not kept when absent.
   */
  readonly checkpoint?: string | undefined
  /** Told after every batch. */
  readonly onProgress?: ((progress: ReplayProgress) => Effect.Effect<void>) | undefined
}

/**
 * How far a replay has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayProgress {
  readonly position: Position
  /** Where it ends. */
  readonly end: Position
  /** Events that it has replayed, since it began this time. */
  readonly events: number
}

/**
 * What a replay came to.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayReport {
  /** Events that were replayed, this time. */
  readonly events: number
  /** Position after which it began. */
  readonly after: Position
  /** Position up to which everything was replayed. */
  readonly position: Position
}

/**
 * What a replay would do.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayPlan {
  readonly events: number
  readonly streams: number
  /** Events of each type, most frequent first. */
  readonly types: Readonly<Record<string, number>>
  /** `undefined` when there is no event. */
  readonly first: ReplayPlace | undefined
  readonly last: ReplayPlace | undefined
}

/**
 * Where and when an event was recorded.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayPlace {
  readonly position: Position
  readonly recordedAt: DateTime.Utc
}

/**
 * Represents a replay that cannot be done as it was asked for. Nothing was
 * replayed.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReplayInvalid
  extends Schema.TaggedError<ReplayInvalid>("effect-event-store/projection/EventReplay/ReplayInvalid")(
    "ReplayInvalid",
    { problems: Schema.Array(Schema.String) }
  )
{
  override get message(): string {
    return `The replay is not possible: ${this.problems.join("; ")}`
  }
}

/**
 * Everything that a replay can answer, besides what its target does.
 *
 * @category errors
 * @since 0.1.0
 */
export type ReplayError =
  | ReplayInvalid
  | ReadError
  | HistoryChanged
  | BuildMissing
  | LeaseHeld
  | LeaseLost

/**
 * Whether what the store keeps under a name is how far a replay has come, and no
 * projection.
 *
 * @category guards
 * @since 0.1.0
 */
export const isCheckpoint = ({ name }: Pick<ProjectionVersion, "name">): boolean => isMark(name)

/**
 * Replays events as a stream, each one when it is due.
 *
 * @category replaying
 * @since 0.1.0
 */
export const stream = (
  options: ReplayOptions = {}
): Stream.Stream<RecordedEvent, ReplayInvalid | ReadError, EventStore> =>
  Stream.unwrap(
    Effect.map(open(options), ({ after, read, until }) =>
      Stream.paginate(after, (position) =>
        position >= until ? Effect.succeed([[], Option.none()]) : Effect.map(
          read(position),
          (page) => [page.events, page.isEnd ? Option.none() : Option.some(page.position)]
        )))
  )

/**
 * Says what a replay would do, without doing it; of a replay to a projection or a
 * reactor, when it is given, what that one would be shown.
 *
 * @category replaying
 * @since 0.1.0
 */
export const plan = (
  options: ReplayRange = {},
  target?: Pick<Follower<unknown>, "filter">
): Effect.Effect<ReplayPlan, ReplayInvalid | ReadError, EventStore> =>
  Effect.gen(function*() {
    const types = new Map<string, number>()
    const streams = new Set<string>()
    let events = 0
    let first: ReplayPlace | undefined
    let last: ReplayPlace | undefined
    yield* Stream.runForEachArray(stream({ ...options, speed: "max" }), (page) =>
      Effect.sync(() => {
        const shown = target === undefined ? page : page.filter((event) => matchesFilter(target.filter, event))
        for (const { position, recordedAt, streamId, type } of shown) {
          types.set(type, (types.get(type) ?? 0) + 1)
          streams.add(streamId)
          first ??= { position, recordedAt }
          last = { position, recordedAt }
        }
        events += shown.length
      }))
    const byFrequency = [...types].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    return { events, streams: streams.size, types: Object.fromEntries(byFrequency), first, last }
  })

/**
 * Replays events to a handler, one after the other.
 *
 * **Details**
 *
 * With `checkpoint` a replay that was stopped goes on where it was, and the
 * events of its last second may come again: at least once. One process at a time has
 * it. A failure of the handler ends the replay before that event.
 *
 * @category replaying
 * @since 0.1.0
 */
export const toHandler = <E, R>(
  handle: (event: RecordedEvent) => Effect.Effect<void, E, R>,
  options: MarkedOptions = {}
): Effect.Effect<ReplayReport, E | ReplayError, R | CheckpointStore | EventStore> =>
  drive(options, "a handler", each(handle))

/**
 * Replays events into another store, with their ids.
 *
 * **Details**
 *
 * An event that the target has already is not recorded again, so a replay may be
 * repeated. Streams are the same with `streamPrefix` before their names; revisions and
 * positions are those of the target. When an event was recorded first stays in
 * `metadata.recordedAt`. To move a whole store, copy it (`StoreCopy`).
 *
 * @category replaying
 * @since 0.1.0
 */
export const toStore = (
  target: EventStore["Service"],
  options: MarkedOptions & { readonly streamPrefix?: string | undefined } = {}
): Effect.Effect<ReplayReport, ReplayError | AppendError, CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const source = yield* EventStore.use((store) => store.head)
    const { incarnation } = yield* target.head
    if (incarnation === source.incarnation) {
      return yield* new ReplayInvalid({ problems: ["the target is the same store: an id stands in a log once"] })
    }
    const { streamPrefix = "" } = options
    return yield* drive(options, `store ${incarnation} under ${JSON.stringify(streamPrefix)}`, (events, done) =>
      Effect.forEach(
        toRuns(events),
        (run) =>
          Effect.andThen(appendRun(target, streamPrefix, run), done(run)),
        { discard: true }
      ))
  })

/**
 * Options of a replay to a projection.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToProjectionOptions
  extends ReplayOptions, Pick<MarkedOptions, "checkpoint">, Pick<RunnerOptions, "onProgress">
{}

/**
 * A projection that was made of a part of the log.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayedProjection {
  /** The build that nobody else sees: read it with `Projection.withBuild`. */
  readonly build: BuildKey
  readonly checkpoint: Checkpoint
}

/**
 * Replays events to a projection, from scratch and beside what is live: what it
 * would be if the log had nothing but these.
 *
 * **Details**
 *
 * It is a build of its own, which can be read and compared (`ProjectionDiff`) and can
 * never become live; `ProjectionRebuild.cancel` removes it. When the replay fails or is
 * interrupted, nothing is left of it, unless it has a `checkpoint`: the same replay
 * under that name goes on with its build then, where that one was committed last, so
 * no event is applied twice. One process at a time has it.
 *
 * @category replaying
 * @since 0.1.0
 */
export const toProjection = <R = never>(
  projection: Projection<R>,
  options: ToProjectionOptions = {}
): Effect.Effect<
  ReplayedProjection,
  ReplayInvalid | RunError | LeaseHeld | LeaseLost | BuildsExhausted,
  R | CheckpointStore | EventStore
> =>
  Effect.gen(function*() {
    yield* requireValid(options)
    const { checkpoint, ...unmarked } = options
    const definition = `${describe(options)} to ${projection.definition}`
    if (checkpoint === undefined) {
      const key = yield* addBuild(projection)
      const removal = CheckpointStore.use((checkpoints) => Effect.ignore(checkpoints.removeBuild(key)))
      return yield* Effect.onExit(
        buildOf(projection, key, definition, unmarked),
        (exit) => Exit.isSuccess(exit) ? Effect.void : removal
      )
    }
    const { name, version } = projection
    const kept = `${definition}, kept as ${JSON.stringify(checkpoint)}`
    // the build says how far it is; the mark says whose it is
    const replayed = withMark(checkpoint, `${definition} of projection ${name}, version ${version}`, () =>
      Effect.gen(function*() {
        const key = (yield* findBuild(projection, kept)) ?? (yield* addBuild(projection))
        return yield* buildOf(projection, key, kept, unmarked)
      }))
    return yield* Effect.catchIf(replayed, isOtherReplay, refuseOther(checkpoint))
  })

/**
 * Makes a reactor react again, which has to be forced.
 *
 * **Details**
 *
 * Its dedupe keys are the same as ever, so a receiver that remembers them ignores what
 * it knows. The reactor's own checkpoint does not move. A reaction that fails
 * ends the replay before its event.
 *
 * @category replaying
 * @since 0.1.0
 */
export const toReactor = <R>(
  reactor: Reactor<R>,
  options: MarkedOptions & { readonly force: boolean }
): Effect.Effect<
  ReplayReport,
  ReplayError | ReactorReplay | RegistryInvalid | EventFailed,
  R | CheckpointStore | EventStore
> =>
  Effect.gen(function*() {
    if (options.force !== true) return yield* new ReactorReplay({ name: reactor.name })
    const history = yield* EventStore.use((store) => store.head)
    const decode = yield* makeDecoder(reactor.events)
    const react = reactWith(reactor, decode, history)
    return yield* drive(options, `reactor ${reactor.name}`, each(react))
  })

// internal

/** Events that are read at a time, unless somebody says otherwise. */
const BATCH_EVENTS = 500

/** Events of one append. */
const RUN_EVENTS_MAX = 500

const isWhole = (value: number, minimum: number) => Number.isSafeInteger(value) && value >= minimum

const problemsOf = (
  { batchEvents, checkpoint, from, speed = "max", to }: ReplayOptions & Pick<MarkedOptions, "checkpoint">
): ReadonlyArray<string> => [
  ...(checkpoint === undefined || isMarkName(checkpoint) ? [] : ["checkpoint: expected a name of 1 to 500 bytes"]),
  ...(from === undefined || isWhole(from, 1) ? [] : ["from: expected a position from 1"]),
  ...(to === undefined || isWhole(to, 0) ? [] : ["to: expected a position"]),
  ...(batchEvents === undefined || (isWhole(batchEvents, 1) && batchEvents <= 10_000)
    ? []
    : ["batchEvents: expected a whole number from 1 to 10,000"]),
  ...(speed === "max" || isPositive("factor" in speed ? speed.factor : speed.eventsPerSecond)
    ? []
    : ["speed: expected a number greater than 0"])
]

const isPositive = (value: number) => value > 0 && Number.isFinite(value)

const requireValid = (options: ReplayOptions & Pick<MarkedOptions, "checkpoint">) =>
  Effect.suspend(() => {
    const problems = problemsOf(options)
    return problems.length === 0 ? Effect.void : Effect.fail(new ReplayInvalid({ problems }))
  })

const paceOf = (store: EventStore["Service"], speed: ReplaySpeed = "max"): Effect.Effect<EventStore["Service"]> =>
  speed === "max"
    ? Effect.succeed(store)
    : "factor" in speed
    ? Effect.succeed(inRecordedTime(store, speed.factor))
    : throttled(store, speed.eventsPerSecond)

/** What is replayed, in words: the checkpoint of another replay is refused. */
const describe = ({ filter = {}, from = 1, to }: ReplayRange): string =>
  `replay from ${from} to ${to ?? "the end"} of ${JSON.stringify(filter)}`

/** Handles events one after the other. */
const each = <E, R>(handle: (event: RecordedEvent) => Effect.Effect<void, E, R>): Apply<E, R> => (events, done) =>
  Effect.forEach(events, (event) => Effect.andThen(handle(event), done([event])), { discard: true })

/** The part of the log that is replayed: where it begins and ends, and its pages. */
const open = (options: ReplayOptions) =>
  Effect.gen(function*() {
    yield* requireValid(options)
    const log = yield* EventStore
    const { batchEvents: limit = BATCH_EVENTS, filter, from = 1, speed, to } = options
    const { position: head } = yield* log.head
    const until = to === undefined ? head : Math.min(to, head) as Position
    const paced = yield* paceOf(log, speed)
    return {
      after: (from - 1) as Position,
      until,
      read: (after: number) => paced.readPage({ after, until, filter, limit })
    }
  })

/** Applies events, and runs `done` with those that were applied. */
type Apply<E, R> = (
  events: ReadonlyArray<RecordedEvent>,
  done: (applied: ReadonlyArray<RecordedEvent>) => Effect.Effect<void, MarkError>
) => Effect.Effect<void, E | MarkError, R>

/** Replays page after page. */
const drive = <E, R>(
  options: MarkedOptions,
  target: string,
  apply: Apply<E, R>
): Effect.Effect<ReplayReport, E | ReplayError, R | CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const { after: start, read, until } = yield* open(options)
    const { checkpoint, onProgress = () => Effect.void } = options
    const replayed = withMark(checkpoint, `${describe(options)} to ${target}`, (mark) =>
      Effect.gen(function*() {
        const after = Math.max(start, mark.position) as Position
        let position = after
        let events = 0
        const done = (applied: ReadonlyArray<RecordedEvent>) => {
          events += applied.length
          return mark.note(applied)
        }
        while (position < until) {
          const page = yield* read(position)
          yield* apply(page.events, done)
          yield* mark.reach(page.position)
          position = page.position
          yield* onProgress({ position, end: until, events })
          if (page.isEnd) break
        }
        return { events, after, position }
      }))
    return yield* Effect.catchIf(replayed, isOtherReplay, refuseOther(checkpoint))
  })

/** What is kept under the name of a checkpoint is that of another replay. */
const refuseOther = (checkpoint = "") => ({ given, stored }: ProjectionChanged) =>
  Effect.fail(
    new ReplayInvalid({
      problems: [`checkpoint ${checkpoint} is of the ${stored}, this is the ${given}: take another name`]
    })
  )

const isOtherReplay = (error: unknown): error is ProjectionChanged => error instanceof ProjectionChanged

const addBuild = ({ name, version }: ProjectionVersion) =>
  CheckpointStore.use((checkpoints) => Effect.map(checkpoints.addBuild({ name, version }), toBuildKey))

/** The build of a version that has a definition and was not removed. */
const findBuild = ({ name, version }: ProjectionVersion, definition: string) =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    for (const build of yield* checkpoints.listBuilds(name)) {
      if (build.version !== version || build.status !== "building") continue
      const [record] = yield* checkpoints.findSlices(toBuildKey(build))
      if (record?.definition === definition) return toBuildKey(build)
    }
    return undefined
  })

/** Runs a build over what is replayed. */
const buildOf = <R>(
  projection: Projection<R>,
  key: BuildKey,
  definition: string,
  options: Omit<ToProjectionOptions, "checkpoint">
) =>
  Effect.gen(function*() {
    const { batchEvents, onProgress, speed } = options
    const bound = { ...withBuild(projection, key.build), definition }
    const store = yield* paceOf(narrowed(yield* EventStore, options), speed)
    const checkpoint = yield* Effect.provideService(runOnce(bound, { batchEvents, onProgress }), EventStore, store)
    return { build: key, checkpoint } satisfies ReplayedProjection
  })

/** The log as if it had nothing but what is replayed. */
const narrowed = (log: EventStore["Service"], { filter, from = 1, to }: ReplayRange): EventStore["Service"] => ({
  ...(to === undefined ? log : endingAt(log, to)),
  readPage: (options) =>
    Effect.map(
      log.readPage({
        ...options,
        after: Math.max(options.after, from - 1),
        until: to === undefined ? options.until : Math.min(to, options.until ?? to)
      }),
      (page) =>
        filter === undefined ? page : { ...page, events: page.events.filter((event) => matchesFilter(filter, event)) }
    )
})

/** Events that follow each other in one stream. */
const toRuns = (events: ReadonlyArray<RecordedEvent>): ReadonlyArray<ReadonlyArray<RecordedEvent>> => {
  const runs: Array<Array<RecordedEvent>> = []
  for (const event of events) {
    const run = runs.at(-1)
    if (run?.[0]?.streamId === event.streamId && run.length < RUN_EVENTS_MAX) run.push(event)
    else runs.push([event])
  }
  return runs
}

const appendRun = (
  target: EventStore["Service"],
  streamPrefix: string,
  run: ReadonlyArray<RecordedEvent>
): Effect.Effect<void, AppendError> => {
  const append = (events: ReadonlyArray<RecordedEvent>) =>
    Effect.asVoid(target.append({
      streamId: streamPrefix + (events[0]?.streamId ?? ""),
      expected: "any",
      events: events.map(({ data, id, metadata, recordedAt, tags, type, version }) => ({
        id,
        type,
        version,
        data,
        tags,
        metadata: { recordedAt: DateTime.formatIso(recordedAt), ...metadata }
      }))
    }))
  // the target may have some of them, of a replay that was cut in other pieces
  const oneByOne = Effect.forEach(run, (event) => append([event]), { discard: true })
  return run.length === 1
    ? append(run)
    : Effect.catchTags(append(run), {
      IdempotencyConflict: () => oneByOne,
      InvalidInput: () => oneByOne
    })
}
