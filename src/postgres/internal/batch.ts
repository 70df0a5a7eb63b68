import type { Parameter } from "@effect/sql-pg/PgTypes"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import type { EncodedEvent } from "../../event/EncodedEvent.ts"
import type { EventId } from "../../event/Event.ts"
import type { ExpectedRevision, Position, Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { AppendResult } from "../../store/EventStore.ts"
import {
  AppendConditionFailed,
  Corrupt,
  IdempotencyConflict,
  PositionAheadOfLog,
  RevisionConflict,
  StorageError,
  StreamTombstoned
} from "../../store/EventStoreError.ts"
import type { AppendRequest, EncodedWrite } from "../../store/Storage.ts"

/** The statement that appends a batch, and its parameters. */
export interface BatchStatement {
  readonly text: string
  readonly parameters: ReadonlyArray<Parameter>
}

/** What became of one request of a batch. */
export type RequestOutcome = Result.Result<
  Arr.NonEmptyReadonlyArray<AppendResult>,
  | RevisionConflict
  | AppendConditionFailed
  | IdempotencyConflict
  | PositionAheadOfLog
  | StreamTombstoned
  | StorageError
>

/**
 * Writes the one statement for a batch: `append_one` for a lone plain event,
 * `append_many` for many requests that do not meet, `append_each` for all others.
 */
export const toStatement = (
  schema: string,
  requests: ReadonlyArray<AppendRequest>,
  options: { readonly checkIds: boolean; readonly notify: boolean }
): BatchStatement => {
  const lone = options.checkIds ? undefined : loneEvent(requests)
  if (lone !== undefined) return loneStatement(schema, lone, options.notify)
  const columns = toColumns(requests)
  const events = [
    array(columns.id, PgTypes.OID.uuid),
    array(columns.type, PgTypes.OID.text),
    array(columns.version, PgTypes.OID.int2),
    array(columns.data, PgTypes.OID.text),
    array(columns.metadata, PgTypes.OID.text),
    columns.hasTags ? array(columns.tags, PgTypes.OID.text) : NO_TEXTS
  ]
  const conditions = columns.condition.length === 0 ? NO_CONDITIONS : [
    array(columns.condition, PgTypes.OID.int4),
    array(columns.after, PgTypes.OID.int8),
    array(columns.types, PgTypes.OID.text),
    array(columns.match, PgTypes.OID.text)
  ]
  const common = [
    PgTypes.timestamptz(columns.isTimed ? columns.idFrom : null),
    PgTypes.timestamptz(columns.idTo === 0 ? null : columns.idTo),
    PgTypes.bool(options.checkIds),
    PgTypes.bool(options.notify)
  ]
  const writes = [
    array(columns.stream, PgTypes.OID.text),
    array(columns.expected, PgTypes.OID.int4),
    array(columns.count, PgTypes.OID.int4)
  ]
  const places = [array(columns.write, PgTypes.OID.int4), array(columns.index, PgTypes.OID.int4)]
  const set = asSet(requests)
  if (set !== undefined) {
    return {
      text:
        `SELECT outcome, NULL::text, revision, position::float8, last_position::float8, id FROM ${schema}.append_many(${MANY})`,
      parameters: [...writes, ...places, ...events, ...conditions, PgTypes.bool(set.isShared), ...common]
    }
  }
  const claims = columns.claim.length === 0 ? NO_CLAIMS : [
    array(columns.claim, PgTypes.OID.int4),
    array(columns.claimStream, PgTypes.OID.text),
    array(columns.claimExpected, PgTypes.OID.int4)
  ]
  return {
    text:
      `SELECT outcome, stream, revision, position::float8, last_position::float8, id FROM ${schema}.append_each(${EACH})`,
    parameters: [
      ...writes,
      array(columns.of, PgTypes.OID.int4),
      ...places,
      ...events,
      ...claims,
      ...conditions,
      ...common
    ]
  }
}

/** Reads the rows of a batch's statement: one a write, in order. */
export const toOutcomes = (
  requests: ReadonlyArray<AppendRequest>,
  rows: ReadonlyArray<ReadonlyArray<unknown>>
): ReadonlyArray<RequestOutcome> => {
  let next = 0
  return requests.map((request) => {
    const first = next
    next += request.writes.length
    return toRequestOutcome(request, rows.slice(first, next))
  })
}

/** Reads the rows of one request: one a write, in order. Ok is answered only for rows that came back. */
export const toRequestOutcome = (
  request: AppendRequest,
  rows: ReadonlyArray<ReadonlyArray<unknown>>
): RequestOutcome =>
  rows.length === request.writes.length
    ? toOutcome(request, (rows[0]?.length === 1 ? rows.map(([values]) => toLoneRow(request, values)) : rows) as Rows)
    : missing()

// internal

/** Above this many events the set body costs less than a statement a request (measured). */
const EACH_EVENTS_MAX = 8

interface Lone {
  readonly write: EncodedWrite
  readonly event: EncodedEvent
  readonly idTime: number
}

/** The event of a batch that is one append of one event without tags and condition, whose id has a time. */
const loneEvent = ([request, ...others]: ReadonlyArray<AppendRequest>): Lone | undefined => {
  if (request === undefined || others.length > 0) return undefined
  const { condition, eventCount, streamConditions, writes } = request
  const [write] = writes
  const [event] = write.events
  if (eventCount > 1 || event === undefined || event.tags.length > 0) return undefined
  const idTime = timeOf(event.id)
  return idTime === undefined || condition !== undefined || streamConditions.length > 0
    ? undefined
    : { write, event, idTime }
}

const loneStatement = (schema: string, { event, idTime, write }: Lone, notify: boolean): BatchStatement => ({
  text: `SELECT ${schema}.append_one(${ONE})`,
  parameters: [
    PgTypes.text(write.streamId),
    PgTypes.int4(toClaim(write.expected)),
    PgTypes.uuid(event.id),
    PgTypes.text(event.type),
    PgTypes.int2(event.version),
    PgTypes.text(event.data),
    PgTypes.text(event.metadata ?? null),
    PgTypes.timestamptz(idTime),
    PgTypes.bool(notify)
  ]
})

const placeholders = (count: number): string => Array.from({ length: count }, (_, index) => `$${index + 1}`).join(", ")
const ONE = placeholders(9)
const MANY = placeholders(20)
const EACH = placeholders(23)

const array = (values: ReadonlyArray<unknown>, oid: number): Parameter => Result.getOrThrow(PgTypes.array(values, oid))
const nullArray = (oid: number): Parameter => Result.getOrThrow(PgTypes.array(null, oid))
const NO_TEXTS = nullArray(PgTypes.OID.text)
const NO_INTEGERS = nullArray(PgTypes.OID.int4)
const NO_CLAIMS = [NO_INTEGERS, NO_TEXTS, NO_INTEGERS]
const NO_CONDITIONS = [NO_INTEGERS, nullArray(PgTypes.OID.int8), NO_TEXTS, NO_TEXTS]

/** Separates tags and types; a name has no control characters. */
const SEPARATOR = "\u001f"

const toColumns = (requests: ReadonlyArray<AppendRequest>) => {
  const columns = {
    stream: [] as Array<string>,
    expected: [] as Array<number>,
    count: [] as Array<number>,
    of: [] as Array<number>,
    write: [] as Array<number>,
    index: [] as Array<number>,
    id: [] as Array<string>,
    type: [] as Array<string>,
    version: [] as Array<number>,
    data: [] as Array<string>,
    metadata: [] as Array<string | null>,
    tags: [] as Array<string | null>,
    hasTags: false,
    claim: [] as Array<number>,
    claimStream: [] as Array<string>,
    claimExpected: [] as Array<number>,
    condition: [] as Array<number>,
    after: [] as Array<bigint>,
    types: [] as Array<string | null>,
    match: [] as Array<string | null>,
    isTimed: true,
    idFrom: Number.MAX_SAFE_INTEGER,
    idTo: 0
  }
  for (const [at, request] of requests.entries()) {
    for (const write of request.writes) {
      columns.stream.push(write.streamId)
      columns.expected.push(toClaim(write.expected))
      columns.count.push(write.events.length)
      columns.of.push(at + 1)
      for (const [index, event] of write.events.entries()) {
        columns.write.push(columns.stream.length)
        columns.index.push(index)
        columns.id.push(event.id)
        columns.type.push(event.type)
        columns.version.push(event.version)
        columns.data.push(event.data)
        columns.metadata.push(event.metadata ?? null)
        columns.tags.push(joined(event.tags))
        columns.hasTags ||= event.tags.length > 0
        readTime(columns, event.id)
      }
    }
    for (const claim of request.streamConditions) {
      columns.claim.push(at + 1)
      columns.claimStream.push(claim.streamId)
      columns.claimExpected.push(toClaim(claim.expected))
    }
    for (const item of request.condition?.query ?? []) {
      columns.condition.push(at + 1)
      columns.after.push(BigInt(request.condition?.after ?? 0))
      columns.types.push(joined(item.types))
      columns.match.push(joined(item.tags))
    }
  }
  return columns
}

const joined = (names: ReadonlyArray<string> | undefined): string | null =>
  names === undefined || names.length === 0 ? null : names.join(SEPARATOR)

const toClaim = (expected: ExpectedRevision): number => {
  switch (expected) {
    case "noStream":
      return -1
    case "any":
      return -2
    case "streamExists":
      return -3
    default:
      return expected
  }
}

/** A UUIDv7 begins with its time in milliseconds since 1970, in 12 hexadecimal digits. */
const timeOf = (id: string): number | undefined => {
  if (id[14] !== "7") return undefined
  const time = Number.parseInt(id.slice(0, 8), 16) * 0x1_0000 + Number.parseInt(id.slice(9, 13), 16)
  // what PostgreSQL and Date can both say; a forged time is looked up like no time
  return time > YEAR_9999_MS ? undefined : time
}

const readTime = (columns: { isTimed: boolean; idFrom: number; idTo: number }, id: string): void => {
  const time = timeOf(id)
  if (time === undefined) columns.isTimed = false
  else {
    if (time < columns.idFrom) columns.idFrom = time
    if (time > columns.idTo) columns.idTo = time
  }
}

const YEAR_9999_MS = 253_402_300_799_999

/** Whether requests that may be judged and recorded as a set share a stream; `undefined` when they may not be. */
const asSet = (requests: ReadonlyArray<AppendRequest>): { readonly isShared: boolean } | undefined => {
  if (requests.reduce((sum, { eventCount }) => sum + eventCount, 0) <= EACH_EVENTS_MAX) return undefined
  const claimed = new Set<string>()
  const written = new Set<string>()
  const recorded = new Set<string>()
  for (const { condition, streamConditions, writes } of requests) {
    const [{ events, expected, streamId }] = writes
    if (writes.length > 1 || streamConditions.length > 0) return undefined
    const isFree = expected === "any" && condition === undefined
    if (claimed.has(streamId) || (!isFree && written.has(streamId))) return undefined
    written.add(streamId)
    if (!isFree) claimed.add(streamId)
    if (condition !== undefined && condition.query.some((item) => mayMatch(item, recorded))) return undefined
    for (const event of events) note(recorded, event)
  }
  return { isShared: written.size < requests.length }
}

/** Whether an item of a condition may match an event before it in the batch; errs to yes. */
const mayMatch = (
  item: { readonly types?: ReadonlyArray<string> | undefined; readonly tags?: ReadonlyArray<string> | undefined },
  recorded: ReadonlySet<string>
): boolean =>
  item.tags !== undefined && item.tags.length > 0
    ? item.tags.every((tag) => recorded.has(tag))
    : item.types !== undefined && item.types.some((type) => recorded.has(SEPARATOR + type))

const note = (recorded: Set<string>, event: EncodedEvent): void => {
  recorded.add(SEPARATOR + event.type)
  for (const tag of event.tags) recorded.add(tag)
}

type Row = readonly [
  outcome: number,
  stream: StreamId | null,
  revision: Revision | null,
  position: Position | null,
  lastPosition: Position | null,
  id: EventId | null
]

type Rows = ReadonlyArray<Row>

/** `append_one` answers with one array of numbers; the id can only be that of its event. */
const toLoneRow = ({ writes: [{ events: [event] }] }: AppendRequest, values: unknown): ReadonlyArray<unknown> =>
  Array.isArray(values) ? [values[0], null, ...values.slice(1), event?.id ?? null] : []

const missing = (): RequestOutcome =>
  Result.fail(
    new StorageError({
      operation: "append",
      reason: new Corrupt({ detail: "the database did not return a row for every write: the events may be recorded" })
    })
  )

const toOutcome = (request: AppendRequest, rows: Rows): RequestOutcome => {
  const [first] = request.writes
  const [row] = rows
  if (row === undefined) return missing()
  const [outcome, stream, revision, position, , id] = row
  const streamId = stream ?? first.streamId
  switch (outcome) {
    case 0:
    case 1:
      return toResults(request, rows)
    case 2: {
      const expected = request.writes.find((write) => write.streamId === streamId)?.expected ??
        request.streamConditions.find((claim) => claim.streamId === streamId)?.expected ?? first.expected
      return Result.fail(new RevisionConflict({ streamId, expected, actual: revision ?? undefined }))
    }
    case 3:
      return position === null
        ? missing()
        : Result.fail(
          new AppendConditionFailed({ after: (request.condition?.after ?? 0) as Position, position })
        )
    case 4:
      return Result.fail(new StreamTombstoned({ streamId }))
    case 5:
      return position === null || id === null
        ? missing()
        : Result.fail(new IdempotencyConflict({ streamId: streamOf(request, id), id, position }))
    case 6:
      return position === null ? missing() : Result.fail(
        new PositionAheadOfLog({ position: (request.condition?.after ?? 0) as Position, head: position })
      )
    default:
      return missing()
  }
}

const streamOf = (request: AppendRequest, id: string): StreamId =>
  (request.writes.find((write) => write.events.some((event) => event.id === id)) ?? request.writes[0]).streamId

const toResults = (request: AppendRequest, rows: Rows): RequestOutcome => {
  const results: Array<AppendResult> = []
  for (const [index, write] of request.writes.entries()) {
    const [outcome, , firstRevision, firstPosition, lastPosition] = rows[index] ?? []
    if (typeof firstRevision !== "number" || typeof firstPosition !== "number") return missing()
    const more = write.events.length - 1
    results.push({
      streamId: write.streamId,
      firstRevision,
      revision: firstRevision + more as Revision,
      firstPosition,
      position: lastPosition ?? firstPosition + more as Position,
      alreadyAppended: outcome === 1
    })
  }
  return Arr.isArrayNonEmpty(results) ? Result.succeed(results) : missing()
}
