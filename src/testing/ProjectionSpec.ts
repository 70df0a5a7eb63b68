/**
 * Scenarios of projections and reactors: given events, then states, rows or
 * reactions; the same ones however the events are delivered.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { RecordedEvent } from "../event/Event.ts"
import type * as EventType from "../event/EventType.ts"
import { Projection, ProjectionState } from "../projection/index.ts"
import type { EventTypes, StateProjection, TableProjection } from "../projection/Projection.ts"
import type { EventFailed, LeaseHeld, RunError } from "../projection/ProjectionError.ts"
import type { Follower, Reaction, Reactor } from "../projection/Reactor.ts"
import { type BuildsExhausted, CheckpointStore, type LeaseLost } from "../store/CheckpointStore.ts"
import { EventStore } from "../store/EventStore.ts"
import type { AppendError } from "../store/EventStoreError.ts"
import { ReadModelStore, type SelectRefused } from "../store/ReadModelStore.ts"
import * as VersionRegistry from "../version/VersionRegistry.ts"
import { assertSame, fail } from "./AssertionFailed.ts"
import { AT_ONCE, type Law, lawsOf, REACTOR_LAWS } from "./internal/laws.ts"
import { type ListedEvent, listEvents, makeListStore } from "./internal/listStore.ts"

/**
 * An event of a scenario.
 *
 * @category models
 * @since 0.1.0
 */
export interface GivenEvent extends ListedEvent {}

/**
 * What a scenario needs: an open store, of which it uses the checkpoints. Its
 * events are a log of their own.
 *
 * @category models
 * @since 0.1.0
 */
export type SpecServices = CheckpointStore | EventStore

/**
 * What can keep a scenario from being run; what does not hold is thrown as
 * `AssertionFailed`.
 *
 * @category errors
 * @since 0.1.0
 */
export type SpecError = RunError | LeaseHeld | LeaseLost | BuildsExhausted | AppendError

/**
 * A projection or reactor under test.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionSpec<out Scenario> {
  /**
   * What has happened: data is checked with its schema and comes as it would from
   * a store.
   *
   * **Details**
   *
   * Positions are 1, 2, 3, …. An event without `streamId` is of the first stream,
   * or category, that the projection reads; one without `recordedAt` is a second
   * younger than the one before, the first of 1970.
   */
  readonly given: (...events: ReadonlyArray<GivenEvent>) => Scenario
  /** What has happened, as it is stored: of any version. */
  readonly givenStored: (...events: ReadonlyArray<GivenEvent>) => Scenario
}

/**
 * What every scenario of a projection can be asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scenario {
  /** The projection stops before an event; `expected` says which one, or why. */
  readonly thenHalts: (
    expected?: Partial<Pick<EventFailed, "type" | "reason" | "position">>
  ) => Effect.Effect<void, SpecError, SpecServices>
}

/**
 * A scenario of a projection with states.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateScenario<State> extends Scenario {
  /** The one state, or that of a key; `undefined` when there is none. */
  readonly thenState: {
    (expected: State | undefined): Effect.Effect<void, SpecError, SpecServices>
    (key: string, expected: State | undefined): Effect.Effect<void, SpecError, SpecServices>
  }
  /** All states by their keys, and no other. */
  readonly thenStates: (
    expected: { readonly [key: string]: State }
  ) => Effect.Effect<void, SpecError, SpecServices>
}

/**
 * A scenario of a projection with tables.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableScenario extends Scenario {
  /**
   * A table holds these rows, in whatever order, and no other: as JSON, numbers as
   * numbers and times as text.
   */
  readonly thenRows: (
    table: string,
    expected: ReadonlyArray<Row>
  ) => Effect.Effect<void, SpecError | SelectRefused, SpecServices | ReadModelStore>
  /** The same for several tables. */
  readonly thenTables: (
    expected: { readonly [table: string]: ReadonlyArray<Row> }
  ) => Effect.Effect<void, SpecError | SelectRefused, SpecServices | ReadModelStore>
}

/**
 * A row by the names of its columns.
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  readonly [column: string]: unknown
}

/**
 * A scenario of a reactor.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReactorScenario<out R> {
  /**
   * It reacts to these events, in this order, and no other; of each what is named
   * is compared. However often one is delivered its dedupe key is the same, and that of
   * no other event.
   */
  readonly thenReacts: (
    ...expected: ReadonlyArray<Partial<RecordedEvent>>
  ) => Effect.Effect<void, SpecError, R | SpecServices>
}

/**
 * Puts a projection with states under test.
 *
 * **Details**
 *
 * Every check is made of the answer to all events at once, and then of what
 * comes out when it is built anew from one event at a time, when runners are killed
 * before and behind their commits and events are delivered again, and without
 * the slices: a handler that reads a clock, keeps something in mind or changes a state in
 * place is found. Needs any store that is open, and leaves nothing of it behind
 * but a longer log. What the projection comes `after` is not waited for.
 *
 * **Example**
 *
 * ```ts
 * const spec = ProjectionSpec.state(balances)
 *
 * yield* spec.given(Opened.make({ owner: "Ann" }), Deposited.make({ amount: 10 }))
 *   .thenState("account-1", { owner: "Ann", amount: 10 })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const state = <State>(projection: StateProjection<State>): ProjectionSpec<StateScenario<State>> =>
  make(projection, (given) => {
    const states = (built: StateProjection<State>) =>
      Effect.map(allStates(built), (found) => Object.fromEntries(found.map(({ key, state }) => [key, state])))
    const one = (key: string) => (built: StateProjection<State>) =>
      Effect.map(ProjectionState.get(built, key), Option.getOrUndefined)
    return {
      ...halting(projection, given),
      thenStates: (expected) => check(projection, given, "The states are", states, expected),
      thenState: (...parts: [State | undefined] | [string, State | undefined]) => {
        const [key, expected] = parts.length === 1 ? ["", parts[0]] : parts
        const what = key === "" ? "The state is" : `The state ${JSON.stringify(key)} is`
        return check(projection, given, what, one(key), expected)
      }
    }
  })

/**
 * Puts a projection with tables under test; as {@link state}, on PostgreSQL or
 * PGlite.
 *
 * **Example**
 *
 * ```ts
 * yield* ProjectionSpec.table(revenue)
 *   .given(Sold.make({ country: "DE", cents: 1_000 }), Sold.make({ country: "DE", cents: 250 }))
 *   .thenRows("revenue", [{ country: "DE", cents: 1_250 }])
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const table = (projection: TableProjection): ProjectionSpec<TableScenario> =>
  make(projection, (given) => {
    const thenTables: TableScenario["thenTables"] = (expected) =>
      check(
        projection,
        given,
        "The rows are",
        (built) =>
          Effect.map(
            Effect.forEach(
              Object.keys(expected),
              (name) => Effect.map(rowsOf(built, name), (rows) => [name, rows] as const)
            ),
            (tables) => Object.fromEntries(tables)
          ),
        Object.fromEntries(Object.entries(expected).map(([name, rows]) => [name, sorted(rows)]))
      )
    return {
      ...halting(projection, given),
      thenTables,
      thenRows: (name, expected) => thenTables({ [name]: expected })
    }
  })

/**
 * Puts a reactor under test: its reactions are run, with the services that they
 * need, on events from the start of the log.
 *
 * **Example**
 *
 * ```ts
 * yield* ProjectionSpec.reactor(welcome)
 *   .given(Opened.make({ owner: "Ann" }))
 *   .thenReacts({ type: "AccountOpened", streamId: "account-1" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const reactor = <R>(tested: Reactor<R>): ProjectionSpec<ReactorScenario<R>> =>
  make(tested, (given) => ({
    thenReacts: (...expected) =>
      Effect.gen(function*() {
        for (const law of [AT_ONCE, ...REACTOR_LAWS]) {
          const { events, keys, unstable } = yield* react(tested, law, given)
          assertSame(
            `The reactions, ${law.name}, are`,
            events.map((event, index) => named(event, expected[index])),
            expected
          )
          assertSame(`The dedupe keys that change, ${law.name}, are`, unstable, [])
          assertSame(`The number of dedupe keys, ${law.name}, is`, new Set(keys.values()).size, events.length)
        }
      })
  }))

// internal

/** Rows and states of one scenario that are read. */
const READ_MAX = 10_000

const make = <Scenario>(
  follower: Follower<unknown>,
  begin: (events: ReadonlyArray<RecordedEvent>) => Scenario
): ProjectionSpec<Scenario> => {
  const encode = encoderOf(follower.events)
  const { categories: [category] = [], streamIds: [streamId] = [] } = follower.filter
  const stream = streamId ?? `${category ?? "scenario"}-1`
  return {
    given: (...events) => begin(listEvents(events.map((event) => ({ ...event, ...encode(event) })), stream)),
    givenStored: (...events) => begin(listEvents(events, stream))
  }
}

/** Checks data as an append of it would; a follower of all types takes events as they are. */
const encoderOf = (types: EventTypes): (event: GivenEvent) => GivenEvent => {
  if (types === "all") return (event) => event
  const registry = Result.getOrThrow(VersionRegistry.makeResult(types))
  const names = new Set(types.map(({ name }) => name))
  // what the projection does not read may be given too
  return (event) =>
    names.has(event.type)
      ? Result.getOrThrow(registry.encode(event as EventType.Proposed<EventType.TypedEvent>))
      : event
}

/** Compares what comes of the events with what is expected, and of each law with that. */
const check = <P extends Projection.Projection, A, E, R>(
  projection: P,
  events: ReadonlyArray<RecordedEvent>,
  what: string,
  read: (built: P) => Effect.Effect<A, E, R>,
  expected: unknown
): Effect.Effect<void, E | SpecError, R | SpecServices> =>
  Effect.gen(function*() {
    const first = yield* underLaw(projection, AT_ONCE, events, read)
    assertSame(what, first, expected)
    for (const law of lawsOf(projection)) {
      assertSame(`${what}, ${law.name},`, yield* underLaw(projection, law, events, read), first)
    }
  })

/** Runs a build of its own, which nobody else sees, and removes it. */
const underLaw = <P extends Projection.Projection, A, E, R>(
  projection: P,
  law: Law,
  events: ReadonlyArray<RecordedEvent>,
  read: (built: P) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | SpecError, R | SpecServices> =>
  Effect.gen(function*() {
    const { name, version } = projection
    const checkpoints = yield* CheckpointStore
    const log = yield* makeLog(events)
    return yield* Effect.acquireUseRelease(
      checkpoints.addBuild({ name, version }),
      ({ build }) => {
        const built = alone(Projection.withBuild(projection, build))
        return Effect.andThen(Effect.provideService(law.run(built), EventStore, log), read(built))
      },
      ({ build }) => checkpoints.removeBuild({ name, version, build })
    )
  })

/** A scenario has nobody that it could come after. */
const alone = <F extends Follower<unknown>>(follower: F): F => ({ ...follower, after: [] })

/** A log of these events; the storage's own must be as long for its checkpoints to get there. */
const makeLog = (events: ReadonlyArray<RecordedEvent>) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const { incarnation, position } = yield* store.head
    const missing = events.length - position
    if (missing > 0) {
      const filler = Array.from({ length: missing }, () => ({ type: "ScenarioFiller", data: {} }))
      yield* store.append({ streamId: "scenarioFiller-1", expected: "any", events: filler })
    }
    return makeListStore(events, incarnation)
  })

const halting = (projection: Projection.Projection, events: ReadonlyArray<RecordedEvent>): Scenario => ({
  thenHalts: (expected = {}) =>
    Effect.gen(function*() {
      for (const law of [AT_ONCE, ...lawsOf(projection)]) {
        const failure = yield* underLaw(projection, law, events, () => Effect.void).pipe(
          Effect.as(undefined),
          Effect.catchTag("ProjectionHalted", ({ failure }) => Effect.succeed(failure))
        )
        if (failure === undefined) return fail(`It does not halt, ${law.name}`, "all events applied", expected)
        assertSame(`It halts, ${law.name},`, named(failure, expected), expected)
      }
    })
})

const allStates = <State>(built: StateProjection<State>) => ProjectionState.list(built, { limit: READ_MAX })

const rowsOf = ({ target }: TableProjection, name: string): Effect.Effect<
  ReadonlyArray<unknown>,
  SelectRefused | SpecError,
  ReadModelStore
> =>
  Effect.gen(function*() {
    if (!target.tables.some((made) => made.name === name)) {
      return fail("The projection has no such table", target.tables.map((made) => made.name), name)
    }
    const text = `SELECT row_to_json(t)::text FROM "${target.schema}"."${name}${target.suffix}" t LIMIT ${READ_MAX}`
    const answer = yield* ReadModelStore.use((store) =>
      store.transact({ statements: [{ text, parameters: [] }], statementMillis: STATEMENT_MILLIS })
    )
    const [rows = []] = Option.getOrElse(answer, () => [])
    return sorted(rows.map(([json]) => JSON.parse(String(json))))
  })

const STATEMENT_MILLIS = 10_000

/** In the order of their text: a table has none. */
const sorted = (rows: ReadonlyArray<unknown>): ReadonlyArray<unknown> =>
  rows.map((row) => [JSON.stringify(inOrder(row)), row] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, row]) => row)

const inOrder = (row: unknown): unknown =>
  typeof row === "object" && row !== null ? Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)) : row

/** What of a value is named by another. */
const named = (value: object, names: object | undefined): object =>
  names === undefined ? value : Object.fromEntries(
    Object.keys(names).map((name) => [name, (value as Readonly<Record<string, unknown>>)[name]])
  )

/** Runs a reactor under another name, and notes what it is asked to react to. */
const react = <R>(tested: Reactor<R>, law: Law, given: ReadonlyArray<RecordedEvent>) =>
  Effect.gen(function*() {
    const log = yield* makeLog(given)
    const events = new Map<number, RecordedEvent>()
    const keys = new Map<number, string>()
    const unstable: Array<string> = []
    const renamed: Reactor<R> = {
      ...alone(tested),
      name: `${tested.name} ${crypto.randomUUID()}`,
      target: {
        ...tested.target,
        from: "start",
        react: noting(tested.target.react, (event, { dedupeKey }) => {
          const before = keys.get(event.position)
          if (before !== undefined && before !== dedupeKey) unstable.push(dedupeKey)
          keys.set(event.position, dedupeKey)
          events.set(event.position, event as unknown as RecordedEvent)
        })
      }
    }
    yield* Effect.provideService(law.run(renamed), EventStore, log)
    return { events: [...events].sort(([a], [b]) => a - b).map(([, event]) => event), keys, unstable }
  })

const noting = <E, R>(
  react: (event: Projection.DecodedEvent, reaction: Reaction) => Effect.Effect<void, E, R>,
  note: (event: Projection.DecodedEvent, reaction: Reaction) => void
): typeof react =>
(event, reaction) => {
  note(event, reaction)
  return react(event, reaction)
}
