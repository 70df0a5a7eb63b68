/**
 * What a storage implements to become a `SnapshotStore`: the same operations,
 * after every input was checked.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import type * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { InvalidInput } from "../event/InvalidInput.ts"
import { checkName } from "../event/Name.ts"
import { checkRevision, type Revision } from "../event/Revision.ts"
import { checkStreamId, type StreamId } from "../event/StreamId.ts"
import type { StorageError } from "./EventStoreError.ts"
import { checked } from "./internal/checked.ts"
import {
  type ListSnapshotsOptions,
  SNAPSHOT_BYTES_MAX,
  type SnapshotDescription,
  type SnapshotStatistics,
  type SnapshotStore,
  type StoredSnapshot
} from "./SnapshotStore.ts"

/**
 * Operations of one storage, of which `fromSnapshotStorage` makes a
 * `SnapshotStore`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotStorage {
  readonly save: (snapshot: StoredSnapshot) => Effect.Effect<void, StorageError>
  readonly load: (query: SnapshotQuery) => Effect.Effect<Option.Option<StoredSnapshot>, StorageError>
  /** Lists snapshots: fewer than `limit` mean the end. */
  readonly list: (query: SnapshotListQuery) => Effect.Effect<ReadonlyArray<SnapshotDescription>, StorageError>
  readonly prune: (query: SnapshotPruneQuery) => Effect.Effect<number, StorageError>
  readonly remove: (query: SnapshotSelection) => Effect.Effect<number, StorageError>
  readonly statistics: Effect.Effect<SnapshotStatistics, StorageError>
}

/**
 * Which snapshot to load.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotQuery {
  readonly streamId: StreamId
  readonly kind: string
  readonly fingerprint: string
  readonly atMost: Revision | undefined
}

/**
 * Which snapshots are meant; what is undefined may be anything.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotSelection {
  readonly streamId: StreamId | undefined
  readonly kind: string | undefined
  readonly fingerprint: string | undefined
  readonly revision: Revision | undefined
}

/**
 * The place of a snapshot in a list.
 *
 * @category models
 * @since 0.1.0
 */
export type SnapshotKey = Pick<StoredSnapshot, "streamId" | "kind" | "fingerprint" | "revision">

/**
 * A page of the list of snapshots.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotListQuery extends SnapshotSelection {
  readonly limit: number
  /** The last one of the page before. */
  readonly after: SnapshotKey | undefined
}

/**
 * What to remove, by any of the rules that are there.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotPruneQuery extends SnapshotSelection {
  readonly keepLast: number | undefined
  readonly takenBefore: DateTime.Utc | undefined
  readonly unusable: boolean
}

/**
 * Makes a `SnapshotStore` of a storage: checks input and pages.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSnapshotStorage = (storage: SnapshotStorage): SnapshotStore["Service"] => ({
  save: (snapshot) => checked(checkSnapshot(snapshot), () => storage.save(snapshot)),
  load: (options) =>
    checked(
      checkSelection(options) ?? optional(options.atMost, (revision) => checkRevision(revision, "atMost")),
      () =>
        storage.load({
          streamId: options.streamId as StreamId,
          kind: options.kind,
          fingerprint: options.fingerprint,
          atMost: options.atMost as Revision | undefined
        })
    ),
  list: (options = {}) => {
    const query = toListQuery(options)
    return checked(
      query instanceof InvalidInput ? query : undefined,
      () =>
        Effect.map(storage.list(query as SnapshotListQuery), (snapshots) => ({
          snapshots,
          next: nextCursor(query as SnapshotListQuery, snapshots)
        }))
    )
  },
  prune: (options) =>
    checked(checkSelection(options) ?? checkRules(options), () =>
      storage.prune({
        ...toSelection(options),
        keepLast: options.keepLast,
        takenBefore: options.takenBefore,
        unusable: options.unusable === true
      })),
  remove: (options) => checked(checkSelection(options), () => storage.remove(toSelection(options))),
  statistics: storage.statistics
})

// internal

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 10_000

const DIGEST_BYTES = 32

const FINGERPRINT = /^[0-9a-f]{64}$/

const optional = <A>(
  value: A | undefined,
  check: (value: A) => InvalidInput | undefined
): InvalidInput | undefined => value === undefined ? undefined : check(value)

const checkFingerprint = (fingerprint: unknown): InvalidInput | undefined =>
  typeof fingerprint === "string" && FINGERPRINT.test(fingerprint)
    ? undefined
    : new InvalidInput({
      reason: "InvalidIdentifier",
      path: "fingerprint",
      detail: "expected 64 hexadecimal digits in lower case"
    })

interface Selectable {
  readonly streamId?: string | undefined
  readonly kind?: string | undefined
  readonly fingerprint?: string | undefined
  readonly revision?: number | undefined
}

const checkSelection = (options: Selectable): InvalidInput | undefined =>
  optional(options.streamId, (streamId) => checkStreamId(streamId, "streamId")) ??
    optional(options.kind, (kind) => checkName(kind, "kind")) ??
    optional(options.fingerprint, checkFingerprint) ??
    optional(options.revision, (revision) => checkRevision(revision, "revision"))

const toSelection = ({ fingerprint, kind, revision, streamId }: Selectable): SnapshotSelection => ({
  streamId: streamId as StreamId | undefined,
  kind,
  fingerprint,
  revision: revision as Revision | undefined
})

const outOfRange = (path: string, detail: string): InvalidInput =>
  new InvalidInput({ reason: "NumberOutOfRange", path, detail })

const checkSnapshot = (snapshot: StoredSnapshot): InvalidInput | undefined => {
  const { bytes, digest, firstRevision, loadMillis, plainBytes, revision, takenAt } = snapshot
  const fault = checkSelection(snapshot) ?? checkRevision(firstRevision, "firstRevision")
  if (fault !== undefined) return fault
  if (firstRevision > revision) {
    return new InvalidInput({ reason: "InvalidRevision", path: "firstRevision", detail: "lies after revision" })
  }
  if (bytes.length > SNAPSHOT_BYTES_MAX) return outOfRange("bytes", `more than ${SNAPSHOT_BYTES_MAX} bytes`)
  if (digest.length !== DIGEST_BYTES) return outOfRange("digest", `expected ${DIGEST_BYTES} bytes`)
  if (!Number.isInteger(plainBytes) || plainBytes < 0 || plainBytes > 0x7fffffff) {
    return outOfRange("plainBytes", "expected a number of bytes")
  }
  if (!Number.isFinite(loadMillis) || loadMillis < 0) return outOfRange("loadMillis", "expected milliseconds")
  return checkTime(takenAt, "takenAt")
}

/** PostgreSQL's times end in the year 294276, and a four-digit year is all that anybody means. */
const checkTime = (time: DateTime.Utc, path: string): InvalidInput | undefined => {
  const year = DateTime.getPartUtc(time, "year")
  return year >= 1 && year <= 9999
    ? undefined
    : new InvalidInput({ reason: "InvalidTime", path, detail: "expected a year from 1 to 9999" })
}

const checkRules = ({ keepLast, takenBefore }: Parameters<SnapshotStore["Service"]["prune"]>[0]) =>
  keepLast !== undefined && (!Number.isInteger(keepLast) || keepLast < 1 || keepLast > 0x7fffffff)
    ? outOfRange("keepLast", "expected a whole number, at least 1")
    : optional(takenBefore, (time) => checkTime(time, "takenBefore"))

/** What a cursor says: the options it belongs to, and where the page ended. */
const Cursor = Schema.fromJsonString(
  Schema.Tuple([Schema.String, Schema.String, Schema.String, Schema.String, Schema.Int])
)

const belongsTo = ({ fingerprint, kind, streamId }: SnapshotSelection): string =>
  [streamId, kind, fingerprint].map((part) => part ?? "").join("\n")

const nextCursor = (
  query: SnapshotListQuery,
  snapshots: ReadonlyArray<SnapshotDescription>
): string | undefined => {
  const last = snapshots.at(-1)
  return last === undefined || snapshots.length < query.limit
    ? undefined
    : Base64Url.encode(
      Schema.encodeSync(Cursor)([belongsTo(query), last.streamId, last.kind, last.fingerprint, last.revision])
    )
}

const toListQuery = (options: ListSnapshotsOptions): SnapshotListQuery | InvalidInput => {
  const fault = checkSelection(options)
  if (fault !== undefined) return fault
  const { cursor, limit = LIMIT_DEFAULT } = options
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
    const detail = `expected a whole number from 1 to ${LIMIT_MAX}`
    return new InvalidInput({ reason: "InvalidLimit", path: "limit", detail })
  }
  const query = { ...toSelection({ ...options, revision: undefined }), limit, after: undefined }
  return cursor === undefined ? query : fromCursor(query, cursor)
}

const fromCursor = (query: SnapshotListQuery, cursor: string): SnapshotListQuery | InvalidInput => {
  const refused = (detail: string) => new InvalidInput({ reason: "InvalidCursor", path: "cursor", detail })
  const decoded = Result.flatMap(Base64Url.decodeString(cursor), Schema.decodeUnknownResult(Cursor))
  if (Result.isFailure(decoded)) return refused("expected the cursor of an earlier page")
  const [owner, streamId, kind, fingerprint, revision] = decoded.success
  if (owner !== belongsTo(query)) return refused("the cursor belongs to a page with other options")
  const after = { streamId: streamId as StreamId, kind, fingerprint, revision: revision as Revision }
  const fault = checkSelection(after)
  return fault === undefined ? { ...query, after } : refused("expected the cursor of an earlier page")
}
