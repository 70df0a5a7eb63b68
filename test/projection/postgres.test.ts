import { Layer } from "effect"
import { PgCheckpointStore, PgEventStore } from "../../src/postgres/index.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import * as CheckpointKindSuite from "./CheckpointKindSuite.ts"
import * as CheckpointSuite from "./CheckpointSuite.ts"
import * as CustomSuite from "./CustomSuite.ts"
import * as FailureSuite from "./FailureSuite.ts"
import * as KindSuite from "./KindSuite.ts"
import * as ProjectionSuite from "./ProjectionSuite.ts"
import * as ReactorSuite from "./ReactorSuite.ts"
import * as SliceSuite from "./SliceSuite.ts"
import * as TableKindSuite from "./TableKindSuite.ts"
import * as TableSuite from "./TableSuite.ts"

for (const server of servers) {
  const layer = PgCheckpointStore.layer.pipe(
    Layer.provideMerge(PgEventStore.layer),
    Layer.provideMerge(layerDatabase(server, { maxConnections: 8 }))
  )
  CheckpointSuite.suite(server.label, layer)
  CheckpointKindSuite.suite(server.label, layer)
  ProjectionSuite.suite(server.label, layer)
  FailureSuite.suite(server.label, layer)
  ReactorSuite.suite(server.label, layer)
  CustomSuite.suite(server.label, layer)
  KindSuite.suite(server.label, layer)
  SliceSuite.suite(server.label, layer)
  TableSuite.suite(server.label, layer)
  TableKindSuite.suite(server.label, layer)
  TableSuite.serverSuite(server.label, layer)
}
