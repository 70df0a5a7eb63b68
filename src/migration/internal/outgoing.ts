/**
 * What becomes of an event of the source.
 */
import * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import { type EncodedEvent, encodeEvents, makeBatchTally } from "../../event/EncodedEvent.ts"
import type { EventMetadata, ProposedEvent, RecordedEvent } from "../../event/Event.ts"
import type { Proposed, TypedEvent } from "../../event/EventType.ts"
import { InvalidInput } from "../../event/InvalidInput.ts"
import type { PassedThrough, Registry } from "../../version/Registry.ts"
import { type EventNotCopied, explain, notCopied } from "../CopyError.ts"

/** A registry of whatever types. */
export type AnyRegistry = Pick<Registry<TypedEvent, PassedThrough>, "decode" | "encode">

/** An event as the target is to get it. */
export interface Outgoing {
  readonly source: RecordedEvent
  readonly streamId: string
  readonly event: ProposedEvent
  readonly encoded: EncodedEvent
}

/** `undefined` for an event that the policy of the registry leaves out. */
export type Transform = (event: RecordedEvent) => Result.Result<Outgoing | undefined, EventNotCopied>

/** Makes the function that puts events into the shape in which they are copied. */
export const makeTransform =
  (registry: AnyRegistry | undefined, versions: "newest" | "keep"): Transform => (source) => {
    const proposed = registry === undefined ? Result.succeed(asStored(source)) : lift(registry, versions, source)
    if (proposed._tag === "Failure") return Result.fail(proposed.failure)
    if (proposed.success === undefined) return NOTHING
    const event = proposed.success
    const encoded = encodeEvents([event], "", makeBatchTally())
    if (encoded instanceof InvalidInput) {
      return Result.fail(notCopied(source, { path: encoded.path.replace(/^\[0\]\.?/, ""), reason: encoded.detail }))
    }
    const [checked] = encoded
    return checked === undefined
      ? NOTHING
      : Result.succeed({ source, streamId: source.streamId, event, encoded: checked })
  }

// internal

const NOTHING = Result.succeed(undefined)

const lift = (
  registry: AnyRegistry,
  versions: "newest" | "keep",
  source: RecordedEvent
): Result.Result<ProposedEvent | undefined, EventNotCopied> => {
  const decoded = registry.decode(source)
  if (decoded._tag === "Failure") return Result.fail(notCopied(source, explain(decoded.failure)))
  if (decoded.success._tag === "None") return NOTHING
  const recorded = decoded.success.value
  // what is in the newest version already is copied as it is stored, with keys that the schema does not name
  if (versions === "keep" || "isUnknown" in recorded || recorded.version === recorded.storedVersion) {
    return Result.succeed(asStored(source))
  }
  const encoded = registry.encode(
    { ...asStored(source), type: recorded.type, data: recorded.data } as Proposed<TypedEvent>
  )
  return encoded._tag === "Failure"
    ? Result.fail(notCopied(source, explain(encoded.failure)))
    : Result.succeed(encoded.success)
}

const asStored = (source: RecordedEvent): ProposedEvent => ({
  id: source.id,
  type: source.type,
  version: source.version,
  data: source.data,
  metadata: withTime(source),
  tags: source.tags
})

/** The target has a clock of its own; when the event was recorded first stays with it. */
const withTime = ({ metadata, recordedAt }: RecordedEvent): EventMetadata =>
  metadata["recordedAt"] === undefined
    ? { ...metadata, recordedAt: DateTime.formatIso(recordedAt) } as EventMetadata
    : metadata as EventMetadata
