/**
 * Types of events: a name, the shape of its data, and every shape that it ever had.
 *
 * @since 0.1.0
 */
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Schema from "effect/Schema"
import type { EventMetadata, RecordedEvent } from "./Event.ts"

/**
 * An event with the name and the data of its type, as decisions and folds see it.
 *
 * @category models
 * @since 0.1.0
 */
export interface TypedEvent<out Name extends string = string, out Data = unknown> {
  readonly type: Name
  readonly data: Data
}

/**
 * What a writer may say of an event besides its data.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProposedOptions {
  /** UUID in any notation; a new UUIDv7 when absent. An append retried with the same ids has its effect once. */
  readonly id?: string | undefined
  /** Labels for consistency boundaries across streams, `key:value` by convention; a set. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** What is known around the event: a JSON object. */
  readonly metadata?: EventMetadata | undefined
}

/**
 * What a decision proposes: a typed event, and what else an append takes.
 *
 * @category models
 * @since 0.1.0
 */
export type Proposed<E extends TypedEvent> = E & ProposedOptions

/**
 * What a reader gets: the recorded event with the name and the data of its
 * type, in the newest version.
 *
 * @category models
 * @since 0.1.0
 */
export type Recorded<E extends TypedEvent> = E extends TypedEvent ? Omit<RecordedEvent, "type" | "data"> & E & {
    /** Version in which it was stored; `version` is the newest. */
    readonly storedVersion: number
  }
  : never

/**
 * How far a step can be undone, strongest first.
 *
 * **Details**
 *
 * `reversible`: `down(up(old))` is `old`, whatever `old` is. `lowering`: it has
 * a `down`, which fills in what was lost. `oneWay`: it has no `down`.
 *
 * @category models
 * @since 0.1.0
 */
export type Reversibility = "reversible" | "lowering" | "oneWay"

/**
 * A way from one shape of an event's data to another: `up` lifts stored data,
 * `down` lowers it for a reader that knows the older shape only.
 *
 * **Details**
 *
 * Both are pure and work on data as it is stored, that is on JSON. They must
 * not change what they are given. The combinators of `version/Step` make them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Step<From, To, R extends Reversibility = Reversibility> extends Pipeable {
  readonly up: (data: From) => To
  readonly down: R extends "oneWay" ? undefined : (data: To) => From
  readonly reversibility: R
  /** Whether `down` undoes `up` without loss. */
  readonly isReversible: R extends "reversible" ? true : false
  /** What the step does, in words; part of the fingerprint of a registry. */
  readonly description: string
}

/**
 * A {@link Step} between shapes that nobody knows here.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyStep {
  readonly up: (data: never) => unknown
  readonly down: ((data: never) => unknown) | undefined
  readonly reversibility: Reversibility
  readonly isReversible: boolean
  readonly description: string
}

/**
 * A step as it is written: a {@link Step}, or its functions.
 *
 * **Details**
 *
 * An `up` with a `down` says that the step is reversible, unless `isReversible`
 * is `false`.
 *
 * @category models
 * @since 0.1.0
 */
export interface StepInput<in From, out To, in Lowered = To> {
  readonly up: (data: From) => To
  readonly down?: ((data: Lowered) => unknown) | undefined
  readonly isReversible?: boolean | undefined
}

/**
 * Why and since when a version should not be written any more.
 *
 * @category models
 * @since 0.1.0
 */
export interface Deprecation {
  readonly reason: string
  /** Day, as `YYYY-MM-DD`. */
  readonly since: string
}

/**
 * A shape that the data of an event type had before the newest one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape {
  readonly version: number
  /** `undefined` where only the step to the next version is known. */
  readonly schema: Schema.Codec<unknown, unknown> | undefined
  readonly deprecated: Deprecation | undefined
}

/**
 * A step in the history of an event type; it may leap over versions.
 *
 * @category models
 * @since 0.1.0
 */
export interface HistoryStep {
  readonly from: number
  readonly to: number
  readonly step: AnyStep
}

/**
 * A type of events.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventType<Name extends string, Data, Encoded, Version extends number, in MakeIn = Data> {
  readonly name: Name
  /** The newest version of the shape: the one that is written. From 1. */
  readonly version: Version
  /** The newest shape: the data in the program, and as it is stored. */
  readonly schema: Schema.Codec<Data, Encoded>
  /** Every older shape, ascending by version. */
  readonly history: ReadonlyArray<Shape>
  /** The steps between versions. */
  readonly steps: ReadonlyArray<HistoryStep>
  /** Whether the newest version is deprecated, and with it the type. */
  readonly deprecated: Deprecation | undefined
  /**
   * Makes an event to append. Defaults of the schema's constructor are filled
   * in; throws when the data breaks the schema.
   */
  readonly make: (data: MakeIn, options?: ProposedOptions) => Proposed<TypedEvent<Name, Data>>
}

/**
 * Any {@link EventType}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any {
  readonly name: string
  readonly version: number
  readonly schema: Schema.Codec<unknown, unknown>
  readonly history: ReadonlyArray<Shape>
  readonly steps: ReadonlyArray<HistoryStep>
  readonly deprecated: Deprecation | undefined
  readonly make: (data: never, options?: ProposedOptions) => Proposed<TypedEvent>
}

/**
 * The events of a type; over several types, their union.
 *
 * @category models
 * @since 0.1.0
 */
export type EventOf<T extends Any> = T extends Any ? TypedEvent<T["name"], T["schema"]["Type"]> : never

/**
 * What describes a shape: the fields of a struct, or a schema that needs no services.
 *
 * @category models
 * @since 0.1.0
 */
export type ShapeInput =
  | Schema.ConstraintCodec<unknown, unknown>
  | { readonly [key: string]: Schema.ConstraintCodec<unknown, unknown> }

/**
 * The schema that a {@link ShapeInput} describes.
 *
 * @category models
 * @since 0.1.0
 */
export type SchemaOf<S extends ShapeInput> = S extends Schema.Constraint ? S
  : S extends Schema.Struct.Fields ? Schema.Struct<S>
  : never

/**
 * The type of events that a name, a shape and a version make.
 *
 * @category models
 * @since 0.1.0
 */
export type Made<Name extends string, S extends ShapeInput, Version extends number> = EventType<
  Name,
  SchemaOf<S>["Type"],
  SchemaOf<S>["Encoded"],
  Version,
  SchemaOf<S>["~type.make.in"]
>

/**
 * The steps of the short form: one from each version to the next. A missing
 * one is an error of the compiler.
 *
 * @category models
 * @since 0.1.0
 */
export type Upcasts<Version extends number, Encoded> = number extends Version
  ? { readonly [from: number]: Upcast<unknown> }
  : { readonly [From in Below<Version>]: Upcast<From extends Previous<Version> ? Encoded : unknown> }

/**
 * One step of the short form. Say in the type of the parameter what was stored.
 *
 * @category models
 * @since 0.1.0
 */
export type Upcast<To> = ((data: never) => To) | StepInput<never, To, never>

/**
 * What the short form says of versions above 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface VersionOptions<Version extends number, Encoded> {
  readonly version: Version
  readonly upcast: Upcasts<Version, Encoded>
  readonly deprecated?: { readonly [version: number]: Deprecation } | undefined
}

/**
 * Makes an event type, of version 1 or with one step from each older version
 * to the next.
 *
 * **Details**
 *
 * Older shapes have no schema in this form, so data of older versions is
 * checked after it was lifted only. {@link history} says more and checks more.
 *
 * **Example**
 *
 * ```ts
 * const Opened = EventType.make("AccountOpened", { owner: Schema.String })
 * const Deposited = EventType.make("MoneyDeposited", { amount: Schema.Number }, {
 *   version: 2,
 *   upcast: { 1: (data: { readonly cents: number }) => ({ amount: data.cents / 100 }) }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <const Name extends string, const S extends ShapeInput>(name: Name, shape: S): Made<Name, S, 1>
  <const Name extends string, const S extends ShapeInput, const Version extends number>(
    name: Name,
    shape: S,
    options: VersionOptions<Version, SchemaOf<S>["Encoded"]>
  ): Made<Name, S, Version>
} = (name: string, shape: ShapeInput, options?: AnyVersionOptions): never => {
  const version = options?.version ?? 1
  const deprecated = options?.deprecated ?? {}
  const steps = Object.entries(options?.upcast ?? {}).map(([from, upcast]): HistoryStep => ({
    from: Number(from),
    to: Number(from) + 1,
    step: toStep(typeof upcast === "function" ? { up: upcast } : upcast)
  }))
  return build({
    name,
    version,
    schema: toSchema(shape),
    history: steps.map(({ from }) => ({ version: from, schema: undefined, deprecated: deprecated[from] })),
    steps,
    deprecated: deprecated[version]
  })
}

/**
 * The long form of an event type: its shapes from the first to the newest, and
 * the steps between them.
 *
 * @category models
 * @since 0.1.0
 */
export interface History<
  Name extends string,
  Newest extends ShapeInput,
  Encodeds extends ReadonlyArray<unknown>,
  Steps extends readonly [from: number, to: number]
> {
  /**
   * Adds the next version without a step to it: `step` must lead there, or past it.
   */
  version<const V extends Next<Encodeds>, const S extends ShapeInput>(
    version: V,
    shape: S
  ): History<Name, S, readonly [...Encodeds, SchemaOf<S>["Encoded"]], Steps>

  /**
   * Adds the next version and the step to it: its functions, or a function
   * that builds it with the combinators of `version/Step`.
   */
  version<const V extends Next<Encodeds>, const S extends ShapeInput>(
    version: V,
    shape: S,
    step: StepSource<Last<Encodeds>, SchemaOf<S>["Encoded"]>
  ): History<
    Name,
    S,
    readonly [...Encodeds, SchemaOf<S>["Encoded"]],
    Steps | readonly [Extract<Encodeds["length"], number>, V]
  >

  /**
   * Adds a step between two versions; it may leap over others.
   */
  step<const From extends Versions<Encodeds>, const To extends Versions<Encodeds>>(
    from: From,
    to: To,
    step: StepSource<At<Encodeds, From>, At<Encodeds, To>>
  ): History<Name, Newest, Encodeds, Steps | readonly [From, To]>

  /**
   * Says that a version should not be written any more.
   */
  deprecate(version: Versions<Encodeds>, deprecation: Deprecation): History<Name, Newest, Encodeds, Steps>

  /**
   * Makes the event type. Does not compile when a version has no way to the newest one.
   */
  make(
    this: Exclude<Versions<Encodeds>, Reaching<Steps, NewestVersion<Encodeds>>> extends infer Lost
      ? [Lost] extends [never] ? unknown
      : { readonly "no steps lead to the newest version from version": Lost }
      : never
  ): Made<Name, Newest, NewestVersion<Encodeds>>
}

/**
 * A step as the long form takes it.
 *
 * @category models
 * @since 0.1.0
 */
export type StepSource<From, To> =
  | StepInput<From, To>
  | ((start: Step<From, From, "reversible">) => BuiltStep<From, To>)

/**
 * A step whose way up is of the right type. What comes down is checked against
 * the older schema when it is there.
 *
 * @category models
 * @since 0.1.0
 */
export interface BuiltStep<in From, out To> {
  readonly up: (data: From) => To
  readonly down: ((data: never) => unknown) | undefined
  readonly reversibility: Reversibility
}

/**
 * Begins the long form of an event type with its first shape.
 *
 * **Details**
 *
 * Each version has a schema, so data is checked against the version in which it
 * was stored, old events can be generated, and the schema lock sees every shape.
 *
 * **Example**
 *
 * ```ts
 * const Deposited = EventType.history("MoneyDeposited", { cents: Schema.Int })
 *   .version(2, { amount: Schema.Number }, (start) =>
 *     start.pipe(Step.rename("cents", "amount"), Step.convert("amount", (cents) => cents / 100)))
 *   .version(3, { amount: Schema.Number, currency: Schema.String }, (start) =>
 *     start.pipe(Step.add("currency", "EUR")))
 *   .make()
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const history = <const Name extends string, const S extends ShapeInput>(
  name: Name,
  shape: S
): History<Name, S, readonly [SchemaOf<S>["Encoded"]], never> =>
  makeHistory({ name, shapes: [{ version: 1, schema: toSchema(shape), deprecated: undefined }], steps: [] })

/**
 * The step that changes nothing: the start of every other.
 *
 * @category steps
 * @since 0.1.0
 */
export const identity = <Data>(): Step<Data, Data, "reversible"> =>
  makeStep({ up: (data: Data) => data, down: (data: Data) => data, reversibility: "reversible", description: "" })

/**
 * Makes a step from its parts. The combinators of `version/Step` are shorter.
 *
 * @category steps
 * @since 0.1.0
 */
export const makeStep = <From, To, R extends Reversibility>(parts: {
  readonly up: (data: From) => To
  readonly down: R extends "oneWay" ? undefined : (data: To) => From
  readonly reversibility: R
  readonly description: string
}): Step<From, To, R> => {
  const step: Omit<Step<From, To>, "down" | "isReversible"> & { readonly isReversible: boolean } = {
    ...parts,
    isReversible: parts.reversibility === "reversible",
    pipe() {
      return pipeArguments(this, arguments)
    }
  }
  return step as Step<From, To, R>
}

/**
 * Turns a step as it is written into a step.
 *
 * @category steps
 * @since 0.1.0
 */
export const toStep = (input: StepInput<never, unknown, never> | BuiltStep<never, unknown> | AnyStep): AnyStep => {
  if ("description" in input) return input
  if ("reversibility" in input) return toStep({ ...input, isReversible: input.reversibility === "reversible" })
  const { down, isReversible = true, up } = input
  const reversibility = down === undefined ? "oneWay" : isReversible ? "reversible" : "lowering"
  return {
    up,
    down,
    reversibility,
    isReversible: reversibility === "reversible",
    description: [up, ...(down === undefined ? [] : [down])].map((f) => Function.prototype.toString.call(f)).join(" / ")
  }
}

// internal

type Next<Encodeds extends ReadonlyArray<unknown>> = Extract<[...Encodeds, unknown]["length"], number>

type Last<Encodeds extends ReadonlyArray<unknown>> = At<Encodeds, NewestVersion<Encodeds>>

/** `1 | 2 | …` up to the number of shapes. */
type Versions<Encodeds extends ReadonlyArray<unknown>> = Extract<Exclude<Partial<Encodeds>["length"], 0>, number>

type NewestVersion<Encodeds extends ReadonlyArray<unknown>> = Extract<Encodeds["length"], number>

/** The shape of a version: versions count from 1, tuples from 0. */
type At<Encodeds extends ReadonlyArray<unknown>, Version extends number> = [never, ...Encodeds][Version]

/** The versions from which steps lead to one of `Targets`. */
type Reaching<Steps extends readonly [number, number], Targets extends number> =
  [Exclude<Sources<Steps, Targets>, Targets>] extends [never] ? Targets
    : Reaching<Steps, Targets | Sources<Steps, Targets>>

type Sources<Steps extends readonly [number, number], Targets extends number> = Steps extends
  readonly [infer From extends number, infer To] ? To extends Targets ? From : never
  : never

/** `1 | 2 | …` below `N`. */
type Below<N extends number, Counted extends ReadonlyArray<unknown> = [unknown], Found extends number = never> =
  Counted["length"] extends N ? Found : Below<N, [...Counted, unknown], Found | Counted["length"]>

type Previous<N extends number, Counted extends ReadonlyArray<unknown> = []> = [...Counted, unknown]["length"] extends N
  ? Counted["length"]
  : Previous<N, [...Counted, unknown]>

interface AnyVersionOptions {
  readonly version: number
  readonly upcast: { readonly [from: number]: Upcast<unknown> }
  readonly deprecated?: { readonly [version: number]: Deprecation } | undefined
}

interface Draft {
  readonly name: string
  readonly shapes: ReadonlyArray<Shape>
  readonly steps: ReadonlyArray<HistoryStep>
}

const makeHistory = (draft: Draft): never => {
  const newest = draft.shapes.length
  const methods = {
    version: (version: number, shape: ShapeInput, step?: StepSource<never, unknown>) =>
      makeHistory({
        ...draft,
        shapes: [...draft.shapes, { version, schema: toSchema(shape), deprecated: undefined }],
        steps: step === undefined
          ? draft.steps
          : [...draft.steps, { from: newest, to: version, step: fromSource(step) }]
      }),
    step: (from: number, to: number, step: StepSource<never, unknown>) =>
      makeHistory({ ...draft, steps: [...draft.steps, { from, to, step: fromSource(step) }] }),
    deprecate: (version: number, deprecated: Deprecation) =>
      makeHistory({
        ...draft,
        shapes: draft.shapes.map((shape) => shape.version === version ? { ...shape, deprecated } : shape)
      }),
    make: () => {
      const last = draft.shapes.at(-1)
      return build({
        ...draft,
        version: last?.version ?? 1,
        schema: last?.schema ?? Schema.Json,
        history: draft.shapes.slice(0, -1),
        deprecated: last?.deprecated
      })
    }
  }
  return methods as never
}

const build = (type: Omit<Any, "make"> & { readonly schema: Schema.Codec<unknown, unknown> }): never => {
  const { deprecated, history, name, schema, steps, version } = type
  const made: Any = {
    name,
    version,
    schema,
    history,
    steps,
    deprecated,
    make: (data, options) => ({ type: name, data: schema.make(data), ...options })
  }
  return made as never
}

const fromSource = (source: StepSource<never, unknown>): AnyStep =>
  toStep(typeof source === "function" ? source(identity<never>()) : source)

const toSchema = (shape: ShapeInput): Schema.Codec<unknown, unknown> =>
  (Schema.isSchema(shape) ? shape : Schema.Struct(shape as Schema.Struct.Fields)) as Schema.Codec<unknown, unknown>
