/**
 * Storages outside of the database, for projections and reactors of the tests.
 */
import { Context, Effect } from "effect"

/** A storage that takes deliveries; it remembers all that it was sent. */
export class Sink extends Context.Service<Sink, {
  readonly put: (items: ReadonlyArray<Sent>) => Effect.Effect<void, SinkDown>
}>()("test/Sink") {}

/** What was sent. */
export interface Sent {
  readonly key: string
  readonly position: number
  readonly attempt?: number
}

/** Represents a storage that is away. */
export class SinkDown {
  readonly _tag = "SinkDown"
}

/**
 * A sink that does as `trouble` says before it takes anything, and what it was
 * sent: everything, and each key once, in order of arrival.
 */
export const makeSink = (
  trouble: (items: ReadonlyArray<Sent>) => Effect.Effect<void, SinkDown> = () => Effect.void
) => {
  const sent: Array<Sent> = []
  const kept = new Map<string, number>()
  const sink = Sink.of({
    put: (items) =>
      Effect.andThen(
        trouble(items),
        Effect.sync(() => {
          for (const item of items) {
            sent.push(item)
            if (!kept.has(item.key)) kept.set(item.key, item.position)
          }
        })
      )
  })
  return { sink, sent, kept, positions: () => [...kept.values()] }
}
