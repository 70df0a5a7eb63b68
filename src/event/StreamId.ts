/**
 * Names of streams.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { InvalidInput } from "./InvalidInput.ts"
import { nameFault } from "./Name.ts"

/**
 * Schema for stream names: 1 to 512 bytes of UTF-8 without control characters,
 * not starting with `$`.
 *
 * **Details**
 *
 * The first dash ends the category: `order-42` is stream `42` of the category
 * `order`, and a name without a dash is a category by itself. 512 is
 * `NAME_SIZE_BYTES_MAX`, which `sql/migrations/0001_log.sql` checks too. Names
 * starting with `$` are kept for the store.
 *
 * **Example**
 *
 * ```ts
 * const account = StreamId.make("account-42")
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const StreamId = Schema.String.check(
  Schema.makeFilter((name: string) => streamIdFault(name))
).pipe(Schema.brand("StreamId"))

/**
 * Type of {@link StreamId}.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamId = typeof StreamId.Type

/**
 * Returns the category of a stream: what stands before the first dash, or the
 * whole name.
 *
 * @category getters
 * @since 0.1.0
 */
export const category = (streamId: string): string => {
  const dash = streamId.indexOf("-")
  return dash < 0 ? streamId : streamId.slice(0, dash)
}

/**
 * Checks a stream name and says what is wrong at `path`.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkStreamId = (streamId: unknown, path: string): InvalidInput | undefined => {
  const fault = streamIdFault(streamId)
  return fault === undefined ? undefined : new InvalidInput({ reason: "InvalidIdentifier", path, detail: fault })
}

// internal

const streamIdFault = (name: unknown): string | undefined =>
  nameFault(name) ??
    ((name as string).startsWith("$") ? "must not start with \"$\": such names are kept for the store" : undefined)
