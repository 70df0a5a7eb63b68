import * as Effect from "effect/Effect"
import * as zlib from "node:zlib"
import type { SnapshotCompression } from "../../store/SnapshotStore.ts"

/** Makes bytes fewer, on a thread of the pool. */
export const compress = (
  bytes: Uint8Array,
  algorithm: SnapshotCompression,
  level: number
): Effect.Effect<Uint8Array> => {
  switch (algorithm) {
    case "none":
      return Effect.succeed(bytes)
    case "gzip":
      return Effect.map(run((done) => zlib.gzip(bytes, { level }, done)), (packed) => packed ?? bytes)
    case "zstd":
      return Effect.map(
        run((done) => zlib.zstdCompress(bytes, { params: { [zlib.constants.ZSTD_c_compressionLevel]: level } }, done)),
        (packed) => packed ?? bytes
      )
  }
}

/** Brings bytes back; `undefined` when they are not what was compressed, or more than they should be. */
export const decompress = (
  bytes: Uint8Array,
  algorithm: SnapshotCompression,
  plainBytes: number
): Effect.Effect<Uint8Array | undefined> => {
  // the engine wants room for at least one byte
  const options = { maxOutputLength: Math.max(1, plainBytes) }
  switch (algorithm) {
    case "none":
      return Effect.succeed(bytes)
    case "gzip":
      return run((done) => zlib.gunzip(bytes, options, done))
    case "zstd":
      return run((done) => zlib.zstdDecompress(bytes, options, done))
  }
}

/** Lowest and highest level of an algorithm. */
export const LEVELS = { none: [0, 0], gzip: [1, 9], zstd: [1, 22] } as const

/** The level that is quick and nearly as small as it gets. */
export const LEVEL_DEFAULT = { none: 0, gzip: 6, zstd: 3 } as const

// internal

const run = (
  start: (done: (error: Error | null, result: Uint8Array) => void) => void
): Effect.Effect<Uint8Array | undefined> =>
  Effect.callback((resume) => start((error, result) => resume(Effect.succeed(error === null ? result : undefined))))
