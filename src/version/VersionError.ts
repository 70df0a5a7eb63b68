/**
 * What can be wrong with versions: of a registry, of an event's data, of a step.
 *
 * **Details**
 *
 * No error holds data of an event. Paths lead to the value, `data.lines[0].qty`,
 * so keys of records are in them; reasons hold what was expected, never what was found.
 * A schema's own messages are used as they are: keep values out of them.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Revision } from "../event/Revision.ts"
import { StreamId } from "../event/StreamId.ts"

/**
 * Schema for what is wrong in a registry.
 *
 * **Details**
 *
 * `Gap`: a version has no way to the newest one. `Cycle`: steps lead in a
 * circle. `Backward`: a step leads to an older version. `Unreachable`: a step
 * begins or ends at a version that does not exist.
 *
 * @category models
 * @since 0.1.0
 */
export const RegistryProblem = Schema.Struct({
  reason: Schema.Literals([
    "InvalidName",
    "InvalidVersion",
    "InvalidDeprecation",
    "InvalidWrite",
    "DuplicateType",
    "DuplicateVersion",
    "DuplicateStep",
    "Unreachable",
    "Backward",
    "Cycle",
    "Gap",
    "NotJson"
  ]),
  type: Schema.String,
  /** What is wrong, with the path of versions where there is one: `1 -> 2 -x- 4`. */
  detail: Schema.String
})

/**
 * Type of {@link RegistryProblem}.
 *
 * @category models
 * @since 0.1.0
 */
export type RegistryProblem = typeof RegistryProblem.Type

/**
 * Represents a registry that could meet an event which it cannot read, or that
 * says two things about one event. Nothing was read or written with it.
 *
 * @category errors
 * @since 0.1.0
 */
export class RegistryInvalid
  extends Schema.TaggedError<RegistryInvalid>("effect-event-store/version/VersionError/RegistryInvalid")(
    "RegistryInvalid",
    { problems: Schema.Array(RegistryProblem) }
  )
{
  override get message(): string {
    return this.problems.map(({ detail, reason, type }) => `${type}: ${detail} (${reason})`).join("\n")
  }
}

/** Where an event stands, when it was recorded already. */
const place = { streamId: Schema.optionalKey(StreamId), revision: Schema.optionalKey(Revision) }

/**
 * Represents data that its version's schema refuses: on the way in nothing was
 * written, on the way out the event was stored like that.
 *
 * @category errors
 * @since 0.1.0
 */
export class EventDataInvalid
  extends Schema.TaggedError<EventDataInvalid>("effect-event-store/version/VersionError/EventDataInvalid")(
    "EventDataInvalid",
    {
      type: Schema.String,
      /** Version whose schema refuses the data. */
      version: Schema.Int,
      /** Where in the event: `data.lines[0].qty`. */
      path: Schema.String,
      reason: Schema.String,
      ...place
    }
  )
{
  override get message(): string {
    return `${describeEvent(this)} breaks its schema at ${this.path}: ${this.reason}`
  }
}

/**
 * Represents a step that failed on an event: it threw, or what it returned
 * breaks the schema of the version that it leads to.
 *
 * @category errors
 * @since 0.1.0
 */
export class UpcastFailed
  extends Schema.TaggedError<UpcastFailed>("effect-event-store/version/VersionError/UpcastFailed")("UpcastFailed", {
    type: Schema.String,
    /** Version in which the event is stored. */
    version: Schema.Int,
    /** The step that failed leads from this version … */
    from: Schema.Int,
    /** … to this one. */
    to: Schema.Int,
    /** Where in what the step returned; `data` when it threw. */
    path: Schema.String,
    reason: Schema.String,
    ...place
  })
{
  override get message(): string {
    return `${
      describeEvent(this)
    }: the step from version ${this.from} to ${this.to} failed at ${this.path}: ${this.reason}`
  }
}

/**
 * Represents versions between which no steps lead upwards.
 *
 * @category errors
 * @since 0.1.0
 */
export class UpcastMissing
  extends Schema.TaggedError<UpcastMissing>("effect-event-store/version/VersionError/UpcastMissing")("UpcastMissing", {
    type: Schema.String,
    from: Schema.Number,
    to: Schema.Number
  })
{
  override get message(): string {
    return `No steps of ${this.type} lead from version ${this.from} to version ${this.to}`
  }
}

/**
 * Represents versions between which no steps lead downwards: one of them is
 * one-way, or the older version does not exist.
 *
 * @category errors
 * @since 0.1.0
 */
export class DowncastMissing
  extends Schema.TaggedError<DowncastMissing>("effect-event-store/version/VersionError/DowncastMissing")(
    "DowncastMissing",
    { type: Schema.String, from: Schema.Number, to: Schema.Number }
  )
{
  override get message(): string {
    return `No steps of ${this.type} lead down from version ${this.from} to version ${this.to}`
  }
}

/**
 * Represents a step that failed on the way down to an older version: it threw,
 * or what it returned breaks the older schema.
 *
 * @category errors
 * @since 0.1.0
 */
export class DowncastFailed
  extends Schema.TaggedError<DowncastFailed>("effect-event-store/version/VersionError/DowncastFailed")(
    "DowncastFailed",
    {
      type: Schema.String,
      /** The step that failed leads down from this version … */
      from: Schema.Int,
      /** … to this one. */
      to: Schema.Int,
      path: Schema.String,
      reason: Schema.String
    }
  )
{
  override get message(): string {
    return `${this.type}: the step down from version ${this.from} to ${this.to} failed at ${this.path}: ${this.reason}`
  }
}

/**
 * Represents an event whose type or version the registry does not know.
 *
 * @category errors
 * @since 0.1.0
 */
export class EventUnknown
  extends Schema.TaggedError<EventUnknown>("effect-event-store/version/VersionError/EventUnknown")("EventUnknown", {
    type: Schema.String,
    /** `undefined` when it was not recorded yet. */
    version: Schema.UndefinedOr(Schema.Number),
    /** Newest version that the registry knows, `undefined` when it does not know the type. */
    newest: Schema.UndefinedOr(Schema.Int),
    ...place
  })
{
  override get message(): string {
    const known = this.newest === undefined
      ? "the registry has no such type"
      : `the registry knows versions up to ${this.newest}`
    return `${describeEvent(this)} is unknown: ${known}`
  }
}

/**
 * Everything that decoding a recorded event can answer instead of the event.
 *
 * @category errors
 * @since 0.1.0
 */
export type DecodeError = EventDataInvalid | UpcastFailed | EventUnknown

/**
 * Everything that lowering an event to an older version can answer instead.
 *
 * @category errors
 * @since 0.1.0
 */
export type LowerError = EventDataInvalid | EventUnknown | DowncastMissing | DowncastFailed

/**
 * Everything that encoding a proposed event can answer instead of the event.
 * {@link DowncastFailed} comes only from a type that is written in an older version.
 *
 * @category errors
 * @since 0.1.0
 */
export type EncodeError = EventDataInvalid | EventUnknown | DowncastFailed

// internal

const describeEvent = (event: {
  readonly type: string
  readonly version: number | undefined
  readonly streamId?: string
  readonly revision?: number
}): string => {
  const stored = event.streamId === undefined ? "" : ` at revision ${event.revision} of stream ${event.streamId}`
  return `${event.type}${event.version === undefined ? "" : `, version ${event.version}`}${stored}`
}
