/**
 * Moves data and metadata of old months out of a store, and back. Everything
 * else about their events stays: nothing that looks for events, or checks
 * something against them, notices.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { EventDigest } from "./EventDigest.ts"
import type { StorageError } from "./EventStoreError.ts"
import type { EventPage, EventRow } from "./LogTransfer.ts"

/**
 * Service that moves payloads of one store.
 *
 * **Details**
 *
 * Invariants: what is archived is a prefix of the log, 1 to the `until` of the
 * last entry, in whole months; the month in which events are recorded now is
 * never moved. A month is moved, or brought back, in one step: at every moment
 * all of its payloads are in the store, or none.
 *
 * @category services
 * @since 0.1.0
 */
export class LogArchive extends Context.Service<LogArchive, {
  /** What is archived, from the beginning of the log on. */
  readonly entries: Effect.Effect<ReadonlyArray<ArchiveEntry>, StorageError>

  /** The finished months behind what is archived, the oldest first; those without events are left out. */
  readonly months: Effect.Effect<ReadonlyArray<LogMonth>, StorageError>

  /** Reads events upwards as the store itself has them, in pages as `LogTransfer.readEvents`. */
  readonly readStored: (page: EventPage) => Effect.Effect<ReadonlyArray<StoredEventRow>, InvalidInput | StorageError>

  /**
   * Opens the one session that moves payloads, until its scope closes: a second
   * one fails with `ArchiveBusy`. Needs the rights of the owner. Clears what a
   * session that was killed has left.
   */
  readonly open: Effect.Effect<ArchiveSession, ArchiveBusy | StorageError, Scope.Scope>
}>()("effect-event-store/store/LogArchive") {}

/**
 * Moves payloads.
 *
 * **Details**
 *
 * Appends and reads go on; they wait once a month for the moment in which the
 * month changes hands, less than a second. While somebody keeps reading for
 * minutes, that moment is waited for, and then given up with a retryable
 * `StorageError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchiveSession {
  /** Takes the payloads of a month away. Whoever calls has proved that the backup has all of them. */
  readonly archive: (step: ArchiveStep) => Effect.Effect<ArchiveEntry, ArchiveDiffers | StorageError>

  /**
   * Puts the payloads of the newest archived month back, which come in the order
   * of their positions.
   */
  readonly bringBack: <E>(
    month: string,
    payloads: Stream.Stream<PlacedPayload, E>
  ) => Effect.Effect<void, E | ArchiveDiffers | StorageError>
}

/**
 * A month that is archived, or a part of one that grew after it was.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchiveEntry {
  /** As `2026-01`, in UTC. */
  readonly month: string
  /** Position, exclusive. */
  readonly after: number
  /** Position, inclusive. */
  readonly until: number
  /** The backup that has the payloads, with those that it goes on from. */
  readonly backupId: string
  /** The end of its chain of hashes. */
  readonly chain: string
  /** How many events these are, and which. */
  readonly events: EventDigest
  /** By how much the store became smaller. */
  readonly bytesFreed: number
  /** In milliseconds since 1970. */
  readonly archivedAt: number
}

/**
 * A month that may be archived.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogMonth {
  /** As `2026-01`, in UTC. */
  readonly month: string
  /** Position, exclusive. */
  readonly after: number
  /** Position, inclusive. */
  readonly until: number
  /** What it takes in the store. */
  readonly bytes: number
}

/**
 * What is archived in one step.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchiveStep extends Pick<ArchiveEntry, "month" | "after" | "until" | "backupId" | "chain" | "events"> {
  /** The history that the backup is of. */
  readonly incarnation: string
}

/**
 * What is archived of an event.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventPayload {
  /** JSON text, exactly as it was stored. */
  readonly data: string
  /** JSON text of an object, exactly as it was stored; empty when none was, which stands for `{}`. */
  readonly metadata: string
}

/**
 * A payload, and where it belongs.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlacedPayload extends EventPayload {
  readonly position: number
  readonly id: string
}

/**
 * An event as the store has it: `data` is absent, and metadata empty, when they
 * are archived.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredEventRow extends Omit<EventRow, "data"> {
  readonly data: string | undefined
}

/**
 * Represents an archiving that was not begun, because another one is under way.
 *
 * @category errors
 * @since 0.1.0
 */
export class ArchiveBusy
  extends Schema.TaggedError<ArchiveBusy>("effect-event-store/store/LogArchive/ArchiveBusy")("ArchiveBusy", {})
{
  override get message(): string {
    return "Another process archives months of this store, or brings them back"
  }
}

/**
 * Represents a month that is not what was to be archived or brought back: it
 * was left as it is.
 *
 * @category errors
 * @since 0.1.0
 */
export class ArchiveDiffers
  extends Schema.TaggedError<ArchiveDiffers>("effect-event-store/store/LogArchive/ArchiveDiffers")("ArchiveDiffers", {
    month: Schema.String,
    /** What differs. */
    detail: Schema.String,
    expected: Schema.String,
    actual: Schema.String
  })
{
  override get message(): string {
    return `The month ${this.month} was left as it is: ${this.detail}: expected ${this.expected}, found ${this.actual}`
  }
}
