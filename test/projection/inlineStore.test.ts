/**
 * A store with inline projections keeps the contract of `EventStore`: the same
 * suite, with projections of all events in every append.
 */
import { Layer, Schema } from "effect"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { PgCheckpointStore, PgEventStore } from "../../src/postgres/index.ts"
import { InlineProjections, Projection } from "../../src/projection/index.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import { suite } from "../store/EventStoreSuite.ts"
import { layerDatabase, servers } from "../support/servers.ts"

const lengths = Projection.state({
  name: "lengths",
  events: "all",
  state: Schema.Int,
  initial: 0,
  key: ({ streamId }) => streamId,
  on: (length) => length + 1
})

const types = Projection.table({
  name: "types",
  events: "all",
  tables: { types: "type text PRIMARY KEY, events bigint NOT NULL" },
  on: ({ type }, tables) =>
    Projection.sql`INSERT INTO ${tables.types} AS t VALUES (${type}, 1)
      ON CONFLICT (type) DO UPDATE SET events = t.events + 1`
})

suite(
  "memory, with inline projections",
  InlineProjections.layer([lengths]).pipe(
    Layer.provide(Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer))
  )
)

suite(
  "pglite, with inline projections",
  InlineProjections.layer([lengths, types]).pipe(Layer.provide(layerPglite({})))
)

for (const server of servers.slice(0, 1)) {
  suite(
    `${server.label}, with inline projections`,
    InlineProjections.layer([lengths, types]).pipe(
      Layer.provide(PgCheckpointStore.layer),
      Layer.provide(PgEventStore.layer),
      Layer.provide(layerDatabase(server, { maxConnections: 8 }))
    )
  )
}
