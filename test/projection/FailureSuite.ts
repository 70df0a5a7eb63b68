/**
 * What becomes of a projection when something fails: one text for all storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option, Schema } from "effect"
import type { RecordedEvent } from "../../src/event/Event.ts"
import { Projection, ProjectionControl, ProjectionRunner, ProjectionState } from "../../src/projection/index.ts"
import type { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { append, head, proposed, someCategory } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  account,
  allStates,
  appendAccounts,
  appendDeposits,
  assertComplete,
  assertFold,
  Balance,
  balances,
  checkpointOf,
  eventsOf,
  foldBalances,
  NO_BALANCE,
  SMALL,
  someProjectionName,
  types
} from "./fixtures.ts"

const { run, runOnce } = ProjectionRunner

/** The one deposit that a handler does not like. */
const POISON = 6

const refusing = (isOn: () => boolean) => (event: { readonly data: { readonly amount: number } }) => {
  if (isOn() && event.data.amount === POISON) throw new TypeError("a secret")
}

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Projection that fails (${storage})`, (it) => {
    it.effect("a poison event halts: all before it are applied, it and none after it; a better handler goes on", () =>
      Effect.gen(function*() {
        const category = someCategory()
        let isPoisoned = true
        const projection = balances(category, { onDeposit: refusing(() => isPoisoned) })
        yield* appendAccounts(category, 3, 20)
        const poison = (yield* eventsOf(category)).find(({ data }) => JSON.stringify(data) === "{\"cents\":600}")!
        for (const batchEvents of [1, 4, 1_000]) {
          const error = yield* Effect.flip(runOnce(projection, { ...SMALL, batchEvents }))
          assert.strictEqual(error._tag, "ProjectionHalted")
          if (error._tag !== "ProjectionHalted") return
          assert.deepInclude({ ...error.failure }, {
            position: poison.position,
            streamId: poison.streamId,
            revision: poison.revision,
            type: "MoneyDeposited",
            reason: "HandlerThrew",
            detail: "it threw TypeError"
          })
          assert.strictEqual(error.attempts, 3)
          const { position } = yield* checkpointOf(projection)
          assert.isBelow(position, poison.position)
          assert.isAtLeast(position, poison.position - 2)
          yield* assertFold(category, projection)
        }
        const report = Option.getOrThrow(yield* ProjectionControl.describe(projection))
        assert.deepInclude(report, { status: "halted", parked: 0 })
        assert.deepInclude({ ...report.failure }, { count: 3, position: poison.position })
        assert.notInclude(report.failure!.message, "secret")
        assert.isAtLeast(report.lagMillis, 0)
        isPoisoned = false
        yield* runOnce(projection)
        yield* assertFold(category, projection)
        assert.strictEqual((yield* checkpointOf(projection)).position, yield* head)
      }))

    it.effect("a handler that fails now and then is tried again, and nothing is applied twice", () =>
      Effect.gen(function*() {
        const category = someCategory()
        let calls = 0
        const projection = balances(category, {
          onDeposit: () => {
            if (++calls % 3 === 0) throw new Error("flapping")
          }
        })
        yield* appendAccounts(category, 3, 20)
        yield* runOnce(projection, SMALL)
        yield* assertFold(category, projection)
        assert.strictEqual((yield* checkpointOf(projection)).count, 23)
      }))

    it.effect("a runner that stands by does not take on a halted projection until it is resumed", () =>
      Effect.gen(function*() {
        const category = someCategory()
        let isPoisoned = true
        const projection = balances(category, { onDeposit: refusing(() => isPoisoned) })
        yield* appendAccounts(category, 3, 4)
        const first = yield* Effect.forkChild(Effect.flip(run(projection, SMALL)))
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        const second = yield* Effect.forkChild(run(projection, SMALL))
        yield* appendDeposits(category, 3, 10)
        assert.strictEqual((yield* Fiber.join(first))._tag, "ProjectionHalted")
        isPoisoned = false
        const record = Option.getOrThrow(yield* ProjectionControl.describe(projection))
        assert.strictEqual(record.status, "halted")
        yield* ProjectionControl.resume(projection)
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        assert.isUndefined(second.pollUnsafe())
        yield* Fiber.interrupt(second)
        yield* assertFold(category, projection)
      }))

    it.effect("parking: the event and its successors wait, the others go on, and a replay applies them in order", () =>
      Effect.gen(function*() {
        const category = someCategory()
        let isPoisoned = true
        const projection = balances(category, { action: "park", onDeposit: refusing(() => isPoisoned) })
        yield* appendAccounts(category, 3, 20)
        const checkpoint = yield* runOnce(projection, SMALL)
        assert.strictEqual(checkpoint.position, yield* head)
        assert.strictEqual(checkpoint.count, 23)
        yield* assertComplete(projection)
        const events = yield* eventsOf(category)
        const poison = events.find(({ data }) => JSON.stringify(data) === "{\"cents\":600}")!
        const isWaiting = (event: { readonly position: number; readonly streamId: string; readonly type: string }) =>
          event.streamId === poison.streamId && event.position >= poison.position && event.type !== "Ignored"
        assert.deepStrictEqual(
          yield* allStates(projection),
          foldBalances(events.filter((event) => !isWaiting(event)))
        )
        const parked = yield* ProjectionControl.listParked(projection)
        assert.deepStrictEqual(
          parked.map(({ position }) => position),
          events.filter(isWaiting).map(({ position }) => position)
        )
        assert.deepInclude(parked[0]!, {
          attempts: 3,
          reason: "it threw TypeError (HandlerThrew)",
          key: poison.streamId
        })
        assert.deepInclude(parked[1]!, { attempts: 0, reason: "waits behind an earlier event of its key" })

        // what comes later waits too, also for a runner that starts anew
        yield* appendDeposits(category, 3, 3)
        yield* runOnce(projection, SMALL)
        assert.strictEqual((yield* ProjectionControl.listParked(projection)).length, parked.length + 1)
        const again = yield* ProjectionControl.replayParked(projection)
        assert.deepStrictEqual(again, { applied: 0, remaining: parked.length + 1 })
        assert.strictEqual((yield* ProjectionControl.listParked(projection))[0]!.attempts, 4)

        isPoisoned = false
        const fiber = yield* Effect.forkChild(run(projection, { lease: 300 }))
        yield* waitFor(ProjectionControl.describe(projection), (found) => Option.getOrThrow(found).owner !== undefined)
        assert.deepStrictEqual(yield* ProjectionControl.replayParked(projection, { key: "nobody" }), {
          applied: 0,
          remaining: 0
        })
        assert.deepStrictEqual(yield* ProjectionControl.replayParked(projection, { key: poison.streamId }), {
          applied: parked.length + 1,
          remaining: 0
        })
        yield* appendDeposits(category, 3, 3)
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* ProjectionControl.listParked(projection), [])
        yield* assertFold(category, projection)
      }))

    it.effect("parked events can be discarded, by key", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category, { action: "park", onDeposit: refusing(() => true) })
        yield* appendAccounts(category, 3, 7)
        yield* runOnce(projection, SMALL)
        const [parked] = yield* ProjectionControl.listParked(projection)
        assert.strictEqual(yield* ProjectionControl.discardParked(projection, { key: "nobody" }), 0)
        assert.strictEqual(yield* ProjectionControl.discardParked(projection, { key: parked!.key }), 1)
        assert.deepStrictEqual(yield* ProjectionControl.listParked(projection), [])
        yield* appendDeposits(category, 3, 3)
        yield* runOnce(projection, SMALL)
        assert.deepStrictEqual(yield* ProjectionControl.listParked(projection), [])
        yield* assertComplete(projection)
      }))

    it.effect("another key of parked events is theirs, too: what comes later waits behind them by the key of the code", () =>
      Effect.gen(function*() {
        const category = someCategory()
        let isPoisoned = true
        const made = balances(category, { action: "park", onDeposit: refusing(() => isPoisoned) })
        const keyedBy = (key: (event: RecordedEvent) => string) => ({
          ...made,
          onError: { action: "park" as const, key }
        })
        const byStream = keyedBy(({ streamId }) => streamId)
        const asOne = keyedBy(() => "all")
        const parkedNow = ProjectionControl.listParked(made)
        yield* appendAccounts(category, 2, 8)
        yield* runOnce(byStream, SMALL)
        const before = yield* parkedNow
        const [poison] = before
        assert.strictEqual(before.length, 2)
        assert.isTrue(before.every(({ key }) => key === poison!.streamId))

        yield* runOnce(asOne, SMALL)
        assert.deepStrictEqual(yield* parkedNow, before.map((event) => ({ ...event, key: "all" })))
        yield* appendDeposits(category, 2, 4)
        yield* runOnce(asOne, SMALL)
        const all = yield* parkedNow
        assert.strictEqual(all.length, 6)
        assert.isTrue(all.every(({ key }) => key === "all"))
        assert.deepStrictEqual(yield* ProjectionControl.replayParked(asOne), { applied: 0, remaining: 6 })

        // of a stream each again: those of the other one wait for nobody
        assert.deepStrictEqual(yield* ProjectionControl.replayParked(made), { applied: 2, remaining: 4 })
        assert.isTrue((yield* parkedNow).every(({ key, streamId }) => key === poison!.streamId && key === streamId))
        isPoisoned = false
        assert.strictEqual((yield* ProjectionControl.replayParked(byStream)).applied, 4)
        yield* assertComplete(made)
        yield* assertFold(category, made)
      }))

    it.effect("events that cannot be decoded halt: broken data, and versions that nobody knows", () =>
      Effect.gen(function*() {
        for (
          const event of [
            proposed("MoneyDeposited", { version: 2, data: { amount: "much" } }),
            proposed("MoneyDeposited", { version: 3, data: { amount: 1 } })
          ]
        ) {
          const category = someCategory()
          const projection = balances(category)
          yield* appendAccounts(category, 1, 2)
          yield* append(account(category, 0), "any", [event])
          const error = yield* Effect.flip(runOnce(projection, SMALL))
          assert.strictEqual(error._tag === "ProjectionHalted" ? error.failure.reason : error._tag, "Undecodable")
          yield* assertFold(category, projection)
        }
      }))

    it.effect("a state that breaks its schema, and a key that is no name, halt at their event", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 8)
        const options = {
          events: types,
          where: { categories: [category] },
          state: Schema.Struct({ n: Schema.Int }),
          initial: { n: 0 }
        } as const
        const amounts = { AccountOpened: (state: { n: number }) => state }
        const projections = [
          Projection.state({
            ...options,
            name: someProjectionName(),
            on: { ...amounts, MoneyDeposited: ({ n }, { data }) => ({ n: data.amount === POISON ? 0.5 : n + 1 }) }
          }),
          Projection.state({
            ...options,
            name: someProjectionName(),
            on: {
              ...amounts,
              MoneyDeposited: ({ n }, { data }) => ({ n: n + 1, ...(data.amount === POISON ? { more: 1 } : {}) })
            }
          }),
          Projection.state({
            ...options,
            name: someProjectionName(),
            key: (event) => event.type === "MoneyDeposited" && event.data.amount === POISON ? "a\nb" : "all",
            on: { ...amounts, MoneyDeposited: ({ n }) => ({ n: n + 1 }) }
          })
        ]
        for (const projection of projections) {
          const error = yield* Effect.flip(runOnce(projection, SMALL))
          assert.strictEqual(error._tag === "ProjectionHalted" ? error.failure.reason : error._tag, "StateInvalid")
          assert.deepStrictEqual((yield* allStates(projection)).map(([, state]) => state), [{ n: POISON - 1 }])
          yield* assertComplete(projection)
        }
      }))

    it.effect("a schema that cannot read the stored states ends the run", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 2)
        const name = someProjectionName()
        const old = balances(category, { name })
        yield* runOnce(old)
        yield* appendDeposits(category, 1, 1)
        const Other = Schema.Struct({ ...Balance.fields, currency: Schema.String })
        const changed = Projection.state({
          name,
          events: types,
          where: { categories: [category] },
          state: Other,
          initial: { ...NO_BALANCE, currency: "EUR" },
          key: (event) => event.streamId,
          on: { AccountOpened: (state) => state, MoneyDeposited: (state) => state }
        })
        const error = yield* Effect.flip(runOnce(changed))
        assert.strictEqual(error._tag, "StateUnreadable")
        assert.strictEqual((yield* Effect.flip(ProjectionState.list(changed)))._tag, "StateUnreadable")
        yield* assertFold(category, old)
        // whoever asks is told, and a run of the old code goes on
        const { failure, status } = Option.getOrThrow(yield* ProjectionControl.describe(old))
        assert.deepStrictEqual([status, failure?.count, failure?.message], ["halted", 1, error.message])
        yield* runOnce(old)
        yield* assertFold(category, old)
      }))

    it.effect("a handler that changes the initial state in place halts, and no other state begins with what it made", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 4)
        const projection = Projection.state({
          name: someProjectionName(),
          events: types,
          where: { categories: [category] },
          state: Schema.Struct({ names: Schema.mutable(Schema.Array(Schema.String)) }),
          initial: { names: [] },
          key: (event) => event.streamId,
          on: {
            AccountOpened: (state, { data }) => {
              state.names.push(data.owner)
              return state
            },
            MoneyDeposited: (state) => state
          }
        })
        const error = yield* Effect.flip(runOnce(projection, SMALL))
        assert.strictEqual(error._tag === "ProjectionHalted" ? error.failure.reason : error._tag, "HandlerThrew")
        assert.deepStrictEqual(projection.initial, { names: [] })
        assert.deepStrictEqual(yield* allStates(projection), [])
      }))

    it.effect("an event changes a state once, however often it names it", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 4)
        const projection = Projection.state({
          name: someProjectionName(),
          events: types,
          where: { categories: [category] },
          state: Schema.Int,
          initial: 0,
          key: () => ["a", "b", "a"],
          on: { AccountOpened: (n) => n + 1, MoneyDeposited: (n) => n + 1 }
        })
        yield* runOnce(projection, SMALL)
        assert.deepStrictEqual(yield* allStates(projection), [["a", 6], ["b", 6]])
      }))

    it.effect("projections that cannot be run are refused, with everything that is wrong", () =>
      Effect.gen(function*() {
        const projection = balances(someCategory())
        const refusal = yield* Effect.flip(runOnce(projection, { batchEvents: 0, batchBytes: 0 }))
        assert.strictEqual(refusal._tag, "ProjectionInvalid")
        assert.strictEqual(refusal._tag === "ProjectionInvalid" ? refusal.problems.length : 0, 2)
        const unnamed = yield* Effect.flip(runOnce({ ...projection, name: "" }))
        assert.strictEqual(unnamed._tag, "InvalidInput")
        const twice = yield* Effect.flip(runOnce({ ...projection, events: [types[0], types[0]] }))
        assert.strictEqual(twice._tag, "RegistryInvalid")
        assert.strictEqual((yield* Effect.flip(runOnce({ ...projection, events: [] })))._tag, "ProjectionInvalid")
        const times = { statementTimeout: 0, commitTimeout: Infinity, lease: "soon" as "1 second" }
        assert.deepStrictEqual((yield* Effect.flip(runOnce(projection, times))).message.match(/\w+(?=: expected)/g), [
          "lease",
          "statementTimeout",
          "commitTimeout"
        ])
      }))

    it.effect("a poison event of one projection does not disturb the others", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 10)
        const bad = balances(category, { name: someProjectionName(), onDeposit: refusing(() => true) })
        const good = balances(category, { name: someProjectionName() })
        const fiber = yield* Effect.forkChild(ProjectionRunner.runAll([bad, good], SMALL))
        yield* ProjectionControl.awaitPosition(good, yield* head, "20 seconds")
        yield* waitFor(ProjectionControl.describe(bad), (found) => Option.getOrThrow(found).status === "halted")
        yield* appendDeposits(category, 3, 3)
        yield* ProjectionControl.awaitPosition(good, yield* head, "20 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
        yield* assertFold(category, good)
      }))
  })
}
