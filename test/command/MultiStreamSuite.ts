/**
 * Decisions over several streams: all or nothing, on states that nobody has moved.
 */
import { assert } from "@effect/vitest"
import { Effect, Result } from "effect"
import { type CommandHandler, MultiStreamDecision } from "../../src/command/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { indexes, readStream, unique, writingNothing } from "../store/fixtures.ts"
import {
  type Account,
  type AccountCommand,
  type AccountEvent,
  CreditExceeded,
  deposit,
  Deposited,
  NotOpen,
  open,
  Withdrawn
} from "./account.ts"
import { assertError, cachedAccounts, type CommandTests, interfering, someAccounts } from "./fixtures.ts"

interface Transfer {
  readonly from: string
  readonly to: string
  readonly amount: number
}

const transferOf = <Rejection>(
  accounts: CommandHandler.CommandHandler<AccountCommand, Account, AccountEvent, Rejection>
) =>
  MultiStreamDecision.make({
    streams: { from: accounts, to: accounts, bank: accounts },
    ids: ({ from, to }: Transfer) => ({ from, to, bank: "bank" }),
    decide: ({ amount }, { bank, from, to }) => {
      if (bank.balance < 0) return Result.fail(new NotOpen())
      if (!to.isOpen) return new NotOpen()
      if (from.balance < amount) return Effect.fail(new CreditExceeded({ balance: from.balance }))
      return amount === 0 ? {} : { from: [Withdrawn.make({ amount })], to: [Deposited.make({ amount })] }
    }
  })

/** Two accounts, one with money, and transfers between them. */
const someTransfers = (cached: boolean) =>
  Effect.gen(function*() {
    const accounts = yield* cached ? cachedAccounts(3) : someAccounts
    yield* accounts.execute("a", open)
    yield* accounts.execute("b", open)
    yield* accounts.execute("a", deposit(10))
    return { accounts, transfer: yield* transferOf(accounts) }
  })

export const multiStreamTests = (it: CommandTests): void => {
  it.effect("what is decided for several streams is appended to all, and answered for each role", () =>
    Effect.gen(function*() {
      for (const cached of [false, true]) {
        const { accounts, transfer } = yield* someTransfers(cached)
        const { alreadyExecuted, position, streams } = yield* transfer.execute({ from: "a", to: "b", amount: 4 })
        assert.deepStrictEqual(
          [streams.from.state.balance, streams.to.state.balance, streams.bank.state.balance, alreadyExecuted],
          [6, 4, 0, false]
        )
        assert.deepStrictEqual([streams.from.revision, streams.to.revision, streams.bank.revision] as unknown, [
          2,
          1,
          undefined
        ])
        assert.deepStrictEqual(streams.to.events.map(({ data, type }) => [type, data]), [["MoneyDeposited", {
          amount: 4
        }]])
        assert.strictEqual(position, streams.to.position)
        const stored = yield* readStream(`${accounts.category}-a`)
        assert.strictEqual(stored.at(-1)!.position, streams.from.position)
        // what was learned is used by the handlers' next commands
        assert.strictEqual((yield* accounts.execute("b", deposit(1))).state.balance, 5)
      }
    }))

  it.effect("a rejection, or a decision of nothing, writes nothing", () =>
    Effect.gen(function*() {
      for (const cached of [false, true]) {
        const { transfer } = yield* someTransfers(cached)
        assertError(yield* writingNothing(Effect.flip(transfer.execute({ from: "a", to: "b", amount: 11 }))), {
          _tag: "CreditExceeded",
          balance: 10
        })
        assert.instanceOf(
          yield* writingNothing(Effect.flip(transfer.execute({ from: "a", to: "c", amount: 1 }))),
          NotOpen
        )
        const nothing = yield* writingNothing(transfer.execute({ from: "a", to: "b", amount: 0 }))
        assert.deepStrictEqual([nothing.position, nothing.streams.from.events], [undefined, []])
      }
    }))

  it.effect("two roles may be one stream", () =>
    Effect.gen(function*() {
      const { transfer } = yield* someTransfers(false)
      const { streams } = yield* transfer.execute({ from: "a", to: "a", amount: 4 })
      assert.strictEqual(streams.from.state.balance, 10)
      assert.deepStrictEqual(streams.from, streams.to)
      assert.lengthOf(streams.from.events, 2)
    }))

  it.effect("transfers in all directions at once neither make nor lose money", () =>
    Effect.gen(function*() {
      const { accounts, transfer } = yield* someTransfers(true)
      yield* accounts.execute("b", deposit(10))
      const outcomes = yield* Effect.forEach(
        indexes(16),
        (index) =>
          Effect.result(
            transfer.execute(index % 2 === 0 ? { from: "a", to: "b", amount: 3 } : { from: "b", to: "a", amount: 2 })
          ),
        { concurrency: "unbounded" }
      )
      for (const outcome of outcomes) {
        if (outcome._tag === "Failure") assert.strictEqual(outcome.failure._tag, "CreditExceeded")
      }
      const [a, b] = yield* Effect.all([accounts.load("a"), accounts.load("b")])
      assert.strictEqual(a.state.balance + b.state.balance, 20)
      assert.isAtLeast(Math.min(a.state.balance, b.state.balance), 0)
    }))

  it.effect("a stream that was decided on, but not written to, must not have moved", () =>
    Effect.gen(function*() {
      const { accounts } = yield* someTransfers(false)
      const outcome = yield* interfering(
        (store, attempt) =>
          attempt > 1 ? Effect.void : store.append({
            streamId: `${accounts.category}-bank`,
            expected: "any",
            events: [{ type: "MoneyWithdrawn", data: { amount: 1 } }]
          }),
        Effect.flatMap(transferOf(accounts), (transfer) =>
          Effect.flip(transfer.execute({ from: "a", to: "b", amount: 1 })))
      )
      assert.instanceOf(outcome, NotOpen)
    }))

  it.effect("a stream that was truncated to its end takes part with what is left, and goes on where it was", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const { accounts } = yield* someTransfers(false)
      yield* store.truncateBefore(`${accounts.category}-a`, 2)
      const decision = yield* MultiStreamDecision.make({
        streams: { a: accounts, b: accounts },
        ids: (_command: string) => ({ a: "a", b: "b" }),
        decide: () => ({ a: [Deposited.make({ amount: 1 })], b: [Deposited.make({ amount: 1 })] })
      })
      const { streams: { a, b } } = yield* decision.execute("x")
      assert.deepStrictEqual([a.revision, a.state.balance, b.revision] as ReadonlyArray<unknown>, [2, 1, 1])
    }))

  it.effect("states in the cache that others have moved on from are never rejected on", () =>
    Effect.gen(function*() {
      const { accounts, transfer } = yield* someTransfers(true)
      const elsewhere = yield* cachedAccounts(3, accounts.category)
      yield* elsewhere.execute("a", deposit(5))
      yield* elsewhere.execute("c", open)
      const { streams } = yield* transfer.execute({ from: "a", to: "c", amount: 15 })
      assert.deepStrictEqual([streams.from.state.balance, streams.to.state.balance], [0, 15])
      yield* elsewhere.execute("a", deposit(7))
      assert.strictEqual((yield* transfer.execute({ from: "a", to: "b", amount: 0 })).streams.from.state.balance, 7)
    }))

  it.effect("a command that is repeated answers what it answered first", () =>
    Effect.gen(function*() {
      for (const cached of [false, true]) {
        const { accounts, transfer } = yield* someTransfers(cached)
        const commandId = unique()
        const first = yield* transfer.execute({ from: "a", to: "b", amount: 4 }, { commandId })
        yield* accounts.execute("b", deposit(1))
        for (const amount of [4, 4]) {
          const again = yield* writingNothing(transfer.execute({ from: "a", to: "b", amount }, { commandId }))
          assert.isTrue(again.alreadyExecuted)
          assert.deepStrictEqual(
            [again.position, again.streams.from.state, again.streams.to.state, again.streams.to.events],
            [first.position, first.streams.from.state, first.streams.to.state, first.streams.to.events]
          )
        }
        // now it would be rejected
        yield* transfer.execute({ from: "a", to: "b", amount: 6 })
        assert.isTrue((yield* transfer.execute({ from: "a", to: "b", amount: 4 }, { commandId })).alreadyExecuted)
        for (const other of [{ from: "a", to: "b", amount: 5 }, { from: "b", to: "a", amount: 4 }]) {
          const error = yield* writingNothing(Effect.flip(transfer.execute(other, { commandId })))
          assert.strictEqual(error._tag, "CommandIdReused")
        }
      }
    }))

  it.effect("rules that throw fail the command, and nothing is written", () =>
    Effect.gen(function*() {
      const { accounts } = yield* someTransfers(false)
      const throwing = (): never => {
        throw new Error("no")
      }
      const ids = yield* MultiStreamDecision.make({ streams: { a: accounts }, ids: throwing, decide: () => ({}) })
      const decide = yield* MultiStreamDecision.make({
        streams: { a: accounts },
        ids: (_command: string) => ({ a: "a" }),
        decide: throwing
      })
      for (const [rule, decision] of [["ids", ids], ["decide", decide]] as const) {
        const error = yield* writingNothing(Effect.flip(decision.execute("x")))
        assert.strictEqual(error._tag === "DecisionFailed" && error.rule, rule)
      }
    }))

  it.effect("what is decided for no role, or is no decision, fails the command, and nothing is written", () =>
    Effect.gen(function*() {
      const { accounts } = yield* someTransfers(false)
      const event = Deposited.make({ amount: 1 })
      for (const decided of [null, undefined, 42, { a: 5 }, { a: [null] }, { a: [event], b: [event] }]) {
        const decision = yield* MultiStreamDecision.make({
          streams: { a: accounts },
          ids: (_command: string) => ({ a: "a" }),
          decide: () => decided as { readonly a: [] }
        })
        const error = yield* writingNothing(Effect.flip(decision.execute("x")))
        assert.strictEqual(error._tag === "DecisionFailed" && error.rule, "decide", String(decided))
      }
      const nowhere = yield* MultiStreamDecision.make({
        streams: { a: accounts },
        ids: () => null as never,
        decide: () => ({})
      })
      const error = yield* Effect.flip(nowhere.execute("x"))
      assert.strictEqual(error._tag === "DecisionFailed" && error.rule, "ids")
    }))

  it.effect("only handlers that load their states take part", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      const options = { ids: (_command: string) => ({ a: "a" }), decide: () => ({}) }
      const error = yield* Effect.flip(MultiStreamDecision.make({ streams: { a: { ...accounts } }, ...options }))
      assert.include(error.message, "not made by CommandHandler.make: a")
      assert.include((yield* Effect.flip(MultiStreamDecision.make({ streams: {}, ...options }))).message, "no roles")
    }))
}
