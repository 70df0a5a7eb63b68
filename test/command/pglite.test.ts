import { Layer } from "effect"
import * as PgSnapshotStore from "../../src/postgres/PgSnapshotStore.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import { suite } from "./CommandSuite.ts"

suite("pglite", Layer.provideMerge(PgSnapshotStore.layer, layerPglite({})))
