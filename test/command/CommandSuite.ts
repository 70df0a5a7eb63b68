/**
 * What commands promise, as tests: one text for all storages.
 *
 * **Details**
 *
 * The tests of a suite share one store. Each has streams, keys and tags of its
 * own; none expects an empty store. Time is real, and nobody sleeps.
 */
import { it } from "@effect/vitest"
import type { Layer } from "effect"
import type { EventStore } from "../../src/store/EventStore.ts"
import type { SnapshotStore } from "../../src/store/SnapshotStore.ts"
import { boundaryTests } from "./BoundarySuite.ts"
import { conflictTests } from "./ConflictSuite.ts"
import { executeTests } from "./ExecuteSuite.ts"
import { idempotencyTests } from "./IdempotencySuite.ts"
import { multiStreamTests } from "./MultiStreamSuite.ts"
import { temporalTests } from "./TemporalSuite.ts"
import { uniquenessTests } from "./UniquenessSuite.ts"

/** Registers the promises of commands for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<EventStore | SnapshotStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Commands (${storage})`, (it) => {
    executeTests(it)
    conflictTests(it)
    idempotencyTests(it)
    uniquenessTests(it)
    multiStreamTests(it)
    boundaryTests(it)
    temporalTests(it)
  })
}
