/**
 * Projections that work on any store, whatever its events are: they need no code
 * of the program that wrote them.
 *
 * **Details**
 *
 * All of them keep states by key, each of a bounded size, and are never in the
 * way of an event: what they do not understand, they count.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RecordedEvent } from "../event/Event.ts"
import { utf8SizeBytes } from "../event/Name.ts"
import { category as categoryOf } from "../event/StreamId.ts"
import { CheckpointStore, type ProjectionRecord } from "../store/CheckpointStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { type Projection, state, type StateProjection } from "./Projection.ts"

/**
 * Where events stand: how many, and the first and the last of them. Times are
 * the store's, in ISO 8601.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Extent = Schema.Struct({
  events: Schema.Int,
  firstPosition: Schema.Int,
  lastPosition: Schema.Int,
  firstAt: Schema.String,
  lastAt: Schema.String
})

/**
 * What {@link eventTypeCounts} knows of a type; the key is its name.
 *
 * @category schemas
 * @since 0.1.0
 */
export const EventTypeCount = Schema.Struct({
  ...Extent.fields,
  /** Lowest and highest version of its shape that is stored. */
  oldestVersion: Schema.Int,
  newestVersion: Schema.Int
})

/**
 * Counts events by type.
 *
 * @category projections
 * @since 0.1.0
 */
export const eventTypeCounts: StateProjection<typeof EventTypeCount.Type> = state({
  name: "event-type-counts",
  events: "all",
  state: EventTypeCount,
  initial: { ...emptyExtent(), oldestVersion: 0, newestVersion: 0 },
  key: ({ type }) => type,
  on: (before, event) => ({
    ...extend(before, event),
    oldestVersion: before.events === 0 ? event.version : Math.min(before.oldestVersion, event.version),
    newestVersion: Math.max(before.newestVersion, event.version)
  })
})

/**
 * How many events have a name: a type, or a category.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Share = Schema.Struct({ name: Schema.String, events: Schema.Int })

/**
 * What {@link streamActivity} knows of a stream; the key is its name.
 *
 * @category schemas
 * @since 0.1.0
 */
export const StreamActivity = Schema.Struct({
  ...Extent.fields,
  category: Schema.String,
  lastType: Schema.String,
  /** The first 50 types in the order in which they came. */
  types: Schema.Array(Share),
  /** Events of further types. */
  otherTypes: Schema.Int
})

/**
 * Tells of each stream how many events it has, of which types, and when it was
 * written to first and last.
 *
 * @category projections
 * @since 0.1.0
 */
export const streamActivity: StateProjection<typeof StreamActivity.Type> = state({
  name: "stream-activity",
  events: "all",
  state: StreamActivity,
  initial: { ...emptyExtent(), category: "", lastType: "", types: [], otherTypes: 0 },
  key: ({ streamId }) => streamId,
  on: (before, event) => {
    const [types, otherTypes] = share(before.types, before.otherTypes, event.type)
    return {
      ...extend(before, event),
      category: categoryOf(event.streamId),
      lastType: event.type,
      types,
      otherTypes
    }
  }
})

/**
 * How many events were recorded on a day, in UTC.
 *
 * @category schemas
 * @since 0.1.0
 */
export const DayCount = Schema.Struct({ day: Schema.String, events: Schema.Int })

/**
 * What {@link categoryStatistics} knows of a category; the key is its name, and
 * `-` for streams whose name begins with a dash.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CategoryStatistics = Schema.Struct({
  ...Extent.fields,
  streams: Schema.Int,
  /** Bytes of the events' data, as JSON in UTF-8. */
  dataBytes: Schema.Int,
  largestEventBytes: Schema.Int,
  longestStream: Schema.String,
  longestStreamEvents: Schema.Int,
  /** The last 400 days with events, oldest first. */
  days: Schema.Array(DayCount),
  /** Events of days before those. */
  earlierEvents: Schema.Int
})

/**
 * Tells of each category how many streams, events and bytes it has, and of which
 * days they are.
 *
 * @category projections
 * @since 0.1.0
 */
export const categoryStatistics: StateProjection<typeof CategoryStatistics.Type> = state({
  name: "category-statistics",
  events: "all",
  state: CategoryStatistics,
  initial: {
    ...emptyExtent(),
    streams: 0,
    dataBytes: 0,
    largestEventBytes: 0,
    longestStream: "",
    longestStreamEvents: 0,
    days: [],
    earlierEvents: 0
  },
  key: ({ streamId }) => categoryOf(streamId) || NO_CATEGORY,
  on: (before, event) => {
    const length = event.revision + 1
    const isLongest = length > before.longestStreamEvents
    const sizeBytes = utf8SizeBytes(JSON.stringify(event.data))
    const [days, earlierEvents] = countDay(before.days, before.earlierEvents, event)
    return {
      ...extend(before, event),
      streams: before.streams + (event.revision === 0 ? 1 : 0),
      dataBytes: before.dataBytes + sizeBytes,
      largestEventBytes: Math.max(before.largestEventBytes, sizeBytes),
      longestStream: isLongest ? event.streamId : before.longestStream,
      longestStreamEvents: Math.max(before.longestStreamEvents, length),
      days,
      earlierEvents
    }
  }
})

/**
 * What {@link errors} knows of a type whose events tell of an error; the key is
 * its name.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ErrorStatistics = Schema.Struct({
  ...Extent.fields,
  /** The first 50 categories in the order in which they came. */
  categories: Schema.Array(Share),
  /** Events of further categories. */
  otherCategories: Schema.Int,
  /** The last 400 days with events, oldest first. */
  days: Schema.Array(DayCount),
  /** Events of days before those. */
  earlierEvents: Schema.Int,
  lastStream: Schema.String,
  lastRevision: Schema.Int,
  /** What the last event that says something says, at most 500 characters. */
  lastMessage: Schema.String
})

/**
 * Which events tell of an error.
 *
 * @category models
 * @since 0.1.0
 */
export interface ErrorOptions {
  /** `errors` when absent. Other rules under the same name need another version. */
  readonly name?: string | undefined
  readonly version?: number | undefined
  /** Words with which the type of such an event ends; {@link ERROR_ENDINGS} when absent. */
  readonly endings?: ReadonlyArray<string> | undefined
  /** Keys of data or metadata that only such an event has, with a value; {@link ERROR_FIELDS} when absent. */
  readonly fields?: ReadonlyArray<string> | undefined
}

/**
 * Words with which the types of events end that tell of an error.
 *
 * @category constants
 * @since 0.1.0
 */
export const ERROR_ENDINGS: ReadonlyArray<string> = [
  "Failed",
  "Failure",
  "Error",
  "Errored",
  "Rejected",
  "Declined",
  "Denied",
  "Refused",
  "Aborted",
  "Crashed",
  "TimedOut"
]

/**
 * Keys that, with a value other than `null`, `false` and an empty text, say that
 * an event tells of an error.
 *
 * @category constants
 * @since 0.1.0
 */
export const ERROR_FIELDS: ReadonlyArray<string> = ["error", "errorMessage", "exception"]

/**
 * Makes a projection that counts the events that tell of an error, by type,
 * category and day, with the last message: events whose type ends as
 * {@link ERROR_ENDINGS} say, in any case, or whose data or metadata has one of
 * {@link ERROR_FIELDS}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeErrors = (options: ErrorOptions = {}): StateProjection<typeof ErrorStatistics.Type> => {
  const { endings = ERROR_ENDINGS, fields = ERROR_FIELDS, name = "errors", version } = options
  const words = endings.map((word) => word.toLowerCase())
  const isError = ({ data, metadata, type }: RecordedEvent) => {
    const lower = type.toLowerCase()
    return words.some((word) => lower.endsWith(word)) ||
      [data, metadata].some((part) => fields.some((field) => saysSomething(fieldOf(part, field))))
  }
  return state({
    name,
    version,
    events: "all",
    state: ErrorStatistics,
    initial: {
      ...emptyExtent(),
      categories: [],
      otherCategories: 0,
      days: [],
      earlierEvents: 0,
      lastStream: "",
      lastRevision: 0,
      lastMessage: ""
    },
    key: (event) => isError(event) ? event.type : [],
    on: (before, event) => {
      const [categories, otherCategories] = share(before.categories, before.otherCategories, categoryOf(event.streamId))
      const [days, earlierEvents] = countDay(before.days, before.earlierEvents, event)
      return {
        ...extend(before, event),
        categories,
        otherCategories,
        days,
        earlierEvents,
        lastStream: event.streamId,
        lastRevision: event.revision,
        lastMessage: messageOf(event, fields) ?? before.lastMessage
      }
    }
  })
}

/**
 * Counts the events that tell of an error, by the usual words: {@link makeErrors}
 * without options.
 *
 * @category projections
 * @since 0.1.0
 */
export const errors: StateProjection<typeof ErrorStatistics.Type> = makeErrors()

/**
 * Returns the projections that ever failed, the one that failed last first: the
 * other half of what can be known of errors.
 *
 * @category reading
 * @since 0.1.0
 */
export const projectionFailures: Effect.Effect<ReadonlyArray<ProjectionRecord>, StorageError, CheckpointStore> = Effect
  .map(
    CheckpointStore.use((store) => store.list),
    (records) =>
      records
        .filter(({ failure }) => failure !== undefined)
        .sort((a, b) => lastFailedMillis(b) - lastFailedMillis(a))
  )

/**
 * All built-in projections.
 *
 * @category projections
 * @since 0.1.0
 */
export const all: ReadonlyArray<Projection> = [eventTypeCounts, streamActivity, errors, categoryStatistics]

// internal

/** Names that one state counts by; bounds its size. */
const SHARES_MAX = 50

/** Days that one state counts by, more than a year; bounds its size. */
const DAYS_MAX = 400

/** No category is called so: it ends before the first dash. */
const NO_CATEGORY = "-"

const MESSAGE_LENGTH_MAX = 500

/** Where a message stands, the plainest first, after what says that it is an error. */
const MESSAGE_FIELDS = ["message", "reason", "detail", "description", "code"]

type Extent = typeof Extent.Type

function emptyExtent(): Extent {
  return { events: 0, firstPosition: 0, lastPosition: 0, firstAt: "", lastAt: "" }
}

function extend({ events, firstAt, firstPosition }: Extent, { position, recordedAt }: RecordedEvent): Extent {
  const at = DateTime.formatIso(recordedAt)
  return {
    events: events + 1,
    firstPosition: events === 0 ? position : firstPosition,
    lastPosition: position,
    firstAt: events === 0 ? at : firstAt,
    lastAt: at
  }
}

type Shares = ReadonlyArray<typeof Share.Type>

/** Counts a name, or an other one when there are too many. */
const share = (shares: Shares, others: number, name: string): readonly [Shares, number] => {
  const index = shares.findIndex((each) => each.name === name)
  if (index >= 0) return [shares.map((each, at) => at === index ? { name, events: each.events + 1 } : each), others]
  return shares.length < SHARES_MAX ? [[...shares, { name, events: 1 }], others] : [shares, others + 1]
}

type Days = ReadonlyArray<typeof DayCount.Type>

/** Time never runs against position, so an event is of the last day or of a later one. */
const countDay = (days: Days, earlier: number, { recordedAt }: RecordedEvent): readonly [Days, number] => {
  const day = DateTime.formatIsoDateUtc(recordedAt)
  const last = days.at(-1)
  if (last?.day === day) return [[...days.slice(0, -1), { day, events: last.events + 1 }], earlier]
  const [first] = days
  return first === undefined || days.length < DAYS_MAX
    ? [[...days, { day, events: 1 }], earlier]
    : [[...days.slice(1), { day, events: 1 }], earlier + first.events]
}

const fieldOf = (value: unknown, field: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, field)
    ? (value as Readonly<Record<string, unknown>>)[field]
    : undefined

const saysSomething = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== false && value !== ""

const messageOf = ({ data, metadata }: RecordedEvent, fields: ReadonlyArray<string>): string | undefined => {
  for (const part of [data, metadata]) {
    for (const field of [...fields, ...MESSAGE_FIELDS]) {
      const value = fieldOf(part, field)
      for (const text of [value, ...MESSAGE_FIELDS.map((inner) => fieldOf(value, inner))]) {
        if (typeof text === "string" && text !== "") return cut(text)
      }
    }
  }
  return undefined
}

/** One line, and no half of a character. */
const cut = (text: string): string =>
  text.slice(0, MESSAGE_LENGTH_MAX).replace(/\s+|\p{Cc}/gu, " ").toWellFormed().trim()

const lastFailedMillis = ({ failure }: ProjectionRecord): number => failure?.lastAt.epochMilliseconds ?? 0
