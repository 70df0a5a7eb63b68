/**
 * The command handler of this repository's store, as its users have it: over
 * snapshots with their cache, one `Effect.runPromise` a command.
 */
import { Effect, Exit, Scope } from "effect"
import { CommandHandler } from "../../src/command/index.ts"
import { SnapshotStrategy } from "../../src/snapshot/index.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import type { SnapshotStore } from "../../src/store/SnapshotStore.ts"
import { ORDERS, Orders } from "../orders.ts"
import type { Session } from "../variant.ts"

/**
 * Runs what needs the open store.
 */
export type RunWithStore = <A, E>(effect: Effect.Effect<A, E, EventStore | SnapshotStore>) => Promise<A>

/**
 * Makes a handler that is there until the scope ends.
 */
export const makePlaceOrder = async (
  run: RunWithStore,
  scope: Scope.Scope
): Promise<Required<Session>["placeOrder"]> => {
  const handler = await run(
    Scope.provide(
      CommandHandler.make(Orders, { category: ORDERS, snapshots: SnapshotStrategy.everyEvents(EVENTS_PER_SNAPSHOT) }),
      scope
    )
  )
  return async (id, order) => {
    const { revision, state } = await Effect.runPromise(handler.execute(id, order, { metadata: order.metadata }))
    if (state.orders - 1 !== revision) throw new Error(`the state of ${id} holds ${state.orders} orders`)
  }
}

/**
 * Opens a scope, and returns what closes it.
 */
export const openScope = () => {
  const scope = Scope.makeUnsafe()
  return { scope, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

// internal

const EVENTS_PER_SNAPSHOT = 100
