import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { EventType, type Proposed, type Recorded, type TypedEvent } from "../../src/event/index.ts"

const Opened = EventType.make("AccountOpened", { owner: Schema.NonEmptyString })
const Deposited = EventType.make("MoneyDeposited", { amount: Schema.Finite }, {
  version: 2,
  upcast: { 1: (data: { readonly cents: number }) => ({ amount: data.cents / 100 }) }
})

describe("make", () => {
  it("takes the fields of a struct, or a schema", () => {
    assert.strictEqual(Opened.version, 1)
    assert.deepStrictEqual(Schema.decodeUnknownSync(Opened.schema)({ owner: "Ada" }), { owner: "Ada" })
    const Tick = EventType.make("Tick", Schema.Int)
    const tick: TypedEvent<"Tick", number> = Tick.make(5)
    assert.deepStrictEqual(tick, { type: "Tick", data: 5 })
  })

  it("keeps one step from each older version to the next", () => {
    assert.deepStrictEqual(Deposited.history.map(({ schema, version }) => [version, schema]), [[1, undefined]])
    assert.deepStrictEqual(
      Deposited.steps.map(({ from, step, to }) => [from, to, step.up({ cents: 150 } as never), step.reversibility]),
      [[1, 2, { amount: 1.5 }, "oneWay"]]
    )
  })

  it("takes steps down as well, and believes them unless it is told otherwise", () => {
    const upcast = {
      up: (data: { readonly b: string }) => ({ a: data.b }),
      down: (data: { readonly a: string }) => ({ b: data.a })
    }
    const believed = EventType.make("A", { a: Schema.String }, { version: 2, upcast: { 1: upcast } })
    const lossy = EventType.make("A", { a: Schema.String }, {
      version: 2,
      upcast: { 1: { ...upcast, isReversible: false } }
    })
    assert.deepStrictEqual([believed, lossy].map(({ steps }) => steps[0]?.step.reversibility), [
      "reversible",
      "lowering"
    ])
  })

  it("deprecates any version", () => {
    const deprecated = { 1: { reason: "old", since: "2026-01-01" }, 2: { reason: "older", since: "2026-02-01" } }
    const A = EventType.make("A", {}, { version: 2, upcast: { 1: () => ({}) }, deprecated })
    assert.deepStrictEqual([A.history[0]?.deprecated, A.deprecated], [deprecated[1], deprecated[2]])
  })

  it("does not compile when a hop is missing, goes too far, or ends in another shape", () => {
    EventType.make("A", { a: Schema.String }, {
      version: 3,
      // @ts-expect-error there is no step from version 2
      upcast: { 1: () => ({}) }
    })
    EventType.make("A", { a: Schema.String }, {
      version: 3,
      // @ts-expect-error there is no step from version 1
      upcast: { 2: () => ({ a: "" }) }
    })
    EventType.make("A", { a: Schema.String }, {
      version: 2,
      // @ts-expect-error the newest version has no step
      upcast: { 1: () => ({ a: "" }), 2: () => ({ a: "" }) }
    })
    EventType.make("A", { a: Schema.String }, {
      version: 2,
      // @ts-expect-error the step gives another shape
      upcast: { 1: () => ({ a: 5 }) }
    })
    // @ts-expect-error version 2 needs a step
    EventType.make("A", { a: Schema.String }, { version: 2 })
    assert.strictEqual(EventType.make("A", {}, { version: 3, upcast: { 1: () => ({}), 2: () => ({}) } }).version, 3)
  })
})

describe("history", () => {
  const Sent = EventType.history("Sent", { to: Schema.String })
    .version(2, { to: Schema.String, copies: Schema.Int }, {
      up: (data) => ({ ...data, copies: 1 }),
      down: ({ to }) => ({ to })
    })
    .version(3, { to: Schema.Array(Schema.String) }, {
      up: ({ copies, to }) => ({ to: Array<string>(copies).fill(to) })
    })
    .step(1, 3, { up: ({ to }) => ({ to: [to] }) })
    .deprecate(2, { reason: "nobody wrote it", since: "2026-04-01" })
    .make()

  it("keeps every shape with its schema, and every step", () => {
    assert.deepStrictEqual(Sent.version satisfies 3, 3)
    assert.deepStrictEqual(
      Sent.history.map(({ deprecated, schema, version }) => [version, schema === undefined, deprecated?.since]),
      [
        [1, false, undefined],
        [2, false, "2026-04-01"]
      ]
    )
    assert.deepStrictEqual(Sent.steps.map(({ from, step, to }) => [from, to, step.isReversible]), [
      [1, 2, true],
      [2, 3, false],
      [1, 3, false]
    ])
  })

  it("does not change a history that others are made from", () => {
    const first = EventType.history("A", {})
    first.version(2, {}, { up: () => ({}) })
    assert.strictEqual(first.make().version satisfies 1, 1)
  })

  it("does not compile when a version has no way to the newest", () => {
    const gap = EventType.history("A", { a: Schema.String }).version(2, { b: Schema.String })
    // @ts-expect-error no step leads from version 1
    gap.make()
    assert.strictEqual(gap.step(1, 2, { up: ({ a }) => ({ b: a }) }).make().version satisfies 2, 2)
    const island = gap.version(3, { c: Schema.String }, { up: ({ b }) => ({ c: b }) })
    // @ts-expect-error a step leads from version 2, none from version 1
    island.make()
    assert.strictEqual(island.step(1, 3, { up: ({ a }) => ({ c: a }) }).make().version satisfies 3, 3)
    const wrongWay = gap.step(2, 1, { up: ({ b }) => ({ a: b }) })
    // @ts-expect-error the step leads away from the newest version
    wrongWay.make()
  })

  it("does not compile when a version is left out, or a step gives another shape", () => {
    const first = EventType.history("A", { a: Schema.String })
    // @ts-expect-error version 2 comes next
    first.version(3, {}, { up: () => ({}) })
    // @ts-expect-error the step gives another shape
    first.version(2, { b: Schema.Int }, { up: ({ a }) => ({ b: a }) })
    // @ts-expect-error there is no version 3
    first.deprecate(3, { reason: "", since: "" })
    assert.strictEqual(first.make().version, 1)
  })
})

describe("an event type", () => {
  it("makes events with what else an append takes, fills defaults in, and throws on wrong data", () => {
    const A = EventType.make("A", { n: Schema.Int.pipe(Schema.withConstructorDefault(Effect.succeed(3))) })
    const event: Proposed<TypedEvent<"A", { readonly n: number }>> = A.make({}, {
      id: "i",
      tags: ["t"],
      metadata: { m: 1 }
    })
    assert.deepStrictEqual(event, { type: "A", data: { n: 3 }, id: "i", tags: ["t"], metadata: { m: 1 } })
    assert.throws(() => A.make({ n: 0.5 }))
    // @ts-expect-error the data has another type
    assert.throws(() => A.make({ n: "3" }))
  })

  it("gives a union of events that a switch takes apart", () => {
    const types = [Opened, Deposited] as const
    type Event = EventType.EventOf<(typeof types)[number]>
    const describe = (event: Event): string => {
      switch (event.type) {
        case "AccountOpened":
          return event.data.owner
        case "MoneyDeposited":
          return event.data.amount.toFixed(2)
      }
    }
    assert.strictEqual(describe(Deposited.make({ amount: 1 })), "1.00")
    const ofRecorded = (event: Recorded<Event>): string => `${event.position} ${event.storedVersion} ${describe(event)}`
    assert.isFunction(ofRecorded)
    // @ts-expect-error there is no such event
    assert.isFunction(() => describe({ type: "Nobody", data: {} }))
  })
})
