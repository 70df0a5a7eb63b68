import { Layer } from "effect"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { PgCheckpointStore, PgEventStore, PgReadModelStore } from "../../src/postgres/index.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import * as QuerySuite from "./QuerySuite.ts"
import * as TableQuerySuite from "./TableQuerySuite.ts"

QuerySuite.suite("memory", Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer))

const pglite = layerPglite()
QuerySuite.suite("pglite", pglite)
TableQuerySuite.suite("pglite", pglite)

for (const server of servers) {
  const layer = Layer.mergeAll(PgCheckpointStore.layer, PgReadModelStore.layer).pipe(
    Layer.provideMerge(PgEventStore.layer),
    Layer.provideMerge(layerDatabase(server, { maxConnections: 8 }))
  )
  QuerySuite.suite(server.label, layer)
  TableQuerySuite.suite(server.label, layer)
}
