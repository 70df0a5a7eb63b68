import { Layer } from "effect"
import { PgCheckpointStore } from "../../src/postgres/index.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import * as CheckpointSuite from "./CheckpointSuite.ts"
import * as FailureSuite from "./FailureSuite.ts"
import * as ProjectionSuite from "./ProjectionSuite.ts"
import * as TableSuite from "./TableSuite.ts"

const layer = Layer.provideMerge(PgCheckpointStore.layer, layerPglite({}))

CheckpointSuite.suite("pglite", layer)
ProjectionSuite.suite("pglite", layer)
FailureSuite.suite("pglite", layer)
TableSuite.suite("pglite", layer)
