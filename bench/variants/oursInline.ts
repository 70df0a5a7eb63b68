/**
 * Appends of this repository's store that take a projection along.
 */
import { Context, Effect, Layer, Option, type Scope } from "effect"
import { InlineProjections, ProjectionControl } from "../../src/projection/index.ts"
import type { InlineProjection } from "../../src/projection/InlineProjections.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import type { InlineAppender } from "../../src/store/InlineAppender.ts"
import type { InlineModel } from "../protocol.ts"
import type { Session } from "../variant.ts"
import { makeInlineModel } from "./oursProjections.ts"

/**
 * Opens the store with one projection, a state or a row a customer. When the
 * scope ends, it must have seen every event.
 */
export const openInline = (
  model: InlineModel
): Effect.Effect<Session["append"], unknown, CheckpointStore | EventStore | InlineAppender | Scope.Scope> =>
  Effect.gen(function*() {
    const projection: InlineProjection = makeInlineModel(model)
    const { head } = yield* EventStore
    const checkpoints = yield* CheckpointStore
    const context = yield* Layer.build(InlineProjections.layer([projection]))
    const store = Context.get(context, EventStore)
    const verified = Effect.gen(function*() {
      const verification = Option.getOrThrow(yield* ProjectionControl.verify(projection))
      const { position } = yield* head
      if (verification.isComplete && verification.checkpoint.position === position) return
      return yield* Effect.die(new Error(`the inline ${model} has not seen all of ${position} events`))
    }).pipe(
      Effect.provideService(EventStore, store),
      Effect.provideService(CheckpointStore, checkpoints)
    )
    yield* Effect.addFinalizer(() => Effect.orDie(verified))
    return async (streamId, events) => {
      await Effect.runPromise(store.append({ streamId, expected: "noStream", events }))
    }
  })
