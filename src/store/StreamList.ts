/**
 * Keyset paging over the list of streams.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { checkCategory } from "../event/EventQuery.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import { checkStreamId } from "../event/StreamId.ts"
import type { EventStore, ListStreamsOptions, StreamDescription, StreamSort } from "./EventStore.ts"
import type { Storage, StreamListQuery } from "./Storage.ts"

/**
 * Makes the `listStreams` of an `EventStore`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listStreams = (storage: Storage): EventStore["Service"]["listStreams"] => (options = {}) => {
  const query = toQuery(options)
  if (query instanceof InvalidInput) return Effect.fail(query)
  return Effect.map(storage.listStreams(query), (streams) => {
    const last = streams.at(-1)
    return { streams, next: last === undefined || streams.length < query.limit ? undefined : toCursor(query, last) }
  })
}

/**
 * The number by which a stream is sorted; 0 when it is sorted by name alone.
 *
 * @category getters
 * @since 0.1.0
 */
export const sortKey = (sort: StreamSort, stream: StreamDescription): number => {
  switch (sort) {
    case "name":
      return 0
    case "created":
      return stream.firstPosition
    case "updated":
      return stream.lastPosition
    case "events":
      return stream.revision + 1
  }
}

// internal

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 10_000

/** What a cursor says: the options it belongs to, and where the page ended. */
const Cursor = Schema.fromJsonString(Schema.Tuple([Schema.String, Schema.Int, Schema.String]))

const toQuery = (options: ListStreamsOptions): StreamListQuery | InvalidInput => {
  const { category, cursor, descending = false, limit = LIMIT_DEFAULT, prefix, sort = "name" } = options
  const fault = (prefix === undefined ? undefined : checkStreamId(prefix, "prefix")) ??
    (category === undefined ? undefined : checkCategory(category, "category"))
  if (fault !== undefined) return fault
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
    const detail = `expected a whole number from 1 to ${LIMIT_MAX}`
    return new InvalidInput({ reason: "InvalidLimit", path: "limit", detail })
  }
  if (!["name", "created", "updated", "events"].includes(sort)) {
    return new InvalidInput({
      reason: "InvalidQuery",
      path: "sort",
      detail: "expected name, created, updated or events"
    })
  }
  const query = { prefix, category, sort, descending, limit, after: undefined }
  return cursor === undefined ? query : fromCursor(query, cursor)
}

const fingerprint = (query: StreamListQuery): string =>
  [query.sort, query.descending ? "descending" : "ascending", query.prefix ?? "", query.category ?? ""].join("\n")

const toCursor = (query: StreamListQuery, last: StreamDescription): string =>
  Base64Url.encode(
    Schema.encodeSync(Cursor)([fingerprint(query), sortKey(query.sort, last), last.streamId])
  )

const fromCursor = (query: StreamListQuery, cursor: string): StreamListQuery | InvalidInput => {
  const decoded = Result.flatMap(Base64Url.decodeString(cursor), Schema.decodeUnknownResult(Cursor))
  if (Result.isFailure(decoded)) {
    return new InvalidInput({
      reason: "InvalidCursor",
      path: "cursor",
      detail: "expected the cursor of an earlier page"
    })
  }
  const [belongsTo, key, name] = decoded.success
  return belongsTo === fingerprint(query)
    ? { ...query, after: { key, name } }
    : new InvalidInput({
      reason: "InvalidCursor",
      path: "cursor",
      detail: "the cursor belongs to a page with another prefix, category or order"
    })
}
