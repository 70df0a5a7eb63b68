/**
 * What the kit throws when a scenario does not hold.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"
import * as Difference from "../decider/Difference.ts"

/**
 * Represents a scenario that ended otherwise than it should.
 *
 * **Details**
 *
 * Needs no test framework: it is an error whose message says what differs, and
 * `actual` and `expected` are where frameworks look for them.
 *
 * @category errors
 * @since 0.1.0
 */
export class AssertionFailed
  extends Schema.TaggedError<AssertionFailed>("effect-event-store/testing/AssertionFailed")("AssertionFailed", {
    detail: Schema.String,
    actual: Schema.Unknown,
    expected: Schema.Unknown
  })
{
  override get message(): string {
    return this.detail
  }
}

/**
 * Throws when two values differ, and says where.
 *
 * @category assertions
 * @since 0.1.0
 */
export const assertSame = (what: string, actual: unknown, expected: unknown): void => {
  const changes = Difference.between(plain(expected), plain(actual))
  if (changes.length === 0) return
  const legend = "(+ not expected, - missing, ~ expected -> actual)"
  throw new AssertionFailed({
    detail: `${what} not as expected ${legend}\n${Difference.format(changes)}`,
    actual,
    expected
  })
}

/**
 * Throws, with what was there and what should have been.
 *
 * @category assertions
 * @since 0.1.0
 */
export const fail = (message: string, actual: unknown, expected: unknown): never => {
  throw new AssertionFailed({
    detail: `${message}\n  expected: ${format(expected)}\n  actual:   ${format(actual)}`,
    actual,
    expected
  })
}

/**
 * Says whether a failure is the one that is expected: equal to it, of its class,
 * of its `_tag`, or what a function says yes to.
 *
 * @category assertions
 * @since 0.1.0
 */
export const isExpectedFailure = (actual: unknown, expected: ExpectedFailure<never>): boolean => {
  if (typeof expected === "string") return isTagged(actual) && actual._tag === expected
  if (typeof expected !== "function") {
    return Equal.equals(actual, expected) || Difference.between(plain(actual), plain(expected)).length === 0
  }
  const isClass = expected.prototype instanceof Error
  return isClass
    ? actual instanceof (expected as abstract new(...args: never) => unknown)
    : (expected as (failure: unknown) => boolean)(actual)
}

/**
 * How a failure is expected: as it is, by its class, by its `_tag`, or by a
 * function that says yes to it.
 *
 * @category models
 * @since 0.1.0
 */
export type ExpectedFailure<Failure> =
  | Failure
  | (abstract new(...args: never) => Failure)
  | (Failure extends { readonly _tag: infer Tag } ? Tag : never)
  | ((failure: Failure) => boolean)

// internal

const isTagged = (value: unknown): value is { readonly _tag: unknown } =>
  typeof value === "object" && value !== null && "_tag" in value

/** Errors and instances of classes are compared by their class and own properties. */
const plain = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(plain)
  if (!(value instanceof Error)) return value
  return { [value.name]: { ...value, message: value.message } }
}
