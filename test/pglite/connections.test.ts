/**
 * Many connections over one session behave like connections to a server.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Queue, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import { layer as layerPglite, Pglite } from "../../src/pglite/index.ts"
import { waitFor } from "../support/waitFor.ts"

const someName = (): string => `t_${randomUUID().replaceAll("-", "")}`

layer(layerPglite({ idleInTransactionTimeout: "300 millis" }), { excludeTestServices: true, timeout: 60_000 })(
  "connections of an embedded PostgreSQL",
  (it) => {
    it.effect("fifty transactions on eight connections lose no update", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const counter = someName()
        yield* sql`CREATE TABLE ${sql(counter)} (value int NOT NULL)`
        yield* sql`INSERT INTO ${sql(counter)} VALUES (0)`
        const increment = sql.withTransaction(Effect.gen(function*() {
          const [row] = yield* sql<{ value: number }>`SELECT value FROM ${sql(counter)}`
          yield* Effect.yieldNow
          yield* sql`UPDATE ${sql(counter)} SET value = ${(row?.value ?? 0) + 1}`
        }))
        yield* Effect.all(Array.from({ length: 50 }, () => increment), { concurrency: "unbounded", discard: true })
        assert.deepStrictEqual(yield* sql`SELECT value FROM ${sql(counter)}`, [{ value: 50 }])
      }))

    it.effect("the same prepared statement runs on every connection", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const rounds = Array.from({ length: 100 }, (_, index) => index)
        const rows = yield* Effect.forEach(
          rounds,
          (index) => sql<{ double: number }>`SELECT ${index}::int * 2 AS double`,
          { concurrency: 8 }
        )
        assert.deepStrictEqual(rows.flat().map(({ double }) => double), rounds.map((index) => index * 2))
      }))

    it.effect("the statements of a closed connection are forgotten", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { makeClient } = yield* Pglite
        const marker = someName()
        const prepared = Effect.map(
          sql<{ name: string }>`SELECT name FROM pg_prepared_statements WHERE statement LIKE ${`%AS ${marker}`}`,
          (rows) => rows.length
        )
        yield* Effect.scoped(Effect.gen(function*() {
          const other = yield* makeClient({ maxConnections: 1 })
          yield* other.unsafe(`SELECT 1 AS ${marker}`)
          yield* other.unsafe(`SELECT 2 AS ${marker}`)
          assert.strictEqual(yield* prepared, 2)
        }))
        yield* waitFor(prepared, (count) => count === 0)
      }))

    it.effect("a savepoint that fails takes back its own part only", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const table = someName()
        yield* sql`CREATE TABLE ${sql(table)} (name text)`
        const insert = (name: string) => sql`INSERT INTO ${sql(table)} VALUES (${name})`
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* insert("outer")
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(insert("inner"), Effect.fail("no"))))
          yield* sql.withTransaction(insert("second"))
        }))
        assert.deepStrictEqual(yield* sql`SELECT name FROM ${sql(table)}`, [{ name: "outer" }, { name: "second" }])
      }))

    it.effect("an interrupted transaction is rolled back, and the next one runs", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const table = someName()
        yield* sql`CREATE TABLE ${sql(table)} (name text)`
        const inserted = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(sql.withTransaction(
          sql`INSERT INTO ${sql(table)} VALUES ('lost')`.pipe(
            Effect.andThen(Deferred.succeed(inserted, undefined)),
            Effect.andThen(Effect.never)
          )
        ))
        yield* Deferred.await(inserted)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* sql`SELECT * FROM ${sql(table)}`, [])
      }))

    it.effect("a statement that is interrupted while it waits never runs", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const table = someName()
        yield* sql`CREATE TABLE ${sql(table)} (name text)`
        const other = yield* (yield* Pglite).makeClient({ maxConnections: 1 })
        yield* other`SELECT 1`
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`INSERT INTO ${sql(table)} VALUES ('owner')`
          const fiber = yield* Effect.forkChild(other`INSERT INTO ${other(table)} VALUES ('waiter')`, {
            startImmediately: true
          })
          // The waiter is in the queue when a statement sent after it has been answered.
          yield* sql`SELECT 1`
          yield* Fiber.interrupt(fiber)
        }))
        assert.deepStrictEqual(yield* sql`SELECT name FROM ${sql(table)}`, [{ name: "owner" }])
      }).pipe(Effect.scoped))

    it.effect("a transaction that idles while others wait is rolled back", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { makeClient } = yield* Pglite
        const table = someName()
        yield* sql`CREATE TABLE ${sql(table)} (name text)`
        const other = yield* makeClient({ maxConnections: 1 })
        // It waits for the statement of another connection, which waits for it.
        const exit = yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
          yield* sql`INSERT INTO ${sql(table)} VALUES ('lost')`
          yield* other`SELECT 1`
          yield* sql`INSERT INTO ${sql(table)} VALUES ('lost')`
        })))
        assert.match(
          Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it succeeded",
          /idled for 300 ms while others waited/
        )
        assert.deepStrictEqual(yield* sql`SELECT * FROM ${sql(table)}`, [])
      }).pipe(Effect.scoped))

    it.effect("a client that goes away inside a transaction leaves no trace and holds up nobody", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { makeClient } = yield* Pglite
        const table = someName()
        yield* sql`CREATE TABLE ${sql(table)} (name text)`
        yield* Effect.scoped(Effect.gen(function*() {
          const other = yield* makeClient({ maxConnections: 1 })
          const connection = yield* other.reserve
          yield* connection.execute("BEGIN", [], undefined)
          yield* connection.execute(`INSERT INTO ${table} VALUES ('lost')`, [], undefined)
        }))
        assert.deepStrictEqual(yield* sql`SELECT * FROM ${sql(table)}`, [])
      }))

    it.effect("a notification reaches those who listen to its channel, once, and nobody else", () =>
      Effect.gen(function*() {
        const pg = yield* PgClient.PgClient
        const { makeClient } = yield* Pglite
        const [channel, other] = [`News "of" ${someName()}`.slice(0, 60), someName()]
        const first = yield* pg.listen(channel)
        const second = yield* (yield* makeClient({ maxConnections: 2 })).listen(channel)
        const stranger = yield* pg.listen(other)
        yield* pg.notify(channel, "plain")
        yield* pg.withTransaction(pg`SELECT pg_notify(${channel}, 'from a transaction')`)
        yield* Effect.ignore(
          pg.withTransaction(Effect.andThen(pg`SELECT pg_notify(${channel}, 'rolled back')`, Effect.fail("no")))
        )
        yield* pg.notify(other, "end")
        yield* pg.notify(channel, "end")
        const payloads = (queue: typeof first, count: number) =>
          Effect.map(Queue.takeN(queue, count), (all) => all.map(({ payload }) => payload))
        assert.deepStrictEqual(yield* payloads(first, 3), ["plain", "from a transaction", "end"])
        assert.deepStrictEqual(yield* payloads(second, 3), ["plain", "from a transaction", "end"])
        assert.deepStrictEqual(yield* payloads(stranger, 1), ["end"])
        assert.deepStrictEqual(yield* Queue.size(stranger), 0)
      }).pipe(Effect.scoped))

    it.effect("one listener's end does not end another's", () =>
      Effect.gen(function*() {
        const pg = yield* PgClient.PgClient
        const channel = someName()
        const stays = yield* pg.listen(channel)
        yield* Effect.scoped(pg.listen(channel))
        yield* pg.notify(channel, "still there")
        assert.strictEqual((yield* Queue.take(stays)).payload, "still there")
        const [row] = yield* pg<
          { count: number }
        >`SELECT count(*)::int AS count FROM pg_listening_channels() c WHERE c = ${channel}`
        assert.deepStrictEqual(row, { count: 1 })
      }).pipe(Effect.scoped))

    it.effect("the session listens to nothing that nobody listens to", () =>
      Effect.gen(function*() {
        const pg = yield* PgClient.PgClient
        const channel = someName()
        yield* Effect.scoped(pg.listen(channel))
        assert.deepStrictEqual(yield* pg`SELECT c FROM pg_listening_channels() c WHERE c = ${channel}`, [])
      }))

    it.effect("a hundred thousand rows stream, and the session is free as soon as they are read", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const rows = sql<{ number: number }>`SELECT g AS number FROM generate_series(1, 100000) g`
        const sum = yield* Stream.runFold(rows.stream, () => 0, (total, { number }) => total + number)
        assert.strictEqual(sum, 5_000_050_000)
        const some = yield* Stream.runCollect(Stream.take(rows.stream, 3))
        assert.deepStrictEqual(some.map(({ number }) => number), [1, 2, 3])
        assert.deepStrictEqual(yield* sql`SELECT 1 AS one`, [{ one: 1 }])
      }))

    it.effect("a COPY from the client fails, and harms nobody", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const table = someName()
        yield* sql`CREATE TABLE ${sql(table)} (name text)`
        const error = yield* Effect.flip(sql.unsafe(`COPY ${table} FROM STDIN`))
        assert.match(error.message, /COPY/)
        assert.deepStrictEqual(yield* sql`SELECT count(*)::int AS count FROM ${sql(table)}`, [{ count: 0 }])
      }))

    it.effect("an error of SQL is the one that a server gives, and the connection goes on", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const table = someName()
        yield* sql`CREATE TABLE ${sql(table)} (name text CONSTRAINT ${sql(`${table}_once`)} UNIQUE)`
        const insert = sql`INSERT INTO ${sql(table)} VALUES ('a')`
        yield* insert
        const { reason } = yield* Effect.flip(insert)
        assert.deepStrictEqual(reason._tag === "UniqueViolation" ? reason.constraint : reason._tag, `${table}_once`)
        assert.deepStrictEqual(yield* sql`SELECT name FROM ${sql(table)}`, [{ name: "a" }])
      }))
  }
)
