/**
 * Scenarios of an event type: given data as it was stored, then data as it is
 * read now, and the way back.
 *
 * @since 0.1.0
 */
import { format } from "effect/Formatter"
import * as Result from "effect/Result"
import type * as EventType from "../event/EventType.ts"
import type { Registry } from "../version/Registry.ts"
import type { DecodeError, LowerError } from "../version/VersionError.ts"
import * as VersionRegistry from "../version/VersionRegistry.ts"
import { assertSame, type ExpectedFailure, fail, isExpectedFailure } from "./AssertionFailed.ts"
import { asStored } from "./internal/asStored.ts"

/**
 * An event type under test.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventTypeSpec<Data> {
  /** Data as it is stored, in a version. */
  readonly given: (version: number, data: unknown) => Lifted<Data>
  /** Data in the newest version, to be lowered to an older one. */
  readonly givenNewest: (data: Data) => { readonly when: (version: number) => Lowered }
}

/**
 * What stored data is read as.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lifted<Data> {
  /** It is read as this. */
  readonly thenData: (expected: Data) => Lifted<Data>
  /** It cannot be read. */
  readonly thenFails: (expected: ExpectedFailure<DecodeError>) => Lifted<Data>
  /** Read, and lowered to its version again, it is what it was. */
  readonly thenReversible: () => Lifted<Data>
}

/**
 * What data is lowered to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lowered {
  /** It is lowered to this. */
  readonly thenData: (expected: unknown) => Lowered
  /** It cannot be lowered. */
  readonly thenFails: (expected: ExpectedFailure<LowerError>) => Lowered
}

/**
 * Puts an event type under test.
 *
 * **Example**
 *
 * ```ts
 * EventTypeSpec.make(Deposited).given(1, { cents: 150 }).thenData({ amount: 1.5 })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <T extends EventType.Any>(type: T): EventTypeSpec<EventType.EventOf<T>["data"]> => {
  type Data = EventType.EventOf<T>["data"]
  const types: ReadonlyArray<EventType.Any> = [type]
  const registry: Registry<EventType.TypedEvent> = Result.getOrThrow(VersionRegistry.makeResult(types))
  return {
    given: (version, data) => lifted<Data>(registry, type.name, version, data),
    givenNewest: (data) => ({
      when: (version) => lowered(registry.lower({ type: type.name, data }, version))
    })
  }
}

// internal

const lifted = <Data>(
  registry: Registry<EventType.TypedEvent>,
  type: string,
  version: number,
  data: unknown
): Lifted<Data> => {
  const [stored] = asStored([{ type, version, data }])
  const decoded = registry.decode(stored)
  const read = (): unknown =>
    decoded._tag === "Success" && decoded.success._tag === "Some"
      ? decoded.success.value.data
      : fail(`Version ${version} of ${type} cannot be read`, decoded, "data")
  const spec: Lifted<Data> = {
    thenData: (expected) => {
      assertSame(`Version ${version} of ${type} is read`, read(), expected)
      return spec
    },
    thenFails: (expected) => {
      const failure = decoded._tag === "Failure"
        ? decoded.failure
        : fail(`Version ${version} of ${type} can be read`, read(), expected)
      if (!isExpectedFailure(failure, expected as never)) {
        fail(`Version ${version} of ${type} fails otherwise`, failure, expected)
      }
      return spec
    },
    thenReversible: () => {
      lowered(registry.lower({ type, data: read() }, version)).thenData(stored.data)
      return spec
    }
  }
  return spec
}

const lowered = (result: Result.Result<{ readonly data: unknown }, LowerError>): Lowered => {
  const spec: Lowered = {
    thenData: (expected) => {
      const { data } = result._tag === "Success"
        ? result.success
        : fail("It cannot be lowered", result.failure, expected)
      assertSame("It is lowered", data, expected)
      return spec
    },
    thenFails: (expected) => {
      const failure = result._tag === "Failure"
        ? result.failure
        : fail("It can be lowered", result.success.data, format(expected))
      if (!isExpectedFailure(failure, expected as never)) fail("It fails otherwise", failure, expected)
      return spec
    }
  }
  return spec
}
