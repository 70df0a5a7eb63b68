/**
 * Bytes cut into lines.
 *
 * @since 0.1.0
 */
import { isUtf8 } from "node:buffer"

/**
 * Longest line, in bytes: 8 MiB. An event holds at most 1 MiB of JSON, which
 * escapes (`\u0041`) make up to six times as long.
 *
 * @category limits
 * @since 0.1.0
 */
export const LINE_SIZE_BYTES_MAX = 8 * 1024 * 1024

/**
 * One line as it stood, without its line feed.
 *
 * @category models
 * @since 0.1.0
 */
export type Line =
  | { readonly number: number; readonly text: string; readonly fault?: undefined }
  | {
    readonly number: number
    readonly fault: "InvalidUtf8" | "LineTooLong"
    /** What stood there; of a line that is too long, its first {@link LINE_SIZE_BYTES_MAX} bytes. */
    readonly bytes: Uint8Array
  }

/**
 * Cuts chunks of bytes into lines; holds one line in memory, and no more of it
 * than the limit.
 *
 * @category models
 * @since 0.1.0
 */
export interface LineSplitter {
  /** Lines that end in this chunk. */
  readonly push: (chunk: Uint8Array) => ReadonlyArray<Line>
  /** The last line, when no line feed ends it. */
  readonly end: () => ReadonlyArray<Line>
}

/**
 * Makes a {@link LineSplitter}, which counts lines from 1.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLineSplitter = (): LineSplitter => {
  let number = 0
  let pieces: Array<Uint8Array> = []
  let size = 0

  const hold = (bytes: Uint8Array) => {
    if (bytes.length === 0) return
    if (size <= LINE_SIZE_BYTES_MAX) pieces.push(bytes.subarray(0, LINE_SIZE_BYTES_MAX + 1 - size))
    size += bytes.length
  }
  const take = (): Buffer => {
    const bytes = Buffer.concat(pieces)
    pieces = []
    size = 0
    return bytes
  }

  return {
    push: (chunk) => {
      const lines: Array<Line> = []
      const first = chunk.indexOf(LINE_FEED)
      if (first < 0) {
        hold(chunk)
        return lines
      }
      let start = 0
      if (size > 0) {
        // the line that began in an earlier chunk
        hold(chunk.subarray(0, first))
        lines.push(toLine(++number, take()))
        start = first + 1
      }
      const last = chunk.lastIndexOf(LINE_FEED)
      if (last >= start) {
        const block = Buffer.from(chunk.buffer, chunk.byteOffset + start, last - start)
        for (const line of cut(block)) {
          lines.push(typeof line === "string" ? toTextLine(++number, line) : toLine(++number, line))
        }
      }
      hold(chunk.subarray(last + 1))
      return lines
    },
    end: () => size === 0 ? [] : [toLine(++number, take())]
  }
}

// internal

const LINE_FEED = 0x0a

/** Decodes a whole block at once where it can, else line by line. */
const cut = (block: Buffer): ReadonlyArray<string | Buffer> => {
  if (isUtf8(block)) return block.toString("utf8").split("\n")
  const lines: Array<Buffer> = []
  let start = 0
  for (let end = block.indexOf(LINE_FEED); end >= 0; end = block.indexOf(LINE_FEED, start)) {
    lines.push(block.subarray(start, end))
    start = end + 1
  }
  lines.push(block.subarray(start))
  return lines
}

const toTextLine = (number: number, text: string): Line =>
  text.length * 3 > LINE_SIZE_BYTES_MAX && Buffer.byteLength(text) > LINE_SIZE_BYTES_MAX
    ? toLine(number, Buffer.from(text))
    : { number, text }

const toLine = (number: number, bytes: Buffer): Line =>
  bytes.length > LINE_SIZE_BYTES_MAX
    ? { number, fault: "LineTooLong", bytes: bytes.subarray(0, LINE_SIZE_BYTES_MAX) }
    : isUtf8(bytes)
    ? { number, text: bytes.toString("utf8") }
    : { number, fault: "InvalidUtf8", bytes }
