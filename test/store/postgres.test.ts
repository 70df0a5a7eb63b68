import { Layer } from "effect"
import { PgEventStore } from "../../src/postgres/index.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import { suite } from "./EventStoreSuite.ts"

for (const server of servers) {
  suite(server.label, PgEventStore.layer.pipe(Layer.provide(layerDatabase(server, { maxConnections: 8 }))))
}
