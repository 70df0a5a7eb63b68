import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result, Schema } from "effect"
import { EventType, type TypedEvent } from "../../src/event/index.ts"
import { VersionRegistry } from "../../src/version/index.ts"
import { failure, Opened, Paid, recorded } from "./fixtures.ts"

const registry = Result.getOrThrow(VersionRegistry.makeResult([Opened, Paid]))

describe("decode", () => {
  it("gives an event of the newest version its data, and keeps everything else", () => {
    const event = recorded("AccountOpened", 1, { owner: "Ada" })
    assert.deepStrictEqual(registry.decode(event), succeed({ ...event, storedVersion: 1 }))
  })

  it("lifts every older version to the newest, and says in which it was stored", () => {
    const newest = { money: { amount: 12.5, currency: "EUR" }, by: "unknown" }
    const stored: ReadonlyArray<Schema.Json> = [
      { cents: 1250 },
      { amount: 12.5 },
      { amount: 12.5, currency: "EUR" },
      newest
    ]
    for (const [index, data] of stored.entries()) {
      const event = recorded("InvoicePaid", index + 1, data)
      assert.deepStrictEqual(
        registry.decode(event),
        succeed({ ...event, version: 4, storedVersion: index + 1, data: newest })
      )
    }
  })

  it("decodes to the schema's values, and drops keys that it does not know", () => {
    const Seen = EventType.make("Seen", { at: Schema.DateTimeUtcFromString })
    const seen = Result.getOrThrow(VersionRegistry.makeResult([Seen]))
    const event = seen.decode(recorded("Seen", 1, { at: "2026-01-02T00:00:00.000Z", more: true })).pipe(
      Result.getOrThrow,
      Option.getOrThrow
    )
    const year: number = event.data.at.epochMilliseconds
    assert.strictEqual(year, Date.UTC(2026, 0, 2))
    assert.deepStrictEqual(Object.keys(event.data), ["at"])
  })

  it("does not change what was stored", () => {
    const event = recorded("InvoicePaid", 1, deepFreeze({ cents: 1250 }))
    assert.isTrue(Result.isSuccess(registry.decode(deepFreeze(event))))
  })

  it("names type, version, path, stream and revision of data that its schema refuses, and shows no data", () => {
    const error = failure(
      registry.decode(recorded("InvoicePaid", 4, { money: { amount: 1, currency: "secret" }, by: "x" }))
    )
    assert.deepInclude(plain(error), {
      _tag: "EventDataInvalid",
      type: "InvoicePaid",
      version: 4,
      path: "data.money.currency",
      streamId: "invoice-1",
      revision: 7
    })
    assert.notInclude(`${error.message}${JSON.stringify(error)}`, "secret")
    assert.match(error.message, /InvoicePaid, version 4 at revision 7 of stream invoice-1 .*data\.money\.currency/)
  })

  it("checks old data against the version in which it was stored, before any step", () => {
    assert.deepInclude(plain(failure(registry.decode(recorded("InvoicePaid", 1, { cents: 1.5 })))), {
      _tag: "EventDataInvalid",
      version: 1,
      path: "data.cents"
    })
  })

  it("says which keys are missing and which elements are wrong", () => {
    const Ordered = EventType.make("Ordered", { lines: Schema.Array(Schema.Struct({ "the qty": Schema.Int })) })
    const orders = Result.getOrThrow(VersionRegistry.makeResult([Ordered]))
    const paths = [{}, { lines: [{ "the qty": 1 }, { "the qty": "2" }] }, { lines: [{}] }, null, [], "x"]
      .map((data) => failure(orders.decode(recorded("Ordered", 1, data)))).map((error) =>
        "path" in error ? error.path : ""
      )
    assert.deepStrictEqual(paths, [
      "data.lines",
      `data.lines[1]["the qty"]`,
      `data.lines[0]["the qty"]`,
      "data",
      "data",
      "data"
    ])
  })
})

describe("a step that fails", () => {
  const typeOf = (up: (data: { readonly cents: number }) => { readonly amount: number }) =>
    Result.getOrThrow(VersionRegistry.makeResult([
      EventType.history("Paid", { cents: Schema.Int })
        .version(2, { amount: Schema.Finite }, { up })
        .version(3, { amount: Schema.Finite, currency: Schema.String }, {
          up: (data) => ({ ...data, currency: "EUR" })
        })
        .make()
    ]))

  it("by throwing is an error with its versions, stream and revision, and without its message", () => {
    const error = failure(
      typeOf(({ cents }) => {
        throw new RangeError(`no such amount: ${cents}`)
      }).decode(recorded("Paid", 1, { cents: 4711 }))
    )
    assert.deepInclude(plain(error), {
      _tag: "UpcastFailed",
      type: "Paid",
      version: 1,
      from: 1,
      to: 2,
      reason: "it threw RangeError",
      streamId: "invoice-1",
      revision: 7
    })
    assert.notInclude(error.message, "4711")
  })

  it("by a wrong shape is an error at the step that made it, not at a later one", () => {
    const wrong: ReadonlyArray<unknown> = [{ amount: "12" }, {}, undefined, null, Promise.resolve({ amount: 1 }), 5, {
      amount: NaN
    }]
    for (const shape of wrong) {
      const error = failure(
        typeOf(() => shape as { readonly amount: number }).decode(recorded("Paid", 1, { cents: 1 }))
      )
      assert.deepInclude(plain(error), { _tag: "UpcastFailed", version: 1, from: 1, to: 2 }, String(shape))
    }
  })

  it("in the last step is an error at the last step", () => {
    const Short = EventType.make("Paid", { amount: Schema.Finite }, {
      version: 3,
      upcast: {
        1: (data: { readonly cents: number }) => ({ money: data.cents }),
        2: (data: { readonly money: number }) => ({ amount: data.money })
      }
    })
    const short = Result.getOrThrow(VersionRegistry.makeResult([Short]))
    assert.deepInclude(plain(failure(short.decode(recorded("Paid", 1, { cent: 1 })))), {
      _tag: "UpcastFailed",
      version: 1,
      from: 2,
      to: 3,
      path: "data.amount"
    })
    assert.deepStrictEqual(
      Result.map(short.decode(recorded("Paid", 1, { cents: 3 })), Option.map(({ data }) => data)),
      Result.succeed(Option.some({ amount: 3 }))
    )
  })

  it("and a schema that throws, are errors too", () => {
    const Odd = EventType.make("Odd", {
      a: Schema.String.check(Schema.makeFilter(() => {
        throw new SyntaxError("secret")
      }))
    })
    const odd = Result.getOrThrow(VersionRegistry.makeResult([Odd]))
    const error = failure(odd.decode(recorded("Odd", 1, { a: "x" })))
    assert.strictEqual(error._tag, "EventDataInvalid")
    assert.notInclude(error.message, "secret")
    assert.strictEqual(failure(odd.encode({ type: "Odd", data: { a: "x" } }))._tag, "EventDataInvalid")
  })
})

describe("an unknown event", () => {
  const unknownType = recorded("Nobody", 1, { a: 1 })
  const unknownVersion = recorded("InvoicePaid", 5, { a: 1 })

  it("is an error that says what is known", () => {
    assert.deepInclude(plain(failure(registry.decode(unknownType))), {
      _tag: "EventUnknown",
      type: "Nobody",
      newest: undefined
    })
    assert.deepInclude(plain(failure(registry.decode(unknownVersion))), {
      _tag: "EventUnknown",
      version: 5,
      newest: 4,
      revision: 7
    })
    for (const version of [0, -1, 1.5, NaN]) {
      assert.strictEqual(failure(registry.decode({ ...unknownVersion, version }))._tag, "EventUnknown")
    }
    for (const type of ["", "__proto__", "constructor", "toString"]) {
      assert.strictEqual(failure(registry.decode({ ...unknownType, type }))._tag, "EventUnknown")
    }
  })

  it.effect("is left out and counted when the policy skips it, and types and versions have policies of their own", () =>
    Effect.gen(function*() {
      const skipping = yield* VersionRegistry.make([Opened, Paid], { unknownType: "skip" })
      const known = recorded("AccountOpened", 1, { owner: "Ada" })
      const events = yield* skipping.decodeAll([unknownType, known, unknownType, { ...unknownType, version: 2 }])
      assert.deepStrictEqual(events.map(({ type }) => type), ["AccountOpened"])
      assert.deepStrictEqual(yield* skipping.skipped, [
        { type: "Nobody", version: 1, count: 2 },
        { type: "Nobody", version: 2, count: 1 }
      ])
      assert.strictEqual((yield* Effect.flip(skipping.decodeAll([unknownVersion])))._tag, "EventUnknown")
    }))

  it.effect("is counted for the first thousand kinds only: anybody may have written them", () =>
    Effect.gen(function*() {
      const skipping = yield* VersionRegistry.make([Opened], { unknownType: "skip" })
      yield* skipping.decodeAll(Array.from({ length: 1_500 }, (_, index) => recorded(`Nobody${index}`, 1, {})))
      assert.strictEqual((yield* skipping.skipped).length, 1_000)
    }))

  it.effect("is handed on as it was stored when the policy passes it through, and the type says so", () =>
    Effect.gen(function*() {
      const open = yield* VersionRegistry.make([Opened], { unknownType: "passThrough" })
      const [event] = yield* open.decodeAll([unknownType])
      assert.deepStrictEqual(event, { ...unknownType, storedVersion: 1, isUnknown: true as const })
      const name: string = event !== undefined && "isUnknown" in event ? event.type : ""
      assert.strictEqual(name, "Nobody")
    }))
})

describe("encode", () => {
  it("puts an event into its newest shape and keeps what else an append takes", () => {
    const event = Paid.make({ money: { amount: 1, currency: "USD" }, by: "Ada" }, { tags: ["a:1"], metadata: { a: 1 } })
    assert.deepStrictEqual(Result.getOrThrow(registry.encode(event)), {
      id: undefined,
      type: "InvoicePaid",
      version: 4,
      data: { money: { amount: 1, currency: "USD" }, by: "Ada" },
      tags: ["a:1"],
      metadata: { a: 1 }
    })
  })

  it("names type, version and path of data that the schema refuses", () => {
    const error = failure(registry.encode({ type: "AccountOpened", data: { owner: "" } }))
    assert.deepInclude(plain(error), {
      _tag: "EventDataInvalid",
      type: "AccountOpened",
      version: 1,
      path: "data.owner"
    })
  })

  it("refuses a type that the registry does not have", () => {
    const untyped = registry as VersionRegistry.Registry<TypedEvent>
    assert.deepInclude(plain(failure(untyped.encode({ type: "Nobody", data: {} }))), {
      _tag: "EventUnknown",
      type: "Nobody"
    })
  })

  it.effect("encodes all events of an append, or says what is wrong with the first bad one", () =>
    Effect.gen(function*() {
      const good = Opened.make({ owner: "Ada" })
      const encoded = yield* registry.encodeAll([good, good])
      assert.deepStrictEqual(encoded.map(({ data, version }) => ({ data, version })), [
        { data: { owner: "Ada" }, version: 1 },
        { data: { owner: "Ada" }, version: 1 }
      ])
      assert.strictEqual(
        (yield* Effect.flip(registry.encodeAll([good, { ...good, data: { owner: "" } }])))._tag,
        "EventDataInvalid"
      )
    }))

  it("is what decode reads back", () => {
    const Seen = EventType.make("Seen", { at: Schema.DateTimeUtcFromString })
    const seen = Result.getOrThrow(VersionRegistry.makeResult([Seen]))
    const data = { at: Schema.decodeUnknownSync(Schema.DateTimeUtcFromString)("2026-01-02T03:04:05.006Z") }
    const { data: stored, version } = Result.getOrThrow(seen.encode(Seen.make(data)))
    const back = Result.getOrThrow(seen.decode(recorded("Seen", version ?? 1, stored as Schema.Json)))
    assert.deepStrictEqual(Option.map(back, (event) => event.data), Option.some(data))
  })

  it("writes an older version while its readers are running", () => {
    const careful = Result.getOrThrow(VersionRegistry.makeResult([Opened, Paid], { write: { InvoicePaid: 1 } }))
    const { data, version } = Result.getOrThrow(
      careful.encode(Paid.make({ money: { amount: 12.5, currency: "EUR" }, by: "unknown" }))
    )
    assert.deepStrictEqual({ data, version }, { data: { cents: 1250 }, version: 1 })
  })
})

describe("lower", () => {
  const newest = Paid.make({ money: { amount: 12.5, currency: "USD" }, by: "Ada" })

  it("gives a reader of any older version what it knows", () => {
    const shapes = [4, 3, 2, 1].map((version) => Result.getOrThrow(registry.lower(newest, version)).data)
    assert.deepStrictEqual(shapes, [
      newest.data,
      { amount: 12.5, currency: "USD" },
      { amount: 12.5 },
      { cents: 1250 }
    ])
  })

  it("lowers what was decoded, and keeps everything else", () => {
    const stored = recorded("InvoicePaid", 1, { cents: 1250 })
    const event = registry.decode(stored).pipe(Result.getOrThrow, Option.getOrThrow)
    assert.deepStrictEqual(
      Result.getOrThrow(registry.lower(event, 1)),
      { ...stored, storedVersion: 1 } as never
    )
  })

  it("says when no steps lead down", () => {
    const OneWay = EventType.history("Gone", { a: Schema.String }).version(2, {}, { up: () => ({}) }).make()
    const gone = Result.getOrThrow(VersionRegistry.makeResult([OneWay]))
    assert.deepInclude(plain(failure(gone.lower(OneWay.make({}), 1))), { _tag: "DowncastMissing", from: 2, to: 1 })
    assert.deepInclude(plain(failure(registry.lower(newest, 9))), { _tag: "DowncastMissing", from: 4, to: 9 })
  })

  it("says which step down failed, by throwing or by a wrong shape", () => {
    const type = (down: () => { readonly a: string }) =>
      EventType.history("A", { a: Schema.NonEmptyString }).version(2, {}, { up: () => ({}), down }).make()
    const thrown = type(() => {
      throw new TypeError("secret")
    })
    const wrong = type(() => ({ a: "" }))
    for (const one of [thrown, wrong]) {
      const lowered = Result.getOrThrow(VersionRegistry.makeResult([one])).lower(one.make({}), 1)
      assert.deepInclude(plain(failure(lowered)), { _tag: "DowncastFailed", type: "A", from: 2, to: 1 })
    }
  })
})

describe("deprecatedLoads", () => {
  it.effect("lists every deprecated version with the number of its events that were decoded", () =>
    Effect.gen(function*() {
      const Old = EventType.make("Old", { a: Schema.Int }, {
        version: 2,
        upcast: { 1: (data: { readonly b: number }) => ({ a: data.b }) },
        deprecated: { 2: { reason: "nobody wants it", since: "2026-05-01" } }
      })
      const registry = yield* VersionRegistry.make([Paid, Old])
      yield* registry.decodeAll(
        [1, 1, 2].map((version) => recorded("InvoicePaid", version, version === 1 ? { cents: 1 } : { amount: 1 }))
      )
      assert.deepStrictEqual(yield* registry.deprecatedLoads, [
        { type: "InvoicePaid", version: 1, reason: "cents are no money", since: "2026-03-01", count: 2 },
        { type: "Old", version: 2, reason: "nobody wants it", since: "2026-05-01", count: 0 }
      ])
    }))
})

describe("a registry", () => {
  it("has a fingerprint of names, versions, schemas and steps, in any order", () => {
    const fingerprint = (...types: ReadonlyArray<EventType.Any>) =>
      Result.getOrThrow(VersionRegistry.makeResult(types)).fingerprint
    assert.match(registry.fingerprint, /^[0-9a-f]{64}$/)
    assert.strictEqual(fingerprint(Paid, Opened), registry.fingerprint)
    const base = EventType.history("A", { a: Schema.String })
    const variants = [
      base.make(),
      EventType.make("B", { a: Schema.String }),
      EventType.make("A", { a: Schema.NonEmptyString }),
      EventType.make("A", { a: Schema.optionalKey(Schema.String) }),
      base.version(2, {}, { up: () => ({}) }).make(),
      base.version(2, {}, { up: () => Object.create(Object.prototype) }).make(),
      base.version(2, {}, { up: () => ({}), down: () => ({ a: "" }) }).make()
    ].map((type) => fingerprint(type))
    assert.strictEqual(new Set(variants).size, variants.length)
  })

  it.effect("can be a service", () =>
    Effect.gen(function*() {
      const { types } = yield* VersionRegistry.VersionRegistry
      assert.deepStrictEqual(types.map(({ name }) => name), ["AccountOpened", "InvoicePaid"])
    }).pipe(Effect.provide(VersionRegistry.layer([Opened, Paid]))))
})

const succeed = (event: object) => Result.succeed(Option.some(event)) as never

const plain = (error: object): Record<string, unknown> => ({ ...error })

const deepFreeze = <A>(value: A): A => {
  if (typeof value === "object" && value !== null) { for (const inner of Object.values(value)) deepFreeze(inner) }
  return Object.freeze(value)
}
