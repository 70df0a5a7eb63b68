/**
 * Where a command finds event types.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type CliFailure, usage } from "../CliFailure.ts"
import type { Settings } from "../Settings.ts"

/**
 * Fills in the configuration file for `--events`, when that was left out.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withEvents = <I, E, R>(
  command: (input: I & { readonly events: string }, settings: Settings) => Effect.Effect<void, E, R>
) =>
(
  input: Omit<I, "events"> & { readonly events: Option.Option<string> },
  settings: Settings
): Effect.Effect<void, E | CliFailure, R> => {
  const events = Option.getOrElse(input.events, () => settings.config)
  return events === undefined || events.endsWith(".json")
    ? Effect.fail(usage(
      "--events is missing",
      "no module says which event types there are",
      "add --events FILE, or list them in the events of event-store.config.ts"
    ))
    : command({ ...input, events } as I & { readonly events: string }, settings)
}
