import * as DateTime from "effect/DateTime"
import type { EventFilter, EventQuery, EventQueryItem } from "../../event/EventQuery.ts"
import { TAGS_MAX } from "../../event/Limits.ts"

/** The same text for the same filter. */
export const filterKey = (filter: EventFilter): string =>
  JSON.stringify([
    sorted(filter.types),
    sorted(filter.categories),
    sorted(filter.streamIds),
    sorted(filter.tags),
    filter.query,
    filter.recordedFrom?.epochMilliseconds,
    filter.recordedBefore?.epochMilliseconds
  ])

/**
 * A filter that every event passes that passes one of these: as narrow as one
 * filter can say it.
 */
export const unionOf = (filters: ReadonlyArray<EventFilter>): EventFilter => {
  const [first] = filters
  if (first === undefined) return {}
  if (filters.every((filter) => filterKey(filter) === filterKey(first))) return first
  return {
    types: namesOf(filters.map(({ types }) => types)),
    categories: namesOf(filters.map(({ categories }) => categories)),
    streamIds: namesOf(filters.map(({ streamIds }) => streamIds)),
    query: queryOf(filters),
    recordedFrom: earliest(filters.map(({ recordedFrom }) => recordedFrom)),
    recordedBefore: latest(filters.map(({ recordedBefore }) => recordedBefore))
  }
}

// internal

/** Most names in one list of a filter. */
const NAMES_MAX = 1_000

const sorted = (names: ReadonlyArray<string> | undefined) => names === undefined ? undefined : [...names].sort()

/** All names, when every filter names some. */
const namesOf = (lists: ReadonlyArray<ReadonlyArray<string> | undefined>): ReadonlyArray<string> | undefined => {
  const names = new Set<string>()
  for (const list of lists) {
    if (list === undefined) return undefined
    for (const name of list) names.add(name)
  }
  return names.size <= NAMES_MAX ? [...names] : undefined
}

/** All alternatives, when every filter asks for tags or has a query. */
const queryOf = (filters: ReadonlyArray<EventFilter>): EventQuery | undefined => {
  const items: Array<EventQueryItem> = []
  for (const { query, tags = [], types = [] } of filters) {
    if (query === undefined && tags.length === 0) return undefined
    // beside its query the tags of a filter would only narrow it
    items.push(...(query ?? [{ types, tags }]))
  }
  return items.length <= TAGS_MAX ? items : undefined
}

const earliest = (times: ReadonlyArray<DateTime.Utc | undefined>): DateTime.Utc | undefined =>
  times.reduce((a, b) => a === undefined || b === undefined ? undefined : DateTime.min(a, b))

const latest = (times: ReadonlyArray<DateTime.Utc | undefined>): DateTime.Utc | undefined =>
  times.reduce((a, b) => a === undefined || b === undefined ? undefined : DateTime.max(a, b))
