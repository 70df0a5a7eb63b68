import { assert, describe, it } from "@effect/vitest"
import { type Cause, Context, Effect, Metric, Ref, Schema, Tracer } from "effect"
import { CommandBus, Message, Middleware, QueryBus } from "../../src/command/index.ts"

const Deposit = Message.make("Deposit", { account: Schema.String, amount: Schema.FiniteFromString }, {
  description: "Puts money on an account"
})
const Close = Message.make("Close", Schema.String)
const Balance = Message.make("Balance", { account: Schema.NonEmptyString })

class Frozen extends Schema.TaggedError<Frozen>()("Frozen", {}) {}
class Ledger extends Context.Service<Ledger, { readonly add: (amount: number) => Effect.Effect<number> }>()("Ledger") {}

/** A ledger that adds up. */
const ledger = Effect.map(
  Ref.make(0),
  (sum) => Ledger.of({ add: (amount) => Ref.updateAndGet(sum, (n) => n + amount) })
)

const handlers = [
  CommandBus.handle(Deposit, ({ account, amount }, { commandId }) =>
    account === "frozen"
      ? Effect.fail(new Frozen())
      : Ledger.use(({ add }) => Effect.map(add(amount), (balance) => ({ balance, commandId })))),
  CommandBus.handle(Close, (account) => Effect.succeed(account.length))
] as const

const withLedger = <A, E, R>(effect: Effect.Effect<A, E, R | Ledger>) =>
  Effect.provideServiceEffect(effect, Ledger, ledger)

describe("CommandBus", () => {
  it.effect("a command is carried out by the handler of its name, and answered with its type", () =>
    Effect.gen(function*() {
      const bus = yield* CommandBus.make(handlers)
      const first: { readonly balance: number } = yield* bus.execute("Deposit", { account: "1", amount: 2 })
      const second = yield* bus.execute("Deposit", { account: "1", amount: 3 }, { commandId: "c-1" })
      const closed: number = yield* bus.execute("Close", "abc")
      assert.deepStrictEqual([first, second, closed], [
        { balance: 2, commandId: undefined },
        { balance: 5, commandId: "c-1" },
        3
      ])
    }).pipe(withLedger))

  it.effect("handlers keep the services of the bus's maker", () =>
    Effect.gen(function*() {
      const bus = yield* withLedger(CommandBus.make(handlers))
      const ran: Effect.Effect<unknown, Frozen | Message.MessageInvalid> = bus.execute("Deposit", {
        account: "1",
        amount: 2
      })
      assert.deepStrictEqual(yield* ran, { balance: 2, commandId: undefined })
    }))

  it.effect("what the schema refuses never reaches the handler, and the error says where", () =>
    Effect.gen(function*() {
      const bus = yield* CommandBus.make(handlers)
      // @ts-expect-error an amount is a number
      const typed = yield* Effect.flip(bus.execute("Deposit", { account: "1", amount: "2" }))
      assert.deepStrictEqual([typed._tag, typed._tag === "MessageInvalid" && typed.path], ["MessageInvalid", "amount"])
      const encoded = yield* Effect.flip(bus.executeUnknown("Deposit", { account: "1", amount: "secret 2" }))
      assert.strictEqual(encoded._tag, "MessageInvalid")
      assert.notInclude(encoded.message, "secret")
      assert.deepStrictEqual(yield* bus.executeUnknown("Deposit", { account: "1", amount: "2" }), {
        balance: 2,
        commandId: undefined
      })
    }).pipe(withLedger))

  it.effect("a handler's own failure is the answer, with its type", () =>
    Effect.gen(function*() {
      const bus = yield* CommandBus.make(handlers)
      const error: Frozen | Message.MessageInvalid = yield* Effect.flip(
        bus.execute("Deposit", { account: "frozen", amount: 1 })
      )
      assert.instanceOf(error, Frozen)
    }).pipe(withLedger))

  it.effect("a name that nobody handles is refused: by the compiler, and from outside by name", () =>
    Effect.gen(function*() {
      const bus = yield* CommandBus.make(handlers)
      // @ts-expect-error nobody handles it
      const typed = yield* Effect.flip(bus.execute("Withdraw", {}))
      assert.strictEqual((typed as { readonly _tag: string })._tag, "MessageUnknown")
      assert.strictEqual(
        (yield* Effect.flip(bus.executeUnknown("toString", {}))).message,
        "Nobody handles \"toString\""
      )
    }).pipe(withLedger))

  it.effect("two handlers of one name make no bus", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(CommandBus.make([...handlers, handlers[1]]))
      assert.deepStrictEqual(error.duplicates, ["Close"])
    }).pipe(withLedger))

  it.effect("the bus tells what it handles", () =>
    Effect.gen(function*() {
      const bus = yield* CommandBus.make(handlers)
      assert.deepStrictEqual(
        bus.registered.map(({ description, name }) => [name, description]),
        [["Deposit", "Puts money on an account"], ["Close", undefined]]
      )
      assert.property(Schema.toJsonSchemaDocument(bus.registered[0]!.schema), "schema")
    }).pipe(withLedger))
})

describe("QueryBus", () => {
  it.effect("a query is answered by the handler of its name", () =>
    Effect.gen(function*() {
      const bus = yield* QueryBus.make([QueryBus.handle(Balance, ({ account }) => Effect.succeed(account.length))])
      const balance: number = yield* bus.ask("Balance", { account: "abc" })
      assert.strictEqual(balance, 3)
      assert.strictEqual(yield* bus.askUnknown("Balance", { account: "ab" }), 2)
      assert.deepStrictEqual(bus.registered.map(({ name }) => name), ["Balance"])
      assert.strictEqual((yield* Effect.flip(bus.ask("Balance", { account: "" })))._tag, "MessageInvalid")
    }))
})

describe("Middleware", () => {
  it.effect("each goes around the next, the first outermost, and knows the message", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const trail = (name: string): Middleware.Middleware => (next, call) =>
        Effect.suspend(() => {
          seen.push([name, call.kind, call.name, call.payload])
          return Effect.tap(next, () => Effect.sync(() => seen.push(name)))
        })
      const bus = yield* CommandBus.make([CommandBus.handle(Close, (account) => Effect.succeed(account))], {
        middleware: [trail("outer"), trail("inner")]
      })
      yield* bus.execute("Close", "a")
      assert.deepStrictEqual(seen, [
        ["outer", "command", "Close", "a"],
        ["inner", "command", "Close", "a"],
        "inner",
        "outer"
      ])
    }))

  it.effect("who is not authorised runs nothing, and is told so", () =>
    Effect.gen(function*() {
      const ran = yield* Ref.make(0)
      const bus = yield* CommandBus.make([CommandBus.handle(Close, () => Ref.update(ran, (n) => n + 1))], {
        middleware: [Middleware.metrics, Middleware.authorise(({ payload }) => Effect.succeed(payload === "mine"))]
      })
      yield* bus.execute("Close", "mine")
      const error: Middleware.NotAuthorised | Message.MessageInvalid = yield* Effect.flip(bus.execute("Close", "yours"))
      assert.strictEqual(error.message, "Not authorised: Close")
      assert.strictEqual(yield* Ref.get(ran), 1)
    }))

  it.effect("a bus fails with whatever its middleware fails with", () =>
    Effect.gen(function*() {
      const timedOut: Middleware.Middleware<Cause.TimeoutError> = (next) => Effect.timeout(next, "1 minutes")
      const bus = yield* CommandBus.make([CommandBus.handle(Close, (account) => Effect.succeed(account))], {
        middleware: [timedOut, Middleware.authorise(() => Effect.fail(new Frozen()))]
      })
      const error: Cause.TimeoutError | Frozen | Middleware.NotAuthorised | Message.MessageInvalid = yield* Effect.flip(
        bus.execute("Close", "a")
      )
      assert.instanceOf(error, Frozen)
    }))

  it.effect("spans name the message", () =>
    Effect.gen(function*() {
      const names: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          names.push(options.name)
          return new Tracer.NativeSpan(options)
        }
      })
      const bus = yield* QueryBus.make([QueryBus.handle(Balance, () => Effect.succeed(1))], {
        middleware: [Middleware.spans]
      })
      yield* Effect.withTracer(bus.ask("Balance", { account: "a" }), tracer)
      assert.deepStrictEqual(names, ["query Balance"])
    }))

  it.effect("metrics count messages by outcome", () =>
    Effect.gen(function*() {
      const name = `Close${crypto.randomUUID()}`
      const bus = yield* CommandBus.make([
        CommandBus.handle(Message.make(name, Schema.Boolean), (fails) => fails ? Effect.fail("no") : Effect.void)
      ], { middleware: [Middleware.metrics] })
      yield* bus.execute(name, false)
      yield* bus.execute(name, false)
      yield* Effect.flip(bus.execute(name, true))
      const counts = (yield* Metric.snapshot)
        .filter(({ attributes, id }) => id === "event_store_messages" && attributes?.["name"] === name)
        .map(({ attributes, state }) => [attributes?.["outcome"], Number((state as { readonly count: number }).count)])
      assert.deepStrictEqual(Object.fromEntries(counts), { success: 2, failure: 1 })
    }))
})
