/**
 * Servers that say no, and servers that die: the reason is typed and named, and
 * the store goes on when there is none any more.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { idsOf, indexes, proposed } from "../store/fixtures.ts"
import { makeDatabase, scopedServer, withDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { assertSound, assertStorageError, openSql, openStore, runAll, scalar, withUser } from "./fixtures.ts"

const one = (streamId = "a-1") => ({
  streamId,
  expected: "any" as const,
  events: [proposed("A", { id: SecureRandom.uuidV7Unsafe() })]
})

for (const server of servers) {
  describe(`refusals (${server.label})`, () => {
    it.live("a database that does not exist is refused, with what to do", () =>
      Effect.gen(function*() {
        const error = yield* assertStorageError(
          Effect.scoped(openStore(withDatabase(server.admin, "nowhere"))),
          "Refused",
          /does not exist/
        )
        assert.isFalse(error.isRetryable)
      }))

    it.live("a role that does not exist is refused", () =>
      Effect.gen(function*() {
        yield* assertStorageError(
          Effect.scoped(openStore(withUser(server.admin, "nobody_here"))),
          "Refused",
          /nobody_here/
        )
      }))

    it.live("a read-only server is refused with the reason; reads go on, and appends when it is writable again", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const sql = yield* openSql(url)
        yield* Effect.scoped(Effect.flatMap(openStore(url), ({ store }) => store.append(one())))
        const database = new URL(url).pathname.slice(1)
        yield* runAll(sql, [`ALTER DATABASE ${database} SET default_transaction_read_only = on`])
        yield* Effect.scoped(Effect.gen(function*() {
          const { admin, store } = yield* openStore(url, { migrate: false })
          const writes: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
            store.append(one()),
            store.tombstone("a-1"),
            store.setStreamMetadata("a-1", {})
          ]
          for (const effect of writes) {
            const error = yield* assertStorageError(effect, "Refused", /read-only: connect to the primary/)
            assert.strictEqual(error.reason._tag === "Refused" ? error.reason.code : undefined, "25006")
          }
          const many = yield* Effect.forEach(indexes(20), (n) => Effect.result(store.append(one(`b-${n}`))), {
            concurrency: "unbounded"
          })
          assert.isTrue(many.every(Result.isFailure))
          assert.strictEqual((yield* Stream.runCollect(store.readStream("a-1"))).length, 1)
          assert.deepInclude((yield* admin.checkHealth).find(({ name }) => name === "writable"), { level: "fail" })
        }))
        yield* runAll(sql, [`ALTER DATABASE ${database} RESET default_transaction_read_only`])
        const open = yield* openStore(url)
        yield* open.store.append(one())
        assert.strictEqual((yield* assertSound(open)).length, 2)
      }))

    it.live("what the server says of itself while it records is told apart: a full disk, a broken index, a shutdown", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url, { resolveTimeout: "100 millis" })
        const { store } = open
        const sql = yield* openSql(url)
        yield* runAll(sql, [
          "CREATE FUNCTION public.say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " +
          "RAISE EXCEPTION 'as said' USING ERRCODE = current_setting('test.code'); END $$",
          "CREATE TRIGGER say BEFORE INSERT ON event_store.events FOR EACH ROW EXECUTE FUNCTION public.say()"
        ])
        const database = new URL(url).pathname.slice(1)
        for (
          const [code, reason, detail] of [
            ["53100", "Refused", /disk is full/],
            ["XX001", "Corrupt", /as said/],
            ["42501", "Refused", /as said/],
            ["22P02", "Refused", /as said/],
            ["42P01", "SchemaMismatch", /schema apply/],
            ["55P03", "AppendBusy", /lock/]
          ] as const
        ) {
          yield* runAll(sql, [`ALTER DATABASE ${database} SET test.code = '${code}'`])
          yield* runAll(sql, [
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
          ])
          yield* waitFor(
            Effect.flip(store.append(one())),
            (error) => error._tag === "StorageError" && error.reason._tag === reason && detail.test(error.reason.detail)
          )
        }
        // 57P01 and no end of the session: nobody can say what became of it
        yield* runAll(sql, [`ALTER DATABASE ${database} SET test.code = '57P01'`])
        yield* runAll(sql, [
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ])
        const unknown = one()
        const error = yield* waitFor(
          Effect.flip(store.append(unknown)),
          (error) => error._tag === "AppendOutcomeUnknown"
        )
        if (error._tag === "AppendOutcomeUnknown") {
          assert.deepStrictEqual(error.ids as ReadonlyArray<string>, idsOf(unknown.events))
        }

        yield* runAll(sql, ["DROP TRIGGER say ON event_store.events"])
        yield* store.append(one())
        assert.strictEqual((yield* assertSound(open)).length, 1)
      }))
  })
}

describe("refusals (a server of our own)", () => {
  it.live("a wrong password is refused, a right one is not", () =>
    Effect.gen(function*() {
      const server = yield* scopedServer()
      const url = yield* makeDatabase(server.admin)
      const sql = yield* openSql(url)
      const file = String(yield* scalar(sql, "SHOW hba_file"))
      yield* runAll(sql, [
        "CREATE ROLE careful LOGIN SUPERUSER PASSWORD 'right'",
        "CREATE TABLE public.rules (line text)",
        "INSERT INTO public.rules VALUES ('host all careful all scram-sha-256'), ('host all all all trust')",
        `COPY public.rules TO '${file}'`,
        "SELECT pg_reload_conf()"
      ])
      const wrong = Effect.scoped(openStore(withUser(url, "careful", "wrong")))
      yield* waitFor(Effect.result(wrong), Result.isFailure)
      const error = yield* assertStorageError(wrong, "Refused", /password authentication failed/)
      assert.isFalse(error.isRetryable)
      const open = yield* openStore(withUser(url, "careful", "right"))
      yield* open.store.append(one())
      yield* assertSound(open)
    }))

  it.live("A1 A3 G4 a server that is killed and starts again has every acknowledged event, and followers go on", () =>
    Effect.gen(function*() {
      const server = yield* scopedServer()
      const url = yield* makeDatabase(server.admin)
      const open = yield* openStore(url)
      const { store } = open
      const acknowledged = new Map<string, number>()
      const total = 3_000
      const follower = yield* store.subscribe().pipe(
        Stream.take(total),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      /** Appends the same events until the answer is one, as an application does. */
      const insist = (streamId: string) => {
        const options = one(streamId)
        return waitFor(Effect.result(store.append(options)), Result.isSuccess).pipe(
          Effect.map((result) => {
            if (Result.isSuccess(result)) acknowledged.set(options.events[0]!.id!, result.success.position)
          })
        )
      }
      const writers = yield* Effect.forkChild(Effect.forEach(
        indexes(total),
        (n) => insist(`a-${n % 50}`),
        { concurrency: 10, discard: true }
      ))
      for (const kill of indexes(2)) {
        yield* waitFor(Effect.sync(() => acknowledged.size), (size) => size > (kill + 1) * 300)
        yield* Effect.promise(server.kill9)
        yield* Effect.promise(server.start)
      }
      yield* Fiber.join(writers)
      const log = yield* waitFor(Effect.result(assertSound(open)), Result.isSuccess)
      const events = Result.isSuccess(log) ? log.success : []
      assert.strictEqual(events.length, total)
      for (const { id, position } of events) assert.strictEqual(acknowledged.get(id), position)
      assert.deepStrictEqual(yield* Fiber.join(follower), events)
    }))
})
