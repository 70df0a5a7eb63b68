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
  const tally = makeDigestTally(self)
  for (const { id, position } of events) {
    tally.add(
      position,
      wordAt(id, 0, 4),
      wordAt(id, 9, 14),
      wordAt(id, 19, 24),
      wordAt(id, 28, 32)
    )
  }
  return tally.digest()
}

/**
 * A digest that grows in place.
 *
 * @category models
 * @since 0.1.0
 */
export interface DigestTally {
  /** Adds an event: its position, and its id in four words of 32 bits. */
  readonly add: (position: number, a: number, b: number, c: number, d: number) => void
  readonly digest: () => EventDigest
}

/**
 * Makes a {@link DigestTally} that goes on from a digest, for those who have ids
 * as bytes and many of them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeDigestTally = (from: EventDigest = EMPTY_DIGEST): DigestTally => {
  let count = from.count
  // adds modulo 2^32 by itself, and puts no number on the heap
  const lanes = Uint32Array.of(laneOf(from.digest, 0), laneOf(from.digest, 1))
  return {
    add: (position, a, b, c, d) => {
      count++
      lanes[0] = (lanes[0] as number) + hash(position, a, b, c, d, LANE_A)
      lanes[1] = (lanes[1] as number) + hash(position, a, b, c, d, LANE_B)
    },
    digest: () => ({ count, digest: digestOf(lanes[0] as number, lanes[1] as number) })
  }
}

/**
 * Joins the digests of two sets that have no event in common.
 *
 * @category combinators
 * @since 0.1.0
 */
export const addDigests = (self: EventDigest, that: EventDigest): EventDigest => ({
  count: self.count + that.count,
  digest: digestOf(
    (laneOf(self.digest, 0) + laneOf(that.digest, 0)) % LANE_SIZE,
    (laneOf(self.digest, 1) + laneOf(that.digest, 1)) % LANE_SIZE
  )
})

/**
 * Puts a digest together from the sums of its lanes, each less than 2^32.
 *
 * @category constructors
 * @since 0.1.0
 */
export const digestOf = (first: number, second: number): string => hex(first) + hex(second)

// internal

const LANE_SIZE = 2 ** 32

/** The value of each hexadecimal digit, by its code. */
const DIGITS = Uint8Array.from({ length: 103 }, (_, code) => parseInt(String.fromCharCode(code), 16) || 0)

/** Four digits, from one place on, and four more, from another, as one number. */
const wordAt = (id: string, high: number, low: number): number => halfAt(id, high) * 65_536 + halfAt(id, low)

const halfAt = (id: string, at: number): number =>
  digitAt(id, at) << 12 | digitAt(id, at + 1) << 8 | digitAt(id, at + 2) << 4 | digitAt(id, at + 3)

const digitAt = (id: string, at: number): number => DIGITS[id.charCodeAt(at)] ?? 0

const laneOf = (digest: string, lane: 0 | 1): number => parseInt(digest.slice(lane * 8, lane * 8 + 8), 16)

const hex = (value: number): string => value.toString(16).padStart(8, "0")

/**
 * Powers of the radix, each cut into its upper 15 and its lower 16 bits: a product
 * with 32 bits stays below 2^48, and a sum of five is exact as a double.
 */
interface Lane {
  readonly high4: number
  readonly low4: number
  readonly high3: number
  readonly low3: number
  readonly high2: number
  readonly low2: number
  readonly high1: number
  readonly low1: number
  readonly offset: number
}

const hash = (position: number, a: number, b: number, c: number, d: number, lane: Lane): number => {
  const first = position % DIGEST_PRIME
  const high = reduce(first * lane.high4 + a * lane.high3 + b * lane.high2 + c * lane.high1)
  const low = first * lane.low4 + a * lane.low3 + b * lane.low2 + c * lane.low1 + d
  const h = reduce(high * 65_536 + low)
  return times(times(h, h), reduce(h + lane.offset))
}

/** The product of two remainders: in two halves, because a double is exact up to 2^53. */
const times = (a: number, b: number): number => reduce(reduce(a * (b >>> 16)) * 65_536 + a * (b & 0xffff))

/** The remainder of a whole number below 2^53: modulo 2^31 - 1, every 2^31 counts as 1. */
const reduce = (value: number): number => {
  const folded = value - Math.floor(value / 2_147_483_648) * DIGEST_PRIME
  // below 2^31: a small integer, not a double on the heap
  return (folded < DIGEST_PRIME ? folded : folded - DIGEST_PRIME) | 0
}

const laneFrom = ({ offset, radix }: { readonly radix: number; readonly offset: number }): Lane => {
  const [r2, r3] = [times(radix, radix), times(times(radix, radix), radix)]
  const r4 = times(r2, r2)
  return {
    high4: r4 >>> 16,
    low4: r4 & 0xffff,
    high3: r3 >>> 16,
    low3: r3 & 0xffff,
    high2: r2 >>> 16,
    low2: r2 & 0xffff,
    high1: radix >>> 16,
    low1: radix & 0xffff,
    offset
  }
}

const [LANE_A, LANE_B] = [laneFrom(DIGEST_LANES[0]), laneFrom(DIGEST_LANES[1])]
