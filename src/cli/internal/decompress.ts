/**
 * Streams of bytes that may be compressed.
 *
 * @since 0.1.0
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import { createGunzip, createZstdDecompress } from "node:zlib"

/**
 * Represents compressed input that is damaged or cut short.
 *
 * @category errors
 * @since 0.1.0
 */
export class InputDamaged extends Schema.TaggedError<InputDamaged>(
  "effect-event-store/cli/internal/decompress/InputDamaged"
)("InputDamaged", {
  format: Schema.Literals(["gzip", "zstd"]),
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `The ${this.format} input is damaged or cut short`
  }
}

/**
 * Decompresses gzip and zstd, known by their first bytes, and leaves anything
 * else as it is.
 *
 * @category combinators
 * @since 0.1.0
 */
export const decompress = <E, R>(
  source: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<Uint8Array, E | InputDamaged, R> =>
  Stream.unwrap(Effect.map(Stream.peel(source, firstBytes), ([start, rest]) => {
    const whole: Stream.Stream<Uint8Array, E> = Stream.concat(Stream.make(start), rest)
    return startsWith(start, GZIP)
      ? through(whole, "gzip", createGunzip)
      : startsWith(start, ZSTD)
      ? through(whole, "zstd", createZstdDecompress)
      : whole
  }))

// internal

/** RFC 1952, section 2.3.1. */
const GZIP = [0x1f, 0x8b]

/** RFC 8878, section 3.1.1: 0xFD2FB528, little endian. */
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd]

const startsWith = (bytes: Uint8Array, magic: ReadonlyArray<number>): boolean =>
  magic.every((byte, index) => bytes[index] === byte)

const NOTHING: Uint8Array = new Uint8Array()

/** The first chunks, until they hold enough bytes to know the format. */
const firstBytes = Sink.reduceWhile<Uint8Array, Uint8Array>(
  () => NOTHING,
  (bytes) => bytes.length < ZSTD.length,
  (bytes, chunk) => bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
)

const through = <E>(
  source: Stream.Stream<Uint8Array, E>,
  format: "gzip" | "zstd",
  evaluate: () => Duplex
): Stream.Stream<Uint8Array, E | InputDamaged> =>
  NodeStream.pipeThroughDuplex(source, { evaluate, onError: (cause) => new InputDamaged({ format, cause }) })
