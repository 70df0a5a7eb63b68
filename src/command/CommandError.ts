/**
 * What a command can answer instead of a result, besides what its decider
 * rejects with and what the store refuses.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { Position, Revision } from "../event/Revision.ts"
import { StreamId } from "../event/StreamId.ts"
import type { AppendError, StorageError, StreamTombstoned } from "../store/EventStoreError.ts"
import type { DecodeError, EncodeError } from "../version/VersionError.ts"

/**
 * Represents a rule that broke: `decide`, `evolve` or another of the user's
 * functions threw, died, or returned what it must not. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class DecisionFailed
  extends Schema.TaggedError<DecisionFailed>("effect-event-store/command/CommandError/DecisionFailed")(
    "DecisionFailed",
    {
      /** The function that broke. */
      rule: Schema.String,
      /** What it was given: type of the event, or `_tag` of the command where it has one. */
      type: Schema.UndefinedOr(Schema.String),
      /** Version in which the event is stored. */
      version: Schema.UndefinedOr(Schema.Int),
      /** `undefined` for a decision over more than one stream. */
      streamId: Schema.UndefinedOr(StreamId),
      /** Revision of the event, or of the state that was decided on; `undefined` when the stream has no events. */
      revision: Schema.UndefinedOr(Revision),
      cause: Schema.Defect()
    }
  )
{
  override get message(): string {
    const of = this.type === undefined ? "" : ` of ${this.type}`
    const version = this.version === undefined ? "" : `, version ${this.version},`
    const revision = this.revision === undefined ? "" : ` at revision ${this.revision}`
    const stream = this.streamId === undefined ? "" : `${revision} of stream ${this.streamId}`
    // by its class only: what was thrown may hold data
    const thrown = this.cause instanceof Error ? this.cause.name : typeof this.cause
    return `${this.rule}${of}${version}${stream} failed: it threw ${thrown}`
  }
}

/**
 * Represents a command id that was used before for another command. Nothing was
 * written.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandIdReused
  extends Schema.TaggedError<CommandIdReused>("effect-event-store/command/CommandError/CommandIdReused")(
    "CommandIdReused",
    {
      commandId: Schema.String,
      /** Where the first event of the other command stands. */
      streamId: StreamId,
      revision: Revision,
      position: Position
    }
  )
{
  override get message(): string {
    return `Command id ${this.commandId} was used before for another command, whose event stands at revision ${this.revision} of stream ${this.streamId}`
  }
}

/**
 * Represents a key that another stream has reserved. Nothing was written.
 *
 * **Details**
 *
 * The key is not in the error: it may be personal data.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyTaken extends Schema.TaggedError<KeyTaken>("effect-event-store/command/CommandError/KeyTaken")(
  "KeyTaken",
  {
    /** What the key must be unique among. */
    scope: Schema.String,
    /** Stream that has the key. */
    owner: StreamId
  }
) {
  override get message(): string {
    return `The key is taken in ${this.scope}: stream ${this.owner} has it`
  }
}

/**
 * Represents a handler that cannot be made of its options.
 *
 * @category errors
 * @since 0.1.0
 */
export class HandlerInvalid
  extends Schema.TaggedError<HandlerInvalid>("effect-event-store/command/CommandError/HandlerInvalid")(
    "HandlerInvalid",
    { name: Schema.String, problems: Schema.Array(Schema.String) }
  )
{
  override get message(): string {
    return `The handler ${JSON.stringify(this.name)} cannot be made: ${this.problems.join("; ")}`
  }
}

/**
 * Everything that loading a state can answer instead of the state.
 *
 * @category errors
 * @since 0.1.0
 */
export type LoadError = InvalidInput | StreamTombstoned | StorageError | DecodeError | DecisionFailed

/**
 * Everything that a command can answer instead of a result, besides what its
 * decider rejects with.
 *
 * @category errors
 * @since 0.1.0
 */
export type CommandError = LoadError | EncodeError | AppendError | CommandIdReused
