import { InvalidInput, type InvalidInputReason } from "../../event/InvalidInput.ts"
import {
  EVENT_SIZE_BYTES_MAX,
  PROJECTION_BUILD_MAX,
  PROJECTION_VERSION_MAX,
  REVISION_MAX,
  TAGS_MAX,
  VERSION_MAX
} from "../../event/Limits.ts"
import { checkName } from "../../event/Name.ts"
import { checkStreamId } from "../../event/StreamId.ts"
import type { CheckpointRow, EventPage, EventRow, RestorePlan } from "../LogTransfer.ts"
import { SLICES_MAX } from "../Slice.ts"

/** Says what is wrong with a page that is asked for. */
export const checkPage = ({ after, limit, recordedAt, until }: EventPage): InvalidInput | undefined =>
  checkWhole(after, 0, Number.MAX_SAFE_INTEGER, "after", "InvalidPosition") ??
    checkWhole(until, 0, Number.MAX_SAFE_INTEGER, "until", "InvalidPosition") ??
    (limit === undefined ? undefined : checkWhole(limit, 1, PAGE_EVENTS_MAX, "limit", "InvalidLimit")) ??
    (recordedAt === undefined ? undefined : checkTime(recordedAt, "recordedAt"))

/** Says what is wrong with a plan. */
export const checkPlan = ({ source, until }: RestorePlan): InvalidInput | undefined =>
  (UUID.test(source) ? undefined : invalid("InvalidIdentifier", "source", "expected the id of a history")) ??
    checkWhole(until, 0, Number.MAX_SAFE_INTEGER, "until", "InvalidPosition")

/** Checks events one page after the other; they have to go on where the one before ended. */
export const makeEventCheck = (
  { until }: RestorePlan,
  begin: { readonly position: number; readonly recordedAt: number }
): {
  readonly rows: (rows: ReadonlyArray<EventRow>) => InvalidInput | undefined
  readonly end: () => InvalidInput | undefined
} => {
  let { position, recordedAt } = begin
  const isKnown = makeMemo()
  return {
    rows: (rows) => {
      for (const row of rows) {
        const fault = checkEvent(row, position + 1, recordedAt, isKnown)
        if (fault !== undefined) return fault
        position = row.position
        recordedAt = row.recordedAt
      }
      return position > until
        ? invalid("InvalidPosition", "position", `${position} is after ${until}, where the restore ends`)
        : undefined
    },
    end: () =>
      position === until
        ? undefined
        : invalid("InvalidPosition", "until", `the events end at ${position}, and not at ${until}`)
  }
}

/** Says what is wrong with a checkpoint; what the database checks by itself is left to it. */
export const checkCheckpoint = (row: CheckpointRow): InvalidInput | undefined =>
  checkName(row.projection, "projection") ??
    checkWhole(row.version, 1, PROJECTION_VERSION_MAX, "version", "InvalidVersion") ??
    checkWhole(row.build, 1, PROJECTION_BUILD_MAX, "build", "InvalidVersion") ??
    checkWhole(row.slice, 0, SLICES_MAX - 1, "slice", "NumberOutOfRange") ??
    checkWhole(row.position, 0, Number.MAX_SAFE_INTEGER, "position", "InvalidPosition") ??
    (DIGEST.test(row.digest) ? undefined : invalid("InvalidIdentifier", "digest", "expected 16 hexadecimal digits"))

// internal

/** Most events that a page may be asked to hold; bounds its memory. */
const PAGE_EVENTS_MAX = 100_000

/** Names that are remembered as checked. */
const MEMO_NAMES_MAX = 50_000

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const DIGEST = /^[0-9a-f]{16}$/

/** Most microseconds that are a whole number: the year 2255. */
const TIME_MAX = Number.MAX_SAFE_INTEGER

const invalid = (reason: InvalidInputReason, path: string, detail: string): InvalidInput =>
  new InvalidInput({ reason, path, detail })

const isWhole = (value: number, min: number, max: number): boolean =>
  Number.isSafeInteger(value) && value >= min && value <= max

const checkWhole = (
  value: number,
  min: number,
  max: number,
  path: string,
  reason: InvalidInputReason
): InvalidInput | undefined =>
  isWhole(value, min, max)
    ? undefined
    : invalid(reason, path, `expected a whole number from ${min} to ${max}`)

const checkTime = (value: number, path: string) => checkWhole(value, -TIME_MAX, TIME_MAX, path, "InvalidTime")

type NameKind = "stream" | "type" | "tag"

interface Memo {
  /** Checks a name of a kind, unless it was met before. */
  (kind: NameKind, name: string, check: () => InvalidInput | undefined): InvalidInput | undefined
  readonly knows: (kind: NameKind, name: string) => boolean
}

/** Few names stand in many events. */
const makeMemo = (): Memo => {
  const known = { stream: new Set<string>(), type: new Set<string>(), tag: new Set<string>() }
  const check = (kind: NameKind, name: string, check: () => InvalidInput | undefined) => {
    const names = known[kind]
    if (names.has(name)) return undefined
    const fault = check()
    if (fault === undefined) {
      if (names.size >= MEMO_NAMES_MAX) names.clear()
      names.add(name)
    }
    return fault
  }
  return Object.assign(check, { knows: (kind: NameKind, name: string) => known[kind].has(name) })
}

const checkEvent = (row: EventRow, position: number, recordedAt: number, memo: Memo): InvalidInput | undefined =>
  isFine(row, position, recordedAt, memo) ? undefined : findFault(row, position, recordedAt, memo)

/** Tells most events from those that have to be looked at, without making anything. */
const isFine = (row: EventRow, position: number, recordedAt: number, memo: Memo): boolean =>
  row.position === position && row.tags.length === 0 &&
  row.data.length <= EVENT_SIZE_BYTES_MAX && row.metadata.length <= EVENT_SIZE_BYTES_MAX &&
  (row.metadata === "" || row.metadata[0] === "{") && UUID.test(row.id) &&
  row.recordedAt >= recordedAt && isWhole(row.recordedAt, -TIME_MAX, TIME_MAX) &&
  isWhole(row.version, 1, VERSION_MAX) && isWhole(row.revision, 0, REVISION_MAX) &&
  memo.knows("type", row.type) && memo.knows("stream", row.streamId)

const findFault = (row: EventRow, position: number, recordedAt: number, memo: Memo): InvalidInput | undefined => {
  const at = `events[${row.position}]`
  if (row.position !== position) {
    return invalid("InvalidPosition", at, `expected the event at position ${position}`)
  }
  if (row.data.length > EVENT_SIZE_BYTES_MAX || row.metadata.length > EVENT_SIZE_BYTES_MAX) {
    return invalid("EventTooLarge", at, `larger than ${EVENT_SIZE_BYTES_MAX} bytes`)
  }
  if (row.metadata !== "" && row.metadata[0] !== "{") {
    return invalid("NotJson", `${at}.metadata`, "expected a JSON object")
  }
  if (!UUID.test(row.id)) return invalid("InvalidIdentifier", `${at}.id`, "expected a UUID in lower case")
  if (row.recordedAt < recordedAt) {
    return invalid("InvalidTime", `${at}.recordedAt`, "is earlier than that of the event before")
  }
  return memo("stream", row.streamId, () => checkStreamId(row.streamId, `${at}.streamId`)) ??
    memo("type", row.type, () => checkName(row.type, `${at}.type`)) ??
    checkWhole(row.version, 1, VERSION_MAX, `${at}.version`, "InvalidVersion") ??
    checkWhole(row.revision, 0, REVISION_MAX, `${at}.revision`, "InvalidRevision") ??
    checkTime(row.recordedAt, `${at}.recordedAt`) ??
    checkTags(row.tags, at, memo)
}

const checkTags = (tags: ReadonlyArray<string>, at: string, memo: Memo): InvalidInput | undefined => {
  if (tags.length === 0) return undefined
  if (tags.length > TAGS_MAX) return invalid("TooManyValues", `${at}.tags`, `more than ${TAGS_MAX}`)
  for (const tag of tags) {
    const fault = memo("tag", tag, () => checkName(tag, `${at}.tags`))
    if (fault !== undefined) return fault
  }
  return undefined
}
