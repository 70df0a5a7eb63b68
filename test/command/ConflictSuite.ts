/**
 * Many at once: everybody's command has its effect, once.
 */
import { assert } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { CommandHandler } from "../../src/command/index.ts"
import { append, indexes, readStream, someCategory } from "../store/fixtures.ts"
import { account, type AccountCommand, deposit, open, withdraw } from "./account.ts"
import { assertError, cachedAccounts, type CommandTests, counting, interfering, someAccounts } from "./fixtures.ts"

const together = <A, E, R>(count: number, run: (index: number) => Effect.Effect<A, E, R>) =>
  Effect.forEach(indexes(count), run, { concurrency: "unbounded" })

export const conflictTests = (it: CommandTests): void => {
  it.effect("of 16 commands on one stream at the same time, each lands exactly once", () =>
    Effect.gen(function*() {
      for (const accounts of [yield* someAccounts, yield* cachedAccounts(5)]) {
        yield* accounts.execute("1", open)
        const results = yield* together(16, (index) => accounts.execute("1", deposit(2 ** index)))
        const revisions = results.map(({ revision }) => revision as number).sort((a, b) => a - b)
        assert.deepStrictEqual(revisions, indexes(16).map((index) => index + 1))
        const { revision, state } = yield* accounts.load("1")
        assert.deepStrictEqual(state, { isOpen: true, balance: 2 ** 16 - 1, deposits: 16 })
        assert.strictEqual(revision as number, 16)
        assert.lengthOf(yield* readStream(`${accounts.category}-1`), 17)
      }
    }))

  it.effect("no race takes more than there is", () =>
    Effect.gen(function*() {
      const category = someCategory()
      const processes = [
        yield* cachedAccounts(5, category),
        yield* cachedAccounts(5, category),
        yield* someAccountsOf(category)
      ]
      yield* processes[0]!.execute("1", open)
      yield* processes[0]!.execute("1", deposit(10))
      const outcomes = yield* together(24, (index) => Effect.result(processes[index % 3]!.execute("1", withdraw(3))))
      assert.lengthOf(outcomes.filter(({ _tag }) => _tag === "Success"), 3)
      for (const outcome of outcomes) {
        if (outcome._tag === "Failure") assertError(outcome.failure, { _tag: "CreditExceeded", balance: 1 })
      }
      assert.strictEqual((yield* processes[2]!.load("1")).state.balance, 1)
    }))

  it.effect("commands on distinct streams do not disturb each other", () =>
    Effect.gen(function*() {
      const accounts = yield* cachedAccounts(5)
      yield* together(32, (index) =>
        Effect.andThen(accounts.execute(`${index}`, open), accounts.execute(`${index}`, deposit(index))))
      const balances = yield* together(32, (index) =>
        Effect.map(accounts.load(`${index}`), ({ state }) => state.balance))
      assert.deepStrictEqual(balances, indexes(32))
    }))

  it.effect("after a conflict only the events in between are read, and it is decided anew on them", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* append(`${category}-1`, "noStream", [{ type: "AccountOpened", data: { owner: "Ann" } }])
      const outcome = yield* counting((counts) =>
        interfering(
          (store, attempt) =>
            attempt > 2 ? Effect.void : store.append({
              streamId: `${category}-1`,
              expected: "any",
              events: [{ type: "MoneyDeposited", version: 2, data: { amount: 10 } }]
            }),
          Effect.gen(function*() {
            const accounts = yield* someAccountsOf(category)
            const { events, state } = yield* accounts.execute("1", deposit(1))
            return { counts, state, revisions: events.map(({ revision }) => revision as number) }
          })
        )
      )
      assert.deepStrictEqual(outcome.state, { isOpen: true, balance: 21, deposits: 3 })
      assert.deepStrictEqual(outcome.revisions, [3])
      assert.deepStrictEqual(outcome.counts, { reads: 3, appends: 5 })
    }))

  it.effect("a rebase sees what came in between, and what it lets stand is appended without deciding again", () =>
    Effect.gen(function*() {
      const category = someCategory()
      const decisions: Array<number> = []
      const seen: Array<unknown> = []
      const counted = {
        ...account,
        decide: (command: AccountCommand, state: typeof account.initial) => {
          decisions.push(state.balance)
          return account.decide(command, state)
        }
      }
      yield* append(`${category}-1`, "noStream", [{ type: "AccountOpened", data: { owner: "Ann" } }])
      const run = (stands: boolean) =>
        interfering(
          (store, attempt) =>
            attempt > 1 ? Effect.void : store.append({
              streamId: `${category}-1`,
              expected: "any",
              events: [{ type: "MoneyDeposited", version: 1, data: { cents: 700 } }]
            }),
          Effect.gen(function*() {
            const accounts = yield* CommandHandler.make(counted, {
              category,
              rebase: ({ command, decided, events, state }) => {
                seen.push([command._tag, state.balance, decided.length, events.map(({ data, type }) => [type, data])])
                return stands
              }
            })
            return yield* accounts.execute("1", deposit(1))
          })
        )
      assert.strictEqual((yield* run(true)).state.balance, 8)
      assert.deepStrictEqual(decisions, [0])
      assert.deepStrictEqual(seen, [["Deposit", 0, 1, [["MoneyDeposited", { amount: 7 }]]]])
      assert.strictEqual((yield* run(false)).state.balance, 16)
      assert.deepStrictEqual(decisions, [0, 8, 15])
    }))

  it.effect("a rebase lets nothing stand that goes past what the caller knows of the stream", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* append(`${category}-1`, "noStream", [{ type: "AccountOpened", data: { owner: "Ann" } }])
      const error = yield* interfering(
        (store) =>
          store.append({
            streamId: `${category}-1`,
            expected: "any",
            events: [{ type: "NoteAdded", data: { text: "me first" } }]
          }),
        Effect.gen(function*() {
          const accounts = yield* CommandHandler.make(account, { category, rebase: () => true })
          const { revision } = yield* accounts.load("1")
          return yield* Effect.flip(accounts.execute("1", deposit(1), { expected: revision }))
        })
      )
      assertError(error, { _tag: "RevisionConflict", streamId: `${category}-1`, expected: 0, actual: 1 })
      assert.lengthOf(yield* readStream(`${category}-1`), 2)
    }))

  it.effect("a rebase that throws fails the command, and nothing is written", () =>
    Effect.gen(function*() {
      const category = someCategory()
      const error = yield* interfering(
        (store) =>
          store.append({
            streamId: `${category}-1`,
            expected: "any",
            events: [{ type: "AccountOpened", data: { owner: "Ann" } }]
          }),
        Effect.gen(function*() {
          const accounts = yield* CommandHandler.make(account, {
            category,
            rebase: () => {
              throw new Error("no")
            }
          })
          return yield* Effect.flip(accounts.execute("1", open))
        })
      )
      assertError(error, {
        _tag: "DecisionFailed",
        rule: "rebase",
        type: "Open",
        version: undefined,
        streamId: `${category}-1`,
        revision: 0
      })
      assert.lengthOf(yield* readStream(`${category}-1`), 1)
    }))

  it.effect("when the schedule ends the conflict is the answer, and nothing is written", () =>
    Effect.gen(function*() {
      const category = someCategory()
      const error = yield* interfering(
        (store) =>
          store.append({
            streamId: `${category}-1`,
            expected: "any",
            events: [{ type: "NoteAdded", data: { text: "me first" } }]
          }),
        Effect.gen(function*() {
          const accounts = yield* CommandHandler.make(account, { category, retry: Schedule.recurs(2) })
          return yield* Effect.flip(accounts.execute("1", open))
        })
      )
      // the attempt, the one that follows at once, and two that the schedule allows
      assertError(error, { _tag: "RevisionConflict", streamId: `${category}-1`, expected: 2, actual: 3 })
      assert.lengthOf(yield* readStream(`${category}-1`), 4)
    }))
}

const someAccountsOf = (category: string) => CommandHandler.make(account, { category })
