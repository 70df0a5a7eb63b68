/**
 * Random choices that a seed repeats.
 */
export interface Random {
  /** A whole number from 0 to below the bound. */
  readonly int: (bound: number) => number
  readonly chance: (probability: number) => boolean
  /** An element; undefined of nothing. */
  readonly pick: <A>(of: ReadonlyArray<A>) => A | undefined
}

/**
 * Makes the choices of a seed (mulberry32).
 */
export const makeRandom = (seed: number): Random => {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (bound: number) => Math.floor(next() * bound)
  return { int, chance: (probability) => next() < probability, pick: (of) => of[int(of.length)] }
}
