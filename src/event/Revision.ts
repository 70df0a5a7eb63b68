/**
 * Place in a stream, place in the log, and a writer's claim about a stream.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { InvalidInput } from "./InvalidInput.ts"
import { REVISION_MAX } from "./Limits.ts"

/**
 * Schema for places in a stream: 0, 1, 2, … without gaps, at most
 * `REVISION_MAX`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Revision = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: REVISION_MAX })).pipe(
  Schema.brand("Revision")
)

/**
 * Type of {@link Revision}.
 *
 * @category models
 * @since 0.1.0
 */
export type Revision = typeof Revision.Type

/**
 * Schema for places in the log: 1, 2, 3, … without gaps, in commit order.
 *
 * **Details**
 *
 * A safe integer. As the bound of a read, 0 is the place before the first
 * event.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Position = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).pipe(Schema.brand("Position"))

/**
 * Type of {@link Position}.
 *
 * @category models
 * @since 0.1.0
 */
export type Position = typeof Position.Type

/**
 * The place before the first event of the log.
 *
 * @category constants
 * @since 0.1.0
 */
export const START: Position = Position.make(0)

/**
 * A writer's claim about a stream: no claim, the stream has no events, it has
 * some, or its last revision is exactly this.
 *
 * @category models
 * @since 0.1.0
 */
export type ExpectedRevision = "any" | "noStream" | "streamExists" | number

/**
 * Says whether a claim holds for a stream's last revision (`undefined`: no
 * stream).
 *
 * @category predicates
 * @since 0.1.0
 */
export const isMet = (expected: ExpectedRevision, last: number | undefined): boolean => {
  switch (expected) {
    case "any":
      return true
    case "noStream":
      return last === undefined
    case "streamExists":
      return last !== undefined
    default:
      return expected === last
  }
}

/**
 * Checks a claim and says what is wrong at `path`.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkExpected = (expected: unknown, path: string): InvalidInput | undefined =>
  expected === "any" || expected === "noStream" || expected === "streamExists" || isRevision(expected)
    ? undefined
    : new InvalidInput({
      reason: "InvalidRevision",
      path,
      detail: `expected "any", "noStream", "streamExists" or a whole number from 0 to ${REVISION_MAX}`
    })

/**
 * Checks a revision and says what is wrong at `path`.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkRevision = (revision: unknown, path: string): InvalidInput | undefined =>
  isRevision(revision)
    ? undefined
    : new InvalidInput({
      reason: "InvalidRevision",
      path,
      detail: `expected a whole number from 0 to ${REVISION_MAX}`
    })

/**
 * Checks a position (0 included: before the first event) and says what is wrong
 * at `path`.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkPosition = (position: unknown, path: string): InvalidInput | undefined =>
  Number.isSafeInteger(position) && (position as number) >= 0
    ? undefined
    : new InvalidInput({
      reason: "InvalidPosition",
      path,
      detail: `expected a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`
    })

// internal

const isRevision = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= REVISION_MAX
