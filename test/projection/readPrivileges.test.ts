/**
 * Read models as the roles of `sql/privileges.sql` read them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { ChangeFeed, Projection, ProjectionQuery, ProjectionRunner } from "../../src/projection/index.ts"
import { layerPostgres } from "../../src/runtime/index.ts"
import { openSql, openStore, runAll, withUser } from "../postgres/fixtures.ts"
import { unique } from "../store/fixtures.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { appendAccounts, Balance, NO_BALANCE, someProjectionName, types } from "./fixtures.ts"
import { appendSales, Sold } from "./sales.ts"

const watchedBalances = Projection.state({
  name: someProjectionName(),
  events: types,
  changes: { retain: 5 },
  state: Balance,
  initial: NO_BALANCE,
  key: (event) => event.streamId,
  on: {
    AccountOpened: (state, { data }) => ({ ...state, owner: data.owner }),
    MoneyDeposited: (state, { data }) => ({ ...state, amount: state.amount + data.amount })
  }
})

const watchedSales = Projection.table({
  name: someProjectionName(),
  events: [Sold],
  changes: { retain: 5 },
  tables: { sales: "position bigint PRIMARY KEY, country text NOT NULL" },
  on: {
    Sold: ({ data, position }, { sales }) => Projection.sql`INSERT INTO ${sales} VALUES (${position}, ${data.country})`
  }
})

for (const server of servers) {
  describe(`roles that read (${server.label})`, () => {
    it.live("a writer keeps changes and forgets them, and a reader reads states, rows and changes", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const { admin } = yield* openStore(url)
        yield* admin.schemaApply({ roles: true })
        const sql = yield* openSql(url)
        const login = (role: string) =>
          Effect.gen(function*() {
            const name = `t_${unique()}`
            yield* Effect.acquireRelease(
              runAll(sql, [`CREATE ROLE ${name} LOGIN PASSWORD 'secret'`, `GRANT ${role} TO ${name}`]),
              () => Effect.orDie(runAll(sql, [`DROP OWNED BY ${name} CASCADE`, `DROP ROLE ${name}`]))
            )
            const layer = layerPostgres({ url: withUser(url, name, "secret"), migrate: false })
            return { name, context: yield* Layer.build(Layer.fresh(layer)) }
          })
        const writer = yield* login("event_store_writer")
        const reader = yield* login("event_store_reader")
        yield* sql.unsafe(`GRANT CREATE ON SCHEMA public TO ${writer.name}`)
        yield* Effect.gen(function*() {
          yield* appendAccounts("account", 3, 30)
          yield* appendSales("sale", 30)
          yield* ProjectionRunner.runOnce(watchedBalances, { batchEvents: 5 })
          yield* ProjectionRunner.runOnce(watchedSales, { batchEvents: 5 })
        }).pipe(Effect.provideContext(writer.context))
        yield* sql.unsafe(`GRANT SELECT ON public.sales TO ${reader.name}`)

        yield* Effect.gen(function*() {
          const rows = ProjectionQuery.table(watchedSales, "sales", Schema.Struct({ position: Schema.Int }))
          assert.strictEqual(yield* ProjectionQuery.count(rows), 30)
          assert.strictEqual((yield* ProjectionQuery.list(rows, { limit: 7 })).items.length, 7)
          assert.strictEqual((yield* ProjectionQuery.list(ProjectionQuery.state(watchedBalances))).items.length, 3)
          for (const projection of [watchedBalances, watchedSales]) {
            const token = yield* ChangeFeed.now(projection)
            assert.deepStrictEqual((yield* ChangeFeed.changes(projection, { after: token })).changes, [])
            assert.strictEqual((yield* Effect.flip(ChangeFeed.changes(projection)))._tag, "ChangesExpired")
          }
        }).pipe(Effect.provideContext(reader.context))
        yield* sql.unsafe(`REVOKE SELECT ON public.sales FROM ${reader.name}`)
        const rows = ProjectionQuery.table(watchedSales, "sales", Schema.Struct({ position: Schema.Int }))
        const refused = yield* Effect.flip(ProjectionQuery.count(rows)).pipe(Effect.provideContext(reader.context))
        assert.strictEqual(refused._tag, "TableUnreadable")
      }))
  })
}
