import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { suite } from "./EventStoreSuite.ts"

suite("memory", MemoryEventStore.layer)
