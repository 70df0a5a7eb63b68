import { Layer } from "effect"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import * as MemorySnapshotStore from "../../src/memory/MemorySnapshotStore.ts"
import { suite } from "./CommandSuite.ts"

suite("memory", Layer.provideMerge(MemorySnapshotStore.layer, MemoryEventStore.layer))
