import { Layer } from "effect"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { PgCheckpointStore, PgEventStore } from "../../src/postgres/index.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import * as RehearsalSuite from "./RehearsalSuite.ts"

RehearsalSuite.suite("memory", Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer))

const pglite = Layer.provideMerge(PgCheckpointStore.layer, layerPglite({}))

RehearsalSuite.suite("pglite", pglite)
RehearsalSuite.tableSuite("pglite", pglite)

for (const server of servers) {
  const layer = PgCheckpointStore.layer.pipe(
    Layer.provideMerge(PgEventStore.layer),
    Layer.provideMerge(layerDatabase(server, { maxConnections: 8 }))
  )
  RehearsalSuite.suite(server.label, layer)
  RehearsalSuite.tableSuite(server.label, layer)
}
