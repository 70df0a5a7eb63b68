import { Layer } from "effect"
import { PgCheckpointStore } from "../../src/postgres/index.ts"
import { layerPglite } from "../../src/runtime/index.ts"
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

const layer = Layer.provideMerge(PgCheckpointStore.layer, layerPglite({}))

CheckpointSuite.suite("pglite", layer)
CheckpointKindSuite.suite("pglite", layer)
ProjectionSuite.suite("pglite", layer)
FailureSuite.suite("pglite", layer)
ReactorSuite.suite("pglite", layer)
CustomSuite.suite("pglite", layer)
KindSuite.suite("pglite", layer)
TableSuite.suite("pglite", layer)
TableKindSuite.suite("pglite", layer)
SliceSuite.suite("pglite", layer)
