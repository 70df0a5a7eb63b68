/**
 * Appends, checked and encoded before any I/O.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import { type BatchTally, encodeEvents, makeBatchTally } from "../event/EncodedEvent.ts"
import { checkCondition } from "../event/EventQuery.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import { APPEND_STREAMS_MAX } from "../event/Limits.ts"
import { checkExpected } from "../event/Revision.ts"
import { checkStreamId, type StreamId } from "../event/StreamId.ts"
import type { AppendAllOptions, AppendOptions, StreamCondition, StreamWrite } from "./EventStore.ts"
import type { AppendRequest, EncodedWrite } from "./Storage.ts"

/**
 * Checks and encodes the options of `append`, or says what is wrong with them.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeAppend = (options: AppendOptions): AppendRequest | InvalidInput => {
  const tally = makeBatchTally()
  const write = encodeWrite(options, "", tally)
  if (write instanceof InvalidInput) return write
  const fault = options.condition === undefined ? undefined : checkCondition(options.condition, "condition")
  return fault ?? {
    writes: [write],
    streamConditions: [],
    condition: options.condition,
    eventCount: tally.events,
    sizeBytes: tally.sizeBytes
  }
}

/**
 * Checks and encodes the options of `appendAll`, or says what is wrong with
 * them.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeAppendAll = (options: AppendAllOptions): AppendRequest | InvalidInput => {
  const { condition, streamConditions = [] } = options
  if (!Array.isArray(options.writes) || !Array.isArray(streamConditions)) {
    return new InvalidInput({ reason: "EmptyBatch", path: "writes", detail: "expected lists of writes and of claims" })
  }
  if (options.writes.length + streamConditions.length > APPEND_STREAMS_MAX) {
    return new InvalidInput({
      reason: "BatchTooLarge",
      path: "writes",
      detail: `an append names at most ${APPEND_STREAMS_MAX} streams`
    })
  }
  const tally = makeBatchTally()
  const seen = new Set<string>()
  const writes: Array<EncodedWrite> = []
  for (const [index, write] of options.writes.entries()) {
    const encoded = encodeWrite(write, `writes[${index}].`, tally)
    if (encoded instanceof InvalidInput) return encoded
    const fault = checkUnseen(seen, encoded.streamId, `writes[${index}].streamId`)
    if (fault !== undefined) return fault
    writes.push(encoded)
  }
  if (!Arr.isArrayNonEmpty(writes)) {
    return new InvalidInput({ reason: "EmptyBatch", path: "writes", detail: "an append needs at least one write" })
  }
  const conditions = encodeStreamConditions(streamConditions, seen)
  if (conditions instanceof InvalidInput) return conditions
  const fault = condition === undefined ? undefined : checkCondition(condition, "condition")
  return fault ??
    { writes, streamConditions: conditions, condition, eventCount: tally.events, sizeBytes: tally.sizeBytes }
}

// internal

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null

const encodeWrite = (write: StreamWrite, at: string, tally: BatchTally): EncodedWrite | InvalidInput => {
  if (!isObject(write)) return new InvalidInput({ reason: "EmptyBatch", path: at, detail: "expected a write" })
  const { expected, streamId } = write
  const fault = checkStreamId(streamId, `${at}streamId`) ?? checkExpected(expected, `${at}expected`)
  if (fault !== undefined) return fault
  const events = encodeEvents(write.events, `${at}events`, tally)
  return events instanceof InvalidInput ? events : { streamId: streamId as StreamId, expected, events }
}

const encodeStreamConditions = (
  conditions: ReadonlyArray<StreamCondition>,
  seen: Set<string>
): AppendRequest["streamConditions"] | InvalidInput => {
  for (const [index, condition] of conditions.entries()) {
    const at = `streamConditions[${index}]`
    if (!isObject(condition)) return new InvalidInput({ reason: "InvalidQuery", path: at, detail: "expected a claim" })
    const { expected, streamId } = condition
    const fault = checkStreamId(streamId, `${at}.streamId`) ?? checkExpected(expected, `${at}.expected`) ??
      checkUnseen(seen, streamId, `${at}.streamId`)
    if (fault !== undefined) return fault
  }
  return conditions.map(({ expected, streamId }) => ({ streamId: streamId as StreamId, expected }))
}

const checkUnseen = (seen: Set<string>, streamId: string, path: string): InvalidInput | undefined => {
  if (seen.has(streamId)) {
    return new InvalidInput({
      reason: "DuplicateStream",
      path,
      detail: "a stream stands once in an append: put its events into one write"
    })
  }
  seen.add(streamId)
  return undefined
}
