import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { Decider, Phases } from "../../src/decider/index.ts"
import { EventType } from "../../src/event/index.ts"

const Submitted = EventType.make("LoanSubmitted", { amount: Schema.Number })
const Approved = EventType.make("LoanApproved", { by: Schema.String })
class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", {}) {}
class SameClerk extends Schema.TaggedError<SameClerk>()("SameClerk", {}) {}

type Loan =
  | { readonly _tag: "None" }
  | { readonly _tag: "Submitted"; readonly amount: number }
  | { readonly _tag: "Approved"; readonly amount: number; readonly by: string }
type Command =
  | { readonly _tag: "Submit"; readonly amount: number }
  | { readonly _tag: "Approve"; readonly by: string }

const loan = Phases.make<Loan, Command>()({
  events: [Submitted, Approved],
  initial: { _tag: "None" },
  phases: {
    None: {
      decide: { Submit: ({ amount }) => amount > 100 ? new TooMuch() : [Submitted.make({ amount })] },
      evolve: { LoanSubmitted: (_state, { amount }) => ({ _tag: "Submitted", amount }) }
    },
    Submitted: {
      decide: {
        Approve: ({ by }, { amount }) =>
          by === "" ? Result.fail(new SameClerk()) : [Approved.make({ by: `${by}:${amount}` })]
      },
      evolve: { LoanApproved: ({ amount }, { by }) => ({ _tag: "Approved", amount, by }) }
    },
    Approved: {}
  }
})

describe("Phases", () => {
  it("each phase takes its own commands, and knows its own state", () => {
    assert.deepStrictEqual(loan.decide({ _tag: "Submit", amount: 5 }, loan.initial), [
      { type: "LoanSubmitted", data: { amount: 5 } }
    ])
    assert.deepStrictEqual(loan.decide({ _tag: "Approve", by: "Ann" }, { _tag: "Submitted", amount: 5 }), [
      { type: "LoanApproved", data: { by: "Ann:5" } }
    ])
  })

  it("a command that the phase does not take is rejected by name", () => {
    const rejection = loan.decide({ _tag: "Approve", by: "Ann" }, loan.initial)
    assert.instanceOf(rejection, Phases.CommandUnexpected)
    assert.strictEqual((rejection as Phases.CommandUnexpected).message, "Command Approve is not taken in phase None")
    assert.instanceOf(
      loan.decide({ _tag: "Submit", amount: 5 }, { _tag: "Approved", amount: 5, by: "Ann" }),
      Phases.CommandUnexpected
    )
  })

  it("a command or an event by the name of what every object has is not taken", () => {
    assert.instanceOf(loan.decide({ _tag: "toString" } as never, loan.initial), Phases.CommandUnexpected)
    assert.strictEqual(loan.evolve(loan.initial, { type: "valueOf", data: {} } as never), loan.initial)
  })

  it("events move it from phase to phase, and one that the phase does not name changes nothing", () => {
    const submitted = Submitted.make({ amount: 5 })
    const approved = Approved.make({ by: "Ann" })
    assert.deepStrictEqual(Decider.fold(loan, [submitted, approved]), { _tag: "Approved", amount: 5, by: "Ann" })
    assert.deepStrictEqual(Decider.fold(loan, [approved, submitted]), { _tag: "Submitted", amount: 5 })
  })

  it("it is a decider of exactly its commands, states and rejections", () => {
    const decider: Decider.Decider<
      Command,
      Loan,
      EventType.EventOf<typeof Submitted | typeof Approved>,
      TooMuch | SameClerk | Phases.CommandUnexpected
    > = loan
    assert.strictEqual(decider.events.length, 2)
  })

  it("a phase that is missing does not compile", () => {
    Phases.make<Loan, Command>()({
      events: [Submitted, Approved],
      initial: { _tag: "None" },
      // @ts-expect-error Approved is missing
      phases: { None: {}, Submitted: {} }
    })
  })
})
