/**
 * What a registry of event types does.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Result from "effect/Result"
import type { ProposedEvent, RecordedEvent } from "../event/Event.ts"
import type * as EventType from "../event/EventType.ts"
import type {
  DecodeError,
  DowncastMissing,
  EncodeError,
  EventUnknown,
  LowerError,
  UpcastMissing
} from "./VersionError.ts"

/**
 * Reads and writes events of known types: what is stored in any version is
 * read in the newest, and what is written fits its schema.
 *
 * **Details**
 *
 * Invariant: a version that is described has a way to the newest one; a
 * registry without one is not made. `P` is what stands for unknown events when
 * they are passed through.
 *
 * @category models
 * @since 0.1.0
 */
export interface Registry<E extends EventType.TypedEvent, P = never> {
  /** The types, in the order in which they were given. */
  readonly types: ReadonlyArray<EventType.Any>

  /**
   * SHA-256 in lower-case hexadecimal over names, versions, schemas and steps.
   *
   * **Gotchas**
   *
   * It knows the text of a function, not what the function refers to, so the
   * same program has another fingerprint after it was minified.
   */
  readonly fingerprint: string

  /** Checks an event and puts it into the shape that is stored. */
  readonly encode: (event: EventType.Proposed<E>) => Result.Result<ProposedEvent, EncodeError>

  /** Does the same with all events of an append, or says what is wrong with the first bad one. */
  readonly encodeAll: (
    events: ReadonlyArray<EventType.Proposed<E>>
  ) => Effect.Effect<ReadonlyArray<ProposedEvent>, EncodeError>

  /** Lifts a recorded event to the newest version and checks it; `none` when the policy skips it. */
  readonly decode: (event: RecordedEvent) => Result.Result<Option.Option<EventType.Recorded<E> | P>, DecodeError>

  /** Decodes events in order, without those that the policy skips. */
  readonly decodeAll: (
    events: ReadonlyArray<RecordedEvent>
  ) => Effect.Effect<ReadonlyArray<EventType.Recorded<E> | P>, DecodeError>

  /** Lowers an event in its newest version to an older one, for a reader that knows no newer. */
  readonly lower: <T extends EventType.Proposed<E> | EventType.Recorded<E>>(
    event: T,
    version: number
  ) => Result.Result<Lowered<T>, LowerError>

  /** The versions that steps go through, both ends included; downwards when `to` is less than `from`. */
  readonly path: (
    type: string,
    from: number,
    to: number
  ) => Result.Result<ReadonlyArray<number>, UpcastMissing | DowncastMissing | EventUnknown>

  /** Every deprecated version, with the number of events that were decoded from it since the registry was made. */
  readonly deprecatedLoads: Effect.Effect<ReadonlyArray<DeprecatedLoads>>

  /** The types and versions that the policy skipped since the registry was made, the first 1,000 of them. */
  readonly skipped: Effect.Effect<ReadonlyArray<Skipped>>
}

/**
 * An event in an older shape: data as it is stored.
 *
 * @category models
 * @since 0.1.0
 */
export type Lowered<T> = Omit<T, "data" | "version"> & { readonly version: number; readonly data: unknown }

/**
 * How often a deprecated version was met.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeprecatedLoads extends EventType.Deprecation {
  readonly type: string
  readonly version: number
  readonly count: number
}

/**
 * How often an unknown type or version was skipped.
 *
 * @category models
 * @since 0.1.0
 */
export interface Skipped {
  readonly type: string
  readonly version: number
  readonly count: number
}

/**
 * What happens to an event that the registry does not know. `skip` leaves it
 * out and counts it; `passThrough` hands it on as it was stored.
 *
 * @category models
 * @since 0.1.0
 */
export type UnknownPolicy = "fail" | "skip" | "passThrough"

/**
 * An event that the registry does not know, as it was stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface PassedThrough extends RecordedEvent {
  readonly storedVersion: number
  readonly isUnknown: true
}

/**
 * Options of a registry.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<P extends UnknownPolicy = UnknownPolicy> {
  /** For types that the registry does not have; `fail` when absent. */
  readonly unknownType?: P | undefined
  /**
   * For versions that a known type does not have, as a newer program writes
   * them; `fail` when absent.
   */
  readonly unknownVersion?: P | undefined
  /**
   * Types that are written in an older version, while readers that know no
   * newer one are running. The steps down to it must exist.
   */
  readonly write?: { readonly [type: string]: number } | undefined
}

/**
 * The registry of a list of types.
 *
 * @category models
 * @since 0.1.0
 */
export type RegistryOf<Types extends ReadonlyArray<EventType.Any>, P extends UnknownPolicy = "fail"> = Registry<
  EventType.EventOf<Types[number]>,
  "passThrough" extends P ? PassedThrough : never
>
