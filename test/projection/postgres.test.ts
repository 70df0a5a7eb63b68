import { Layer } from "effect"
import { PgCheckpointStore, PgEventStore } from "../../src/postgres/index.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import * as CheckpointSuite from "./CheckpointSuite.ts"
import * as FailureSuite from "./FailureSuite.ts"
import * as ProjectionSuite from "./ProjectionSuite.ts"
import * as TableSuite from "./TableSuite.ts"

for (const server of servers) {
  const layer = PgCheckpointStore.layer.pipe(
    Layer.provideMerge(PgEventStore.layer),
    Layer.provideMerge(layerDatabase(server, { maxConnections: 8 }))
  )
  CheckpointSuite.suite(server.label, layer)
  ProjectionSuite.suite(server.label, layer)
  FailureSuite.suite(server.label, layer)
  TableSuite.suite(server.label, layer)
  TableSuite.serverSuite(server.label, layer)
}
