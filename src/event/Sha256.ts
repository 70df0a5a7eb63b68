/**
 * SHA-256 without waiting: the platform's own answers with a promise only.
 *
 * @since 0.1.0
 */

/**
 * Hashes text as UTF-8 and returns the digest in lower-case hexadecimal.
 *
 * @category hashing
 * @since 0.1.0
 */
export const sha256 = (text: string): string => {
  const bytes = new TextEncoder().encode(text)
  const blocks = new DataView(new ArrayBuffer(Math.ceil((bytes.length + 9) / 64) * 64))
  new Uint8Array(blocks.buffer).set(bytes)
  blocks.setUint8(bytes.length, 0x80)
  blocks.setBigUint64(blocks.byteLength - 8, BigInt(bytes.length) * 8n)

  const state = Uint32Array.from(INITIAL)
  for (let offset = 0; offset < blocks.byteLength; offset += 64) compress(state, blocks, offset)
  return Array.from(state, (word) => word.toString(16).padStart(8, "0")).join("")
}

// internal

/** First 32 bits of the fractional parts of the square roots (FIPS 180-4, 5.3.3) and cube roots (4.2.2) of primes. */
const fraction = (root: number): number => Math.floor((root - Math.floor(root)) * 2 ** 32)

const primes = (count: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let candidate = 2; found.length < count; candidate++) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate)
  }
  return found
}

const INITIAL = primes(8).map((prime) => fraction(Math.sqrt(prime)))
const ROUND = Uint32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)))

const schedule = new Uint32Array(64)

const rotate = (word: number, bits: number): number => word >>> bits | word << 32 - bits

const at = (words: Uint32Array, index: number): number => words[index] ?? 0

const compress = (state: Uint32Array, blocks: DataView, offset: number): void => {
  for (let t = 0; t < 16; t++) schedule[t] = blocks.getUint32(offset + t * 4)
  for (let t = 16; t < 64; t++) {
    const w2 = at(schedule, t - 2)
    const w15 = at(schedule, t - 15)
    const s0 = rotate(w15, 7) ^ rotate(w15, 18) ^ w15 >>> 3
    const s1 = rotate(w2, 17) ^ rotate(w2, 19) ^ w2 >>> 10
    schedule[t] = at(schedule, t - 16) + s0 + at(schedule, t - 7) + s1
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state
  for (let t = 0; t < 64; t++) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    const t1 = h + s1 + (e & f ^ ~e & g) + at(ROUND, t) + at(schedule, t)
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
    const t2 = s0 + (a & b ^ a & c ^ b & c)
    h = g
    g = f
    f = e
    e = d + t1 | 0
    d = c
    c = b
    b = a
    a = t1 + t2 | 0
  }
  const words = [a, b, c, d, e, f, g, h]
  for (let index = 0; index < 8; index++) state[index] = at(state, index) + (words[index] ?? 0)
}
