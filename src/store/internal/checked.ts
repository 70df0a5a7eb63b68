import * as Effect from "effect/Effect"
import type { InvalidInput } from "../../event/InvalidInput.ts"

/** Runs an operation whose input has no fault. */
export const checked = <A, E>(
  fault: InvalidInput | undefined,
  run: () => Effect.Effect<A, E>
): Effect.Effect<A, E | InvalidInput> => fault === undefined ? run() : Effect.fail(fault)
