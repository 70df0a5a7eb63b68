/**
 * A count and a digest of a set of events, whatever the order: the proof that a
 * follower of the log saw each event once.
 *
 * @since 0.1.0
 */

/**
 * How many events were seen, and a digest of which ones.
 *
 * **Details**
 *
 * The digest is the sum of a hash of each event's position and id, in two lanes
 * of 32 bits, so it does not depend on the order and grows by addition: an event
 * that is left out, or seen twice, changes it. `DIGEST_LANES` says how, and one
 * SQL aggregate computes the same over the log. It guards against faults, not
 * against somebody who wants to deceive it.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventDigest {
  readonly count: number
  /** 16 hexadecimal digits in lower case. */
  readonly digest: string
}

/**
 * The digest of no event.
 *
 * @category constants
 * @since 0.1.0
 */
export const EMPTY_DIGEST: EventDigest = { count: 0, digest: "0".repeat(16) }

/**
 * The prime modulo which an event is hashed, 2^31 - 1: products of two
 * remainders fit PostgreSQL's `bigint`.
 *
 * @category constants
 * @since 0.1.0
 */
export const DIGEST_PRIME = 2_147_483_647

/**
 * Radix and offset of each lane.
 *
 * **Details**
 *
 * An event's five words are its position and its id in four parts of 32 bits.
 * A lane reads them as the digits of a number `h` in its radix, and adds
 * `h * h * (h + offset)`, all modulo `DIGEST_PRIME`, to its sum modulo 2^32: not
 * linear in the words, so the errors of neighbours do not make up for each other.
 *
 * @category constants
 * @since 0.1.0
 */
export const DIGEST_LANES = [
  { radix: 1_597_334_677, offset: 374_761_393 },
  { radix: 1_103_515_245, offset: 668_265_263 }
] as const

/**
 * Adds events to a digest.
 *
 * @category combinators
 * @since 0.1.0
 */
export const addEvents = (
  self: EventDigest,
  events: ReadonlyArray<{ readonly position: number; readonly id: string }>
): EventDigest => {
  let first = parseInt(self.digest.slice(0, 8), 16)
  let second = parseInt(self.digest.slice(8), 16)
  const [laneA, laneB] = DIGEST_LANES
  for (const { id, position } of events) {
    const a = parseInt(id.slice(0, 8), 16)
    const b = parseInt(id.slice(9, 13) + id.slice(14, 18), 16)
    const c = parseInt(id.slice(19, 23) + id.slice(24, 28), 16)
    const d = parseInt(id.slice(28), 16)
    first += hash(position, a, b, c, d, laneA.radix, laneA.offset)
    second += hash(position, a, b, c, d, laneB.radix, laneB.offset)
    if (first >= LANE_SIZE) first -= LANE_SIZE
    if (second >= LANE_SIZE) second -= LANE_SIZE
  }
  return { count: self.count + events.length, digest: digestOf(first, second) }
}

/**
 * Puts a digest together from the sums of its lanes, each less than 2^32.
 *
 * @category constructors
 * @since 0.1.0
 */
export const digestOf = (first: number, second: number): string => hex(first) + hex(second)

// internal

const LANE_SIZE = 2 ** 32

const hex = (value: number): string => value.toString(16).padStart(8, "0")

const hash = (position: number, a: number, b: number, c: number, d: number, radix: number, offset: number): number => {
  let h = position % DIGEST_PRIME
  h = (times(h, radix) + a) % DIGEST_PRIME
  h = (times(h, radix) + b) % DIGEST_PRIME
  h = (times(h, radix) + c) % DIGEST_PRIME
  h = (times(h, radix) + d) % DIGEST_PRIME
  return times(times(h, h), (h + offset) % DIGEST_PRIME)
}

/** The product of two remainders: in two halves, because a double is exact up to 2^53. */
const times = (a: number, b: number): number => {
  const high = Math.floor(b / 65_536)
  return (((a * high) % DIGEST_PRIME) * 65_536 + a * (b - high * 65_536)) % DIGEST_PRIME
}
