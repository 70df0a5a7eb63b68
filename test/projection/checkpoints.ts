/**
 * What the tests of the contract of checkpoints share: claims, commits, a log to
 * follow.
 */
import { assert } from "@effect/vitest"
import { Effect, Option } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import type { StreamId } from "../../src/event/StreamId.ts"
import {
  CheckpointStore,
  type Lease,
  type LeaseClaim,
  type ParkedEvent,
  type ProjectionCommit
} from "../../src/store/CheckpointStore.ts"
import { append, proposedMany, someStream } from "../store/fixtures.ts"

export const claim = (name: string, rest: Partial<LeaseClaim> = {}): LeaseClaim => ({
  name,
  version: 1,
  definition: "something",
  owner: "a",
  leaseMillis: 60_000,
  statuses: ["running", "halted"],
  ...rest
})

export const acquire = (name: string, rest: Partial<LeaseClaim> = {}) =>
  Effect.gen(function*() {
    const answer = yield* CheckpointStore.use((store) => store.acquire(claim(name, rest)))
    if (answer._tag === "Held") return assert.fail("held")
    return answer.lease
  })

export const commit = (lease: Lease, from: number, to: number, rest: Partial<ProjectionCommit> = {}) =>
  CheckpointStore.use((store) =>
    store.commit(lease, {
      from: from as Position,
      to: { position: to as Position, count: to, digest: `${to}`.padStart(16, "0") },
      ...rest
    })
  )

export const find = (name: string, version = 1) =>
  CheckpointStore.use((store) => Effect.map(store.find({ name, version }), Option.getOrThrow))

/** A log with at least this many events. */
export const grow = (events: number) => append(someStream(), "noStream", proposedMany(events))

export const parkedAt = (position: number, key: string): Omit<ParkedEvent, "parkedAt"> => ({
  position: position as Position,
  key,
  id: crypto.randomUUID() as ParkedEvent["id"],
  type: "Happened",
  streamId: "a-1" as StreamId,
  revision: 3 as ParkedEvent["revision"],
  attempts: 2,
  reason: "why not"
})
