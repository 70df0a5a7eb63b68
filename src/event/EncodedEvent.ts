/**
 * Proposed events, checked and put into the exact text that is stored.
 *
 * @since 0.1.0
 */
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import type { EventId, ProposedEvent } from "./Event.ts"
import { InvalidInput, type InvalidInputReason } from "./InvalidInput.ts"
import {
  BATCH_EVENTS_MAX,
  BATCH_SIZE_BYTES_MAX,
  EVENT_SIZE_BYTES_MAX,
  JSON_DEPTH_MAX,
  JSON_NODES_MAX,
  TAGS_MAX,
  VERSION_MAX
} from "./Limits.ts"
import { checkName, utf8SizeBytes } from "./Name.ts"

/**
 * An event as it goes to a storage: everything checked, its JSON written once.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncodedEvent {
  readonly id: EventId
  readonly type: string
  readonly version: number
  /** JSON text, exactly as it is stored. */
  readonly data: string
  /** JSON text of an object, or `undefined` for `{}`. */
  readonly metadata: string | undefined
  /** Sorted, without repeats. */
  readonly tags: ReadonlyArray<string>
  /** Bytes of `data` and `metadata` in UTF-8. */
  readonly sizeBytes: number
}

/**
 * Checks and encodes the events of one write, or says what is wrong with the
 * first bad one.
 *
 * **Details**
 *
 * An id is made for each event without one. `batch` counts events, bytes and
 * ids over all the writes of one append, so that its limits hold for the sum.
 *
 * Values that JSON would drop or change in silence are refused: `undefined`,
 * functions, symbols, bigints, `NaN` and infinities, maps, sets, dates and other
 * class instances (encode them with a Schema first), lone surrogates, cycles.
 * What is looked at is what JSON looks at: elements, and own enumerable
 * properties with string keys. `-0` becomes `0`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeEvents = (
  events: ReadonlyArray<ProposedEvent>,
  path: string,
  batch: BatchTally
): ReadonlyArray<EncodedEvent> | InvalidInput => {
  if (!Array.isArray(events) || events.length === 0) {
    return new InvalidInput({ reason: "EmptyBatch", path, detail: "an append needs at least one event" })
  }
  batch.events += events.length
  if (batch.events > BATCH_EVENTS_MAX) {
    return new InvalidInput({
      reason: "BatchTooLarge",
      path,
      detail: `an append holds at most ${BATCH_EVENTS_MAX} events, this one has ${batch.events}`
    })
  }
  const encoded = new Array<EncodedEvent>(events.length)
  for (let index = 0; index < events.length; index++) {
    const event = encodeEvent(events[index], path, index)
    if (event instanceof InvalidInput) return event
    const fault = tally(batch, event, path, index)
    if (fault !== undefined) return fault
    encoded[index] = event
  }
  return encoded
}

/**
 * Running sums of one append, over all its writes.
 *
 * @category models
 * @since 0.1.0
 */
export interface BatchTally {
  events: number
  sizeBytes: number
  ids: Set<string> | undefined
  first: string | undefined
}

/**
 * Makes an empty {@link BatchTally}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeBatchTally = (): BatchTally => ({ events: 0, sizeBytes: 0, ids: undefined, first: undefined })

/**
 * Says where a value is not plain JSON and why, or `undefined` when it is.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkJson = (value: unknown, path: string): InvalidInput | undefined => {
  const walk: Walk = { nodes: 0, ancestors: [], trail: [] }
  const fault = walkJson(value, walk)
  return fault === undefined
    ? undefined
    : new InvalidInput({ reason: fault[0], path: formatPath(path, walk.trail), detail: fault[1] })
}

/**
 * Puts a UUID of any notation into lower case with dashes, or returns
 * `undefined` when it is none.
 *
 * @category encoding
 * @since 0.1.0
 */
export const normalizeEventId = (id: unknown): EventId | undefined => {
  if (typeof id !== "string") return undefined
  if (CANONICAL_UUID.test(id)) return id as EventId
  const match = ANY_UUID.exec(id)
  return match === null
    ? undefined
    : `${match[1]}-${match[2]}-${match[3]}-${match[4]}-${match[5]}`.toLowerCase() as EventId
}

// internal

const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const ANY_UUID = /^(?:urn:uuid:|\{)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/i

const NO_TAGS: ReadonlyArray<string> = []

const encodeEvent = (event: unknown, path: string, index: number): EncodedEvent | InvalidInput => {
  const at = () => `${path}[${index}]`
  if (typeof event !== "object" || event === null) {
    return new InvalidInput({ reason: "NotJson", path: at(), detail: "expected an event" })
  }
  const proposed = event as ProposedEvent
  const { type, version = 1 } = proposed
  const id = proposed.id === undefined ? uuidV7Unsafe() as EventId : normalizeEventId(proposed.id)
  if (id === undefined) {
    return new InvalidInput({ reason: "InvalidIdentifier", path: `${at()}.id`, detail: "expected a UUID" })
  }
  if (typeof type !== "string" || !PLAIN_TYPE.test(type)) {
    const fault = checkName(type, `${at()}.type`)
    if (fault !== undefined) return fault
  }
  if (!Number.isInteger(version) || version < 1 || version > VERSION_MAX) {
    return new InvalidInput({
      reason: "InvalidVersion",
      path: `${at()}.version`,
      detail: `expected a whole number from 1 to ${VERSION_MAX}`
    })
  }
  const tags = proposed.tags === undefined ? NO_TAGS : encodeTags(proposed.tags, `${at()}.tags`)
  if (tags instanceof InvalidInput) return tags
  const data = encodeJson(proposed.data, () => `${at()}.data`)
  if (data instanceof InvalidInput) return data
  const metadata = encodeMetadata(proposed.metadata, () => `${at()}.metadata`)
  if (metadata instanceof InvalidInput) return metadata
  const sizeBytes = utf8SizeBytes(data) + (metadata === undefined ? 0 : utf8SizeBytes(metadata))
  if (sizeBytes > EVENT_SIZE_BYTES_MAX) {
    return new InvalidInput({
      reason: "EventTooLarge",
      path: at(),
      detail: `data and metadata hold at most ${EVENT_SIZE_BYTES_MAX} bytes of JSON, these have ${sizeBytes}`
    })
  }
  return { id, type, version, data, metadata, tags, sizeBytes }
}

/** Types that need no closer look. */
const PLAIN_TYPE = /^[A-Za-z0-9_.:/-]{1,200}$/

const tally = (batch: BatchTally, event: EncodedEvent, path: string, index: number): InvalidInput | undefined => {
  batch.sizeBytes += event.sizeBytes
  if (batch.sizeBytes > BATCH_SIZE_BYTES_MAX) {
    return new InvalidInput({
      reason: "BatchTooLarge",
      path: `${path}[${index}]`,
      detail: `an append holds at most ${BATCH_SIZE_BYTES_MAX} bytes of JSON`
    })
  }
  // a set is made for the second event only: most appends have one
  if (batch.first === undefined) {
    batch.first = event.id
    return undefined
  }
  batch.ids ??= new Set([batch.first])
  if (batch.ids.has(event.id)) {
    return new InvalidInput({
      reason: "DuplicateId",
      path: `${path}[${index}].id`,
      detail: `the id ${event.id} stands twice in this append`
    })
  }
  batch.ids.add(event.id)
  return undefined
}

const encodeTags = (tags: ReadonlyArray<string>, path: string): ReadonlyArray<string> | InvalidInput => {
  if (!Array.isArray(tags) || tags.length > TAGS_MAX) {
    return new InvalidInput({ reason: "InvalidIdentifier", path, detail: `expected at most ${TAGS_MAX} tags` })
  }
  for (let index = 0; index < tags.length; index++) {
    const fault = checkName(tags[index], `${path}[${index}]`)
    if (fault !== undefined) return fault
  }
  return tags.length === 1 ? [...tags] : [...new Set(tags)].sort()
}

const encodeMetadata = (metadata: unknown, path: () => string): string | undefined | InvalidInput => {
  if (metadata === undefined) return undefined
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) {
    return new InvalidInput({ reason: "NotJson", path: path(), detail: "expected a JSON object" })
  }
  const { causationId, correlationId } = metadata as {
    readonly causationId?: unknown
    readonly correlationId?: unknown
  }
  if (correlationId !== undefined && typeof correlationId !== "string") {
    return new InvalidInput({
      reason: "InvalidIdentifier",
      path: `${path()}.correlationId`,
      detail: "expected a string"
    })
  }
  if (causationId !== undefined && typeof causationId !== "string") {
    return new InvalidInput({ reason: "InvalidIdentifier", path: `${path()}.causationId`, detail: "expected a string" })
  }
  // `{ correlationId: undefined }` is what `correlationId: maybe` gives: leave such keys out
  const given = correlationId === undefined && "correlationId" in metadata ||
      causationId === undefined && "causationId" in metadata
    ? Object.fromEntries(
      Object.entries(metadata).filter(([name, value]) =>
        value !== undefined || (name !== "correlationId" && name !== "causationId")
      )
    )
    : metadata
  const text = encodeJson(given, path)
  return text === "{}" ? undefined : text
}

const encodeJson = (value: unknown, path: () => string): string | InvalidInput => {
  const walk: Walk = { nodes: 0, ancestors: [], trail: [] }
  try {
    const fault = walkJson(value, walk)
    if (fault !== undefined) {
      return new InvalidInput({ reason: fault[0], path: formatPath(path(), walk.trail), detail: fault[1] })
    }
    return JSON.stringify(value)
  } catch (cause) {
    // a getter or a proxy of the caller threw
    return new InvalidInput({
      reason: "NotJson",
      path: formatPath(path(), walk.trail),
      detail: `reading the value failed: ${cause instanceof Error ? cause.name : "it threw"}`
    })
  }
}

interface Walk {
  nodes: number
  readonly ancestors: Array<object>
  readonly trail: Array<string | number>
}

type Fault = readonly [reason: InvalidInputReason, detail: string]

const walkJson = (value: unknown, walk: Walk): Fault | undefined => {
  if (++walk.nodes > JSON_NODES_MAX) return ["TooManyValues", `more than ${JSON_NODES_MAX} values`]
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? undefined : ["IllFormedUnicode", "the string has a lone surrogate"]
    case "number":
      return Number.isFinite(value) ? undefined : ["NumberOutOfRange", "JSON has no NaN and no infinity"]
    case "boolean":
      return undefined
    case "object":
      return value === null ? undefined : walkObject(value, walk)
    default:
      return ["NotJson", `JSON has no ${typeof value}`]
  }
}

const walkObject = (value: object, walk: Walk): Fault | undefined => {
  if (walk.ancestors.length >= JSON_DEPTH_MAX) return ["TooDeep", `nested deeper than ${JSON_DEPTH_MAX}`]
  if (walk.ancestors.includes(value)) return ["CyclicPayload", "the value contains itself"]
  if (typeof (value as { readonly toJSON?: unknown }).toJSON === "function") {
    return ["NotJson", "expected plain JSON, got something with toJSON: encode it first"]
  }
  walk.ancestors.push(value)
  const fault = Array.isArray(value) ? walkArray(value, walk) : walkRecord(value, walk)
  if (fault !== undefined) return fault
  walk.ancestors.pop()
  return undefined
}

const walkArray = (value: ReadonlyArray<unknown>, walk: Walk): Fault | undefined => {
  if (value.length > JSON_NODES_MAX) return ["TooManyValues", `more than ${JSON_NODES_MAX} values`]
  for (let index = 0; index < value.length; index++) {
    const fault = walkJson(value[index], walk)
    if (fault !== undefined) {
      walk.trail.push(index)
      return fault
    }
  }
  return undefined
}

const walkRecord = (value: object, walk: Walk): Fault | undefined => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    return ["NotJson", `expected plain JSON, got an instance of ${className(prototype)}: encode it first`]
  }
  for (const key of Object.keys(value)) {
    const fault = !key.isWellFormed()
      ? ["IllFormedUnicode", "the key has a lone surrogate"] as const
      : walkJson((value as Readonly<Record<string, unknown>>)[key], walk)
    if (fault !== undefined) {
      walk.trail.push(key)
      return fault
    }
  }
  return undefined
}

const className = (prototype: unknown): string =>
  (prototype as { readonly constructor?: { readonly name?: string } }).constructor?.name ?? "a class"

/** The trail is collected from the inside out. */
const formatPath = (path: string, trail: ReadonlyArray<string | number>): string => {
  let text = path
  for (let index = trail.length - 1; index >= 0 && text.length < 200; index--) {
    const step = trail[index]
    text += typeof step === "number"
      ? `[${step}]`
      : /^[A-Za-z_$][\w$]*$/.test(step ?? "")
      ? `.${step}`
      : `[${JSON.stringify(step)}]`
  }
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
