/**
 * Runs a divided projection of sales, and balances that are not divided, until it is killed:
 * `spread.ts URL CATEGORY TABLE OWNER`.
 */
import { Effect, Layer } from "effect"
import { PgCheckpointStore } from "../../../src/postgres/index.ts"
import { ProjectionRunner } from "../../../src/projection/index.ts"
import { layerPostgres } from "../../../src/runtime/index.ts"
import { spreadProjections } from "../spreadProjections.ts"

const [url = "", category = "", table = "", owner = ""] = process.argv.slice(2)

const layer = Layer.provideMerge(
  PgCheckpointStore.layer,
  layerPostgres({ url, migrate: false, applicationName: `runner ${owner}` })
)

process.stdout.write("started\n")

await Effect.runPromise(
  ProjectionRunner.runAll(spreadProjections(category, table).all, { batchEvents: 5, owner }).pipe(Effect.provide(layer))
)
