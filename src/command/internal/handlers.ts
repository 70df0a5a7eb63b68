/**
 * What stands behind a handler, for decisions that take several.
 */
import type { TypedEvent } from "../../event/EventType.ts"
import type { Rules } from "./folding.ts"
import type { Loader } from "./loader.ts"

/** How a handler folds and loads. */
export interface Backing<State, E extends TypedEvent> {
  readonly rules: Rules<State, E>
  readonly loader: Loader<State, E>
}

/** Remembers what stands behind a handler. */
export const remember = <State, E extends TypedEvent>(handler: object, backing: Backing<State, E>): void => {
  backings.set(handler, backing as unknown as Backing<unknown, TypedEvent>)
}

/** What stands behind a handler, or `undefined` when it was not made here. */
export const backingOf = (handler: object): Backing<unknown, TypedEvent> | undefined => backings.get(handler)

// internal

const backings = new WeakMap<object, Backing<unknown, TypedEvent>>()
