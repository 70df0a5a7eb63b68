/**
 * Files of events, one JSON object a line, made as long as a workload wants them.
 */
import { readFileSync } from "node:fs"
import { zstdDecompressSync } from "node:zlib"

/**
 * Lines of a file, and from the second time on with the streams of a copy: so many in all, in pieces of some hundred
 * kilobytes.
 */
export const copiesOf = (file: string, lines: number): Iterable<Uint8Array> => {
  const all = linesOf(file)
  return Array.from({ length: Math.ceil(lines / LINES_OF_A_PIECE) }).keys().map((piece) => {
    const from = piece * LINES_OF_A_PIECE
    const numbers = Array.from({ length: Math.min(LINES_OF_A_PIECE, lines - from) }, (_, index) => from + index)
    return Buffer.from(
      numbers.map((number) => `${copyOf(all[number % all.length] ?? "", Math.floor(number / all.length))}\n`).join("")
    )
  })
}

/**
 * How many bytes {@link copiesOf} gives.
 */
export const ndjsonBytesOf = (file: string, lines: number): number => {
  let bytes = 0
  for (const piece of copiesOf(file, lines)) bytes += piece.length
  return bytes
}

// internal

const LINES_OF_A_PIECE = 1_000

const linesOf = (file: string): ReadonlyArray<string> => {
  const bytes = readFileSync(file)
  const text = (file.endsWith(".zst") ? zstdDecompressSync(bytes) : bytes).toString().trimEnd()
  const lines = text.split("\n")
  const odd = lines.findIndex((line) => !STREAM.test(line))
  if (odd >= 0) throw new Error(`${file}, line ${odd + 1}: does not begin with "stream"`)
  return lines
}

const STREAM = /^\{"stream":"([^"\\]+)"/

/** The line in a stream of the copy; the first one is the file itself. */
const copyOf = (line: string, copy: number): string =>
  copy === 0 ? line : line.replace(STREAM, (_, stream) => `{"stream":"${stream}-${copy}"`)
