/**
 * Projections of this repository's store over the whole log, through the runner
 * that its users have.
 */
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Exit, Option, Redacted, Schema, Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import { Projection, ProjectionControl, ProjectionRunner, ProjectionState } from "../../src/projection/index.ts"
import type { StateProjection, TableProjection } from "../../src/projection/Projection.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { orderTypes } from "../orders.ts"
import type { InlineModel, ProjectionWork } from "../protocol.ts"
import { checkSpending, countSpending, SPENDING_COLUMNS } from "../spending.ts"
import type { Projected } from "../variant.ts"

/**
 * Projects the log as the work says, by a version that is not there yet.
 */
export const project = (
  url: string,
  work: ProjectionWork
): Effect.Effect<Projected, unknown, EventStore | CheckpointStore> =>
  Effect.gen(function*() {
    const version = yield* nextVersion
    if (work === "table") return yield* projectTable(url, version)
    const made = STATES[work].map((make) => make(version))
    const checkpoints = yield* Effect.forEach(yield* ProjectionRunner.runAllOnce(made), Effect.fromResult)
    const context = yield* Effect.context<EventStore | CheckpointStore>()
    return {
      events: checkpoints[0]?.count ?? 0,
      check: () => Effect.runPromiseWith(context)(Effect.forEach(made, checkStates, { discard: true }))
    }
  })

/**
 * Runs a projection that has a row an event, and calls back for each one that a
 * query shows.
 */
export const followReadModel = (
  url: string,
  onEvent: (id: string) => void
): Effect.Effect<never, unknown, EventStore | CheckpointStore> =>
  Effect.gen(function*() {
    const sql = yield* openSql(url)
    const version = yield* nextVersion
    const projection = orderBook(version)
    yield* Effect.forkScoped(ProjectionRunner.run(projection))
    const { position } = yield* (yield* EventStore).head
    yield* ProjectionControl.awaitPosition(projection, position, Duration.minutes(1))
    const table = Projection.tableName(BOOK, version)
    let seen = 0
    while (true) {
      const rows = yield* sql.unsafe(
        `SELECT id::text, position::float8 FROM ${table} WHERE position > $1 ORDER BY position`,
        [seen]
      ).values.pipe(Effect.catch((error) => seen === 0 ? Effect.succeed([]) : Effect.fail(error)))
      for (const [id, at] of rows) {
        onEvent(String(id))
        seen = Number(at)
      }
      if (rows.length === 0) yield* Effect.sleep(LOOK_AGAIN)
    }
  }).pipe(Effect.scoped)

/**
 * Makes what appends can take along: a state, or a row, a customer.
 */
export const makeInlineModel = (model: InlineModel): StateProjection<typeof Turnover.Type> | TableProjection =>
  model === "state" ? byCustomer(1) : spending(1)

/**
 * Opens a client for plain SQL, with a connection of its own.
 */
export const openSql = (url: string): Effect.Effect<PgClient.PgClient, unknown, Scope.Scope> =>
  PgClient.make({ url: Redacted.make(url), maxConnections: 1 }).pipe(Effect.provide(Reactivity.layer))

// internal

/** Says which version of a projection no run has built yet. */
const nextVersion: Effect.Effect<number, unknown, CheckpointStore> = Effect.map(
  CheckpointStore.use((store) => store.list),
  (known) => Math.max(0, ...known.map(({ version }) => version)) + 1
)

/** Pause of a reader that found nothing new: adds at most so much to a latency. */
const LOOK_AGAIN = Duration.millis(1)

const Turnover = Schema.Struct({ orders: Schema.Int, total: Schema.Finite })

const NOTHING = { orders: 0, total: 0 }

type OrderEvent = Projection.EventIn<typeof orderTypes>

const turnover = (
  name: string,
  key: ((event: OrderEvent) => string) | undefined
) =>
(version: number): StateProjection<typeof Turnover.Type> => {
  const add = (state: typeof Turnover.Type, { data: { total } }: OrderEvent) => ({
    orders: state.orders + 1,
    total: state.total + total
  })
  return Projection.state({
    name,
    version,
    events: orderTypes,
    state: Turnover,
    initial: NOTHING,
    key,
    on: { OrderPlaced: add, OrderPaid: add, OrderShipped: add, OrderDelivered: add }
  })
}

const byStream = (name: string) => turnover(name, (event) => event.streamId)
const byCustomer = turnover("customers", (event) => `customer-${event.data.customer.id}`)
const ofAll = turnover("total", undefined)
const byType = turnover("types", (event) => event.type)

/** What is run together for each work that keeps states. */
const STATES: Record<Exclude<ProjectionWork, "table">, ReadonlyArray<ReturnType<typeof turnover>>> = {
  state: [byStream("state")],
  customers: [byCustomer],
  total: [ofAll],
  four: ["first", "second", "third", "fourth"].map(byStream),
  mixed: [byStream("state"), byCustomer, ofAll, byType]
}

/** All states together hold every event once. */
const checkStates = (projection: StateProjection<typeof Turnover.Type>) =>
  Effect.gen(function*() {
    const verification = Option.getOrThrow(yield* ProjectionControl.verify(projection))
    let orders = 0
    for (let after: string | undefined, isLast = false; !isLast;) {
      const page: ReadonlyArray<ProjectionState.KeyedState<typeof Turnover.Type>> = yield* ProjectionState.list(
        projection,
        { after, limit: 10_000 }
      )
      for (const { state } of page) orders += state.orders
      after = page.at(-1)?.key
      isLast = page.length < 10_000
    }
    if (verification.isComplete && orders === verification.checkpoint.count) return
    return yield* Effect.die(new Error(`the states of ${projection.name} hold ${orders} orders`))
  })

const SPENDING = "spending"

const spending = (version: number) => {
  const upsert = ({ data: { customer, total } }: OrderEvent, { spending: table }: { spending: Projection.SqlName }) =>
    Projection
      .sql`INSERT INTO ${table} AS s (customer, orders, total) VALUES (${customer.id}::integer, 1, ${total}::bigint)
      ON CONFLICT (customer) DO UPDATE SET orders = s.orders + 1, total = s.total + excluded.total`
  return Projection.table({
    name: "table",
    version,
    events: orderTypes,
    tables: { [SPENDING]: SPENDING_COLUMNS },
    on: { OrderPlaced: upsert, OrderPaid: upsert, OrderShipped: upsert, OrderDelivered: upsert }
  })
}

const projectTable = (url: string, version: number) =>
  Effect.gen(function*() {
    const { count } = yield* ProjectionRunner.runOnce(spending(version))
    return {
      events: count,
      check: async () => {
        const scope = Scope.makeUnsafe()
        const query = Effect.gen(function*() {
          const sql = yield* openSql(url)
          const [row] = yield* sql.unsafe<Readonly<Record<string, unknown>>>(
            countSpending(Projection.tableName(SPENDING, version))
          )
          checkSpending(row, count)
        })
        await Effect.runPromise(Scope.provide(query, scope))
        await Effect.runPromise(Scope.close(scope, Exit.void))
      }
    }
  })

const BOOK = "order_book"

/** A row an event. */
const orderBook = (version: number) => {
  const insert = (
    { data: { total }, id, position }: OrderEvent,
    { order_book: table }: { order_book: Projection.SqlName }
  ) =>
    Projection
      .sql`INSERT INTO ${table} (position, id, total) VALUES (${position}::bigint, ${id}::uuid, ${total}::bigint)`
  return Projection.table({
    name: BOOK,
    version,
    events: orderTypes,
    tables: { [BOOK]: "position bigint PRIMARY KEY, id uuid NOT NULL, total bigint NOT NULL" },
    on: { OrderPlaced: insert, OrderPaid: insert, OrderShipped: insert, OrderDelivered: insert }
  })
}
