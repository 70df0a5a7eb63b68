import { Layer } from "effect"
import { PgEventStore } from "../../src/postgres/index.ts"
import * as PgSnapshotStore from "../../src/postgres/PgSnapshotStore.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import { suite } from "./CommandSuite.ts"

for (const server of servers) {
  suite(
    server.label,
    PgSnapshotStore.layer.pipe(
      Layer.provideMerge(PgEventStore.layer),
      Layer.provide(layerDatabase(server, { maxConnections: 8 }))
    )
  )
}
