/**
 * Rebuilds the projection of sales once: `rebuild.ts URL NAME CATEGORY TABLE`.
 */
import { Effect, Layer } from "effect"
import { PgCheckpointStore } from "../../../src/postgres/index.ts"
import { ProjectionRebuild } from "../../../src/projection/index.ts"
import { layerPostgres } from "../../../src/runtime/index.ts"
import { salesByCountry } from "../sales.ts"

const [url = "", name = "", category = "", table = ""] = process.argv.slice(2)

const layer = Layer.provideMerge(
  PgCheckpointStore.layer,
  layerPostgres({ url, migrate: false, applicationName: "rebuild" })
)

process.stdout.write("started\n")

await Effect.runPromise(
  ProjectionRebuild.blueGreen(salesByCountry({ category, name, table }).projection, { batchEvents: 2, lease: 300 })
    .pipe(Effect.provide(layer))
)
