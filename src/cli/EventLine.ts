/**
 * Events as lines of NDJSON, one shape for `export`, `import` and everything
 * that prints an event as JSON.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import { hash } from "node:crypto"
import { type EncodedEvent, encodeEvents, makeBatchTally, normalizeEventId } from "../event/EncodedEvent.ts"
import type { EventId, EventMetadata, ProposedEvent, RecordedEvent } from "../event/Event.ts"
import { InvalidInput, type InvalidInputReason } from "../event/InvalidInput.ts"
import { checkStreamId } from "../event/StreamId.ts"
import { makeKeyCounter } from "./internal/keyCounter.ts"
import { findLoss } from "./internal/strictJson.ts"

/**
 * An event as `export` writes it.
 *
 * **Details**
 *
 * `recordedAt` is when the event was recorded first, in whatever store;
 * `importedAt` is when this store recorded it, if it came from another. That
 * is how export, import and export again lose nothing: `import` keeps
 * `recordedAt` in the event's metadata, and {@link toEventLine} takes it out
 * again. A writer's own `metadata.recordedAt` goes the same way there and back.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventLine {
  readonly position: number
  readonly stream: string
  readonly revision: number
  readonly id: string
  readonly type: string
  readonly version: number
  readonly data: unknown
  readonly metadata: Readonly<Record<string, unknown>>
  readonly tags: ReadonlyArray<string>
  readonly recordedAt: string
  readonly importedAt?: string
}

/**
 * Puts a recorded event into the shape of a line.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toEventLine = (event: RecordedEvent): EventLine => {
  const stored = DateTime.formatIso(event.recordedAt)
  const { recordedAt, ...metadata } = event.metadata
  const isImported = typeof recordedAt === "string" && TIMESTAMP.test(recordedAt)
  return {
    position: event.position,
    stream: event.streamId,
    revision: event.revision,
    id: event.id,
    type: event.type,
    version: event.version,
    data: event.data,
    metadata: isImported ? metadata : event.metadata,
    tags: event.tags,
    recordedAt: isImported ? recordedAt : stored,
    ...(isImported ? { importedAt: stored } : undefined)
  }
}

/**
 * A line that was read and checked: an event and the stream it belongs to.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImportedLine {
  readonly number: number
  /** The line as it stood. */
  readonly text: string
  readonly streamId: string
  readonly event: ProposedEvent
  /** The same event as a storage gets it. */
  readonly encoded: EncodedEvent
}

/**
 * Why a line was not taken.
 *
 * @category models
 * @since 0.1.0
 */
export type LineFaultReason =
  | InvalidInputReason
  | "ByteOrderMark"
  | "DuplicateKey"
  | "InvalidUtf8"
  | "LineTooLong"
  | "MissingKey"
  | "UnknownKey"
  | "IdempotencyConflict"
  | "StreamTombstoned"

/**
 * What is wrong with a line. Holds nothing of what stands in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface LineFault {
  readonly reason: LineFaultReason
  readonly detail: string
}

/**
 * Reads lines into events, in their order.
 *
 * @category models
 * @since 0.1.0
 */
export interface LineReader {
  readonly read: (text: string, number: number) => ImportedLine | LineFault
}

/**
 * Makes a {@link LineReader}.
 *
 * **Details**
 *
 * A line is an object with `stream`, `type` and `data`, and maybe `metadata`,
 * `tags`, `id`, `version`, `time`. What `export` adds is read too: `recordedAt`
 * goes into the metadata unless it has one, and `position`, `revision` and
 * `importedAt` are given anew by the store. `time` goes into the metadata. Tags
 * that stand in the metadata are moved out of it when the line has none of its
 * own. Any other key is refused, and so is whatever JSON would lose in silence.
 *
 * An event without an id gets one that is made of its content and of how many
 * lines with the same content came before: UUIDv8 of SHA-256 over `namespace`,
 * stream, type, version, tags, data and metadata. So the same file gives the
 * same ids, two equal lines are two events, and a line that is changed, added or
 * taken out changes no id but its own. Two files that are not the same thing but
 * may hold equal lines need two namespaces.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLineReader = (namespace = ""): LineReader => {
  const seenBefore = makeKeyCounter()

  const makeId = (streamId: string, event: EncodedEvent): EventId => {
    const named = JSON.stringify([ID_NAMESPACE, namespace, streamId, event.type, event.version, event.tags])
    const content = hash("sha256", `${named}\n${event.data}\n${event.metadata ?? ""}`, "hex")
    // bits that are not part of the id; 0 marks a free place
    const times = seenBefore(Number.parseInt(content.slice(-12), 16) + 1)
    return toUuid(times === 0 ? content : hash("sha256", `${content}\n${times}`, "hex"))
  }

  return {
    read: (text, number) => {
      const line = parseLine(text.endsWith("\r") ? text.slice(0, -1) : text)
      if (isFault(line)) return line
      const event = toProposedEvent(line)
      if (isFault(event)) return event
      const encoded = encodeEvents([event], "", makeBatchTally())
      if (encoded instanceof InvalidInput) return toFault(encoded)
      const [checked] = encoded
      if (checked === undefined) return { reason: "EmptyBatch", detail: "no event" }
      const id = line["id"] === undefined ? makeId(line.stream, checked) : checked.id
      return { number, text, streamId: line.stream, event: { ...event, id }, encoded: { ...checked, id } }
    }
  }
}

/**
 * Says whether a line was refused.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isFault = (value: object): value is LineFault => "reason" in value && "detail" in value

/**
 * Reads a JSON text in which nothing gets lost, or says what would.
 *
 * @category encoding
 * @since 0.1.0
 */
export const parseJson = (text: string): { readonly value: unknown } | LineFault => {
  if (text.startsWith("\uFEFF")) return { reason: "ByteOrderMark", detail: "starts with a byte order mark" }
  try {
    const value: unknown = JSON.parse(text)
    return JSON.stringify(value) === text ? { value } : findLoss(text) ?? { value }
  } catch (cause) {
    return cause instanceof SyntaxError ? { reason: "NotJson", detail: describeSyntax(cause) } : {
      reason: "TooDeep",
      detail: "nested too deep"
    }
  }
}

// internal

/** Keeps ids of imports apart from any other use of SHA-256 over such text. */
const ID_NAMESPACE = "effect-event-store/import/1"

/** What `recordedAt` looks like in a line. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:/

const NIL_ID = "00000000-0000-0000-0000-000000000000"

type RawLine = Readonly<Record<string, unknown>> & { readonly stream: string; readonly type: string }

const REQUIRED_KEYS = ["stream", "type", "data"]

const KEYS = new Set([
  ...REQUIRED_KEYS,
  "metadata",
  "tags",
  "id",
  "version",
  "time",
  "position",
  "revision",
  "recordedAt",
  "importedAt"
])

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const parseLine = (text: string): RawLine | LineFault => {
  const parsed = parseJson(text)
  if (isFault(parsed)) return parsed
  const line = parsed.value
  if (!isRecord(line)) return { reason: "NotJson", detail: "expected a JSON object" }
  for (const key of Object.keys(line)) {
    if (!KEYS.has(key)) return { reason: "UnknownKey", detail: `expected only the keys ${[...KEYS].join(", ")}` }
  }
  for (const key of REQUIRED_KEYS) {
    if (!Object.hasOwn(line, key)) return { reason: "MissingKey", detail: `${key} is missing` }
  }
  return checkShape(line) ?? line as RawLine
}

const checkShape = (line: Readonly<Record<string, unknown>>): LineFault | undefined => {
  const fault = checkStreamId(line["stream"], "stream")
  if (fault !== undefined) return toFault(fault)
  if (typeof line["type"] !== "string") return { reason: "InvalidIdentifier", detail: "type: expected a string" }
  if (line["id"] !== undefined && normalizeEventId(line["id"]) === undefined) {
    return { reason: "InvalidIdentifier", detail: "id: expected a UUID" }
  }
  if (line["metadata"] !== undefined && !isRecord(line["metadata"])) {
    return { reason: "NotJson", detail: "metadata: expected a JSON object" }
  }
  if (line["tags"] !== undefined && !Array.isArray(line["tags"])) {
    return { reason: "InvalidIdentifier", detail: "tags: expected an array of strings" }
  }
  for (const key of ["time", "recordedAt"]) {
    if (line[key] !== undefined && typeof line[key] !== "string") {
      return { reason: "InvalidTime", detail: `${key}: expected a string` }
    }
  }
  return undefined
}

const toProposedEvent = (line: RawLine): ProposedEvent | LineFault => {
  const { id = NIL_ID, data, recordedAt, time, type, version } = line
  const given = isRecord(line["metadata"]) ? line["metadata"] : {}
  const { metadata, tags } = line["tags"] === undefined ? withoutTags(given) : { metadata: given, tags: line["tags"] }
  if (time !== undefined && metadata["time"] !== undefined && metadata["time"] !== time) {
    return { reason: "InvalidTime", detail: "time and metadata.time differ" }
  }
  return {
    id: id as string,
    type,
    version: version as number | undefined,
    data,
    metadata: {
      ...metadata,
      ...(time === undefined ? undefined : { time }),
      ...(recordedAt === undefined || metadata["recordedAt"] !== undefined ? undefined : { recordedAt })
    } as EventMetadata,
    tags: tags as ReadonlyArray<string> | undefined
  }
}

const withoutTags = (metadata: Readonly<Record<string, unknown>>) => {
  const { tags, ...rest } = metadata
  return Array.isArray(tags) && tags.every((tag) => typeof tag === "string")
    ? { metadata: rest, tags }
    : { metadata, tags: undefined }
}

const toFault = ({ detail, path, reason }: InvalidInput): LineFault => ({
  reason,
  detail: path === "" || path === "[0]" ? detail : `${path.replace(/^\[0\]\./, "")}: ${detail}`
})

/** V8 quotes the text in its messages; only the place is kept. */
const describeSyntax = (cause: SyntaxError): string => {
  const position = /position (\d+)/.exec(cause.message)?.[1]
  return position === undefined ? "not JSON: it ends too early" : `not JSON at column ${Number(position) + 1}`
}

const VARIANT = ["8", "9", "a", "b"]

const toUuid = (digest: string): EventId => {
  const variant = VARIANT[Number.parseInt(digest[16] ?? "0", 16) % VARIANT.length]
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-${variant}${digest.slice(17, 20)}-${
    digest.slice(20, 32)
  }` as EventId
}
