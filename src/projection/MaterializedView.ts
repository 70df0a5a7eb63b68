/**
 * Materialised views over the tables of projections: questions whose answers are
 * kept, made from a definition, refreshed when it is time.
 *
 * **Details**
 *
 * A view is as old as its last refresh; `describe` says how many positions of the
 * log lie between. On PostgreSQL and PGlite. Whoever makes one owns it, and only
 * the owner may refresh it.
 *
 * **Gotchas**
 *
 * A view depends on the tables that it reads: a reset of the projection removes it,
 * and a version with other columns cannot become live before it was dropped.
 * `create` makes it again.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { Position } from "../event/Revision.ts"
import type { SqlStatement } from "../store/CheckpointStore.ts"
import { Refused, StorageError } from "../store/EventStoreError.ts"
import { ReadModelStore, type SelectRefused } from "../store/ReadModelStore.ts"
import * as statements from "./internal/viewStatements.ts"
import { SqlName, type TableProjection } from "./Projection.ts"
import type { MaterializedView, ViewDescription, ViewIndex } from "./ViewModel.ts"

export * from "./ViewModel.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ViewOptions {
  /** `[a-z_][a-z0-9_]*`, at most 48 bytes. */
  readonly name: string
  /** Schema in which it stands; `public` when absent. */
  readonly schema?: string | undefined
  /** The projections whose tables it reads. */
  readonly of: ReadonlyArray<TableProjection>
  /** A query without parameters; {@link live} names the tables. */
  readonly query: SqlStatement
  /** Columns that are unique together: with them it is refreshed while it is read. */
  readonly key?: ReadonlyArray<string> | undefined
  readonly indexes?: ReadonlyArray<ViewIndex> | undefined
}

/**
 * Defines a materialised view. Nothing is made yet.
 *
 * **Example**
 *
 * ```ts
 * const best = MaterializedView.make({
 *   name: "best_countries",
 *   of: [revenue],
 *   query: Projection.sql`SELECT country, cents FROM ${MaterializedView.live(revenue, "revenue")} WHERE cents > 1000`,
 *   key: ["country"],
 *   indexes: [{ columns: ["cents"] }]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  { indexes = [], key = [], name, of, query, schema = "public" }: ViewOptions
): MaterializedView => ({
  name,
  schema,
  of,
  query,
  key,
  indexes
})

/**
 * Name of a table of a projection as its readers see it, for `Projection.sql`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const live = ({ target: { schema } }: TableProjection, table: string): SqlName =>
  new SqlName(statements.at(schema, table))

/**
 * Represents a materialised view that cannot be made or refreshed as it is
 * defined. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class ViewInvalid
  extends Schema.TaggedError<ViewInvalid>("effect-event-store/projection/MaterializedView/ViewInvalid")("ViewInvalid", {
    name: Schema.String,
    problems: Schema.Array(Schema.String)
  })
{
  override get message(): string {
    return `The materialised view ${JSON.stringify(this.name)}: ${this.problems.join("; ")}`
  }
}

/**
 * Represents a materialised view that is not there.
 *
 * @category errors
 * @since 0.1.0
 */
export class ViewMissing
  extends Schema.TaggedError<ViewMissing>("effect-event-store/projection/MaterializedView/ViewMissing")("ViewMissing", {
    name: Schema.String
  })
{
  override get message(): string {
    return `The materialised view ${JSON.stringify(this.name)} is not there: create it`
  }
}

/**
 * How long work on a view may take.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkOptions {
  /** 10 minutes when absent. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Makes a view with its indexes, or brings one up to its definition.
 *
 * **Details**
 *
 * One whose query or key is another is built beside the old one, which is read
 * meanwhile, and takes its place with its rights from one moment to the next; one
 * whose indexes are others gets these. Several processes may do it at once: one
 * does, and the others find it done.
 *
 * @category operations
 * @since 0.1.0
 */
export const create = (
  view: MaterializedView,
  options: WorkOptions = {}
): Effect.Effect<"created" | "rebuilt" | "indexed" | "unchanged", ViewInvalid | StorageError, ReadModelStore> =>
  Effect.gen(function*() {
    const position = yield* positionOf(view)
    const answers = yield* work(view, options, true, [statements.create(view, position), statements.outcome])
    return Option.getOrElse(answers, () => [])[1]?.[0]?.[0] as "created" | "rebuilt" | "indexed" | "unchanged"
  })

/**
 * Makes the indexes of the definition that are not there, and removes those that
 * are not in it any more; indexes of others stay. Returns whether anything was
 * to do.
 *
 * @category operations
 * @since 0.1.0
 */
export const index = (
  view: MaterializedView,
  options: WorkOptions = {}
): Effect.Effect<boolean, ViewInvalid | ViewMissing | StorageError, ReadModelStore> =>
  Effect.gen(function*() {
    yield* requireView(view)
    const answers = yield* work(view, options, true, [statements.reindex(view), statements.outcome])
    return Option.getOrElse(answers, () => [])[1]?.[0]?.[0] === "indexed"
  })

/**
 * Options of {@link refresh}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RefreshOptions extends WorkOptions {
  /** Whether it is read meanwhile, which takes longer; true when the view has a key, if absent. */
  readonly concurrently?: boolean | undefined
  /** Whether nothing is done when no projection has moved since the last refresh; false when absent. */
  readonly onlyWhenStale?: boolean | undefined
}

/**
 * Computes a view anew. One process at a time does: `busy` when another one is at
 * it, `fresh` when there was nothing to do.
 *
 * @category operations
 * @since 0.1.0
 */
export const refresh = (
  view: MaterializedView,
  options: RefreshOptions = {}
): Effect.Effect<"refreshed" | "busy" | "fresh", ViewInvalid | ViewMissing | StorageError, ReadModelStore> =>
  Effect.gen(function*() {
    const { concurrently = view.key.length > 0, onlyWhenStale = false } = options
    if (concurrently && view.key.length === 0) {
      return yield* new ViewInvalid({ name: view.name, problems: ["concurrently: the view has no key"] })
    }
    // what is read afterwards has seen at least this
    const position = yield* positionOf(view)
    const { staleBy } = yield* requireView(view)
    if (onlyWhenStale && staleBy === 0) return "fresh"
    const done = yield* work(view, options, false, [
      statements.refresh(view, concurrently),
      statements.note(view, position)
    ])
    return Option.isSome(done) ? "refreshed" : "busy"
  })

/**
 * Refreshes a view whenever the schedule says so and something has changed, until
 * the schedule ends. A refresh that fails because the storage is away is tried
 * again at the next time.
 *
 * **Details**
 *
 * May run on every process: one of them refreshes, the others find it fresh.
 *
 * @category operations
 * @since 0.1.0
 */
export const keepFresh = <A, E, R>(
  view: MaterializedView,
  schedule: Schedule.Schedule<A, unknown, E, R>,
  options: WorkOptions = {}
): Effect.Effect<void, ViewInvalid | ViewMissing | StorageError | E, ReadModelStore | R> =>
  refresh(view, { ...options, onlyWhenStale: true }).pipe(
    Effect.catchTag("StorageError", (error) =>
      error.isRetryable
        ? Effect.as(Effect.logWarning(`View ${view.name} was not refreshed`, error), "busy" as const)
        : Effect.fail(error)),
    Effect.repeat(schedule),
    Effect.asVoid
  )

/**
 * Removes a view, and returns whether it was there. Fails with `ViewInvalid` when
 * something depends on it.
 *
 * @category operations
 * @since 0.1.0
 */
export const drop = (
  view: MaterializedView,
  options: WorkOptions = {}
): Effect.Effect<boolean, ViewInvalid | StorageError, ReadModelStore> =>
  Effect.gen(function*() {
    const before = yield* describe(view)
    yield* work(view, options, true, [statements.drop(view)])
    return Option.isSome(before)
  })

/**
 * Describes a view; none when it is not there, or was not made by {@link create}.
 *
 * @category operations
 * @since 0.1.0
 */
export const describe = (
  view: MaterializedView
): Effect.Effect<Option.Option<ViewDescription>, ViewInvalid | StorageError, ReadModelStore> =>
  Effect.gen(function*() {
    const reached = yield* positionOf(view)
    const answers = yield* work(view, {}, undefined, [statements.describe(view)])
    const row = Option.getOrElse(answers, () => [])[0]?.[0]
    return Option.map(statements.readDescription(view, row), (found) => ({
      ...found,
      staleBy: Math.max(0, reached - found.position)
    }))
  })

// internal

const TIMEOUT = Duration.minutes(10)

/** How far the projections have come that are live, the slowest of them. */
const positionOf = (view: MaterializedView): Effect.Effect<Position, ViewInvalid | StorageError, ReadModelStore> =>
  Effect.gen(function*() {
    const store = yield* ReadModelStore
    const problems = [
      ...(store.hasTables ? [] : ["this storage has no tables: use PostgreSQL or PGlite"]),
      ...statements.viewFaults(view)
    ]
    if (problems.length > 0) return yield* new ViewInvalid({ name: view.name, problems })
    const points = yield* Effect.forEach(view.of, ({ name }) => store.readPoint({ name, version: undefined }))
    return Math.min(...points.map(({ position }) => position)) as Position
  })

const requireView = (view: MaterializedView) =>
  Effect.flatMap(
    describe(view),
    (found) => Option.isSome(found) ? Effect.succeed(found.value) : Effect.fail(new ViewMissing({ name: view.name }))
  )

/** Runs statements as the only one who works on the view; without a lock when `wait` is absent. */
const work = (
  view: MaterializedView,
  { timeout = TIMEOUT }: WorkOptions,
  wait: boolean | undefined,
  list: ReadonlyArray<SqlStatement>
) =>
  Effect.flatMap(ReadModelStore, (store) =>
    store.transact({
      statements: list,
      lock: wait === undefined ? undefined : { name: `view ${view.schema}.${view.name}`, wait },
      statementMillis: Duration.toMillis(Duration.fromInputUnsafe(timeout))
    })).pipe(Effect.catchTag("SelectRefused", (refusal) => Effect.fail(toFailure(view, refusal))))

/** Whatever time or rights forbid is the storage's, and so is a view that somebody dropped meanwhile. */
const toFailure = ({ name }: MaterializedView, { code, detail, message }: SelectRefused): ViewInvalid | StorageError =>
  code === "57014" || code.startsWith("53")
    ? new StorageError({ operation: "materializedView", reason: new Refused({ code, detail }) })
    : new ViewInvalid({ name, problems: [message] })
