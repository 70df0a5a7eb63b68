/**
 * Numbers, texts and bytes one after the other, as `docs/backup-format.md` says.
 *
 * A number is written in groups of 7 bits, the lowest first, with the eighth bit
 * set on all but the last (LEB128); at most 8 groups, so every safe integer fits.
 */
import { isUtf8 } from "node:buffer"
import type { InvalidInputReason } from "../../event/InvalidInput.ts"

/** Says what cannot be written, or what the bytes are not. Caught inside this room. */
export class BytesFault extends TypeError {
  readonly reason: InvalidInputReason

  constructor(reason: InvalidInputReason, message: string) {
    super(message)
    this.reason = reason
  }
}

/** Writes into memory that grows. */
export class ByteWriter {
  buffer: Buffer
  size = 0

  constructor(capacity: number) {
    this.buffer = Buffer.allocUnsafe(capacity)
  }

  /** Makes room for this many more bytes. */
  reserve(bytes: number): void {
    if (this.size + bytes <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.size + bytes, this.buffer.length * 2))
    this.buffer.copy(larger, 0, 0, this.size)
    this.buffer = larger
  }

  /** Gives away what was written and begins anew, in memory of its own. */
  take(): Buffer {
    const taken = Buffer.from(this.buffer.subarray(0, this.size))
    this.size = 0
    return taken
  }

  /** A whole number from 0 to 2^53 - 1. */
  uint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new BytesFault("NumberOutOfRange", "expected a whole number from 0 to 2^53 - 1")
    }
    this.reserve(8)
    const { buffer } = this
    let rest = value
    let at = this.size
    while (rest >= 0x8000_0000) {
      buffer[at++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    while (rest >= 128) {
      buffer[at++] = (rest & 127) | 128
      rest >>>= 7
    }
    buffer[at++] = rest
    this.size = at
  }

  /** A whole number whose double is safe: 0, -1, 1, -2, … become 0, 1, 2, 3, … */
  int(value: number): void {
    this.uint(value < 0 ? -2 * value - 1 : 2 * value)
  }

  /** The text's size in bytes of UTF-8, and the bytes. */
  text(value: string): void {
    if (!value.isWellFormed()) throw new BytesFault("IllFormedUnicode", "the text has a lone surrogate")
    const { length } = value
    this.reserve(length * 3 + 8)
    // most texts are ASCII: the size's place is guessed from the length
    const prefix = sizeOfUint(length)
    const bytes = this.buffer.write(value, this.size + prefix, "utf8")
    const needed = sizeOfUint(bytes)
    if (needed !== prefix) {
      this.buffer.copyWithin(this.size + needed, this.size + prefix, this.size + prefix + bytes)
    }
    this.uint(bytes)
    this.size += bytes
  }

  /** The count of bytes, and the bytes. */
  bytes(value: Uint8Array): void {
    this.uint(value.length)
    this.reserve(value.length)
    this.buffer.set(value, this.size)
    this.size += value.length
  }

  /** 8 bytes, IEEE 754, the lowest first. */
  float(value: number): void {
    this.reserve(8)
    this.size = this.buffer.writeDoubleLE(value, this.size)
  }

  /** The 16 bytes of a UUID in lower case. */
  uuid(value: string): void {
    this.reserve(16)
    const { buffer, size } = this
    if (value.length !== 36) throw new BytesFault("InvalidIdentifier", "expected a UUID in lower case")
    let at = size
    let check = 0
    for (let index = 0; index < 36; index += 2) {
      if (index === 8 || index === 13 || index === 18 || index === 23) {
        if (value.charCodeAt(index) !== DASH) check = -1
        index++
      }
      const byte = (digitOf(value.charCodeAt(index)) << 4) | digitOf(value.charCodeAt(index + 1))
      check |= byte
      buffer[at++] = byte
    }
    if (check < 0) throw new BytesFault("InvalidIdentifier", "expected a UUID in lower case")
    this.size = at
  }

  /** Begins a part that is preceded by its size; `end` takes what this returns. */
  begin(): number {
    this.reserve(4)
    this.size += 4
    return this.size
  }

  /** Ends the part that began there: its size stands before it, 4 bytes, the lowest first. */
  end(start: number): void {
    this.buffer.writeUInt32LE(this.size - start, start - 4)
  }
}

/** Reads what a `ByteWriter` wrote; whatever else it meets is a `BytesFault`. */
export class ByteReader {
  readonly buffer: Buffer
  at: number
  end: number

  constructor(buffer: Buffer, at = 0, end = buffer.length) {
    this.buffer = buffer
    this.at = at
    this.end = end
  }

  /** Whether all was read. */
  get isAtEnd(): boolean {
    return this.at === this.buffer.length
  }

  uint(): number {
    const { buffer } = this
    let at = this.at
    let byte = at < this.end ? buffer[at++] as number : endOfBytes()
    if (byte < 128) {
      this.at = at
      return byte
    }
    let value = byte & 127
    let factor = 128
    do {
      byte = at < this.end ? buffer[at++] as number : endOfBytes()
      value += (byte & 127) * factor
      factor *= 128
    } while (byte >= 128 && factor < FACTOR_MAX)
    // the shortest form only: one number, one way to write it
    if (byte === 0 || byte >= 128 || value > Number.MAX_SAFE_INTEGER) {
      throw new BytesFault("NumberOutOfRange", "not a number")
    }
    this.at = at
    return value
  }

  int(): number {
    const value = this.uint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  text(): string {
    const start = this.skip()
    return textOf(this.buffer, start, this.at)
  }

  bytes(): Uint8Array {
    const start = this.skip()
    return new Uint8Array(this.buffer.subarray(start, this.at))
  }

  /** Passes over a text or bytes, and returns where it begins; it ends at `at`. */
  skip(): number {
    const bytes = this.uint()
    if (bytes > this.end - this.at) endOfBytes()
    const start = this.at
    this.at = start + bytes
    return start
  }

  float(): number {
    return this.buffer.readDoubleLE(this.step(8))
  }

  uuid(): string {
    return uuidOf(this.buffer, this.step(16))
  }

  /** Passes over this many bytes, and returns where they begin. */
  step(bytes: number): number {
    if (bytes > this.end - this.at) endOfBytes()
    const start = this.at
    this.at = start + bytes
    return start
  }

  /** Takes the size that stands before a part, and returns where the part ends. */
  part(): number {
    const size = this.buffer.readUInt32LE(this.step(4))
    if (size > this.end - this.at) endOfBytes()
    return this.at + size
  }
}

/** The UUID whose 16 bytes stand there. */
export const uuidOf = (buffer: Buffer, at: number): string => {
  let digit = 0
  for (let index = at; index < at + 16; index++) {
    if (digit === 8 || digit === 13 || digit === 18 || digit === 23) digit++
    const byte = buffer[index] as number
    uuidText[digit++] = codeOf(byte >> 4)
    uuidText[digit++] = codeOf(byte & 15)
  }
  return uuidText.toString("latin1", 0, 36)
}

/** A UUID in letters: made at once, not of pieces that have to be collected. */
const uuidText = Buffer.alloc(36, "-")

const codeOf = (digit: number): number => digit < 10 ? digit + 48 : digit + 87

/** The text whose bytes stand there; what is not UTF-8 is a fault, not replaced. */
export const textOf = (buffer: Buffer, start: number, end: number): string => {
  const text = buffer.toString("utf8", start, end)
  if (text.includes(REPLACEMENT) && !isUtf8(buffer.subarray(start, end))) {
    throw new BytesFault("IllFormedUnicode", "a text is not UTF-8")
  }
  return text
}

/**
 * Gives the memory of bytes back that nobody looks at any more. The collector
 * would come for it, but late: it sees small objects, not what they hold.
 */
export const release = ({ buffer, byteLength, byteOffset }: Uint8Array): void => {
  // a part of something is somebody else's, too; what was inflated has a byte to spare
  if (buffer instanceof ArrayBuffer && byteOffset === 0 && buffer.byteLength <= byteLength + 1) buffer.transfer(0)
}

// internal

/** What takes the place of bytes that are not UTF-8. */
const REPLACEMENT = "\uFFFD"

const DASH = 45

/** 128^8: a ninth group would not fit a safe integer. */
const FACTOR_MAX = 128 ** 8

const sizeOfUint = (value: number): number =>
  value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : value < 268_435_456 ? 4 : 5

const digitOf = (code: number): number =>
  code >= 48 && code <= 57 ? code - 48 : code >= 97 && code <= 102 ? code - 87 : -1

const endOfBytes = (): never => {
  throw new BytesFault("InvalidIdentifier", "it ends in the middle of a value")
}
