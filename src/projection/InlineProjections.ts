/**
 * Projections that are written in the transaction of the append: whoever reads
 * them after an append sees it.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { InvalidInput } from "../event/InvalidInput.ts"
import { encodeAppend, encodeAppendAll } from "../store/AppendRequest.ts"
import type { CheckpointStore } from "../store/CheckpointStore.ts"
import { EventStore } from "../store/EventStore.ts"
import { type InlineAppend, InlineAppender, InlineFollowers } from "../store/InlineAppender.ts"
import { inlineFaults, makeFollower } from "./internal/inline.ts"
import type { StateProjection, TableProjection } from "./Projection.ts"
import { type LeaseHeld, ProjectionInvalid, type RunError } from "./ProjectionError.ts"
import * as ProjectionRunner from "./ProjectionRunner.ts"

/**
 * A projection that can be inline: its states or tables are where the log is.
 *
 * @category models
 * @since 0.1.0
 */
export type InlineProjection = StateProjection<unknown> | TableProjection

/**
 * Layer that takes projections along with every append of its `EventStore`, and
 * of `PgTransaction.transact` in its context.
 *
 * **Details**
 *
 * Invariant: an append that is acknowledged was seen by all of them, with all
 * that stands before it in the log; one that fails has changed nothing. They are
 * ordinary projections otherwise: the same checkpoint, states and tables, which
 * can be read, verified, reset and built anew as those of a runner.
 *
 * The layer first runs each one to the head of the log. Later an append makes up
 * for what others appended that do not know the projection: up to 1,000 events,
 * within the last 10,000 positions. Beyond that it fails with the reason
 * `InlineBehind` of `StorageError`, until `ProjectionRunner.runOnce` has caught
 * up. An event that cannot be applied fails its append with the reason
 * `InlineFailed`.
 *
 * **Gotchas**
 *
 * Handlers and their statements run while nobody else can append. Statements
 * that one append's events lead to are sent at once; concurrent appends share
 * transactions. `ProjectionControl.pause` stops runners, not appends.
 *
 * **Example**
 *
 * ```ts
 * const layer = InlineProjections.layer([balances, revenue]).pipe(Layer.provideMerge(layerPglite()))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  projections: ReadonlyArray<InlineProjection>
): Layer.Layer<EventStore, RunError | LeaseHeld, CheckpointStore | EventStore | InlineAppender> =>
  Layer.effectContext(Effect.gen(function*() {
    const store = yield* EventStore
    const appender = yield* InlineAppender
    yield* Effect.forEach(projections, requireInline(projections), { discard: true })
    yield* Effect.forEach(projections, catchUp, { discard: true })
    const followers = yield* Effect.forEach(projections, makeFollower)
    if (followers.length === 0) return Context.make(EventStore, store)
    return Context.make(EventStore, takingAlong(store, yield* appender.open(followers))).pipe(
      Context.add(InlineFollowers, followers)
    )
  }))

// internal

const requireInline = (all: ReadonlyArray<InlineProjection>) => (projection: InlineProjection) => {
  const { name, version } = projection
  const isTwice = all.filter((other) => other.name === name && other.version === version).length > 1
  const problems = [...inlineFaults(projection), ...(isTwice ? ["it is named twice"] : [])]
  return problems.length === 0 ? Effect.void : Effect.fail(new ProjectionInvalid({ name, problems }))
}

/** A runner that has it is about to do the same. */
const catchUp = (projection: InlineProjection) =>
  Effect.catchIf(
    ProjectionRunner.runOnce(projection),
    (error) => error._tag === "LeaseHeld" && error.status === "running",
    () => Effect.void
  )

const takingAlong = (store: EventStore["Service"], append: InlineAppend): EventStore["Service"] => ({
  ...store,
  append: (options) => {
    const request = encodeAppend(options)
    return request instanceof InvalidInput
      ? Effect.fail(request)
      : Effect.map(append(request), Arr.headNonEmpty)
  },
  appendAll: (options) => {
    const request = encodeAppendAll(options)
    return request instanceof InvalidInput
      ? Effect.fail(request)
      : Effect.map(append(request), (writes) => ({
        writes,
        position: Arr.lastNonEmpty(writes).position,
        alreadyAppended: writes[0].alreadyAppended
      }))
  }
})
