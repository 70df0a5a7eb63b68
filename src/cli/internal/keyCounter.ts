/**
 * Counts how often a key was seen, in 8 to 32 bytes a key.
 *
 * @since 0.1.0
 */

/**
 * Returns how often `key` (a whole number above 0 and below 2^53) was asked for
 * before.
 *
 * @category models
 * @since 0.1.0
 */
export type KeyCounter = (key: number) => number

/**
 * Makes a {@link KeyCounter}: an open hash table of doubles, at most half full,
 * and a map of the keys that came again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeKeyCounter = (): KeyCounter => {
  let table = new Float64Array(CAPACITY_MIN)
  let used = 0
  const repeats = new Map<number, number>()

  return (key) => {
    const slot = slotOf(table, key)
    if (table[slot] === key) {
      const count = (repeats.get(key) ?? 0) + 1
      repeats.set(key, count)
      return count
    }
    table[slot] = key
    used++
    if (used * 2 > table.length) table = grow(table)
    return 0
  }
}

// internal

const CAPACITY_MIN = 1_024

/** The place of a key, or the free place where it belongs; keys are digests, so their low bits are spread. */
const slotOf = (table: Float64Array, key: number): number => {
  let slot = key % table.length
  while (table[slot] !== 0 && table[slot] !== key) slot = (slot + 1) % table.length
  return slot
}

const grow = (table: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
  const larger = new Float64Array(table.length * 2)
  for (const key of table) if (key !== 0) larger[slotOf(larger, key)] = key
  return larger
}
