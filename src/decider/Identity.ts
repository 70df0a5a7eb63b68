/**
 * Types of ids: checked, told apart by the compiler, and ordered by the time at
 * which they were made.
 *
 * @since 0.1.0
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"

/**
 * A schema of ids, with what makes and compares them.
 *
 * **Details**
 *
 * The order of the texts is the order of the times, to the millisecond; the ids
 * of one process are in order within a millisecond too.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identity<Name extends string> extends Schema.brand<Schema.String, Name> {
  /** Makes a new id, of the time of Effect's clock. */
  readonly generate: Effect.Effect<Schema.brand<Schema.String, Name>["Type"]>
  /** When the id was made, in milliseconds. */
  readonly timeOf: (id: Schema.brand<Schema.String, Name>["Type"]) => DateTime.Utc
  readonly order: Order.Order<Schema.brand<Schema.String, Name>["Type"]>
}

/**
 * Makes a type of ids that are UUIDs of version 7, in lower case with dashes.
 *
 * **Example**
 *
 * ```ts
 * const AccountId = Identity.uuidV7("AccountId")
 * type AccountId = typeof AccountId.Type
 *
 * const id: AccountId = yield* AccountId.generate
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const uuidV7 = <const Name extends string>(name: Name): Identity<Name> =>
  makeIdentity(name, {
    pattern: UUID_V7,
    expected: "a UUID of version 7 in lower case",
    generate: random.uuidV7(),
    millisOf: (id) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
  })

/**
 * Makes a type of ids that are ULIDs: 26 characters of Crockford's base 32, in
 * upper case.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ulid = <const Name extends string>(name: Name): Identity<Name> =>
  makeIdentity(name, {
    pattern: ULID,
    expected: "a ULID in upper case",
    generate: random.ulid,
    millisOf: (id) => Array.from(id.slice(0, 10)).reduce((millis, digit) => millis * 32 + CROCKFORD.indexOf(digit), 0)
  })

// internal

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** The first digit holds 3 bits: 26 digits of 5 bits are 2 more than 128. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

/** One generator for all ids of the process, which keeps them in order. */
const random = SecureRandom.make(SecureRandom.randomBytesUnsafe)

const makeIdentity = <Name extends string>(
  name: Name,
  { expected, generate, millisOf, pattern }: {
    readonly pattern: RegExp
    readonly expected: string
    readonly generate: Effect.Effect<string>
    readonly millisOf: (id: string) => number
  }
): Identity<Name> => {
  const schema = Schema.String.check(Schema.isPattern(pattern, { expected })).pipe(Schema.brand(name as "Identity"))
  return Object.assign(schema, {
    generate,
    timeOf: (id: string) => DateTime.makeUnsafe(millisOf(id)),
    order: Order.String
  }) as never
}
