import { Layer } from "effect"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import * as CheckpointSuite from "./CheckpointSuite.ts"
import * as FailureSuite from "./FailureSuite.ts"
import * as ProjectionSuite from "./ProjectionSuite.ts"

const layer = Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer)

CheckpointSuite.suite("memory", layer)
ProjectionSuite.suite("memory", layer)
FailureSuite.suite("memory", layer)
