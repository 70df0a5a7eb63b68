/**
 * What the session does with clients that speak the protocol otherwise than
 * `PgClient` does.
 */
import { assert, layer } from "@effect/vitest"
import { Context, Duration, Effect, Layer, type Scope } from "effect"
import type { Duplex } from "node:stream"
import * as Instance from "../../src/pglite/internal/instance.ts"
import { Mux } from "../../src/pglite/internal/mux.ts"
import { cString, frame, frameSize, int32 } from "../../src/pglite/internal/wire.ts"
import { waitFor } from "../support/waitFor.ts"

class TestInstance extends Context.Service<TestInstance, Instance.Instance>()("test/pglite/mux/TestInstance") {
  static readonly layer = Layer.effect(
    this,
    Instance.make({
      directory: undefined,
      durability: "memory",
      clusterImage: undefined,
      settings: {},
      idleInTransaction: Duration.minutes(1)
    })
  )
}

/** One statement in a cycle of its own. */
const statement = (sql: string) => Buffer.concat([parse("", sql), run("")])

const sync = frame("S")
const parse = (name: string, sql: string) => frame("P", cString(name), cString(sql), Buffer.alloc(2))
const run = (statement: string) =>
  Buffer.concat([
    frame("B", cString(""), cString(statement), Buffer.alloc(6)),
    frame("E", cString(""), int32(0)),
    sync
  ])

interface RawClient {
  readonly stream: Duplex
  /** Type bytes of the messages so far, as `12CZ`. */
  readonly types: () => string
  readonly text: () => string
  readonly send: (bytes: Uint8Array) => Effect.Effect<void>
  readonly until: (isReached: (types: string) => boolean) => Effect.Effect<string>
  readonly closed: Effect.Effect<string>
}

/** Connects until the test ends. */
const connect: Effect.Effect<RawClient, never, TestInstance | Scope.Scope> = TestInstance.use(({ mux }) =>
  connectTo(mux)
)

const connectTo = (mux: Mux): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.gen(function*() {
    const stream = yield* Effect.acquireRelease(Effect.sync(mux.connect), (open) => Effect.sync(() => open.destroy()))
    let received = Buffer.alloc(0)
    let failure = ""
    stream.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
    })
    stream.on("error", (error) => {
      failure = error.message
    })
    const types = () => {
      const found: Array<string> = []
      let at = 0
      for (let size = frameSize(received, at); size !== undefined; size = frameSize(received, at)) {
        found.push(String.fromCharCode(received[at] ?? 0))
        at += size
      }
      return found.join("").replace(/^RS*KZ/, "")
    }
    const send = (bytes: Uint8Array) => Effect.sync(() => void stream.write(bytes))
    const startup = Buffer.concat([int32(196_608), cString("user"), cString("postgres"), Buffer.alloc(1)])
    yield* send(Buffer.concat([int32(startup.length + 4), startup]))
    return {
      stream,
      types,
      text: () => received.toString("latin1"),
      send,
      until: (isReached) => waitFor(Effect.sync(types), isReached),
      closed: Effect.map(waitFor(Effect.sync(() => stream.closed), (closed) => closed), () => failure)
    }
  })

const readyTimes = (count: number) => (types: string) => types.replace(/[^Z]/g, "").length >= count

layer(TestInstance.layer, { excludeTestServices: true, timeout: 60_000 })("the shared session", (it) => {
  it.effect("keeps statements of the same name apart", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* connect, yield* connect]
      yield* first.send(Buffer.concat([parse("s", "SELECT 'of the first'"), sync]))
      yield* second.send(Buffer.concat([parse("s", "SELECT 'of the second'"), sync]))
      yield* first.until(readyTimes(1))
      yield* second.until(readyTimes(1))
      yield* first.send(run("s"))
      yield* second.send(run("s"))
      assert.strictEqual(yield* first.until(readyTimes(2)), "1Z2DCZ")
      assert.strictEqual(yield* second.until(readyTimes(2)), "1Z2DCZ")
      assert.include(first.text(), "of the first")
      assert.include(second.text(), "of the second")
    }))

  it.effect("keeps portals of the same name apart, and one connection's cycle whole", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* connect, yield* connect]
      const open = (sql: string) =>
        Buffer.concat([parse("", sql), frame("B", cString("p"), cString(""), Buffer.alloc(6))])
      const fetch = frame("E", cString("p"), int32(0))
      // The second arrives in the middle of the first's cycle.
      yield* first.send(open("SELECT 'of the first'"))
      yield* second.send(Buffer.concat([open("SELECT 'of the second'"), fetch, sync]))
      assert.strictEqual(yield* second.until(readyTimes(1)), "12DCZ")
      yield* first.send(Buffer.concat([fetch, sync]))
      assert.strictEqual(yield* first.until(readyTimes(1)), "12DCZ")
      assert.include(first.text(), "of the first")
      assert.include(second.text(), "of the second")
    }))

  it.effect("takes messages in pieces of any size", () =>
    Effect.gen(function*() {
      const client = yield* connect
      for (const byte of statement("SELECT 'in pieces'")) yield* client.send(Buffer.of(byte))
      assert.strictEqual(yield* client.until(readyTimes(1)), "12DCZ")
      assert.include(client.text(), "in pieces")
    }))

  it.effect("answers every cycle of a pipeline, also after one that failed", () =>
    Effect.gen(function*() {
      const client = yield* connect
      yield* client.send(Buffer.concat(["SELECT 1", "SELECT 1/0", "SELECT 3"].map(statement)))
      assert.strictEqual(yield* client.until(readyTimes(3)), "12DCZ1EZ12DCZ")
    }))

  it.effect("disconnects a client that would disturb the others, and goes on", () =>
    Effect.gen(function*() {
      const disturbing: ReadonlyArray<readonly [Uint8Array, RegExp]> = [
        [frame("Q", cString("SELECT 1")), /"Q" message/],
        [frame("d", Buffer.from("1\n")), /"d" message/],
        [run(""), /unnamed statement/],
        [Buffer.from([0x50, 0, 0, 0, 1]), /length 1/],
        [frame("P", Buffer.from("no zero byte")), /zero byte/]
      ]
      for (const [bytes, expected] of disturbing) {
        const client = yield* connect
        yield* client.send(bytes)
        assert.match(yield* client.closed, expected)
      }
      const client = yield* connect
      yield* client.send(statement("SELECT 1"))
      assert.strictEqual(yield* client.until(readyTimes(1)), "12DCZ")
    }))

  it.effect("is free for the next when its owner is destroyed, whatever the owner was doing", () =>
    Effect.gen(function*() {
      const begin = statement("BEGIN")
      const slow = statement("SELECT count(*) FROM generate_series(1, 100000)")
      const owners: ReadonlyArray<(client: RawClient) => Effect.Effect<unknown>> = [
        (client) => Effect.andThen(client.send(begin), client.until(readyTimes(1))),
        (client) => client.send(begin),
        (client) => client.send(Buffer.concat([begin, slow, slow])),
        (client) => client.send(slow.subarray(0, 20)),
        () => Effect.void
      ]
      for (const occupy of owners) {
        const [owner, waiting] = [yield* connect, yield* connect]
        yield* occupy(owner)
        yield* waiting.send(statement("SELECT 1"))
        yield* Effect.sync(() => owner.stream.destroy())
        const types = yield* waiting.until(readyTimes(1))
        assert.deepStrictEqual([types, waiting.text().endsWith("I")], ["12DCZ", true])
      }
    }))

  it.effect("goes to those who wait in the order in which they came", () =>
    Effect.gen(function*() {
      const owner = yield* connect
      const waiting = yield* Effect.all([connect, connect, connect, connect])
      yield* owner.send(statement("BEGIN"))
      yield* owner.until(readyTimes(1))
      const order: Array<number> = []
      for (const [index, client] of waiting.entries()) {
        client.stream.on("data", () => order.push(index))
        yield* client.send(statement("SELECT 1"))
      }
      yield* owner.send(statement("COMMIT"))
      yield* Effect.forEach(waiting, (client) => client.until(readyTimes(1)))
      assert.deepStrictEqual(order, [0, 1, 2, 3])
    }))

  it.effect("sends a notification to its channel's listeners only, from the commit of their LISTEN on", () =>
    Effect.gen(function*() {
      const [listener, stranger, undecided] = [yield* connect, yield* connect, yield* connect]
      const sendAll = (client: RawClient, ...statements: ReadonlyArray<string>) =>
        Effect.andThen(
          client.send(Buffer.concat(statements.map(statement))),
          client.until(readyTimes(statements.length))
        )
      yield* sendAll(listener, "BEGIN", "LISTEN \"News\"", "COMMIT", "NOTIFY \"News\", 'to myself'")
      yield* sendAll(undecided, "BEGIN", "LISTEN \"News\"", "ROLLBACK")
      yield* sendAll(stranger, "LISTEN news", "LISTEN \"News\"", "UNLISTEN \"News\"", "NOTIFY \"News\", 'hidden'")
      assert.deepStrictEqual([listener, stranger, undecided].map(({ types }) => types().replace(/[^A]/g, "")), [
        "AA",
        "",
        ""
      ])
    }))

  it.effect("lets the event loop turn while statements follow each other without a break", () =>
    Effect.gen(function*() {
      const client = yield* connect
      yield* client.until(() => client.text().length > 0)
      let turns = 0
      const count = (): void => {
        turns++
        if (!readyTimes(300)(client.types())) setImmediate(count)
      }
      setImmediate(count)
      yield* client.send(
        Buffer.concat(Array.from({ length: 300 }, () => statement("SELECT count(*) FROM generate_series(1, 2000)")))
      )
      yield* client.until(readyTimes(300))
      assert.isAbove(turns, 5)
    }))

  it.effect("takes an answer that does not fit the statements for a broken engine", () =>
    Effect.gen(function*() {
      const causes: Array<unknown> = []
      const mux = new Mux({ idleInTransactionMs: 1000, onBroken: (_, cause) => causes.push(cause), onWork: () => {} })
      const answers = [
        Buffer.concat([frame("1"), frame("2"), frame("Z", Buffer.from("I"))]),
        Buffer.concat([frame("1"), frame("2"), frame("C", cString("SELECT 0"))])
      ]
      for (const answer of answers) {
        mux.attach({
          serverVersion: "18",
          run: () => Promise.resolve(answer),
          close: () => Promise.resolve(),
          discard: () => Promise.resolve()
        })
        const client = yield* connectTo(mux)
        yield* client.send(statement("SELECT 1"))
        assert.match(yield* client.closed, /whether the statement took effect is unknown/)
      }
      assert.deepStrictEqual(causes.map(String), answers.map(() => "Error: the answer does not fit the statements"))
    }))

  it.effect("survives a thousand clients that come and go at random", () =>
    Effect.gen(function*() {
      let state = 42
      const random = (bound: number) => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
        return (state >>> 8) % bound
      }
      const prepare = () => Buffer.concat([parse(`s${random(3)}`, "SELECT 2"), sync])
      const pieces = [
        statement("BEGIN"),
        statement("SELECT 1/0"),
        statement("LISTEN news"),
        statement("NOTIFY news"),
        statement("ROLLBACK"),
        statement("SELECT 1").subarray(0, 12)
      ]
      for (let round = 0; round < 1000; round++) {
        const client = yield* connect
        for (let count = random(4); count > 0; count--) {
          yield* client.send(random(4) === 0 ? prepare() : pieces[random(pieces.length)] ?? sync)
        }
        if (random(2) === 0) yield* Effect.yieldNow
        if (random(3) === 0) yield* Effect.sync(() => client.stream.end(frame("X")))
        else yield* Effect.sync(() => client.stream.destroy())
      }
      const client = yield* connect
      yield* client.send(statement("SELECT count(*) FROM pg_prepared_statements"))
      assert.strictEqual(yield* client.until(readyTimes(1)), "12DCZ")
      assert.match(client.text(), /D[^]{6}[^]{4}0C/)
    }))
})
