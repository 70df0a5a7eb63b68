import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { Decider } from "../../src/decider/index.ts"
import { AssertionFailed, DeciderSpec } from "../../src/testing/index.ts"
import {
  account,
  check,
  CreditExceeded,
  deposit,
  Deposited,
  note,
  Noted,
  NotOpen,
  open,
  Opened,
  withdraw,
  Withdrawn
} from "../command/account.ts"

const spec = DeciderSpec.make(account)

/** Runs a check that must throw, and returns what it threw. */
const thrownBy = (run: () => unknown): AssertionFailed => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, AssertionFailed)
    return error as AssertionFailed
  }
  throw new Error("nothing was thrown")
}

describe("DeciderSpec", () => {
  it("a scenario that holds says nothing", () => {
    spec.when(open).thenEvents(Opened.make({ owner: "Ann" })).thenState({ isOpen: true, balance: 0, deposits: 0 })
    spec.when(check).thenNothing()
    spec.given(Opened.make({ owner: "Ann" }), Deposited.make({ amount: 10 }))
      .when(withdraw(4))
      .thenEvents(Withdrawn.make({ amount: 4 }))
      .thenState({ isOpen: true, balance: 6, deposits: 1 })
    spec.given(Opened.make({ owner: "Ann" })).thenState({ isOpen: true, balance: 0, deposits: 0 })
  })

  it("a rejection is expected as it is, by its class, by its tag, or by a function", () => {
    spec.when(deposit(1)).thenRejected(new NotOpen()).thenRejected(NotOpen).thenRejected("NotOpen")
    spec.when(withdraw(1)).thenRejected((error) => error._tag === "CreditExceeded" && error.balance === 0)
    // @ts-expect-error a decider never rejects with this
    thrownBy(() => spec.when(withdraw(1)).thenRejected("Closed"))
    const wrong = thrownBy(() => spec.when(withdraw(1)).thenRejected(new CreditExceeded({ balance: 5 })))
    assert.include(wrong.message, "The command was rejected otherwise")
    thrownBy(() => spec.when(withdraw(1)).thenRejected(NotOpen))
    thrownBy(() => spec.when(withdraw(1)).thenRejected(() => false))
  })

  it("events that differ are told apart by place, with what was expected and what came", () => {
    const error = thrownBy(() =>
      spec.given(Opened.make({ owner: "Ann" }))
        .when({ _tag: "Deposit", amount: 10, times: 2 })
        .thenEvents(Deposited.make({ amount: 11 }), Deposited.make({ amount: 10 }), Withdrawn.make({ amount: 1 }))
    )
    assert.strictEqual(
      error.message,
      "The events are not as expected (+ not expected, - missing, ~ expected -> actual)\n" +
        "~ [0].data.amount: 11 -> 10\n" +
        "- [2]: {\"type\":\"MoneyWithdrawn\",\"data\":{\"amount\":1}}"
    )
    assert.lengthOf(error.actual as ReadonlyArray<unknown>, 2)
    assert.lengthOf(error.expected as ReadonlyArray<unknown>, 3)
  })

  it("tags and metadata are compared where they are expected", () => {
    const outcome = spec.when(note("x"))
    outcome.thenEvents(Noted.make({ text: "x" }))
    outcome.thenEvents(Noted.make({ text: "x" }, { tags: ["note", "a", "note"], metadata: { by: "decision" } }))
    assert.include(
      thrownBy(() => outcome.thenEvents(Noted.make({ text: "x" }, { tags: ["b"] }))).message,
      "[0].tags[0]: \"b\" -> \"note\""
    )
  })

  it("a state that differs, a rejection that came, and one that did not, all throw", () => {
    assert.include(
      thrownBy(() => spec.when(open).thenState({ isOpen: true, balance: 1, deposits: 0 })).message,
      "~ balance: 1 -> 0"
    )
    assert.include(thrownBy(() => spec.when(deposit(1)).thenEvents()).message, "The command was rejected")
    thrownBy(() => spec.when(deposit(1)).thenNothing())
    thrownBy(() => spec.when(deposit(1)).thenState(account.initial))
    assert.include(thrownBy(() => spec.when(open).thenRejected(NotOpen)).message, "The command was not rejected")
    thrownBy(() => spec.when(open).thenNothing())
    thrownBy(() => spec.given(Opened.make({ owner: "Ann" })).thenState(account.initial))
  })

  it("what was stored in an older version is lifted", () => {
    spec.givenStored({ type: "AccountOpened", version: 1, data: { owner: "Ann" } }, {
      type: "MoneyDeposited",
      version: 1,
      data: { cents: 150 }
    }).thenState({ isOpen: true, balance: 1.5, deposits: 1 })
  })

  it("what cannot be stored, and rules that throw, fail the scenario", () => {
    assert.throws(() => spec.given({ type: "AccountOpened", data: { owner: 42 as never } }), /breaks its schema/)
    assert.throws(() => spec.when(note("throw in decide")), /decide broke/)
    assert.throws(() => spec.when(note("die in decide")), /decide died/)
    assert.throws(() => spec.when(note("throw in evolve")), /evolve broke/)
  })

  it.effect("a decision that takes its time runs under the test clock", () =>
    Effect.gen(function*() {
      const slow = DeciderSpec.make(Decider.make({
        events: [Deposited],
        initial: 0,
        decide: (_command: "now") => Effect.map(Clock.currentTimeMillis, (amount) => [Deposited.make({ amount })]),
        evolve: (state, { data }) => state + data.amount
      }))
      yield* TestClock.setTime(42)
      const outcome = yield* slow.given(Deposited.make({ amount: 1 })).whenEffect("now")
      outcome.thenEvents(Deposited.make({ amount: 42 })).thenState(43)
    }))
})
