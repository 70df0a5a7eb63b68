/**
 * Questions about events: which ones a reader wants, and which ones would
 * break a writer's decision.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import { InvalidInput } from "./InvalidInput.ts"
import { TAGS_MAX } from "./Limits.ts"
import { checkName } from "./Name.ts"
import { checkPosition } from "./Revision.ts"
import { category, checkStreamId } from "./StreamId.ts"

/**
 * One alternative of a query: events of any of the `types` (of every type when
 * absent) that carry all of the `tags`.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventQueryItem {
  readonly types?: ReadonlyArray<string> | undefined
  readonly tags?: ReadonlyArray<string> | undefined
}

/**
 * Events that match any of the items. At least one item, and each names at
 * least one type or tag.
 *
 * @category models
 * @since 0.1.0
 */
export type EventQuery = ReadonlyArray<EventQueryItem>

/**
 * A writer's condition on the whole log: no event that matches `query` stands
 * after `after` (0: none at all).
 *
 * **Details**
 *
 * Read with the same query, decide, and append with the position up to which
 * was read: the append succeeds only when nothing that matters to the decision
 * was recorded in between, in whatever stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendCondition {
  readonly query: EventQuery
  readonly after: number
}

/**
 * What a reader of the log wants to see. Every part that is given narrows it.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventFilter {
  /** Streams of any of these categories. */
  readonly categories?: ReadonlyArray<string> | undefined
  /** These streams only. */
  readonly streamIds?: ReadonlyArray<string> | undefined
  /** Events of any of these types. */
  readonly types?: ReadonlyArray<string> | undefined
  /** Events that carry all of these tags. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** Events that match any of these items. */
  readonly query?: EventQuery | undefined
  /** Recorded at or after this time. */
  readonly recordedFrom?: DateTime.Utc | undefined
  /** Recorded before this time. */
  readonly recordedBefore?: DateTime.Utc | undefined
}

/**
 * The parts of an event that filters and queries look at.
 *
 * @category models
 * @since 0.1.0
 */
export interface Filterable {
  readonly streamId: string
  readonly type: string
  readonly tags: ReadonlyArray<string>
  readonly recordedAt: DateTime.Utc
}

/**
 * Says whether an event matches a query.
 *
 * @category predicates
 * @since 0.1.0
 */
export const matchesQuery = (query: EventQuery, event: Pick<Filterable, "type" | "tags">): boolean =>
  query.some((item) =>
    (isEmpty(item.types) || item.types.includes(event.type)) &&
    (isEmpty(item.tags) || item.tags.every((tag) => event.tags.includes(tag)))
  )

/**
 * Says whether an event passes a filter.
 *
 * @category predicates
 * @since 0.1.0
 */
export const matchesFilter = (filter: EventFilter, event: Filterable): boolean =>
  (filter.types === undefined || filter.types.includes(event.type)) &&
  (filter.categories === undefined || filter.categories.includes(category(event.streamId))) &&
  (filter.streamIds === undefined || filter.streamIds.includes(event.streamId)) &&
  (filter.tags === undefined || filter.tags.every((tag) => event.tags.includes(tag))) &&
  (filter.query === undefined || matchesQuery(filter.query, event)) &&
  (filter.recordedFrom === undefined || event.recordedAt.epochMilliseconds >= filter.recordedFrom.epochMilliseconds) &&
  (filter.recordedBefore === undefined ||
    event.recordedAt.epochMilliseconds < filter.recordedBefore.epochMilliseconds)

/**
 * Checks a condition and says what is wrong at `path`.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkCondition = (condition: AppendCondition, path: string): InvalidInput | undefined =>
  isObject(condition)
    ? checkPosition(condition.after, `${path}.after`) ?? checkQuery(condition.query, `${path}.query`)
    : new InvalidInput({ reason: "InvalidQuery", path, detail: "expected a query and a position" })

/**
 * Checks a query and says what is wrong at `path`.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkQuery = (query: EventQuery, path: string): InvalidInput | undefined => {
  if (!Array.isArray(query) || query.length === 0 || query.length > TAGS_MAX) {
    return new InvalidInput({ reason: "InvalidQuery", path, detail: `expected 1 to ${TAGS_MAX} items` })
  }
  for (let index = 0; index < query.length; index++) {
    const item: EventQueryItem = query[index]
    const at = `${path}[${index}]`
    const fault = isObject(item)
      ? checkNames(item.types, `${at}.types`) ?? checkNames(item.tags, `${at}.tags`)
      : new InvalidInput({ reason: "InvalidQuery", path: at, detail: "expected types or tags" })
    if (fault !== undefined) return fault
    if (isEmpty(item.types) && isEmpty(item.tags)) {
      return new InvalidInput({ reason: "InvalidQuery", path: at, detail: "names neither a type nor a tag" })
    }
  }
  return undefined
}

/**
 * Checks a filter and says what is wrong at `path`.
 *
 * **Details**
 *
 * A list that is given but empty is refused: it would match nothing, and is
 * more often a bug of the caller than a wish.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkFilter = (filter: EventFilter, path: string): InvalidInput | undefined =>
  checkList(filter.categories, `${path}.categories`, checkCategory) ??
    checkList(filter.streamIds, `${path}.streamIds`, checkStreamId) ??
    checkList(filter.types, `${path}.types`, checkName) ??
    checkList(filter.tags, `${path}.tags`, checkName) ??
    (filter.query === undefined ? undefined : checkQuery(filter.query, `${path}.query`)) ??
    checkTime(filter.recordedFrom, `${path}.recordedFrom`) ??
    checkTime(filter.recordedBefore, `${path}.recordedBefore`)

/**
 * Checks a category and says what is wrong at `path`.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkCategory = (name: unknown, path: string): InvalidInput | undefined =>
  checkStreamId(name, path) ?? ((name as string).includes("-")
    ? new InvalidInput({ reason: "InvalidIdentifier", path, detail: "a category has no dash" })
    : undefined)

// internal

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const isEmpty = (names: ReadonlyArray<string> | undefined): names is undefined =>
  names === undefined || names.length === 0

const checkNames = (names: ReadonlyArray<string> | undefined, path: string): InvalidInput | undefined => {
  if (names === undefined) return undefined
  if (!Array.isArray(names) || names.length > TAGS_MAX) {
    return new InvalidInput({ reason: "InvalidQuery", path, detail: `expected at most ${TAGS_MAX} names` })
  }
  for (let index = 0; index < names.length; index++) {
    const fault = checkName(names[index], `${path}[${index}]`)
    if (fault !== undefined) return fault
  }
  return undefined
}

const checkList = (
  names: ReadonlyArray<string> | undefined,
  path: string,
  check: (name: unknown, path: string) => InvalidInput | undefined
): InvalidInput | undefined => {
  if (names === undefined) return undefined
  if (!Array.isArray(names) || names.length === 0 || names.length > FILTER_NAMES_MAX) {
    return new InvalidInput({ reason: "InvalidQuery", path, detail: `expected 1 to ${FILTER_NAMES_MAX} names` })
  }
  for (let index = 0; index < names.length; index++) {
    const fault = check(names[index], `${path}[${index}]`)
    if (fault !== undefined) return fault
  }
  return undefined
}

const checkTime = (time: unknown, path: string): InvalidInput | undefined =>
  time === undefined || (DateTime.isDateTime(time) && inRange(time.epochMilliseconds))
    ? undefined
    : new InvalidInput({ reason: "InvalidTime", path, detail: "expected a DateTime between the years 1 and 9999" })

const inRange = (epochMillis: number): boolean => epochMillis >= YEAR_1_MS && epochMillis <= YEAR_9999_MS

/** Bounds that PostgreSQL's timestamptz and ISO 8601 with four digits share. */
const YEAR_1_MS = -62_135_596_800_000
const YEAR_9999_MS = 253_402_300_799_999

/** Most names in one list of a filter. */
const FILTER_NAMES_MAX = 1_000
