import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Identity } from "../../src/decider/index.ts"

const AccountId = Identity.uuidV7("AccountId")
const OrderId = Identity.ulid("OrderId")

for (const [name, Id] of [["uuidV7", AccountId], ["ulid", OrderId]] as const) {
  describe(`Identity.${name}`, () => {
    it.effect("ids fit their schema, and tell when they were made", () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(1_700_000_000_123)
        const id: string = yield* Id.generate
        assert.strictEqual(Schema.decodeUnknownSync(Id)(id), id as never)
        assert.strictEqual(DateTime.toEpochMillis(Id.timeOf(id as never)), 1_700_000_000_123)
      }))

    it.effect("ids are ordered by the time at which they were made, within a millisecond too", () =>
      Effect.gen(function*() {
        const ids: Array<string> = []
        for (let index = 0; index < 200; index++) {
          if (index % 50 === 0) yield* TestClock.adjust("1 millis")
          ids.push(yield* Id.generate)
        }
        assert.deepStrictEqual(ids.toSorted(Id.order as never), ids)
        assert.strictEqual(new Set(ids).size, ids.length)
      }))

    it("what is no such id is refused", () => {
      const valid = name === "ulid" ? "01ARZ3NDEKTSV4RRFFQ69G5FAV" : "018bcfe5-687b-7000-8000-000000000000"
      assert.isTrue(Schema.is(Id)(valid))
      const bad = [
        "",
        valid.slice(1),
        `${valid}0`,
        ` ${valid}`,
        name === "ulid" ? valid.toLowerCase() : valid.toUpperCase(),
        "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "01ARZ3NDEKTSV4RRFFQ69G5FAI",
        "018bcfe5-687b-4000-8000-000000000000",
        "018bcfe5-687b-7000-c000-000000000000",
        42
      ]
      assert.deepStrictEqual(bad.filter(Schema.is(Id)), [])
    })
  })
}

describe("Identity", () => {
  it("ids of two types are not the same to the compiler", () => {
    const account = AccountId.make("018bcfe5-687b-7000-8000-000000000000")
    // @ts-expect-error an account is no order
    const order: typeof OrderId.Type = account
    assert.strictEqual(order as string, account)
  })
})
