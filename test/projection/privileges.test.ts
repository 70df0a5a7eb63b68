/**
 * Projections as the roles of `sql/privileges.sql` run them.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { PgCheckpointStore } from "../../src/postgres/index.ts"
import { ProjectionRunner } from "../../src/projection/index.ts"
import { layerPostgres } from "../../src/runtime/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { openSql, openStore, runAll, withUser } from "../postgres/fixtures.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { appendAccounts, assertFold, balances } from "./fixtures.ts"
import { appendSales, assertSales, salesByCountry } from "./sales.ts"

for (const server of servers) {
  describe(`roles that run projections (${server.label})`, () => {
    it.live("a writer runs them, with its own tables where it may make some; a reader is refused", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const { admin } = yield* openStore(url)
        yield* admin.schemaApply({ roles: true })
        const sql = yield* openSql(url)
        const login = (role: string) =>
          Effect.gen(function*() {
            const name = `t_${randomUUID().replaceAll("-", "")}`
            yield* Effect.acquireRelease(
              runAll(sql, [`CREATE ROLE ${name} LOGIN PASSWORD 'secret'`, `GRANT ${role} TO ${name}`]),
              () => Effect.orDie(runAll(sql, [`DROP OWNED BY ${name} CASCADE`, `DROP ROLE ${name}`]))
            )
            const layer = Layer.provideMerge(
              PgCheckpointStore.layer,
              layerPostgres({ url: withUser(url, name, "secret"), migrate: false })
            )
            const context = yield* Layer.build(Layer.fresh(layer))
            return {
              name,
              inside: <A, E>(effect: Effect.Effect<A, E, EventStore | CheckpointStore | PgClient.PgClient>) =>
                effect.pipe(
                  Effect.provideService(EventStore, Context.get(context, EventStore)),
                  Effect.provideService(CheckpointStore, Context.get(context, CheckpointStore)),
                  Effect.provideService(PgClient.PgClient, Context.get(context, PgClient.PgClient))
                )
            }
          })
        const writer = yield* login("event_store_writer")
        const reader = yield* login("event_store_reader")
        const states = balances("account")
        const { physical, projection } = salesByCountry({ category: "sale" })
        yield* writer.inside(appendAccounts("account", 2, 6))
        yield* writer.inside(appendSales("sale", 6))

        yield* writer.inside(ProjectionRunner.runOnce(states))
        yield* writer.inside(assertFold("account", states))
        const refused = yield* writer.inside(Effect.flip(ProjectionRunner.runOnce(projection)))
        assert.match(refused.message, /permission denied/)
        yield* sql.unsafe(`GRANT CREATE ON SCHEMA public TO ${writer.name}`)
        yield* writer.inside(ProjectionRunner.runOnce(projection))
        yield* writer.inside(assertSales("sale", projection, physical))

        yield* reader.inside(assertFold("account", states))
        const error = yield* reader.inside(Effect.flip(ProjectionRunner.runOnce(states)))
        assert.match(error.message, /permission denied/)
      }))
  })
}
