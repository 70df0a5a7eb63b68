import * as Effect from "effect/Effect"
import * as zlib from "node:zlib"
import type { BackupCodec } from "../BackupManifest.ts"

/** Makes bytes fewer, on a thread of the pool. */
export const compress = (bytes: Buffer, codec: BackupCodec, level: number): Effect.Effect<Buffer> => {
  switch (codec) {
    case "none":
      return Effect.succeed(bytes)
    case "gzip":
      return Effect.orDie(run((done) => zlib.gzip(bytes, { level, chunkSize: PIECE_BYTES }, done)))
    case "zstd": {
      const params = { [zlib.constants.ZSTD_c_compressionLevel]: level }
      return Effect.orDie(run((done) => zlib.zstdCompress(bytes, { params, chunkSize: PIECE_BYTES }, done)))
    }
  }
}

/** Brings bytes back; fails when they are not what was compressed, or when they would become more than declared. */
export const decompress = (bytes: Buffer, codec: BackupCodec, plainBytes: number): Effect.Effect<Buffer, Error> => {
  // in one piece: the declared size was checked against its limit; a full one makes the engine take another
  const options = { maxOutputLength: Math.max(1, plainBytes), chunkSize: Math.max(PIECE_BYTES_MIN, plainBytes + 1) }
  switch (codec) {
    case "none":
      return Effect.succeed(bytes)
    case "gzip":
      return run((done) => zlib.gunzip(bytes, options, done))
    case "zstd":
      return run((done) => zlib.zstdDecompress(bytes, options, done))
  }
}

export const crc32 = (bytes: Uint8Array): number => zlib.crc32(bytes)

/** Lowest and highest level of a codec. */
export const LEVELS = { none: [0, 0], gzip: [1, 9], zstd: [1, 22] } as const

/** The level that is quick and nearly as small as it gets (measured). */
export const LEVEL_DEFAULT = { none: 0, gzip: 6, zstd: 3 } as const

// internal

/** Memory that the engine fills at a time, in bytes; what it takes by itself would be 500 pieces a segment. */
const PIECE_BYTES = 1024 * 1024

/** The least memory that the engine takes. */
const PIECE_BYTES_MIN = 64

const run = (start: (done: (error: Error | null, result: Buffer) => void) => void): Effect.Effect<Buffer, Error> =>
  Effect.callback((resume) =>
    start((error, result) => resume(error === null ? Effect.succeed(result) : Effect.fail(error)))
  )
