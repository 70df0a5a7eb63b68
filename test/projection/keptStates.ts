/**
 * Puts states where a runner would put them, without one.
 */
import { Effect, type Schema } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import { changesOf } from "../../src/projection/internal/changes.ts"
import type { Projection } from "../../src/projection/Projection.ts"
import { CheckpointStore, type ProjectionCommit } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { unique } from "../store/fixtures.ts"

/** Commits a change of a projection at the head of the log, or at a position. */
export const commitAt = (
  projection: Projection,
  work: Partial<ProjectionCommit>,
  position?: number
): Effect.Effect<void, unknown, CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const store = yield* CheckpointStore
    const head = yield* EventStore.use((log) => log.head)
    const { build, definition, name, version } = projection
    const answer = yield* store.acquire({
      name,
      version,
      build,
      definition,
      owner: unique(),
      leaseMillis: 60_000,
      statuses: ["running"]
    })
    if (answer._tag === "Held") return yield* Effect.die("held")
    const { checkpoint } = answer.record
    yield* store.commit(answer.lease, {
      from: checkpoint.position,
      to: { ...checkpoint, position: (position ?? head.position) as Position },
      changes: changesOf(projection),
      ...work
    })
    yield* store.release(answer.lease)
  })

/** Changes states; `undefined` removes one. */
export const keep = (
  projection: Projection,
  states: Readonly<Record<string, Schema.Json | undefined>>,
  position?: number
): Effect.Effect<void, unknown, CheckpointStore | EventStore> =>
  commitAt(projection, {
    states: new Map(
      Object.entries(states).map(([key, state]) => [key, state === undefined ? undefined : JSON.stringify(state)])
    )
  }, position)
