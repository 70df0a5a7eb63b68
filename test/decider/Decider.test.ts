import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { Decider } from "../../src/decider/index.ts"
import { EventType } from "../../src/event/index.ts"

const Opened = EventType.make("AccountOpened", { owner: Schema.String })
const Deposited = EventType.make("MoneyDeposited", { amount: Schema.Number })
const Other = EventType.make("Other", { text: Schema.String })
class Exceeded extends Schema.TaggedError<Exceeded>()("Exceeded", { limit: Schema.Number }) {}
class Closed extends Schema.TaggedError<Closed>()("Closed", {}) {}
class Frozen extends Schema.TaggedError<Frozen>()("Frozen", {}) {}

type Command = { readonly _tag: "Open"; readonly owner: string } | { readonly _tag: "Deposit"; readonly amount: number }
type Events = EventType.EventOf<typeof Opened | typeof Deposited>

/** Asserts that two types are the same. */
const same =
  <A>() => <B>(_same: (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false) => {}

describe("Decider", () => {
  it("commands, state, events and rejections are inferred from the rules", () => {
    const account = Decider.make({
      events: [Opened, Deposited],
      initial: { balance: 0 },
      decide: (command: Command, state) => {
        if (command._tag === "Open") return [Opened.make({ owner: command.owner })]
        if (state.balance > 3) return new Exceeded({ limit: 3 })
        if (state.balance > 2) return Result.fail(new Closed())
        if (state.balance > 1) return Effect.fail(new Frozen())
        return state.balance > 0 ? Result.succeed([Deposited.make({ amount: 1 })]) : Effect.succeed([])
      },
      evolve: (state, event) => event.type === "MoneyDeposited" ? { balance: state.balance + event.data.amount } : state
    })
    same<typeof account>()<Decider.Decider<Command, { balance: number }, Events, Exceeded | Closed | Frozen>>(true)
    assert.deepStrictEqual(account.decide({ _tag: "Open", owner: "Ann" }, { balance: 9 }), [
      { type: "AccountOpened", data: { owner: "Ann" } }
    ])
  })

  it("a state of several shapes is inferred from where it is said once", () => {
    type State = { readonly status: "none" } | { readonly status: "open"; readonly owner: string }
    const bySeed = Decider.make({
      events: [Opened],
      initial: { status: "none" } as State,
      decide: (command: Command, state) =>
        state.status === "none" && command._tag === "Open" ? [Opened.make({ owner: command.owner })] : [],
      evolve: (_state, { data }) => ({ status: "open", owner: data.owner })
    })
    const byRule = Decider.make({
      events: [Opened],
      initial: { status: "none" },
      decide: (_command: Command, _state: State) => [],
      evolve: (_state, { data }) => ({ status: "open", owner: data.owner })
    })
    same<typeof bySeed>()<Decider.Decider<Command, State, EventType.EventOf<typeof Opened>, never>>(true)
    same<typeof byRule>()<Decider.Decider<Command, State, EventType.EventOf<typeof Opened>, never>>(true)
    assert.deepStrictEqual(Decider.fold(bySeed, [Opened.make({ owner: "Ann" })]), { status: "open", owner: "Ann" })
  })

  it("an event that is not one of its types does not compile, nor does a state of another shape", () => {
    Decider.make({
      events: [Opened],
      initial: 0,
      // @ts-expect-error Other is not one of the events
      decide: (_command: Command) => [Other.make({ text: "" })],
      evolve: (state) => state
    })
    Decider.make({
      events: [Opened],
      initial: { balance: 0 },
      decide: (_command: Command) => [],
      // @ts-expect-error a balance is a number
      evolve: () => ({ balance: "0" })
    })
  })

  it("a fold begins with the initial state, or where it is told to", () => {
    const sum = Decider.make({
      events: [Deposited],
      initial: 0,
      decide: (_command: Command) => [],
      evolve: (state, { data }) => state + data.amount
    })
    const events = [Deposited.make({ amount: 1 }), Deposited.make({ amount: 2 })]
    assert.strictEqual(Decider.fold(sum, []), 0)
    assert.strictEqual(Decider.fold(sum, events), 3)
    assert.strictEqual(Decider.fold(sum, events, 10), 13)
  })
})
