import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { checkFilter } from "../../event/EventQuery.ts"
import { checkName } from "../../event/Name.ts"
import { type Position, START } from "../../event/Revision.ts"
import type { CheckpointStore } from "../../store/CheckpointStore.ts"
import type { EventStore } from "../../store/EventStore.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import type { Dependency } from "../Projection.ts"
import { DependencyBehind } from "../ProjectionError.ts"
import type { Leader } from "./commit.ts"
import { findReached as findSeen } from "./reached.ts"

/**
 * Waits until all have seen the log up to `wanted` at least, and returns how far
 * they have come; up to `limit` matters.
 */
export const awaitDependencies = (
  self: Leader<unknown>,
  after: ReadonlyArray<Dependency>,
  wanted: Position,
  limit: Position
): Effect.Effect<Position, DependencyBehind | StorageError> =>
  Effect.gen(function*() {
    const { projection: { name, version }, waitMillis } = self
    let moved = 0
    let since = yield* Clock.currentTimeMillis
    while (true) {
      let slowest: Dependency | undefined
      let reached = limit
      let sum = 0
      for (const dependency of after) {
        const known = self.reached.get(dependency) ?? START
        const place = known >= limit ? limit : yield* findReached(self, dependency, limit)
        self.reached.set(dependency, place)
        sum += place
        if (place >= reached) continue
        reached = place
        slowest = dependency
      }
      if (slowest === undefined || reached >= wanted) return reached
      const now = yield* Clock.currentTimeMillis
      if (sum > moved) since = now
      moved = sum
      if (waitMillis !== undefined && now - since >= waitMillis) {
        return yield* new DependencyBehind({ name, version, dependency: slowest.name, reached, wanted })
      }
      yield* Effect.sleep(LOOK_AGAIN)
    }
  })

/**
 * How far a follower has seen the log, up to `limit`: its checkpoint, all slices
 * of it, and what does not matter to it behind.
 */
export const findReached = (
  { checkpoints, store }: { readonly checkpoints: CheckpointStore["Service"]; readonly store: EventStore["Service"] },
  dependency: Dependency,
  limit: Position
): Effect.Effect<Position, StorageError> =>
  Effect.gen(function*() {
    const { name, version } = dependency
    const records = yield* checkpoints.findSlices({ name, version })
    return records.length === 0 ? START : (yield* findSeen(store, dependency, records, limit)).position
  }).pipe(
    // its name and filter were checked before
    Effect.catchTag("InvalidInput", (fault) => Effect.die(fault))
  )

/** Those that have not seen the log up to a position, and how far they have come. */
export const findAwaited = (
  services: Parameters<typeof findReached>[0],
  after: ReadonlyArray<Dependency>,
  position: Position
): Effect.Effect<ReadonlyArray<{ name: string; version: number; position: Position }>, StorageError> =>
  Effect.map(
    Effect.forEach(after, (dependency) =>
      Effect.map(findReached(services, dependency, position), (reached) => ({
        name: dependency.name,
        version: dependency.version,
        position: reached
      }))),
    (found) => found.filter((dependency) => dependency.position < position)
  )

/** What is wrong with what a follower comes after: in the end, itself. */
export const dependencyFaults = (
  follower: Pick<Dependency, "after" | "name" | "version">
): ReadonlyArray<string> => {
  const cycle = findCycle(follower, [])
  const faults = follower.after.flatMap(({ filter, name }) =>
    checkName(name, "after.name") ?? checkFilter(filter, "after.where") ?? []
  )
  return [
    ...faults.map(({ message }) => message),
    ...(cycle === undefined ? [] : [`after: ${cycle.join(" comes after ")}`])
  ]
}

// internal

/** Pause between two looks at a checkpoint of another follower. */
const LOOK_AGAIN = Duration.millis(25)

const findCycle = (
  { after, name, version }: Pick<Dependency, "after" | "name" | "version">,
  path: ReadonlyArray<string>
): ReadonlyArray<string> | undefined => {
  const key = `${name} ${version}`
  if (path.includes(key)) return [...path.slice(path.indexOf(key)), key]
  for (const dependency of after) {
    const cycle = findCycle(dependency, [...path, key])
    if (cycle !== undefined) return cycle
  }
  return undefined
}
