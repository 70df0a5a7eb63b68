import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Option, Result, Schema, SchemaGetter } from "effect"
import { EventType } from "../../src/event/index.ts"
import { SchemaLock, VersionRegistry } from "../../src/version/index.ts"
import { failure, Opened, Paid, recorded } from "./fixtures.ts"

const registry = Result.getOrThrow(VersionRegistry.makeResult([Opened, Paid]))

describe("any data", () => {
  it.effect("of any version is decoded or is an error: nothing throws", () =>
    Effect.gen(function*() {
      const events = Schema.Struct({
        type: Schema.Literals(["InvoicePaid", "AccountOpened", "Nobody"]),
        version: Schema.Union([Schema.Literals([1, 2, 3, 4, 5]), Schema.Number]),
        data: Schema.Union([
          Schema.Json,
          Schema.Struct({ cents: Schema.Json }),
          Schema.Struct({ amount: Schema.Json, currency: Schema.optionalKey(Schema.Json) }),
          Schema.Struct({ money: Schema.Json, by: Schema.Json })
        ])
      })
      const result = yield* Arbitrary.checkEffect(Arbitrary.schema(events), ({ data, type, version }) => {
        const decoded = registry.decode(recorded(type, version, data))
        return Result.isSuccess(decoded) || decoded.failure.message.includes(type)
      }, { runs: 2_000 })
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
    }))
})

describe("any schema", () => {
  it("is read and written: classes, recursive ones, and values that are no structs", () => {
    class Money extends Schema.Class<Money>("Money")({ amount: Schema.Finite }) {}
    interface Part {
      readonly name: string
      readonly parts: ReadonlyArray<Part>
    }
    const Part = Schema.Struct({
      name: Schema.String,
      parts: Schema.Array(Schema.suspend((): Schema.Codec<Part> => Part))
    })
    const types = [
      EventType.make("MoneyMoved", Money),
      EventType.make("PartBuilt", Part),
      EventType.make("Ticked", Schema.Int),
      EventType.make("Named", Schema.Union([Schema.String, Schema.Struct({ a: Schema.toCodecJson(Schema.BigInt) })]))
    ] as const
    const registry = Result.getOrThrow(VersionRegistry.makeResult(types))
    const events = [
      types[0].make(new Money({ amount: 5 })),
      types[1].make({ name: "a", parts: [{ name: "b", parts: [] }] }),
      types[2].make(3),
      types[3].make({ a: 5n })
    ]
    for (const event of events) {
      const { data } = Result.getOrThrow(registry.encode(event))
      const back = Result.getOrThrow(registry.decode(recorded(event.type, 1, JSON.parse(JSON.stringify(data)))))
      assert.deepStrictEqual(Option.map(back, (event) => event.data), Option.some(event.data))
    }
    assert.strictEqual(SchemaLock.lock(types).types.length, 4)
  })

  it("that has to wait is an error, not a crash", () => {
    const slow = Schema.String.pipe(Schema.decode({
      decode: SchemaGetter.transformEffect((text: string) => Effect.promise(() => Promise.resolve(text))),
      encode: SchemaGetter.passthrough()
    }))
    const Slow = EventType.make("Slow", { a: slow })
    const registry = Result.getOrThrow(VersionRegistry.makeResult([Slow]))
    assert.strictEqual(failure(registry.decode(recorded("Slow", 1, { a: "x" })))._tag, "EventDataInvalid")
  })
})
