import { Layer } from "effect"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { PgCheckpointStore, PgEventStore } from "../../src/postgres/index.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import * as BuildSuite from "./BuildSuite.ts"
import * as RebuildSuite from "./RebuildSuite.ts"
import * as RebuildTableSuite from "./RebuildTableSuite.ts"

const memory = Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer)

RebuildSuite.suite("memory", memory)
BuildSuite.suite("memory", memory)

const pglite = Layer.provideMerge(PgCheckpointStore.layer, layerPglite({}))

RebuildSuite.suite("pglite", pglite)
BuildSuite.suite("pglite", pglite)
RebuildTableSuite.suite("pglite", pglite)

for (const server of servers) {
  const layer = PgCheckpointStore.layer.pipe(
    Layer.provideMerge(PgEventStore.layer),
    Layer.provideMerge(layerDatabase(server, { maxConnections: 8 }))
  )
  RebuildSuite.suite(server.label, layer)
  BuildSuite.suite(server.label, layer)
  RebuildTableSuite.suite(server.label, layer)
  RebuildTableSuite.serverSuite(server.label, layer)
}
