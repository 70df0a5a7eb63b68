/**
 * Brings projections up to where the log ends, and has them proved complete.
 */
import { Effect, Option, Schema } from "effect"
import { type Projection, ProjectionControl, ProjectionRunner } from "../src/projection/index.ts"

/** Represents a projection that did not see exactly the events of the log. */
export class NotComplete extends Schema.TaggedError<NotComplete>("examples/NotComplete")("NotComplete", {
  name: Schema.String
}) {
  override get message(): string {
    return `the projection ${this.name} did not see every event of the log once`
  }
}

/**
 * Runs all of them over one read of the log, and returns how many events each one
 * has seen since its start, by name.
 */
export const catchUp = Effect.fnUntraced(function*(projections: ReadonlyArray<Projection.Projection>) {
  const results = yield* ProjectionRunner.runAllOnce(projections)
  for (const result of results) yield* Effect.fromResult(result)
  const seen: Record<string, number> = {}
  for (const projection of projections) {
    const verified = yield* ProjectionControl.verify(projection)
    if (!Option.exists(verified, ({ isComplete }) => isComplete)) {
      return yield* new NotComplete({ name: projection.name })
    }
    seen[projection.name] = Option.match(verified, { onNone: () => 0, onSome: ({ log }) => log.count })
  }
  return seen
})
