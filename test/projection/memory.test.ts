import { Layer } from "effect"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import * as CheckpointKindSuite from "./CheckpointKindSuite.ts"
import * as CheckpointSuite from "./CheckpointSuite.ts"
import * as CustomSuite from "./CustomSuite.ts"
import * as FailureSuite from "./FailureSuite.ts"
import * as KindSuite from "./KindSuite.ts"
import * as ProjectionSuite from "./ProjectionSuite.ts"
import * as ReactorSuite from "./ReactorSuite.ts"
import * as SliceSuite from "./SliceSuite.ts"

const layer = Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer)

CheckpointSuite.suite("memory", layer)
CheckpointKindSuite.suite("memory", layer)
ProjectionSuite.suite("memory", layer)
FailureSuite.suite("memory", layer)
ReactorSuite.suite("memory", layer)
CustomSuite.suite("memory", layer)
KindSuite.suite("memory", layer)
SliceSuite.suite("memory", layer)
