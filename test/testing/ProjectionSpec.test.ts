import { assert, describe, it, layer as withLayer } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Ref, Schema } from "effect"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { Projection } from "../../src/projection/index.ts"
import * as Reactor from "../../src/projection/Reactor.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { ProjectionSpec } from "../../src/testing/index.ts"
import { balances, Deposited, NO_BALANCE, Opened } from "../projection/fixtures.ts"
import { salesByCountry, Sold } from "../projection/sales.ts"

const memory = Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer)

/** What a check throws. */
const thrownBy = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<string, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    const thrown = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    assert.strictEqual((thrown as { readonly _tag?: string } | undefined)?._tag, "AssertionFailed", String(thrown))
    return (thrown as Error).message
  })

const spec = ProjectionSpec.state(balances("account"))

const opened = Opened.make({ owner: "Ann" })

withLayer(memory)("ProjectionSpec of states", (it) => {
  it.effect("a scenario that holds says nothing: one state, all of them, and none", () =>
    Effect.gen(function*() {
      const given = spec.given(
        opened,
        Deposited.make({ amount: 10 }),
        { ...Opened.make({ owner: "Bob" }), streamId: "account-2" },
        Deposited.make({ amount: 5 })
      )
      yield* given.thenState("account-1", { owner: "Ann", amount: 15, deposits: 2 })
      yield* given.thenState("account-9", undefined)
      yield* given.thenStates({
        "account-1": { owner: "Ann", amount: 15, deposits: 2 },
        "account-2": { ...NO_BALANCE, owner: "Bob" }
      })
      yield* spec.given().thenStates({})
    }))

  it.effect("stored data of an older version is lifted", () =>
    spec.givenStored({ type: "MoneyDeposited", version: 1, data: { cents: 250 } })
      .thenState("account-1", { owner: "", amount: 2.5, deposits: 1 }))

  it.effect("what is not as expected is told with its place", () =>
    Effect.gen(function*() {
      const given = spec.given(opened, Deposited.make({ amount: 10 }))
      const message = yield* thrownBy(given.thenState("account-1", { owner: "Ann", amount: 11, deposits: 1 }))
      assert.match(message, /The state "account-1" is/)
      assert.match(message, /~ amount: 11 -> 10/)
      assert.match(yield* thrownBy(given.thenStates({})), /\+ \["account-1"\]/)
    }))

  it.effect("data that could not be stored cannot be given", () =>
    Effect.sync(() =>
      assert.throws(() => spec.given({ type: "MoneyDeposited", version: 2, data: { amount: "much" } }))
    ))

  it.effect("a handler that counts its calls is found: the events were delivered again", () => {
    let calls = 0
    const counting = Projection.state({
      name: "counting",
      events: [Opened],
      state: Schema.Int,
      initial: 0,
      on: { AccountOpened: () => ++calls }
    })
    return Effect.gen(function*() {
      const message = yield* thrownBy(ProjectionSpec.state(counting).given(opened, opened).thenState(2))
      assert.match(message, /one event at a time|delivered again/)
    })
  })

  it.effect("a handler that keeps in mind what it saw in its batch is found", () => {
    let last = 0
    const remembering = Projection.state({
      name: "remembering",
      events: [Opened],
      state: Schema.Array(Schema.Int),
      initial: [],
      on: {
        AccountOpened: (state, { position }) => {
          const step = position - last
          last = position
          return [...state, step]
        }
      }
    })
    return Effect.gen(function*() {
      const given = ProjectionSpec.state(remembering).given(opened, opened, opened)
      assert.match(yield* thrownBy(given.thenState([1, 1, 1])), /The state is, built anew/)
    })
  })

  it.effect("a projection that stops before an event is expected to, or it fails the scenario", () =>
    Effect.gen(function*() {
      const failing = balances("account", {
        onDeposit: () => {
          throw new TypeError("no")
        }
      })
      const given = ProjectionSpec.state(failing).given(opened, Deposited.make({ amount: 10 }))
      yield* given.thenHalts()
      yield* given.thenHalts({ type: "MoneyDeposited", reason: "HandlerThrew", position: 2 as never })
      assert.match(yield* thrownBy(given.thenHalts({ reason: "Undecodable" })), /HandlerThrew/)
      assert.match(yield* thrownBy(spec.given(opened).thenHalts()), /does not halt/)
      assert.strictEqual((yield* Effect.flip(given.thenStates({})))._tag, "ProjectionHalted")
    }))

  it.effect("a divided projection gives the same without its slices", () => {
    const divided = Projection.state({
      name: "divided",
      events: [Opened, Deposited],
      slices: { count: 3 },
      state: Schema.Number,
      initial: 0,
      key: ({ streamId }) => streamId,
      on: { AccountOpened: (sum) => sum, MoneyDeposited: (sum, { data }) => sum + data.amount }
    })
    return ProjectionSpec.state(divided).given(
      { ...Deposited.make({ amount: 1 }), streamId: "a-1" },
      { ...Deposited.make({ amount: 2 }), streamId: "a-2" },
      { ...Deposited.make({ amount: 3 }), streamId: "a-3" },
      { ...Deposited.make({ amount: 4 }), streamId: "a-1" }
    ).thenStates({ "a-1": 5, "a-2": 2, "a-3": 3 })
  })

  it.effect("what comes after another one is tested alone", () =>
    Effect.gen(function*() {
      const other = Projection.state({
        name: "never run",
        events: [Deposited],
        state: Schema.Int,
        initial: 0,
        on: { MoneyDeposited: (count) => count + 1 }
      })
      const later = Projection.state({
        name: "comes after",
        events: [Deposited],
        after: [other],
        state: Schema.Int,
        initial: 0,
        on: { MoneyDeposited: (count) => count + 1 }
      })
      const given = Deposited.make({ amount: 1 })
      yield* ProjectionSpec.state(later).given(given, given).thenState(2)
      const reactor = Reactor.make({
        name: "reacts after",
        events: [Deposited],
        after: [other],
        from: "start",
        react: () => Effect.void
      })
      yield* ProjectionSpec.reactor(reactor).given(given).thenReacts({ type: "MoneyDeposited" })
    }))

  it.effect("scenarios leave nothing behind but a longer log", () =>
    Effect.gen(function*() {
      yield* spec.given(opened).thenState("account-1", { ...NO_BALANCE, owner: "Ann" })
      yield* spec.given(Deposited.make({ amount: 1 })).thenState("account-1", { ...NO_BALANCE, amount: 1, deposits: 1 })
      const { position } = yield* EventStore.use((store) => store.head)
      yield* spec.given(opened, opened).thenState("account-1", { ...NO_BALANCE, owner: "Ann" })
      assert.isAtMost((yield* EventStore.use((store) => store.head)).position, Math.max(position, 4))
    }))
})

withLayer(memory)("ProjectionSpec of reactors", (it) => {
  it.effect("each event leads to a reaction, with one dedupe key however often it is delivered", () =>
    Effect.gen(function*() {
      const sent = yield* Ref.make<ReadonlyArray<string>>([])
      const welcome = Reactor.make({
        name: "welcome",
        events: [Opened],
        from: "end",
        react: ({ data }, { dedupeKey }) => Ref.update(sent, (all) => [...all, `${data.owner} ${dedupeKey}`])
      })
      const given = ProjectionSpec.reactor(welcome).given(
        opened,
        { type: "Other", data: {} },
        { ...Opened.make({ owner: "Bob" }), streamId: "account-2" }
      )
      yield* given.thenReacts({ type: "AccountOpened", data: { owner: "Ann" } }, { streamId: "account-2" as never })
      assert.isAbove((yield* Ref.get(sent)).length, 2)
      assert.match(yield* thrownBy(given.thenReacts({ data: { owner: "Ann" } })), /\+/)
    }))
})

withLayer(layerPglite({}), { timeout: "60 seconds" })("ProjectionSpec of tables", (it) => {
  const { projection, table } = salesByCountry({ category: "sale" })
  const sales = ProjectionSpec.table(projection)

  it.effect("rows are compared whatever their order", () =>
    Effect.gen(function*() {
      const given = sales.given(
        Sold.make({ country: "DE", units: 2 }),
        Sold.make({ country: "FR", units: 5 }),
        Sold.make({ country: "DE", units: 3 })
      )
      yield* given.thenRows(table, [
        { country: "FR", units: 5, events: 1 },
        { country: "DE", units: 5, events: 2 }
      ])
      yield* sales.given().thenRows(table, [])
    }))

  it.effect("what is not as expected is told with its place", () =>
    Effect.gen(function*() {
      const given = sales.given(Sold.make({ country: "DE", units: 2 }))
      const message = yield* thrownBy(given.thenRows(table, [{ country: "DE", units: 3, events: 1 }]))
      assert.match(message, /\[0\]\.units: 3 -> 2/)
      assert.match(yield* thrownBy(given.thenRows("nothing", [])), /no such table/)
    }))

  it.effect("a statement that depends on how events are batched is found", () => {
    const batched = Projection.table({
      name: "batched",
      events: [Sold],
      tables: { batched: "transaction text, units int" },
      on: {
        Sold: ({ data }, tables) =>
          Projection.sql`INSERT INTO ${tables.batched} VALUES ((SELECT count(*) FROM ${tables.batched}
            WHERE xmin = pg_catalog.pg_current_xact_id()::xid)::text, ${data.units})`
      }
    })
    return Effect.gen(function*() {
      const given = ProjectionSpec.table(batched).given(
        Sold.make({ country: "DE", units: 1 }),
        Sold.make({ country: "DE", units: 2 })
      )
      const message = yield* thrownBy(
        given.thenRows("batched", [{ transaction: "0", units: 1 }, { transaction: "1", units: 2 }])
      )
      assert.match(message, /one event at a time|delivered again/)
    })
  })
})

describe("ProjectionSpec", () => {
  it("an event type is needed only where data is checked", () => {
    const any = Projection.state({ name: "any", events: "all", state: Schema.Int, initial: 0, on: (n) => n + 1 })
    assert.doesNotThrow(() => ProjectionSpec.state(any).given({ type: "Whatever", data: { a: 1 } }))
  })
})
