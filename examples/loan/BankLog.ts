/**
 * The bank's log as a file: events as its own system wrote them.
 */
import { NodeStream } from "@effect/platform-node"
import { Schema, Stream } from "effect"
import { createGunzip, createZstdDecompress } from "node:zlib"

/** Represents a compressed file that is damaged or cut short. */
export class FileDamaged extends Schema.TaggedError<FileDamaged>("examples/loan/FileDamaged")("FileDamaged", {
  name: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.name} is damaged or cut short`
  }
}

/**
 * Puts the bank's own names back into the lines of a file: plain, or `.gz` or
 * `.zst` as its name says.
 *
 * **Details**
 *
 * The file has the tasks in English and keeps the activity, which is what the
 * bank wrote, in the metadata. Here it becomes the data, so that the store holds
 * what was really recorded then: version 1.
 */
export const restore = <E, R>(
  file: Stream.Stream<Uint8Array, E, R>,
  name: string
): Stream.Stream<Uint8Array, E | FileDamaged, R> =>
  decompress(file, name).pipe(
    // a byte a character: whatever is not touched stays as it is, whether it is UTF-8 or not
    Stream.map((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")),
    Stream.splitLines,
    Stream.mapArray((lines) => [Buffer.from(lines.map((line) => `${restoreLine(line)}\n`).join(""), "latin1")])
  )

const decompress = <E, R>(
  file: Stream.Stream<Uint8Array, E, R>,
  name: string
): Stream.Stream<Uint8Array, E | FileDamaged, R> => {
  const evaluate = name.endsWith(".zst") ? createZstdDecompress : name.endsWith(".gz") ? createGunzip : undefined
  return evaluate === undefined ? file : NodeStream.pipeThroughDuplex(file, {
    evaluate: () => evaluate(),
    onError: (cause) => new FileDamaged({ name, cause })
  })
}

const restoreLine = (line: string): string => {
  if (!line.includes("\"type\":\"WorkItem")) return line
  const event = parse(Buffer.from(line, "latin1").toString())
  const activity = event?.metadata?.activity
  if (typeof activity !== "string") return line
  return Buffer.from(JSON.stringify({ ...event, data: { activity } })).toString("latin1")
}

/** `undefined` for what is no JSON: the import says so, with the number of the line. */
const parse = (text: string): { readonly metadata?: { readonly activity?: unknown } } | undefined => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
