/**
 * Connections that break at the worst moment: an append is answered with what
 * became of it, or with the word that nobody knows, and never recorded twice.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import type { AppendOptions } from "../../src/store/EventStore.ts"
import { makeRandom } from "../checker/random.ts"
import { idsOf, indexes, positionsOf, proposedMany } from "../store/fixtures.ts"
import { type Fault, type FaultProxy, makeFaultProxy } from "../support/faultProxy.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  assertSound,
  assertStorageError,
  inOpenTransaction,
  openSql,
  type OpenStore,
  openStore,
  takeAppendLock
} from "./fixtures.ts"

const APPEND = ".append_"

const one = (streamId = "a-1", expected: AppendOptions["expected"] = "any"): AppendOptions => ({
  streamId,
  expected,
  // with a time of this month: only a retry looks these up
  events: proposedMany(2, () => ({ id: SecureRandom.uuidV7Unsafe() }))
})

/** A store behind a proxy. */
const behindProxy = (admin: string, options: Parameters<typeof openStore>[1] = {}, parameters = "") =>
  Effect.gen(function*() {
    const url = yield* makeDatabase(admin)
    const proxy = yield* makeFaultProxy(url)
    return { url, proxy, open: yield* openStore(`${proxy.url}${parameters}`, options) }
  })

const FAULTS: ReadonlyArray<readonly [name: string, fault: Fault]> = [
  ["whose answer is lost", { _tag: "LoseAnswer" }],
  ["whose request is lost", { _tag: "LoseRequest" }],
  ["whose answer is cut", { _tag: "CutAnswer", bytes: 9 }],
  ["whose request is cut", { _tag: "CutRequest", bytes: 20 }]
]

/** Many appenders while statement after statement of theirs meets a fault; each answer must be ok. */
const appendThroughFaults = (open: OpenStore, proxy: FaultProxy, seed: number, faults: number) =>
  Effect.gen(function*() {
    const random = makeRandom(seed)
    let answered = 0
    const trouble = yield* Effect.gen(function*() {
      for (let count = 0; count < faults; count++) {
        const [, fault] = random.pick(FAULTS)!
        const armed = yield* proxy.arm(APPEND, fault)
        yield* armed.happened
        // most of the time the next attempt gets through
        if (random.chance(0.7)) {
          const before = answered
          yield* waitFor(Effect.sync(() => answered), (now) => now > before)
        }
      }
    }).pipe(Effect.forkChild)
    const results = yield* Effect.forEach(indexes(50), (n) =>
      Effect.gen(function*() {
        const done: Array<{ readonly options: AppendOptions; readonly result: unknown }> = []
        for (let round = 0; round < 4 || trouble.pollUnsafe() === undefined; round++) {
          const options = one(n % 5 === 0 ? "shared-1" : `own-${n}`)
          done.push({ options, result: yield* open.store.append(options) })
          answered++
        }
        return done
      }), { concurrency: "unbounded" })
    return results.flat()
  })

for (const server of servers) {
  describe(`ambiguity (${server.label})`, () => {
    for (const [name, fault] of FAULTS) {
      it.live(`A3 A7 an append ${name} is answered with its place, and recorded once`, () =>
        Effect.gen(function*() {
          const { open, proxy } = yield* behindProxy(server.admin)
          yield* open.store.append(one())
          for (const expected of ["any", 3] as const) {
            const armed = yield* proxy.arm(APPEND, fault)
            const before = (yield* open.store.head).position
            const result = yield* open.store.append(one("a-1", expected))
            yield* armed.happened
            assert.strictEqual(result.firstPosition, before + 1)
            assert.strictEqual(result.position, before + 2)
            assert.strictEqual(result.revision, before + 1)
          }
          assert.strictEqual((yield* assertSound(open)).length, 6)
        }))
    }

    it.live("A1 A3 A7 of 50 appenders whose statements meet fault after fault, all are answered, and each append stands once", () =>
      Effect.gen(function*() {
        const { open, proxy } = yield* behindProxy(server.admin)
        const done = yield* appendThroughFaults(open, proxy, server.label.length, 110)
        assert.isAtLeast((yield* proxy.counters).faults, 110)
        const log = yield* assertSound(open)
        assert.strictEqual(log.length, 2 * done.length)
        const byId = new Map(log.map((event) => [event.id as string, event]))
        for (const { options, result } of done) {
          const [first, last] = options.events.map(({ id }) => byId.get(id!)!)
          assert.deepInclude(result as object, {
            firstPosition: first!.position,
            position: last!.position,
            revision: last!.revision
          })
        }
      }))

    it.live("A7 a server that falls silent is AppendOutcomeUnknown with the ids, and the same ids tell the truth later", () =>
      Effect.gen(function*() {
        const waits = { lockTimeout: "100 millis", resolveTimeout: "200 millis" } as const
        const { open, proxy } = yield* behindProxy(server.admin, waits, "?connect_timeout=1")
        const { store } = open
        yield* store.append(one())
        for (const [fault, isRecorded] of [["LoseAnswer", true], ["LoseRequest", false]] as const) {
          const options = one("b-1")
          yield* proxy.arm(APPEND, { _tag: fault, ending: "silence" })
          const error = yield* Effect.flip(store.append(options))
          assert.strictEqual(error._tag, "AppendOutcomeUnknown", error.message)
          if (error._tag === "AppendOutcomeUnknown") {
            assert.deepStrictEqual(error.ids as ReadonlyArray<string>, idsOf(options.events))
            assert.deepStrictEqual(error.streamIds as ReadonlyArray<string>, ["b-1"])
          }
          assert.strictEqual((yield* store.append(options)).alreadyAppended, isRecorded)
        }
        const waiting = indexes(20).map((n) => one(`c-${n}`))
        const results = yield* Effect.all([
          Effect.forEach(waiting, (options) => Effect.result(store.append(options)), { concurrency: "unbounded" }),
          proxy.setMode({ _tag: "BlackHole" })
        ], { concurrency: "unbounded" })
        const tags = results[0].map((result) =>
          Result.isSuccess(result)
            ? "recorded"
            : result.failure._tag === "StorageError"
            ? result.failure.reason._tag
            : result.failure._tag
        )
        // what was never sent is known not to be recorded
        assert.deepStrictEqual(tags.filter((tag) => tag !== "AppendOutcomeUnknown" && tag !== "Unavailable"), [])
        assert.include(tags, "AppendOutcomeUnknown")
        yield* proxy.setMode({ _tag: "Pass" })
        yield* proxy.reset
        for (const options of waiting) yield* store.append(options)
        assert.strictEqual((yield* assertSound(open)).length, 2 + 4 + 40)
      }))

    it.live("A2 A3 the session of a lost append is ended before the append is sent again, and it is recorded once", () =>
      Effect.gen(function*() {
        const { open, proxy, url } = yield* behindProxy(server.admin)
        const sql = yield* openSql(url)
        const holder = yield* inOpenTransaction(url, [takeAppendLock()])
        const appending = yield* Effect.forkChild(open.store.append(one()))
        const waiting =
          sql`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`
        const [lost] = yield* waitFor(waiting, (rows) => rows.length === 1)
        // the client loses its connection, the server does not notice: the session would wait for the lock beside its successor
        yield* proxy.reset
        yield* waitFor(waiting, (rows) => rows.length === 1 && rows[0]?.["pid"] !== lost?.["pid"])
        yield* holder.commit
        assert.strictEqual((yield* Fiber.join(appending)).position, 2)
        yield* waitFor(waiting, (rows) => rows.length === 0)
        assert.strictEqual((yield* assertSound(open)).length, 2)
      }))

    it.live("A7 a lost session that cannot be ended makes the outcome unknown, in time, and nothing is sent beside it", () =>
      Effect.gen(function*() {
        const { open, proxy, url } = yield* behindProxy(server.admin, { resolveTimeout: "400 millis" })
        const sql = yield* openSql(url)
        const holder = yield* inOpenTransaction(url, [takeAppendLock()])
        const options = one()
        const appending = yield* Effect.forkChild(Effect.flip(open.store.append(options)))
        const waiting =
          sql`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`
        const [lost] = yield* waitFor(waiting, (rows) => rows.length === 1)
        const pid = Number(lost?.["pid"])
        // a process that stands still hears no signal
        yield* Effect.acquireRelease(
          Effect.sync(() => process.kill(pid, "SIGSTOP")),
          () => Effect.sync(() => process.kill(pid, "SIGCONT"))
        ).pipe(
          Effect.andThen(proxy.reset),
          Effect.andThen(Fiber.join(appending)),
          Effect.tap((error) => Effect.sync(() => assert.strictEqual(error._tag, "AppendOutcomeUnknown"))),
          Effect.andThen(waiting),
          Effect.tap((rows) => Effect.sync(() => assert.deepStrictEqual(rows.map((row) => row["pid"]), [pid]))),
          Effect.scoped
        )
        yield* holder.commit
        const { position } = yield* open.store.append(options)
        assert.strictEqual(position, 2)
        assert.strictEqual((yield* assertSound(open)).length, 2)
      }))

    it.live("a read on a connection that has gone silent is Unavailable in time, and the next one is answered", () =>
      Effect.gen(function*() {
        const { open, proxy } = yield* behindProxy(server.admin, { readTimeout: "300 millis", maxConnections: 1 })
        yield* open.store.append(one())
        yield* open.store.head
        yield* proxy.setMode({ _tag: "BlackHole" })
        yield* assertStorageError(open.store.head, "Unavailable", /no answer from the server within 300ms/)
        yield* proxy.setMode({ _tag: "Pass" })
        yield* proxy.reset
        assert.strictEqual((yield* waitFor(Effect.result(open.store.head), Result.isSuccess))._tag, "Success")
      }))

    it.live("a bit that flips in the frame of an answer never becomes a wrong answer", () =>
      Effect.gen(function*() {
        const { open, proxy } = yield* behindProxy(server.admin, {
          lockTimeout: "100 millis",
          resolveTimeout: "300 millis"
        })
        const { store } = open
        const random = makeRandom(11)
        let expected = 0
        yield* store.append(one())
        expected += 2
        // type and length of a row, its number of columns, the length of the first one
        for (const offset of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
          const options = one()
          yield* proxy.arm(APPEND, { _tag: "CorruptAnswer", message: "D", offset, bit: random.int(8) })
          const result = yield* Effect.result(store.append(options))
          if (Result.isSuccess(result)) assert.strictEqual(result.success.position, expected + 2, `offset ${offset}`)
          else assert.include(["AppendOutcomeUnknown", "StorageError"], result.failure._tag, `offset ${offset}`)
          const again = yield* waitFor(Effect.result(store.append(options)), Result.isSuccess)
          assert.strictEqual(Result.isSuccess(again) ? again.success.position : 0, expected + 2)
          expected += 2
        }
        assert.strictEqual((yield* assertSound(open)).length, expected)
      }))

    it.live("a server that is away is Unavailable at once, and the store works again by itself when it is back", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const proxy = yield* makeFaultProxy(url)
        yield* proxy.setMode({ _tag: "Refuse" })
        yield* assertStorageError(Effect.scoped(openStore(proxy.url)), "Unavailable")
        yield* proxy.setMode({ _tag: "Pass" })
        const open = yield* openStore(proxy.url, { resolveTimeout: "200 millis" })
        const { store } = open
        const follower = yield* store.subscribe().pipe(
          Stream.take(12),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true })
        )
        for (const round of indexes(3)) {
          yield* store.append(one())
          yield* proxy.setMode({ _tag: "Refuse" })
          yield* waitFor(proxy.counters, ({ open }) => open === 0)
          // a statement may still meet a connection whose end the process has yet to hear of
          const error = yield* waitFor(
            Effect.suspend(() => Effect.flip(store.append(one()))),
            ({ _tag }) => _tag !== "AppendOutcomeUnknown"
          )
          assert.isTrue(error._tag === "StorageError" && error.reason._tag === "Unavailable" && error.isRetryable)
          yield* assertStorageError(store.head, "Unavailable")
          yield* assertStorageError(Stream.runDrain(store.readAll()), "Unavailable")
          yield* proxy.setMode({ _tag: "Pass" })
          const result = yield* waitFor(Effect.result(store.append(one("b-1"))), Result.isSuccess)
          assert.deepInclude(Result.isSuccess(result) ? { ...result.success } as object : {}, {
            position: 4 * round + 4
          })
          yield* waitFor(Effect.result(store.head), Result.isSuccess)
        }
        assert.deepStrictEqual(positionsOf(yield* Fiber.join(follower)), indexes(12).map((n) => n + 1))
        yield* assertSound(open)
      }))

    it.live("P1 a follower whose connections break again and again misses nothing and repeats nothing", () =>
      Effect.gen(function*() {
        const { open, proxy, url } = yield* behindProxy(server.admin)
        const writer = yield* openStore(url)
        const random = makeRandom(5)
        const total = 80
        let seen = 0
        const follower = yield* open.store.subscribe().pipe(
          Stream.take(total),
          Stream.tap(() => Effect.sync(() => seen++)),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true })
        )
        for (let written = 0; written < total; written += 2) {
          const trouble = random.int(4)
          if (trouble === 1) yield* proxy.reset
          if (trouble === 2) yield* proxy.arm("events x", { _tag: "LoseAnswer" })
          if (trouble === 3) yield* proxy.arm("events x", { _tag: "CutAnswer", bytes: 40 })
          yield* writer.store.append(one(`a-${written}`))
          // sometimes it comes in the middle of a page
          if (random.chance(0.7)) yield* waitFor(Effect.sync(() => seen), (count) => count >= written)
        }
        assert.deepStrictEqual(yield* Fiber.join(follower), yield* assertSound(writer))
      }))
  })
}
