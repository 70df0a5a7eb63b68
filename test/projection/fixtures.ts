/**
 * What the tests of projections share: accounts of a category that nobody else
 * uses, and what a fold of them must be.
 */
import { assert } from "@effect/vitest"
import { Effect, Option, Schedule, Schema, Stream } from "effect"
import type { RecordedEvent } from "../../src/event/Event.ts"
import * as EventType from "../../src/event/EventType.ts"
import {
  Projection,
  ProjectionControl,
  type ProjectionRunner,
  ProjectionState,
  type Reactor
} from "../../src/projection/index.ts"
import type { StateProjection } from "../../src/projection/Projection.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { StorageError, Unavailable } from "../../src/store/EventStoreError.ts"
import { head, indexes, unique } from "../store/fixtures.ts"

export const Opened = EventType.make("AccountOpened", { owner: Schema.String })

export const Deposited = EventType.make("MoneyDeposited", { amount: Schema.Number }, {
  version: 2,
  upcast: { 1: (data: { readonly cents: number }) => ({ amount: data.cents / 100 }) }
})

export const types = [Opened, Deposited] as const

/** Attempts without pauses. */
const RETRY = Schedule.recurs(2)

export const someProjectionName = (): string => `projection ${unique()}`

/** The name of the account of a number. */
export const account = (category: string, index: number): string => `${category}-${index}`

/** Opens the accounts of a category, and deposits `deposits` times into one after the other, in the old version now and then. */
export const appendAccounts = (category: string, accounts: number, deposits: number) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    yield* store.appendAll({
      writes: indexes(accounts).map((index) => ({
        streamId: account(category, index),
        expected: "noStream",
        events: [{ type: "AccountOpened", data: { owner: `owner ${index}` } }]
      }))
    })
    yield* appendDeposits(category, accounts, deposits)
  })

/** Deposits into one account after the other, one event each time. */
export const appendDeposits = (category: string, accounts: number, deposits: number) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    for (const index of indexes(deposits)) {
      yield* store.append({
        streamId: account(category, index % accounts),
        expected: "any",
        events: [
          index % 5 === 0
            ? { type: "MoneyDeposited", version: 1, data: { cents: (index + 1) * 100 } }
            : { type: "MoneyDeposited", version: 2, data: { amount: index + 1 } },
          { type: "Ignored", data: {} }
        ]
      })
    }
  })

export const Balance = Schema.Struct({ owner: Schema.String, amount: Schema.Number, deposits: Schema.Int })

export type Balance = typeof Balance.Type

export const NO_BALANCE: Balance = { owner: "", amount: 0, deposits: 0 }

/** Balances by account. */
export const balances = (
  category: string,
  rest: Partial<{
    name: string
    version: number
    onDeposit: (event: { readonly streamId: string; readonly data: { readonly amount: number } }) => void
    action: "halt" | "park"
  }> = {}
): StateProjection<Balance> =>
  Projection.state({
    name: rest.name ?? `balances ${category}`,
    version: rest.version,
    events: types,
    where: { categories: [category] },
    onError: { action: rest.action },
    state: Balance,
    initial: NO_BALANCE,
    key: (event) => event.streamId,
    on: {
      AccountOpened: (state, { data }) => ({ ...state, owner: data.owner }),
      MoneyDeposited: (state, event) => {
        rest.onDeposit?.(event)
        return { ...state, amount: state.amount + event.data.amount, deposits: state.deposits + 1 }
      }
    }
  })

/** What the balances must be after all events of the category up to a position. */
export const foldBalances = (events: ReadonlyArray<RecordedEvent>): ReadonlyArray<readonly [string, Balance]> => {
  const states = new Map<string, Balance>()
  for (const event of events) {
    const state = states.get(event.streamId) ?? NO_BALANCE
    const data = event.data as Readonly<Record<string, number>> & { readonly owner?: string }
    if (event.type === "AccountOpened") states.set(event.streamId, { ...state, owner: data.owner ?? "" })
    if (event.type === "MoneyDeposited") {
      const amount = data["amount"] ?? (data["cents"] ?? 0) / 100
      states.set(event.streamId, { ...state, amount: state.amount + amount, deposits: state.deposits + 1 })
    }
  }
  return [...states].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The events of a category, up to a position. */
export const eventsOf = (category: string, until?: number) =>
  EventStore.use((store) => Stream.runCollect(store.readAll({ filter: { categories: [category] }, until })))

/** All states, by key. */
export const allStates = <State>(projection: StateProjection<State>) =>
  Effect.map(
    ProjectionState.list(projection, { limit: 10_000 }),
    (states) => states.map(({ key, state }) => [key, state] as const)
  )

export const checkpointOf = (projection: Reactor.Follower<unknown>) =>
  Effect.gen(function*() {
    const found = yield* CheckpointStore.use((store) => store.find(projection))
    return Option.getOrThrow(found).checkpoint
  })

/**
 * How far a projection has seen the log: its checkpoint. Slices stand at different
 * places, so a divided one is waited for until it has seen everything.
 */
export const seenUntil = (projection: Reactor.Follower<unknown>) =>
  Effect.gen(function*() {
    if (projection.slices === undefined) return (yield* checkpointOf(projection)).position
    const end = yield* head
    yield* ProjectionControl.awaitPosition(projection, end, "20 seconds")
    return end
  })

/** Asserts that the states are the fold of the log as far as it was seen, and that the digest says so too. */
export const assertFold = (category: string, projection: StateProjection<Balance>) =>
  Effect.gen(function*() {
    const events = yield* eventsOf(category, yield* seenUntil(projection))
    assert.deepStrictEqual(yield* allStates(projection), foldBalances(events))
    yield* assertComplete(projection)
  })

export const assertComplete = (projection: Reactor.Follower<unknown>) =>
  Effect.map(ProjectionControl.verify(projection), (found) => {
    const { checkpoint, isComplete, log } = Option.getOrThrow(found)
    assert.isTrue(isComplete, JSON.stringify({ checkpoint, log }))
  })

/** Options of runs that hide nothing behind large batches. */
export const SMALL: ProjectionRunner.RunnerOptions = { batchEvents: 7, retry: RETRY }

const lost = new StorageError({ operation: "test", reason: new Unavailable({ detail: "the connection was lost" }) })

/**
 * The same store, but the connection is lost at the given commit: before it was
 * done, or after it.
 */
export const losing = (
  store: CheckpointStore["Service"],
  commit: number,
  when: "before" | "after"
): CheckpointStore["Service"] => {
  let commits = 0
  return {
    ...store,
    commit: (lease, work) => {
      if (++commits !== commit) return store.commit(lease, work)
      return when === "before" ? Effect.fail(lost) : Effect.andThen(store.commit(lease, work), Effect.fail(lost))
    }
  }
}

/** The same store, but one commit never answers: before it was done, or after it. */
export const sticking = (store: CheckpointStore["Service"], commit: number, when: "before" | "after") => {
  let commits = 0
  let isStuck = false
  const stick = Effect.andThen(
    Effect.sync(() => {
      isStuck = true
    }),
    Effect.never
  )
  const stuck: CheckpointStore["Service"] = {
    ...store,
    commit: (lease, work) => {
      if (commits++ !== commit) return store.commit(lease, work)
      return when === "before" ? stick : Effect.andThen(store.commit(lease, work), stick)
    }
  }
  return { stuck, isStuck: () => isStuck }
}
