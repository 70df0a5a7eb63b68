/**
 * Runs the projection of sales until it is killed: `run.ts URL NAME CATEGORY TABLE OWNER`.
 */
import { Effect, Layer } from "effect"
import { PgCheckpointStore } from "../../../src/postgres/index.ts"
import { ProjectionRunner } from "../../../src/projection/index.ts"
import { layerPostgres } from "../../../src/runtime/index.ts"
import { salesByCountry } from "../sales.ts"

const [url = "", name = "", category = "", table = "", owner = ""] = process.argv.slice(2)

const layer = Layer.provideMerge(
  PgCheckpointStore.layer,
  layerPostgres({ url, migrate: false, applicationName: `runner ${owner}` })
)

process.stdout.write("started\n")

await Effect.runPromise(
  ProjectionRunner.run(salesByCountry({ category, name, table }).projection, { batchEvents: 5, owner }).pipe(
    Effect.provide(layer)
  )
)
