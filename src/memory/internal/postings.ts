/**
 * Chooses the index by which a question is answered.
 */
import type { EventFilter, EventQueryItem } from "../../event/EventQuery.ts"
import { type Log, lowerBound, type Posting } from "./log.ts"

/** Lists of positions; what is asked for stands in none but these. */
export type Postings = ReadonlyArray<ReadonlyArray<number>>

/** Lists that hold every match of the item; the shortest after `after`. */
export const postingsOf = (log: Log, { tags = [], types = [] }: EventQueryItem, after: number): Postings => {
  const choices: Array<Postings> = tags.map((tag) => lists(log.tags, [tag]))
  if (types.length > 0) choices.push(lists(log.types, types))
  return shortest(choices, after) ?? []
}

/** Lists that hold every match of the filter; `undefined` when no index is shorter than the log itself. */
export const postingsOfFilter = (log: Log, filter: EventFilter, after: number): Postings | undefined => {
  const choices: Array<Postings> = (filter.tags ?? []).map((tag) => lists(log.tags, [tag]))
  if (filter.types !== undefined) choices.push(lists(log.types, filter.types))
  if (filter.categories !== undefined) choices.push(lists(log.categories, filter.categories))
  if (filter.streamIds !== undefined) choices.push(lists(log.streams, filter.streamIds))
  if (filter.query !== undefined) {
    choices.push([...new Set(filter.query.flatMap((item) => postingsOf(log, item, after)))])
  }
  const best = shortest(choices, after)
  return best === undefined || sizeAfter(best, after) >= log.events.length - after ? undefined : best
}

// internal

const lists = (index: ReadonlyMap<string, Pick<Posting, "positions">>, names: ReadonlyArray<string>): Postings =>
  [...new Set(names)].flatMap((name) => {
    const posting = index.get(name)
    return posting === undefined ? [] : [posting.positions]
  })

const sizeAfter = (postings: Postings, after: number): number =>
  postings.reduce((size, positions) => size + positions.length - lowerBound(positions, after + 1), 0)

const shortest = (choices: ReadonlyArray<Postings>, after: number): Postings | undefined => {
  let best: { readonly postings: Postings; readonly size: number } | undefined
  for (const postings of choices) {
    const size = sizeAfter(postings, after)
    if (best === undefined || size < best.size) best = { postings, size }
  }
  return best?.postings
}
