/**
 * The past of a stream.
 */
import { assert } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { TemporalQuery } from "../../src/command/index.ts"
import { readStream } from "../store/fixtures.ts"
import { deposit, open, withdraw } from "./account.ts"
import { type CommandTests, someAccounts } from "./fixtures.ts"

/** An account with a balance of 0, 10, 15 and 13 after its revisions 0 to 3. */
const someHistory = Effect.gen(function*() {
  const accounts = yield* someAccounts
  yield* accounts.execute("1", open)
  yield* accounts.execute("1", deposit(10))
  yield* accounts.execute("1", deposit(5))
  yield* accounts.execute("1", withdraw(2))
  return { accounts, events: yield* readStream(`${accounts.category}-1`) }
})

export const temporalTests = (it: CommandTests): void => {
  it.effect("the state at a revision, at a position and at a time is what the events up to there say", () =>
    Effect.gen(function*() {
      const { accounts, events } = yield* someHistory
      for (const [index, balance] of [0, 10, 15, 13].entries()) {
        const { position, recordedAt, revision } = events[index]!
        for (const moment of [{ revision }, { position }] as const) {
          const past = yield* TemporalQuery.stateAt(accounts, "1", moment)
          assert.strictEqual(past.state.balance, balance)
          assert.deepStrictEqual([past.revision, past.position, past.recordedAt], [revision, position, recordedAt])
        }
        const last = events.findLastIndex((event) => event.recordedAt.epochMilliseconds <= recordedAt.epochMilliseconds)
        const { state } = yield* TemporalQuery.stateAt(accounts, "1", { time: recordedAt })
        assert.strictEqual(state.balance, [0, 10, 15, 13][last])
      }
    }))

  it.effect("before its first event a stream has the initial state, and what has not come yet is now", () =>
    Effect.gen(function*() {
      const { accounts, events } = yield* someHistory
      const first = events[0]!
      for (
        const moment of [
          { position: first.position - 1 },
          { time: DateTime.subtract(first.recordedAt, { milliseconds: 1 }) }
        ] as const
      ) {
        const past = yield* TemporalQuery.stateAt(accounts, "1", moment)
        assert.deepStrictEqual(past as unknown, {
          streamId: `${accounts.category}-1`,
          state: { isOpen: false, balance: 0, deposits: 0 },
          revision: undefined,
          position: undefined,
          recordedAt: undefined
        })
      }
      assert.strictEqual((yield* TemporalQuery.stateAt(accounts, "1", { revision: 99 })).state.balance, 13)
      assert.isUndefined((yield* TemporalQuery.stateAt(accounts, "nobody", { revision: 99 })).revision)
    }))

  it.effect("the difference of two moments names the events between them and what they changed", () =>
    Effect.gen(function*() {
      const { accounts, events } = yield* someHistory
      const one = { revision: 0 }
      const other = { position: events[2]!.position }
      for (const [from, to] of [[one, other], [other, one]] as const) {
        const difference = yield* TemporalQuery.diff(accounts, "1", from, to)
        assert.deepStrictEqual([difference.before.revision, difference.after.revision] as unknown, [0, 2])
        assert.deepStrictEqual(difference.events.map(({ data }) => data), [{ amount: 10 }, { amount: 5 }])
        assert.deepStrictEqual(difference.changes, [
          { kind: "changed", path: "balance", before: 0, after: 15 },
          { kind: "changed", path: "deposits", before: 0, after: 2 }
        ])
      }
      assert.deepStrictEqual((yield* TemporalQuery.diff(accounts, "1", one, one)).changes, [])
    }))

  it.effect("moments that are none are refused", () =>
    Effect.gen(function*() {
      const { accounts } = yield* someHistory
      for (const moment of [{ revision: -1 }, { revision: 0.5 }, { position: -1 }]) {
        assert.strictEqual((yield* Effect.flip(TemporalQuery.stateAt(accounts, "1", moment)))._tag, "InvalidInput")
      }
      assert.strictEqual(
        (yield* Effect.flip(TemporalQuery.stateAt(accounts, "", { revision: 0 })))._tag,
        "InvalidInput"
      )
    }))
}
