import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { Step } from "../../src/version/index.ts"

interface Order {
  readonly id: string
  readonly cents: number
  readonly size: string
  readonly note?: string
  readonly customer: { readonly name: string; readonly city?: string }
}

const start = Step.from<Order>()
const order: Order = { id: "a", cents: 1250, size: "30x40", note: "n", customer: { name: "Ada", city: "London" } }
const { note: _, ...withoutNote } = order

const toCents = (amount: number): number => Math.round(amount * 100)
const joined = ({ h, w }: { readonly w: string; readonly h: string }): string => `${w}x${h}`
const part = (index: number) => (size: string): string => size.split("x")[index] ?? ""

describe("Step", () => {
  it("add puts a value at a new key, and going down leaves the key out", () => {
    const step = Step.from<{ readonly a: number }>().pipe(Step.add("currency", "EUR"))
    assert.deepStrictEqual(step.up({ a: 1 }), { a: 1, currency: "EUR" })
    assert.deepStrictEqual(step.down({ a: 1, currency: "EUR" }), { a: 1 })
  })

  it("derive puts at a new key what follows from the others", () => {
    const step = Step.from<{ readonly a: number }>().pipe(Step.derive("b", ({ a }) => a * 2))
    assert.deepStrictEqual(step.up({ a: 2 }), { a: 2, b: 4 })
    assert.deepStrictEqual(step.down({ a: 2, b: 4 }), { a: 2 })
  })

  it("remove leaves a key out, and has no way down unless it is told what to put there", () => {
    const oneWay = Step.from<{ readonly a: number; readonly b: string }>().pipe(Step.remove("b"))
    assert.deepStrictEqual(oneWay.up({ a: 1, b: "x" }), { a: 1 })
    assert.isUndefined(oneWay.down satisfies undefined)
    const lowering = Step.from<{ readonly a: number; readonly b: string }>().pipe(Step.remove("b", { restore: "?" }))
    assert.deepStrictEqual(lowering.down({ a: 1 }), { a: 1, b: "?" })
    assert.deepStrictEqual([oneWay.reversibility, lowering.reversibility], ["oneWay", "lowering"])
  })

  it("rename gives a key another name, and leaves an absent one absent", () => {
    const step = start.pipe(Step.rename("note", "remark"))
    const up: { readonly remark?: string } = step.up(order)
    assert.deepStrictEqual(up, { ...withoutNote, remark: "n" })
    assert.deepStrictEqual(step.up(withoutNote), withoutNote)
    assert.deepStrictEqual(step.down(step.up(order)), order)
    assert.deepStrictEqual(step.down(withoutNote), withoutNote)
  })

  it("convert changes the type of a value, and leaves an absent one absent", () => {
    const step = start.pipe(Step.convert("cents", (cents) => cents / 100, toCents))
    const { cents }: { readonly cents: number } = step.up(order)
    assert.strictEqual(cents, 12.5)
    assert.deepStrictEqual(step.down(step.up(order)), order)
    const lengths = start.pipe(Step.convert("note", (note) => note.length))
    assert.deepStrictEqual(lengths.up(withoutNote), withoutNote)
    assert.isUndefined(lengths.down satisfies undefined)
  })

  it("split makes several keys of one, and joins them again where it is told how", () => {
    const step = start.pipe(Step.split("size", { w: part(0), h: part(1) }, joined))
    const { size: _, ...rest } = order
    assert.deepStrictEqual(step.up(order), { ...rest, w: "30", h: "40" })
    assert.deepStrictEqual(step.down(step.up(order)), order)
    assert.isFalse(start.pipe(Step.split("size", { w: part(0) })).isReversible satisfies false)
  })

  it("merge makes one key of several, and parts them again where it is told how", () => {
    const step = Step.from<{ readonly w: string; readonly h: string; readonly id: string }>().pipe(
      Step.merge(["w", "h"], "size", joined, (size) => ({ w: part(0)(size), h: part(1)(size) }))
    )
    assert.deepStrictEqual(step.up({ w: "3", h: "4", id: "a" }), { id: "a", size: "3x4" })
    assert.deepStrictEqual(step.down({ id: "a", size: "3x4" }), { id: "a", w: "3", h: "4" })
    const oneWay = Step.from<{ readonly a: number; readonly b: number }>().pipe(
      Step.merge(["a", "b"], "a", ({ a, b }) => a + b)
    )
    assert.deepStrictEqual(oneWay.up({ a: 1, b: 2 }), { a: 3 })
    assert.isUndefined(oneWay.down satisfies undefined)
  })

  it("move takes a value to another place, and leaves an absent one absent", () => {
    const out = start.pipe(Step.move(["customer", "city"], ["city"]))
    const { city }: { readonly city: string | undefined } = out.up(order)
    assert.strictEqual(city, "London")
    assert.deepStrictEqual(out.down(out.up(order)), order)
    const into = start.pipe(Step.move(["note"], ["customer", "note"]))
    assert.deepStrictEqual(into.up(order), { ...withoutNote, customer: { ...order.customer, note: "n" } })
    assert.deepStrictEqual(into.up(withoutNote), withoutNote)
    assert.deepStrictEqual(into.down(into.up(order)), order)
  })

  it("wrap puts keys into a new object, absent ones not", () => {
    const step = start.pipe(Step.wrap(["cents", "note"], "details"))
    const { customer, id, size } = order
    assert.deepStrictEqual(step.up(order), { customer, id, size, details: { cents: 1250, note: "n" } })
    assert.deepStrictEqual(step.up(withoutNote), { customer, id, size, details: { cents: 1250 } })
    assert.deepStrictEqual(step.down(step.up(withoutNote)), withoutNote)
  })

  it("transform and andThen take any function, and any step", () => {
    const whole = Step.from<number>().pipe(Step.transform((cents) => ({ cents }), ({ cents }) => cents))
    const step = whole.pipe(Step.andThen(Step.from<{ readonly cents: number }>().pipe(Step.rename("cents", "amount"))))
    assert.deepStrictEqual(step.up(5), { amount: 5 })
    assert.strictEqual(step.down({ amount: 5 }), 5)
    assert.isUndefined(whole.pipe(Step.transform(({ cents }) => cents)).down satisfies undefined)
  })

  it("a pipe is as reversible as the least reversible of its steps, and its type says so", () => {
    const lowering = start.pipe(Step.rename("id", "key"), Step.remove("size", { restore: "?" }), Step.add("b", 1))
    assert.strictEqual(lowering.reversibility satisfies "lowering", "lowering")
    assert.isFalse(lowering.isReversible satisfies false)
    assert.deepStrictEqual(lowering.down(lowering.up(order)), { ...order, size: "?" })
    const oneWay = lowering.pipe(Step.convert("cents", String), Step.rename("cents", "text"))
    assert.strictEqual(oneWay.reversibility satisfies "oneWay", "oneWay")
    assert.isUndefined(oneWay.down)
  })

  it("says what it does, in the order in which it does it", () => {
    const { description } = start.pipe(Step.rename("id", "key"), Step.add("currency", "EUR"), Step.remove("note"))
    assert.strictEqual(description, `"rename" "id" "key"; "add" "currency" "EUR"; "remove" "note" -`)
  })

  it("throws on what is no object instead of making one", () => {
    for (const data of [null, undefined, 5, "text", [1], [{ id: "a" }]]) {
      assert.throws(() => start.pipe(Step.add("b", 1)).up(data as never), TypeError)
    }
    assert.throws(() => start.pipe(Step.move(["note"], ["customer", "note"])).up({ ...order, customer: null as never }))
    assert.throws(
      () => Step.from<{ readonly a: object }>().pipe(Step.wrap(["a"], "b")).down({ b: 1 } as never),
      TypeError
    )
  })

  it("takes keys that mean something elsewhere as keys only", () => {
    const polluted: { readonly a: object } = { a: { isAdmin: true } }
    const up = Step.from<{ readonly a: object }>().pipe(Step.rename("a", "__proto__")).up(polluted)
    assert.deepStrictEqual(Object.getOwnPropertyNames(up), ["__proto__"])
    assert.strictEqual(Object.getPrototypeOf(up), Object.prototype)
    const back = Step.from<{ readonly ["__proto__"]: object }>().pipe(Step.wrap(["__proto__"], "b")).up(
      JSON.parse(`{"__proto__":1}`)
    )
    assert.strictEqual(JSON.stringify(back), `{"b":{"__proto__":1}}`)
  })

  const Shape = Schema.Struct({
    id: Schema.String,
    cents: Schema.Int.check(Schema.isBetween({ minimum: -1e9, maximum: 1e9 })),
    size: Schema.TemplateLiteral([Schema.Natural, "x", Schema.Natural]),
    note: Schema.optionalKey(Schema.String),
    customer: Schema.Struct({ name: Schema.String, city: Schema.optionalKey(Schema.String) })
  })

  it.effect("what says that it is reversible brings every order back, and changes nothing that it is given", () =>
    Effect.gen(function*() {
      const steps = [
        start.pipe(Step.add("currency", "EUR")),
        start.pipe(Step.derive("double", ({ cents }) => cents * 2)),
        start.pipe(Step.rename("note", "remark")),
        start.pipe(Step.convert("cents", (cents) => cents / 100, toCents)),
        start.pipe(Step.split("size", { w: part(0), h: part(1) }, joined)),
        start.pipe(
          Step.merge(
            ["id", "cents"],
            "key",
            (parts) => [parts.id, parts.cents] as const,
            ([id, cents]) => ({ id, cents })
          )
        ),
        start.pipe(Step.move(["customer", "city"], ["city"])),
        start.pipe(Step.wrap(["cents", "note"], "details")),
        start.pipe(
          Step.wrap(["cents", "note"], "details"),
          Step.move(["details", "note"], ["customer", "note"]),
          Step.rename("details", "money"),
          Step.convert("money", ({ cents }) => cents / 100, (amount) => ({ cents: toCents(amount) })),
          Step.add("version", 2)
        )
      ]
      const orders = yield* Arbitrary.sampleEffect(Arbitrary.schema(Shape), { count: 200, seed: 7 })
      for (const step of steps) {
        assert.isTrue(step.isReversible)
        for (const order of orders) {
          const before = JSON.stringify(order)
          const back = (step.down as (data: unknown) => Order)((step.up as (data: Order) => unknown)(order))
          assert.deepStrictEqual(back, order, step.description)
          assert.strictEqual(JSON.stringify(order), before)
        }
      }
    }))

  it("does not compile with keys that are not there, are there already, or lead nowhere", () => {
    // @ts-expect-error there is no such key
    start.pipe(Step.rename("nobody", "key"))
    // @ts-expect-error there is such a key
    start.pipe(Step.rename("id", "size"))
    // @ts-expect-error there is such a key
    start.pipe(Step.add("id", 1))
    // @ts-expect-error there is no such key
    start.pipe(Step.remove("nobody"))
    // @ts-expect-error the key is gone
    start.pipe(Step.remove("id"), Step.rename("id", "key"))
    // @ts-expect-error the value has another type
    start.pipe(Step.remove("id", { restore: 5 }))
    // @ts-expect-error the way back gives another type
    start.pipe(Step.convert("cents", String, (text) => text))
    // @ts-expect-error there is no object to move it into
    start.pipe(Step.move(["id"], ["nowhere", "id"]))
    // @ts-expect-error there is no such path
    start.pipe(Step.move(["customer", "nobody"], ["city"]))
    // @ts-expect-error there is such a key
    start.pipe(Step.wrap(["id"], "size"))
    // @ts-expect-error a step without a way down has none
    assert.throws(() => start.pipe(Step.remove("id")).down({}))
  })
})
