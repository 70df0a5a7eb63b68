/**
 * What the roles of a running application may do, with real logins.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { assertSound, assertStorageError, openSql, openStore, runAll, scalar, withUser } from "../postgres/fixtures.ts"
import { proposed, proposedMany } from "../store/fixtures.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"

/** A migrated database, and a login that is a member of the role; it goes with the scope. */
const someLogin = (admin: string, role: string | undefined, schema = "event_store") =>
  Effect.gen(function*() {
    const url = yield* makeDatabase(admin)
    const owner = yield* openStore(url, { schema })
    yield* owner.admin.schemaApply({ roles: true })
    const sql = yield* openSql(url)
    const name = `t_${randomUUID().replaceAll("-", "")}`
    yield* Effect.acquireRelease(
      runAll(sql, [
        `CREATE ROLE ${name} LOGIN PASSWORD 'secret'`,
        ...(role === undefined ? [] : [`GRANT ${role} TO ${name}`])
      ]),
      () => Effect.orDie(runAll(sql, [`DROP ROLE ${name}`]))
    )
    return { owner, sql, url: withUser(url, name, "secret") }
  })

/** What nobody who only appends or reads may do. */
const FORBIDDEN = [
  "UPDATE event_store.events SET type = 'Other'",
  "UPDATE event_store.events_default SET type = 'Other'",
  "DELETE FROM event_store.events",
  "TRUNCATE event_store.events",
  "INSERT INTO event_store.events_default SELECT * FROM event_store.events",
  "UPDATE event_store.event_tags SET tag = 'x'",
  "DELETE FROM event_store.event_tags",
  "TRUNCATE event_store.event_tags",
  "UPDATE event_store.streams SET name = 'other'",
  "UPDATE event_store.streams SET first_position = 7",
  "DELETE FROM event_store.streams",
  "TRUNCATE event_store.streams",
  "UPDATE event_store.head SET incarnation = gen_random_uuid()",
  "DELETE FROM event_store.head",
  "INSERT INTO event_store.head SELECT 2, 0, now(), now(), gen_random_uuid()",
  "INSERT INTO event_store.migrations (name, checksum) VALUES ('x', 'x')",
  "UPDATE event_store.functions SET checksum = 'x'",
  "ALTER TABLE event_store.events DISABLE TRIGGER ALL",
  "SET session_replication_role = replica",
  "CREATE TABLE event_store.mine (i int)",
  "CREATE FUNCTION event_store.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
  "DROP TABLE event_store.events",
  "SELECT event_store.create_events_partition(now()::date)",
  "SELECT event_store.ensure_events_partitions(60)",
  "SELECT event_store.create_optional_index('data')"
]

/** Moves the events of a month into the default partition, as if nobody had made the month. */
const moveToDefault = (schema: string, month: string): ReadonlyArray<string> => [
  `ALTER TABLE "${schema}".events DETACH PARTITION "${schema}".${month}`,
  `INSERT INTO "${schema}".events SELECT * FROM "${schema}".${month}`,
  `DROP TABLE "${schema}".${month}`
]

const assertForbidden = (url: string) =>
  Effect.gen(function*() {
    const sql = yield* openSql(url)
    for (const statement of FORBIDDEN) {
      const error = yield* Effect.flip(sql.unsafe(statement).unprepared)
      assert.strictEqual(error.reason._tag, "AuthorizationError", statement)
    }
  })

const THIS_MONTH = "SELECT to_char(now() AT TIME ZONE 'UTC', '\"events_\"YYYY_MM')"

for (const server of servers) {
  describe(`roles (${server.label})`, () => {
    for (const schema of ["event_store", "es"]) {
      it.live(`a member of event_store_writer appends, reads, follows and ends streams (schema ${schema})`, () =>
        Effect.gen(function*() {
          const { owner, sql, url } = yield* someLogin(server.admin, "event_store_writer", schema)
          const { admin, store } = yield* openStore(url, { schema, migrate: false })
          const other = yield* openStore(url, { schema, migrate: false })
          const follower = yield* other.store.subscribe().pipe(
            Stream.take(35),
            Stream.runCollect,
            Effect.forkChild({ startImmediately: true })
          )
          yield* Effect.forEach(
            Array.from({ length: 30 }),
            (_, index) =>
              store.append({
                streamId: `a-${index}`,
                expected: "noStream",
                events: [proposed("A", { tags: ["k:1"] })]
              }),
            {
              concurrency: "unbounded"
            }
          )
          const events = proposedMany(5)
          yield* store.append({
            streamId: "a-1",
            expected: 0,
            events,
            condition: { after: 30, query: [{ types: ["A"], tags: ["k:1"] }] }
          })
          assert.isTrue((yield* store.append({ streamId: "a-1", expected: "any", events })).alreadyAppended)
          yield* store.setStreamMetadata("a-1", { owner: "x" })
          yield* store.truncateBefore("a-1", 2)
          yield* store.tombstone("a-2")
          assert.strictEqual((yield* Fiber.join(follower)).length, 35)
          assert.strictEqual((yield* store.statistics).events, 35)
          assert.strictEqual((yield* store.listStreams({ category: "a" })).streams.length, 30)
          assert.deepInclude(
            (yield* admin.checkHealth).find(({ name }) => name === "rights"),
            { level: "ok", detail: "this role cannot change events" }
          )

          // the month goes away and is made again by the owner: the events in it stay readable and more can follow
          const month = String(yield* scalar(sql, THIS_MONTH))
          yield* runAll(sql, moveToDefault(schema, month))
          yield* store.append({ streamId: "b-1", expected: "noStream", events: [proposed()] })
          assert.deepStrictEqual(yield* owner.admin.schemaApply(), ["1 partitions of months"])
          yield* store.append({ streamId: "b-1", expected: 0, events: [proposed()] })
          yield* assertSound({ ...owner, store })
        }))
    }

    it.live("a member of event_store_writer cannot change, delete or forge what is recorded, nor the schema", () =>
      Effect.gen(function*() {
        const { owner, url } = yield* someLogin(server.admin, "event_store_writer")
        const { store } = yield* openStore(url, { migrate: false })
        yield* store.append({ streamId: "a-1", expected: "noStream", events: [proposed("A", { tags: ["k:1"] })] })
        yield* assertForbidden(url)
        assert.deepStrictEqual(yield* owner.admin.schemaVerify, [])
        assert.strictEqual((yield* assertSound(owner)).length, 1)
      }))

    it.live("a member of event_store_reader reads everything, and is refused when it appends", () =>
      Effect.gen(function*() {
        const { owner, url } = yield* someLogin(server.admin, "event_store_reader")
        yield* owner.store.append({ streamId: "a-1", expected: "noStream", events: [proposed("A", { tags: ["k:1"] })] })
        const open = yield* openStore(url, { migrate: false })
        const { store } = open
        const refused = (effect: Effect.Effect<unknown, unknown>) =>
          Effect.map(
            assertStorageError(effect, "Refused", /permission denied/),
            ({ reason }) => assert.strictEqual(reason._tag === "Refused" ? reason.code : undefined, "42501")
          )

        yield* refused(store.append({ streamId: "a-1", expected: 0, events: [proposed()] }))
        yield* refused(
          Effect.forEach(
            Array.from({ length: 12 }),
            (_, index) => store.append({ streamId: `b-${index}`, expected: "noStream", events: [proposed()] }),
            {
              concurrency: "unbounded"
            }
          )
        )
        yield* refused(store.tombstone("a-1"))
        yield* refused(store.setStreamMetadata("a-1", {}))
        yield* refused(open.admin.schemaApply().pipe(Effect.andThen(open.admin.createIndex("type"))))
        yield* assertForbidden(url)
        assert.strictEqual((yield* store.readPage({ after: 0, filter: { tags: ["k:1"] } })).events.length, 1)
        assert.strictEqual((yield* Stream.runCollect(store.readStream("a-1"))).length, 1)
        assert.strictEqual((yield* assertSound(open)).length, 1)
      }))

    it.live("a login without a role sees nothing of the store", () =>
      Effect.gen(function*() {
        const { url } = yield* someLogin(server.admin, undefined)
        yield* assertStorageError(Effect.scoped(openStore(url, { migrate: false })), "Refused", /permission denied/)
        const sql = yield* openSql(url)
        for (const table of ["events", "streams", "head", "event_tags", "migrations", "events_jsonb"]) {
          const error = yield* Effect.flip(sql.unsafe(`SELECT * FROM event_store.${table}`).unprepared)
          assert.strictEqual(error.reason._tag, "AuthorizationError", table)
        }
      }))

    it.live("the owner, too, is told by the triggers that recorded events never change", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url)
        yield* open.store.append({ streamId: "a-1", expected: "noStream", events: [proposed("A", { tags: ["k:1"] })] })
        const sql = yield* openSql(url)
        const month = String(yield* scalar(sql, THIS_MONTH))
        for (
          const statement of [
            "UPDATE event_store.events SET type = 'Other'",
            "DELETE FROM event_store.events",
            "TRUNCATE event_store.events",
            `UPDATE event_store.${month} SET data = '{}'`,
            `DELETE FROM event_store.${month}`,
            `TRUNCATE event_store.${month}`,
            "TRUNCATE event_store.events_default",
            "UPDATE event_store.event_tags SET tag = 'x'",
            "DELETE FROM event_store.event_tags",
            "TRUNCATE event_store.event_tags"
          ]
        ) {
          const error = yield* Effect.flip(sql.unsafe(statement).unprepared)
          assert.strictEqual((error.reason.cause as { readonly code?: string }).code, "ES001", statement)
        }
        assert.strictEqual((yield* assertSound(open)).length, 1)
      }))
  })
}
