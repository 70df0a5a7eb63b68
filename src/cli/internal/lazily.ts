/**
 * Commands whose code is loaded when they run.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { type Settings, settings } from "../Settings.ts"

/**
 * Loads the module that has a command, and runs it with the settings.
 *
 * @category constructors
 * @since 0.1.0
 */
export function lazily<M, I, E, R>(
  load: () => Promise<M>,
  pick: (module: M) => (input: I, settings: Settings) => Effect.Effect<void, E, R>
) {
  return (input: I) =>
    Effect.flatMap(
      settings,
      (current) => Effect.flatMap(Effect.promise(load), (module) => pick(module)(input, current))
    )
}
