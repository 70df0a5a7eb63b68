/**
 * Commits that are slow, transactions that are rolled back, serialisation
 * failures and dead sessions: readers skip nothing, and the log stays whole.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { makeRandom } from "../checker/random.ts"
import { indexes, positionsOf, proposed } from "../store/fixtures.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { assertSound, inOpenTransaction, openSql, type OpenStore, openStore, runAll, scalar } from "./fixtures.ts"

/** Makes the server do something for each event that is recorded. */
const onEvent = (body: string, timing = "BEFORE INSERT"): ReadonlyArray<string> => [
  `CREATE FUNCTION public.disturb() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} RETURN NEW; END $$`,
  timing.startsWith("AFTER")
    ? `CREATE CONSTRAINT TRIGGER disturb ${timing} ON event_store.streams DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION public.disturb()`
    : `CREATE TRIGGER disturb ${timing} ON event_store.events FOR EACH ROW EXECUTE FUNCTION public.disturb()`
]

/** So many appends, some at a time; each to a stream of its own or to one of three that all share. */
const storm = (
  store: OpenStore["store"],
  writer: number,
  count: number,
  concurrency: number,
  onDone: () => void = () => undefined
) =>
  Effect.forEach(indexes(count), (n) => {
    const event = proposed("A", { id: SecureRandom.uuidV7Unsafe(), tags: [`w:${writer}`] })
    const streamId = n % 4 === 0 ? `shared-${n % 3}` : `own-${writer}-${n}`
    return Effect.map(Effect.result(store.append({ streamId, expected: "any", events: [event] })), (result) => {
      onDone()
      return { event, result }
    })
  }, { concurrency })

for (const server of servers) {
  describe(`storms (${server.label})`, () => {
    it.live("G1 G2 G6 readers that follow while commits are slow skip nothing, and see the same log", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const first = yield* openStore(url)
        const second = yield* openStore(url)
        const sql = yield* openSql(url)
        yield* runAll(sql, onEvent("PERFORM pg_sleep(random() * 0.01);", "AFTER INSERT OR UPDATE"))
        const total = 120
        const followers = yield* Effect.forEach(
          [first, second],
          ({ store }) =>
            store.subscribe().pipe(Stream.take(total), Stream.runCollect, Effect.forkChild({ startImmediately: true }))
        )
        // a reader that asks for the last page again and again
        const pages: Array<number> = []
        const paging = yield* Effect.gen(function*() {
          while ((pages.at(-1) ?? 0) < total) {
            const page = yield* second.store.readPage({ after: pages.at(-1) ?? 0, limit: 7 })
            pages.push(...positionsOf(page.events))
            yield* Effect.yieldNow
          }
        }).pipe(Effect.forkChild)

        const done = yield* Effect.all(
          [storm(first.store, 1, 60, 6), storm(second.store, 2, 60, 6)],
          { concurrency: "unbounded" }
        )
        assert.isTrue(done.flat().every(({ result }) => Result.isSuccess(result)))
        yield* Fiber.join(paging)
        assert.deepStrictEqual(pages, indexes(total).map((n) => n + 1))
        const log = yield* assertSound(first)
        for (const follower of followers) assert.deepStrictEqual(yield* Fiber.join(follower), log)
      }))

    it.live("A2 G4 in a storm of rollbacks each append succeeds or fails as it says, and no position is left out", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url)
        const sql = yield* openSql(url)
        yield* runAll(sql, [
          ...onEvent("IF random() < 0.5 THEN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END IF;"),
          "SELECT setseed(0.5)"
        ])
        const total = 200
        const done = yield* storm(open.store, 1, total, 20)
        yield* runAll(sql, ["DROP TRIGGER disturb ON event_store.events"])
        const log = yield* assertSound(open)
        const recorded = new Map(log.map((event) => [event.id as string, event.position]))
        for (const { event, result } of done) {
          if (Result.isSuccess(result)) assert.strictEqual(recorded.get(event.id!), result.success.position)
          else assert.isUndefined(recorded.get(event.id!))
        }
        assert.isTrue(log.length > 0 && log.length < total)
      }))

    it.live("serialisation failures and deadlocks, which wrote nothing, are tried again until they pass", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url)
        const sql = yield* openSql(url)
        yield* runAll(sql, [
          ...onEvent(
            "IF random() < 0.1 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF; " +
              "IF random() < 0.1 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40P01'; END IF;"
          )
        ])
        const done = yield* storm(open.store, 1, 60, 3)
        assert.deepStrictEqual(done.filter(({ result }) => Result.isFailure(result)), [])
        assert.strictEqual((yield* assertSound(open)).length, 60)
      }))

    it.live("a real deadlock with somebody else's transaction ends, and the append is recorded once", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url)
        const sql = yield* openSql(url)
        yield* runAll(sql, [
          `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET deadlock_timeout = '20ms'`,
          "CREATE TABLE public.other (i int)",
          "INSERT INTO public.other VALUES (1)",
          ...onEvent("UPDATE public.other SET i = i + 1;")
        ])
        const guest = yield* openSql(url, { maxConnections: 1 })
        const connection = yield* guest.reserve
        const run = (text: string) => connection.executeUnprepared(text, [], undefined)
        yield* run("BEGIN")
        yield* run("UPDATE public.other SET i = i + 1")
        const appending = yield* Effect.forkChild(
          open.store.append({ streamId: "a-1", expected: "noStream", events: [proposed()] }),
          { startImmediately: true }
        )
        // one of the two is chosen to fail; the other one goes on
        yield* Effect.exit(run("SELECT pg_advisory_xact_lock(1163088961, 'event_store.head'::regclass::oid::integer)"))
        yield* Effect.exit(run("ROLLBACK"))
        assert.strictEqual((yield* Fiber.join(appending)).position, 1)
        assert.strictEqual((yield* assertSound(open)).length, 1)
      }))

    it.live("A1 A2 A3 sessions that are ended 100 times under load lose no append and double none", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url)
        const admin = yield* openSql(server.admin)
        const database = new URL(url).pathname.slice(1)
        const follower = yield* open.store.subscribe().pipe(
          Stream.take(1_000),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true })
        )
        const random = makeRandom(server.label.length)
        let appended = 0
        let ended = 0
        // after every few appends some of the sessions, whatever they are doing
        const killer = yield* Effect.gen(function*() {
          while (ended < 100) {
            const next = appended + random.int(25)
            yield* waitFor(Effect.sync(() => appended), (count) => count >= next)
            ended += Number(
              yield* scalar(
                admin,
                `SELECT count(pg_terminate_backend(pid))::int FROM pg_stat_activity
               WHERE datname = '${database}' AND random() < 0.5`
              )
            )
          }
        }).pipe(Effect.forkChild)
        const done: Array<{ readonly event: { readonly id?: string | undefined }; readonly position: number }> = []
        for (let round = 0; killer.pollUnsafe() === undefined || done.length < 1_000; round++) {
          for (const { event, result } of yield* storm(open.store, round, 40, 10, () => appended++)) {
            if (Result.isFailure(result)) return yield* Effect.fail(result.failure)
            done.push({ event, position: result.success.position })
          }
        }
        const log = yield* assertSound(open)
        const recorded = new Map(log.map((event) => [event.id as string, event.position as number]))
        for (const { event, position } of done) assert.strictEqual(recorded.get(event.id!), position)
        assert.strictEqual(log.length, done.length)
        assert.deepStrictEqual(yield* Fiber.join(follower), log.slice(0, 1_000))
      }))

    it.live("a transaction of somebody else that wrote before the appends and commits after them moves no event", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url)
        const old = yield* inOpenTransaction(url, ["CREATE TABLE public.early (i int)"])
        yield* storm(open.store, 1, 20, 5)
        const before = yield* assertSound(open)
        yield* old.commit
        assert.deepStrictEqual(yield* assertSound(open), before)
      }))
  })
}
