/**
 * Reads tar archives of a cluster.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"

/** Major version of the PostgreSQL inside PGlite 0.5.16. */
export const CLUSTER_VERSION = "18"

/** The file of a cluster that tells its major version. */
export const VERSION_FILE = "PG_VERSION"

/** A file, or, without content, a directory. Its path is relative. */
export interface TarEntry {
  readonly path: string
  readonly content: Uint8Array | undefined
}

/** Reads the files and directories of a ustar archive; throws for a path that leads out of it. */
export const readTar = (archive: Uint8Array): ReadonlyArray<TarEntry> => {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength)
  const entries: Array<TarEntry> = []
  let at = 0
  while (at + BLOCK_SIZE_BYTES <= bytes.length && bytes[at] !== 0) {
    const prefix = text(bytes, at + 345, 155)
    const name = text(bytes, at, 100)
    const size = Number.parseInt(text(bytes, at + 124, 12), 8)
    const path = (prefix === "" ? name : `${prefix}/${name}`).replace(/^\/+|\/+$/g, "")
    if (path.split("/").includes("..") || !Number.isSafeInteger(size)) throw new Error(`bad archive entry ${path}`)
    const start = at + BLOCK_SIZE_BYTES
    const isDirectory = text(bytes, at + 156, 1) === "5"
    entries.push({ path, content: isDirectory ? undefined : bytes.subarray(start, start + size) })
    at = start + Math.ceil(size / BLOCK_SIZE_BYTES) * BLOCK_SIZE_BYTES
  }
  return entries
}

// internal

const BLOCK_SIZE_BYTES = 512

const text = (bytes: Buffer, at: number, size: number): string => {
  const end = bytes.indexOf(0, at)
  return bytes.toString("utf8", at, end < 0 || end > at + size ? at + size : end).trim()
}
