/**
 * Commands and queries as they come from outside: a name, and a schema of what
 * they say.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A kind of command or query.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message<Name extends string, Payload, Encoded = unknown> {
  readonly name: Name
  readonly schema: Schema.Codec<Payload, Encoded>
  /** What it does, for those who look at the bus. */
  readonly description: string | undefined
}

/**
 * Represents what a message says and its schema refuses. Nothing was run.
 *
 * @category errors
 * @since 0.1.0
 */
export class MessageInvalid
  extends Schema.TaggedError<MessageInvalid>("effect-event-store/command/Message/MessageInvalid")("MessageInvalid", {
    name: Schema.String,
    /** Where in the message: `lines[0].qty`; empty for all of it. */
    path: Schema.String,
    reason: Schema.String
  })
{
  override get message(): string {
    return `${this.name} is invalid${this.path === "" ? "" : ` at ${this.path}`}: ${this.reason}`
  }
}

/**
 * Represents a message that nobody handles.
 *
 * @category errors
 * @since 0.1.0
 */
export class MessageUnknown
  extends Schema.TaggedError<MessageUnknown>("effect-event-store/command/Message/MessageUnknown")("MessageUnknown", {
    name: Schema.String
  })
{
  override get message(): string {
    return `Nobody handles ${JSON.stringify(this.name)}`
  }
}

/**
 * Represents handlers that no bus can be made of: two have the same name.
 *
 * @category errors
 * @since 0.1.0
 */
export class BusInvalid extends Schema.TaggedError<BusInvalid>("effect-event-store/command/Message/BusInvalid")(
  "BusInvalid",
  { duplicates: Schema.Array(Schema.String) }
) {
  override get message(): string {
    return `More than one handler for ${this.duplicates.join(", ")}`
  }
}

/**
 * Makes a kind of command or query of a name and fields, or a schema that needs
 * no services.
 *
 * **Example**
 *
 * ```ts
 * const Deposit = Message.make("Deposit", { account: AccountId, amount: Schema.Number })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <
    const Name extends string,
    const Fields extends { readonly [key: string]: Schema.ConstraintCodec<unknown, unknown> }
  >(
    name: Name,
    fields: Fields,
    options?: MessageOptions
  ): Message<Name, Schema.Struct<Fields>["Type"], Schema.Struct<Fields>["Encoded"]>
  <const Name extends string, Payload, Encoded>(
    name: Name,
    schema: Schema.Codec<Payload, Encoded>,
    options?: MessageOptions
  ): Message<Name, Payload, Encoded>
} = (name: string, shape: unknown, options: MessageOptions = {}): never => {
  const schema = Schema.isSchema(shape) ? shape : Schema.Struct(shape as Schema.Struct.Fields)
  return { name, schema, description: options.description } as never
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageOptions {
  readonly description?: string | undefined
}
