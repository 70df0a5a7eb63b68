import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { EventType } from "../../src/event/index.ts"
import { EventTypeSpec } from "../../src/testing/index.ts"
import { Deposited } from "../command/account.ts"

const Named = EventType.make("Named", { first: Schema.String, last: Schema.String }, {
  version: 2,
  upcast: {
    1: {
      up: ({ name }: { readonly name: string }) => {
        const [first = "", last = ""] = name.split(" ")
        return { first, last }
      },
      down: ({ first, last }) => ({ name: `${first} ${last}` })
    }
  }
})

describe("EventTypeSpec", () => {
  it("a scenario that holds says nothing", () => {
    EventTypeSpec.make(Deposited).given(1, { cents: 150 }).thenData({ amount: 1.5 })
    EventTypeSpec.make(Deposited).given(2, { amount: 1 }).thenData({ amount: 1 }).thenReversible()
    EventTypeSpec.make(Named).given(1, { name: "Ann Lee" }).thenData({ first: "Ann", last: "Lee" }).thenReversible()
    EventTypeSpec.make(Named).givenNewest({ first: "Ann", last: "Lee" }).when(1).thenData({ name: "Ann Lee" })
  })

  it("data that cannot be read, or lowered, is expected by its failure", () => {
    EventTypeSpec.make(Deposited).given(1, { cents: -1 }).thenFails("UpcastFailed")
    EventTypeSpec.make(Deposited).given(3, {}).thenFails("EventUnknown")
    EventTypeSpec.make(Deposited).given(2, { amount: "1" }).thenFails((error) => error._tag === "EventDataInvalid")
    EventTypeSpec.make(Deposited).givenNewest({ amount: 1 }).when(1).thenFails("DowncastMissing")
  })

  it("what does not hold throws, and says where it differs", () => {
    const spec = EventTypeSpec.make(Named)
    const lossy = spec.given(1, { name: "Ann van Lee" })
    assert.throws(
      () => lossy.thenData({ first: "Ann", last: "Lee" }),
      /Version 1 of Named is read not as expected[^]*~ last: "Lee" -> "van"/
    )
    assert.throws(() => lossy.thenReversible(), /~ name: "Ann van Lee" -> "Ann van"/)
    assert.throws(() => lossy.thenFails("UpcastFailed"), /can be read/)
    assert.throws(() => spec.given(2, {}).thenData({ first: "", last: "" }), /Version 2 of Named cannot be read/)
    assert.throws(() => spec.given(2, {}).thenFails("UpcastFailed"), /fails otherwise/)
    assert.throws(
      () => spec.givenNewest({ first: "a", last: "b" }).when(1).thenFails("DowncastMissing"),
      /can be lowered/
    )
    assert.throws(() => spec.givenNewest({ first: "a", last: "b" }).when(9).thenData({}), /cannot be lowered/)
  })
})
