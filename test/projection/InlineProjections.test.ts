import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { PgCheckpointStore, PgEventStore, PgTransaction } from "../../src/postgres/index.ts"
import { ChangeFeed, Projection } from "../../src/projection/index.ts"
import { layerMemory, layerPglite } from "../../src/runtime/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import { Opened } from "./fixtures.ts"
import * as InlineSuite from "./InlineSuite.ts"
import * as InlineTableSuite from "./InlineTableSuite.ts"

InlineSuite.suite("memory", Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer))

const pglite = layerPglite({})
InlineSuite.suite("pglite", pglite)
InlineTableSuite.suite("pglite", pglite)

for (const server of servers) {
  const layer = Layer.merge(PgCheckpointStore.layer, PgTransaction.layer).pipe(
    Layer.provideMerge(PgEventStore.layer),
    Layer.provideMerge(layerDatabase(server, { maxConnections: 8 }))
  )
  InlineSuite.suite(server.label, layer)
  InlineTableSuite.suite(server.label, layer)
}

for (const [storage, layer] of [["memory", layerMemory], ["pglite", layerPglite({})]] as const) {
  it.layer(Layer.fresh(layer), { timeout: "60 seconds", excludeTestServices: true })(
    `inline projections that keep their changes (${storage})`,
    (it) => {
      it.effect("the change feed tells what each append has changed, and where the log was", () => {
        const counts = Projection.state({
          name: "counts",
          events: [Opened],
          changes: {},
          state: Schema.Int,
          initial: 0,
          key: ({ streamId }) => streamId,
          on: { AccountOpened: (count) => count + 1 }
        })
        return InlineSuite.inline(
          [counts],
          Effect.gen(function*() {
            const store = yield* EventStore
            const expected: Array<readonly [key: string, position: number]> = []
            for (const streamId of ["a-1", "a-2", "a-1"]) {
              const { position } = yield* store.append({
                streamId,
                expected: "any",
                events: [Opened.make({ owner: "Ann" })]
              })
              expected.push([streamId, position])
            }
            const { changes } = yield* ChangeFeed.changes(counts)
            const last = expected.filter(([key], index) => !expected.slice(index + 1).some(([other]) => other === key))
            const seen = new Set(changes.map(({ key, position }) => `${key} ${position}`))
            for (const [key, position] of last) assert.isTrue(seen.has(`${key} ${position}`), [...seen].join())
          })
        )
      })
    }
  )
}
