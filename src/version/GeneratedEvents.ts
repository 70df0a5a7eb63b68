/**
 * Old events that nobody had to keep: made from every schema of a type's
 * history, and sent through the steps, the newest schema and the user's own code.
 *
 * @since 0.1.0
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { EventId, RecordedEvent } from "../event/Event.ts"
import type * as EventType from "../event/EventType.ts"
import { Position, Revision } from "../event/Revision.ts"
import { StreamId } from "../event/StreamId.ts"
import { canonicalJson } from "./internal/shapes.ts"
import type { Registry } from "./Registry.ts"

/**
 * Represents a generated event that something did not take.
 *
 * **Details**
 *
 * The history is as small as it could be made; its last event is the one that
 * failed. It holds no personal data: it was generated.
 *
 * @category errors
 * @since 0.1.0
 */
export class GeneratedEventFailed
  extends Schema.TaggedError<GeneratedEventFailed>("effect-event-store/version/GeneratedEvents/GeneratedEventFailed")(
    "GeneratedEventFailed",
    {
      type: Schema.String,
      /** Version in which the event would be stored. */
      version: Schema.Int,
      /** What did not take it. `undo`: a step that says it is reversible did not bring the data back. */
      stage: Schema.Literals(["decode", "undo", "evolve", "state", "project"]),
      reason: Schema.String,
      history: Schema.Array(Schema.Struct({ type: Schema.String, version: Schema.Int, data: Schema.Json }))
    }
  )
{
  override get message(): string {
    return `A generated ${this.type}, version ${this.version}, failed at ${this.stage}: ${this.reason}\n${
      JSON.stringify(this.history)
    }`
  }
}

/**
 * Represents a schema from which no data could be generated. Give it an
 * `arbitrary` annotation.
 *
 * @category errors
 * @since 0.1.0
 */
export class GenerationFailed
  extends Schema.TaggedError<GenerationFailed>("effect-event-store/version/GeneratedEvents/GenerationFailed")(
    "GenerationFailed",
    { type: Schema.String, version: Schema.Int, reason: Schema.String }
  )
{
  override get message(): string {
    return `No data for ${this.type}, version ${this.version}, could be generated: ${this.reason}`
  }
}

/**
 * How events are generated.
 *
 * @category models
 * @since 0.1.0
 */
export interface GenerateOptions {
  /** Events of each version, 50 when absent. */
  readonly count?: number | undefined
  /** The same seed gives the same events; another one each time when absent. */
  readonly seed?: string | number | undefined
}

/**
 * What generated events go through, besides the steps and the newest schema.
 *
 * @category models
 * @since 0.1.0
 */
export interface CheckOptions<E extends EventType.TypedEvent, State, Failure, R> extends GenerateOptions {
  /** A fold, which must take every event in every order without throwing. */
  readonly fold?: {
    readonly initial: State
    readonly evolve: (state: State, event: E) => State
    /** Schema that every state must fit. */
    readonly state?: Schema.ConstraintCodec<State, unknown> | undefined
  } | undefined
  /** A projection, which must not fail. */
  readonly project?: ((event: EventType.Recorded<E>) => Effect.Effect<unknown, Failure, R>) | undefined
}

/**
 * What was checked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  /** Generated events that were decoded. */
  readonly events: number
  readonly versions: ReadonlyArray<{ readonly type: string; readonly version: number }>
  /** Versions without a schema: nothing is known of them, so nothing was generated. */
  readonly unknown: ReadonlyArray<{ readonly type: string; readonly version: number }>
}

/**
 * Generates events of every version that has a schema, as a store would hold them.
 *
 * @category generating
 * @since 0.1.0
 */
export const generate = (
  types: ReadonlyArray<EventType.Any>,
  { count = COUNT, seed }: GenerateOptions = {}
): Effect.Effect<ReadonlyArray<RecordedEvent>, GenerationFailed> =>
  Effect.gen(function*() {
    const stored: Array<StoredEvent> = []
    for (const shape of shapesOf(types)) {
      const events = yield* arbitraryOf(shape, shape.schema, (data) => toStored(shape, data))
      stored.push(
        ...yield* Effect.mapError(Arbitrary.sampleEffect(events, { count, seed }), () =>
          generationFailed(shape, EXHAUSTED))
      )
    }
    return stored.map(toRecorded)
  })

/**
 * Generates events of every version that has a schema, and checks that each
 * decodes, that steps which say so are reversible, and that the user's own
 * code takes them.
 *
 * @category checking
 * @since 0.1.0
 */
export const check = <E extends EventType.TypedEvent, State = never, Failure = never, R = never>(
  registry: Registry<E>,
  options: CheckOptions<E, State, Failure, R> = {}
): Effect.Effect<Report, GeneratedEventFailed | GenerationFailed, R> =>
  Effect.gen(function*() {
    const { count = COUNT, seed } = options
    const shapes = shapesOf(registry.types)
    const judge = makeJudge(registry, options)
    const passed = { events: 0 }
    for (const shape of shapes) {
      const events = yield* arbitraryOf(shape, shape.schema, (data) => Result.map(toStored(shape, data), Arr.of))
      yield* run(shape, events, judge, passed, { runs: count, seed })
    }
    const [first] = shapes
    if (first !== undefined && options.fold !== undefined) {
      const anyEvents = Schema.Array(Schema.Union(shapes.map(eventSchema)))
      const histories = yield* arbitraryOf(first, anyEvents, (events) =>
        Result.all(events.map(({ data, type, version }) => {
          const shape = shapes.find((shape) =>
            shape.type.name === type && shape.version === version
          )
          return shape === undefined ? Result.fail("no such shape") : toStored(shape, data)
        })))
      yield* run(first, histories, judge, passed, { runs: count, seed })
    }
    return {
      events: passed.events,
      versions: shapes.map(({ type, version }) => ({ type: type.name, version })),
      unknown: registry.types.flatMap((type) =>
        type.history.flatMap(({ schema, version }) =>
          schema === undefined ? [{ type: type.name, version }] : []
        )
      )
    }
  })

// internal

/** Generated events of a version: enough for the branches of a usual schema, and a second for some hundred versions. */
const COUNT = 50

interface Described {
  readonly type: EventType.Any
  readonly version: number
  readonly schema: Schema.Codec<unknown, unknown>
}

interface StoredEvent {
  readonly type: string
  readonly version: number
  readonly data: Schema.Json
}

type Fault = Pick<GeneratedEventFailed, "type" | "version" | "stage" | "reason">

type History = ReadonlyArray<StoredEvent>

const shapesOf = (types: ReadonlyArray<EventType.Any>): ReadonlyArray<Described> =>
  types.flatMap((type) =>
    [...type.history, type].flatMap(({ schema, version }) => schema === undefined ? [] : [{ type, version, schema }])
  )

const eventSchema = ({ schema, type, version }: Described) =>
  Schema.Struct({ type: Schema.Literal(type.name), version: Schema.Literal(version), data: schema })

/** Values of a schema, as something else; what cannot be that is left out. */
const arbitraryOf = <S extends Schema.Constraint, A>(
  shape: Described,
  schema: S,
  convert: (value: S["Type"]) => Result.Result<A, string>
): Effect.Effect<Arbitrary.Arbitrary<A>, GenerationFailed> =>
  Effect.try({
    try: () => Arbitrary.filterMap(Arbitrary.schema(schema), convert),
    catch: (cause) => generationFailed(shape, cause instanceof Error ? cause.message : "it cannot be generated")
  })

const EXHAUSTED = "too many values in a row broke its checks, or could not be encoded"

const generationFailed = ({ type, version }: Described, reason: string): GenerationFailed =>
  new GenerationFailed({ type: type.name, version, reason })

/** Puts data into its stored shape, unless a store would refuse it. */
const toStored = ({ schema, type, version }: Described, data: unknown): Result.Result<StoredEvent, string> => {
  try {
    const text = JSON.stringify(Schema.encodeUnknownSync(schema)(data), (_, value: unknown) => {
      if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError("JSON has no such number")
      return value
    })
    return Result.succeed({ type: type.name, version, data: JSON.parse(text) })
  } catch {
    return Result.fail("it cannot be stored")
  }
}

const toRecorded = ({ data, type, version }: StoredEvent, index: number): RecordedEvent => ({
  position: Position.make(index + 1),
  streamId: StreamId.make("generated-events"),
  revision: Revision.make(index),
  id: `00000000-0000-7000-8000-${index.toString(16).padStart(12, "0")}` as EventId,
  type,
  version,
  data,
  metadata: {},
  tags: [],
  recordedAt: DateTime.makeUnsafe(0)
})

/** Shows histories to a judge until one is refused, and makes that one small. */
const run = <R>(
  shape: Described,
  histories: Arbitrary.Arbitrary<History>,
  judge: (history: History) => Effect.Effect<number, Fault, R>,
  passed: { events: number },
  options: Arbitrary.CheckOptions
): Effect.Effect<void, GeneratedEventFailed | GenerationFailed, R> =>
  Effect.gen(function*() {
    const property = (history: History) =>
      Effect.map(judge(history), (events) => {
        passed.events += events
        return true
      })
    const result = yield* Arbitrary.checkEffect(histories, property, options)
    if (result._tag === "Exhausted") {
      return yield* generationFailed(shape, EXHAUSTED)
    }
    if (result._tag === "Falsified" && result.failure._tag === "PropertyError") {
      return yield* new GeneratedEventFailed({
        ...result.failure.error,
        history: result.shrunkInput
      })
    }
  })

const makeJudge = <E extends EventType.TypedEvent, State, Failure, R>(
  registry: Registry<E>,
  { fold, project }: CheckOptions<E, State, Failure, R>
) => {
  const isState = fold?.state === undefined ? undefined : Schema.is(fold.state)
  return Effect.fnUntraced(function*(history: History): Effect.fn.Return<number, Fault, R> {
    let state = fold?.initial
    for (const [index, stored] of history.entries()) {
      const { type, version } = stored
      const fault = (stage: Fault["stage"], reason: string) => Effect.fail<Fault>({ type, version, stage, reason })
      const decoded = registry.decode(toRecorded(stored, index))
      if (decoded._tag === "Failure") return yield* fault("decode", decoded.failure.message)
      const lost = undoFault(registry.types, stored)
      if (lost !== undefined) return yield* fault("undo", lost)
      if (decoded.success._tag === "None") continue
      const event = decoded.success.value
      if (fold !== undefined) {
        const next = yield* Effect.try({
          try: () => fold.evolve(state as State, event as E & EventType.Recorded<E>),
          catch: (cause): Fault => ({ type, version, stage: "evolve", reason: `it threw ${String(cause)}` })
        })
        if (isState !== undefined && !isState(next)) return yield* fault("state", "the state breaks its schema")
        state = next
      }
      if (project !== undefined) {
        yield* Effect.catchCause(
          Effect.suspend(() => project(event)),
          (cause) => fault("project", Cause.pretty(cause))
        )
      }
    }
    return history.length
  })
}

/** Says which reversible step from this version does not bring the data back. */
const undoFault = (types: ReadonlyArray<EventType.Any>, { data, type, version }: StoredEvent): string | undefined => {
  const steps = types.find(({ name }) => name === type)?.steps ?? []
  for (const { from, step, to } of steps) {
    const { down, isReversible, up } = step
    if (from !== version || !isReversible || down === undefined || bringsBack(up, down, data)) continue
    return `the step ${from} -> ${to} says it is reversible, and does not bring the data back`
  }
  return undefined
}

const bringsBack = (up: (data: never) => unknown, down: (data: never) => unknown, data: Schema.Json): boolean => {
  try {
    const back = down(up(data as never) as never)
    return back !== undefined && canonicalJson(back as Schema.Json) === canonicalJson(data)
  } catch {
    return false
  }
}
