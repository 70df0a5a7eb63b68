/**
 * The service and the constructors of registries: all event types that a
 * program reads and writes, with every version that may be stored.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Result from "effect/Result"
import type * as EventType from "../event/EventType.ts"
import { assemble } from "./internal/assemble.ts"
import type { Options, Registry, RegistryOf, UnknownPolicy } from "./Registry.ts"
import type { RegistryInvalid } from "./VersionError.ts"

export type * from "./Registry.ts"

/**
 * Makes a registry, or says everything that is wrong with its types.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeResult = <const Types extends ReadonlyArray<EventType.Any>, P extends UnknownPolicy = "fail">(
  types: Types,
  options: Options<P> = {}
): Result.Result<RegistryOf<Types, P>, RegistryInvalid> => assemble<RegistryOf<Types, P>>(types, options)

/**
 * Does the same as an Effect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Types extends ReadonlyArray<EventType.Any>, P extends UnknownPolicy = "fail">(
  types: Types,
  options: Options<P> = {}
): Effect.Effect<RegistryOf<Types, P>, RegistryInvalid> =>
  Effect.suspend(() => Effect.fromResult(makeResult(types, options)))

/**
 * Service for the registry of a program.
 *
 * @category services
 * @since 0.1.0
 */
export class VersionRegistry extends Context.Service<VersionRegistry, Registry<EventType.TypedEvent>>()(
  "effect-event-store/version/VersionRegistry"
) {}

/**
 * Layer that provides the registry of a program, or fails with everything that
 * is wrong with its types.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  types: ReadonlyArray<EventType.Any>,
  options: Options<"fail" | "skip"> = {}
): Layer.Layer<VersionRegistry, RegistryInvalid> => Layer.effect(VersionRegistry, make(types, options))
