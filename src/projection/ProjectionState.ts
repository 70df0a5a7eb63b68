/**
 * Reads the states of a projection.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { CheckpointStore, type StatesPage } from "../store/CheckpointStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { decodeState } from "./internal/stateCodec.ts"
import type { StateProjection } from "./Projection.ts"
import { StateUnreadable } from "./ProjectionError.ts"

/**
 * Returns the state of a key, or the one state of a projection without keys;
 * none when no event has changed it.
 *
 * @category reading
 * @since 0.1.0
 */
export const get = <State>(
  projection: StateProjection<State>,
  key = ""
): Effect.Effect<Option.Option<State>, StateUnreadable | StorageError, CheckpointStore> =>
  Effect.gen(function*() {
    const { build, name, version } = projection
    const found = yield* CheckpointStore.use((store) => store.loadStates({ name, version, build }, [key]))
    const text = found.get(key)
    return text === undefined ? Option.none() : Option.some(yield* read(projection, key, text))
  })

/**
 * A state and its key.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyedState<State> {
  readonly key: string
  readonly state: State
}

/**
 * Lists states by key, a page at a time: the last key of a page is the `after` of
 * the next.
 *
 * @category reading
 * @since 0.1.0
 */
export const list = <State>(
  projection: StateProjection<State>,
  page?: StatesPage
): Effect.Effect<ReadonlyArray<KeyedState<State>>, StateUnreadable | StorageError, CheckpointStore> =>
  Effect.gen(function*() {
    const { build, name, version } = projection
    const found = yield* CheckpointStore.use((store) => store.listStates({ name, version, build }, page))
    return yield* Effect.forEach(
      found,
      ({ key, state }) => Effect.map(read(projection, key, state), (value) => ({ key, state: value }))
    )
  })

// internal

/** The schema is that of the states, which the definition says. */
const read = <State>({ name, target, version }: StateProjection<State>, key: string, text: string) =>
  Effect.fromResult(
    Result.mapError(
      decodeState(target, text),
      (detail) => new StateUnreadable({ name, version, key, detail })
    ) as Result.Result<State, StateUnreadable>
  )
