/**
 * This repository's store, through the service that its users have: one
 * `Effect.runPromise` an append, no test double and no short cut.
 */
import { Effect, Fiber, ManagedRuntime, Scope, Stream } from "effect"
import { createReadStream } from "node:fs"
import { importEvents } from "../../src/cli/Import.ts"
import { layerUrl } from "../../src/runtime/EventStoreLayer.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { OrderPlaced, ORDERS } from "../orders.ts"
import type { Session, Variant } from "../variant.ts"
import { backUpFor, fillBackups, openWork } from "./oursBackups.ts"
import { makePlaceOrder, openScope } from "./oursCommands.ts"
import { openInline } from "./oursInline.ts"
import { fillAggregate, fillState, openLoad } from "./oursLoads.ts"
import { followReadModel, project } from "./oursProjections.ts"
import { fillShop, rebuild } from "./oursShop.ts"

const open = async (url: string): Promise<Session> => {
  const runtime = ManagedRuntime.make(layerUrl(url))
  const store = await runtime.runPromise(EventStore)
  const { close: closeScope, scope } = openScope()
  // a run has one model, and its own database
  let inline: Promise<Session["append"]> | undefined
  let placeOrder: Promise<Required<Session>["placeOrder"]> | undefined
  return {
    append: async (streamId, events) => {
      await Effect.runPromise(store.append({ streamId, expected: "noStream", events }))
    },
    appendConditional: async (streamId, events) => {
      const tags = events[0]?.tags?.slice(0, 1) ?? []
      await Effect.runPromise(
        store.append({ streamId, expected: "noStream", events, condition: { query: [{ tags }], after: 0 } })
      )
    },
    appendInline: async (model, streamId, events) => {
      inline ??= runtime.runPromise(Scope.provide(openInline(model), scope))
      await (await inline)(streamId, events)
    },
    readAll: async (onEvents) => {
      let count = 0
      await Effect.runPromise(Stream.runForEachArray(store.readAll(), (events) =>
        Effect.sync(() => {
          count += events.length
          onEvents(events.length)
        })))
      return count
    },
    subscribe: async (onEvent) => {
      // from a position that is known before the first append, so that none is missed
      const { position } = await Effect.runPromise(store.head)
      const fiber = runtime.runFork(
        Stream.runForEachArray(store.subscribe({ after: position }), (events) =>
          Effect.sync(() => {
            for (const event of events) onEvent(event.id)
          }))
      )
      return { stop: () => Effect.runPromise(Fiber.interrupt(fiber)) }
    },
    importFile: async (file) => {
      const bytes = Stream.fromAsyncIterable<Uint8Array, unknown>(createReadStream(file), (cause) => cause)
      const { appended, rejected } = await runtime.runPromise(importEvents(bytes))
      if (rejected > 0) throw new Error(`${rejected} lines were rejected`)
      return appended
    },
    placeOrder: async (id, order) => {
      placeOrder ??= makePlaceOrder(runtime.runPromise, scope)
      await (await placeOrder)(id, order)
    },
    appendOrder: async (id, order, revision) => {
      const expected = revision < 0 ? "noStream" : revision
      const events = [{ type: OrderPlaced.name, data: order.data, metadata: order.metadata }]
      await Effect.runPromise(store.append({ streamId: `${ORDERS}-${id}`, expected, events }))
    },
    fillAggregate: (events) => runtime.runPromise(fillAggregate(events)),
    fillState: (bytes) => runtime.runPromise(fillState(bytes)),
    openLoad: async (source) => {
      const load = await runtime.runPromise(Scope.provide(openLoad(source), scope))
      return () => Effect.runPromise(load)
    },
    project: (work, signal) => runtime.runPromise(project(url, work), { signal }),
    followReadModel: async (onEvent) => {
      const fiber = runtime.runFork(followReadModel(url, onEvent))
      return { stop: () => Effect.runPromise(Fiber.interrupt(fiber)) }
    },
    fillShop: (file) => runtime.runPromise(fillShop(url, file)),
    rebuild: () => runtime.runPromise(rebuild(url)),
    fillBackups: (file, events, directory) => runtime.runPromise(fillBackups(file, events, directory)),
    openBackup: (operation, directory, file) => runtime.runPromise(openWork(operation, { directory, file, url })),
    backUpFor: (seconds, directory) => runtime.runPromise(backUpFor(seconds, directory)),
    close: async () => {
      await closeScope()
      await runtime.dispose()
    }
  }
}

const variant: Variant = {
  setup: async (url) => {
    // a store that opens makes its own schema
    const runtime = ManagedRuntime.make(layerUrl(url))
    await runtime.runPromise(EventStore)
    await runtime.dispose()
  },
  open
}

export default variant
