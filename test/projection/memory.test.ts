import { assert, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { ProjectionControl, ProjectionRunner } from "../../src/projection/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { someCategory } from "../store/fixtures.ts"
import * as CheckpointKindSuite from "./CheckpointKindSuite.ts"
import * as CheckpointSuite from "./CheckpointSuite.ts"
import * as CustomSuite from "./CustomSuite.ts"
import * as FailureSuite from "./FailureSuite.ts"
import { appendAccounts, balances } from "./fixtures.ts"
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

/** The log in memory, whose history is another one as soon as somebody says so. */
const otherHistory = { isWanted: false }
const changing = Layer.effect(
  EventStore,
  Effect.map(EventStore, (log) => ({
    ...log,
    head: Effect.map(log.head, (head) => otherHistory.isWanted ? { ...head, incarnation: "another" } : head)
  }))
).pipe(Layer.provide(MemoryEventStore.layer))

it.layer(Layer.provideMerge(MemoryCheckpointStore.layer, changing), { excludeTestServices: true })(
  "HistoryChanged (memory)",
  (it) => {
    it.effect("a projection of another history is halted where it stands, with the reason, until a reset", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 5)
        const projection = balances(category)
        const report = Effect.map(ProjectionControl.describe(projection), Option.getOrThrow)
        const { checkpoint } = yield* Effect.andThen(ProjectionRunner.runOnce(projection), report)
        otherHistory.isWanted = true
        const error = yield* Effect.flip(ProjectionRunner.runOnce(projection))
        assert.strictEqual(error._tag, "HistoryChanged")
        const halted = yield* report
        assert.deepInclude(halted, { status: "halted", checkpoint })
        assert.deepInclude(halted.failure, { count: 1, message: error.message, position: checkpoint.position })
        yield* ProjectionControl.reset(projection)
        yield* ProjectionRunner.runOnce(projection)
        const healed = yield* report
        assert.deepInclude(healed, { status: "running", failure: undefined })
        assert.deepStrictEqual(healed.checkpoint, { ...checkpoint, incarnation: "another" })
      }))
  }
)
