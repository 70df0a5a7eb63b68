/**
 * What running a projection can answer instead of going on.
 *
 * **Details**
 *
 * No error holds data of an event: what a handler threw is told by its class
 * only. The database's own sentence on a refused statement is kept as it is.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { Position, Revision } from "../event/Revision.ts"
import { StreamId } from "../event/StreamId.ts"
import type { BuildMissing, HistoryChanged, ProjectionChanged } from "../store/CheckpointStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import type { RegistryInvalid } from "../version/VersionError.ts"

/**
 * Represents a projection that cannot be run as it is defined, or not on this
 * storage. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProjectionInvalid
  extends Schema.TaggedError<ProjectionInvalid>("effect-event-store/projection/ProjectionError/ProjectionInvalid")(
    "ProjectionInvalid",
    { name: Schema.String, problems: Schema.Array(Schema.String) }
  )
{
  override get message(): string {
    return `The projection ${JSON.stringify(this.name)} cannot be run: ${this.problems.join("; ")}`
  }
}

/**
 * Represents a projection that another runner has, or that is paused. Nothing
 * was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaseHeld
  extends Schema.TaggedError<LeaseHeld>("effect-event-store/projection/ProjectionError/LeaseHeld")("LeaseHeld", {
    name: Schema.String,
    version: Schema.Int,
    status: Schema.Literals(["running", "paused", "halted"]),
    /** Who has it; `undefined` when nobody has. */
    owner: Schema.UndefinedOr(Schema.String)
  })
{
  override get message(): string {
    const why = this.status === "running" ? `runner ${this.owner} has it` : `it is ${this.status}`
    return `The projection ${this.name}, version ${this.version}, cannot be taken: ${why}`
  }
}

/**
 * Represents something that would make a reactor do again what it has done.
 * Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReactorReplay
  extends Schema.TaggedError<ReactorReplay>("effect-event-store/projection/ProjectionError/ReactorReplay")(
    "ReactorReplay",
    { name: Schema.String }
  )
{
  override get message(): string {
    return `${this.name} is a reactor: it would do again what it has done, unless that is forced`
  }
}

/**
 * Represents a follower whose events another one has not seen that it comes
 * after, and that did not move for a while either. It stands before the first of
 * them.
 *
 * @category errors
 * @since 0.1.0
 */
export class DependencyBehind
  extends Schema.TaggedError<DependencyBehind>("effect-event-store/projection/ProjectionError/DependencyBehind")(
    "DependencyBehind",
    {
      name: Schema.String,
      version: Schema.Int,
      /** What it waits for. */
      dependency: Schema.String,
      /** How far that one has come. */
      reached: Position,
      /** Where the event stands that waits. */
      wanted: Position
    }
  )
{
  override get message(): string {
    return `The projection ${this.name}, version ${this.version}, comes after ${this.dependency}, which stands at position ${this.reached} and has to see ${this.wanted}: run it`
  }
}

/**
 * Represents an event that could not be applied. Nothing of it was written.
 *
 * **Details**
 *
 * `Undecodable`: it breaks its schema, or its version is unknown. `HandlerThrew`:
 * the handler, or the function of the key, threw. `HandlerFailed`: the effect of a
 * handler failed, or was interrupted. `HandlerTimedOut`: it did not end in its
 * time. `StateInvalid`: the state after it
 * breaks its schema, or its key is no name. `StatementFailed`: the database refused
 * one of its statements. `CommitRefused`: the database refused them at the end.
 *
 * @category errors
 * @since 0.1.0
 */
export class EventFailed
  extends Schema.TaggedError<EventFailed>("effect-event-store/projection/ProjectionError/EventFailed")("EventFailed", {
    position: Position,
    streamId: StreamId,
    revision: Revision,
    type: Schema.String,
    reason: Schema.Literals([
      "Undecodable",
      "HandlerThrew",
      "HandlerFailed",
      "HandlerTimedOut",
      "StateInvalid",
      "StatementFailed",
      "CommitRefused"
    ]),
    detail: Schema.String
  })
{
  override get message(): string {
    return `${this.type} at position ${this.position} (revision ${this.revision} of stream ${this.streamId}) could not be applied: ${this.detail} (${this.reason})`
  }
}

/**
 * Represents a projection that stands before an event that it cannot apply. All
 * events before it are applied, and it stays halted until it is started anew.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProjectionHalted
  extends Schema.TaggedError<ProjectionHalted>("effect-event-store/projection/ProjectionError/ProjectionHalted")(
    "ProjectionHalted",
    {
      name: Schema.String,
      version: Schema.Int,
      /** How often the event was tried. */
      attempts: Schema.Int,
      failure: EventFailed
    }
  )
{
  override get message(): string {
    return `The projection ${this.name}, version ${this.version}, halted after ${this.attempts} attempts: ${this.failure.message}`
  }
}

/**
 * Represents more keys with parked events than a runner keeps in mind. The
 * projection stands before the event that would be one too many.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooManyParked
  extends Schema.TaggedError<TooManyParked>("effect-event-store/projection/ProjectionError/TooManyParked")(
    "TooManyParked",
    { name: Schema.String, version: Schema.Int, limit: Schema.Int }
  )
{
  override get message(): string {
    return `The projection ${this.name}, version ${this.version}, has ${this.limit} parked events: replay or discard them`
  }
}

/**
 * Represents a stored state that its schema cannot read: the schema was changed
 * without a new version.
 *
 * @category errors
 * @since 0.1.0
 */
export class StateUnreadable
  extends Schema.TaggedError<StateUnreadable>("effect-event-store/projection/ProjectionError/StateUnreadable")(
    "StateUnreadable",
    { name: Schema.String, version: Schema.Int, key: Schema.String, detail: Schema.String }
  )
{
  override get message(): string {
    return `The state ${
      JSON.stringify(this.key)
    } of projection ${this.name}, version ${this.version}, breaks its schema: ${this.detail}: raise the version`
  }
}

/**
 * Everything that ends a run but the caller.
 *
 * @category errors
 * @since 0.1.0
 */
export type RunError =
  | InvalidInput
  | RegistryInvalid
  | ProjectionInvalid
  | ProjectionChanged
  | ProjectionHalted
  | HistoryChanged
  | BuildMissing
  | DependencyBehind
  | TooManyParked
  | StateUnreadable
  | StorageError
