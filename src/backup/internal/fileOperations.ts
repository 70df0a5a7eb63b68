/**
 * What is done to the files of a directory.
 */
import { randomBytes } from "node:crypto"
import { constants } from "node:fs"
import type * as nodeFs from "node:fs/promises"
import { dirname, join } from "node:path"
import type { BackupStorageReason } from "../BackupError.ts"

/** The functions that are used, so that a test can let any of them fail. */
export type FileFunctions = Pick<
  typeof nodeFs,
  "mkdir" | "open" | "link" | "rename" | "unlink" | "lstat" | "readdir"
>

/** Bytes that are read at a time. */
export const PIECE_BYTES = 1024 * 1024

/** A name of ours is never a link to elsewhere; Windows has no such flag. */
export const NOFOLLOW = constants.O_NOFOLLOW ?? 0

const PART_PREFIX = ".part-"

/** Makes a directory and those above it, for its owner only, when they are not there. */
export const makeDirectory = async (fs: FileFunctions, directory: string): Promise<void> => {
  const first = await makeUpTo(fs, directory)
  if (first !== undefined) await flushUpTo(fs, dirname(directory), dirname(first))
}

/**
 * The first directory that was made, if any. One by one: Node's own way never ends where a directory answers that
 * what is to be made in it is not there, as `/proc` does.
 */
const makeUpTo = async (fs: FileFunctions, directory: string): Promise<string | undefined> => {
  const make = () => fs.mkdir(directory, { mode: 0o700 })
  try {
    await make()
    return directory
  } catch (cause) {
    const found = await look(fs, directory)
    if (found === "directory") return undefined
    if (codeOf(cause) === "EEXIST") {
      // of one that may not be entered, its first use says so
      if (found === "unknown") return undefined
      throw Object.assign(new Error("it is not a directory"), { code: "ENOTDIR" })
    }
    if (codeOf(cause) !== "ENOENT" || dirname(directory) === directory) throw cause
  }
  const first = await makeUpTo(fs, dirname(directory))
  try {
    await make()
    return first ?? directory
  } catch (cause) {
    // another process was quicker
    if (codeOf(cause) === "EEXIST") return first
    throw cause
  }
}

/** Whether it is a directory, or a link to one. */
const look = async (fs: FileFunctions, path: string): Promise<"directory" | "other" | "unknown"> => {
  try {
    return (await fs.lstat(`${path}/.`)).isDirectory() ? "directory" : "other"
  } catch (cause) {
    return ["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(cause)) ? "other" : "unknown"
  }
}

const flushUpTo = async (fs: FileFunctions, directory: string, last: string): Promise<void> => {
  await flushDirectory(fs, directory)
  if (directory !== last && dirname(directory) !== directory) await flushUpTo(fs, dirname(directory), last)
}

/** Writes a file that is not there yet, whole, and flushes it and its name to the disk. */
export const writeWhole = async (
  fs: FileFunctions,
  directory: string,
  path: string,
  bytes: Uint8Array
): Promise<void> => {
  const part = join(directory, `${PART_PREFIX}${randomBytes(12).toString("hex")}`)
  try {
    const file = await fs.open(part, "wx", 0o600)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await giveName(fs, part, path)
  } finally {
    // what cannot be removed is swept later, and hides no other failure
    await fs.unlink(part).catch(() => undefined)
  }
  await flushDirectory(fs, directory)
}

const giveName = async (fs: FileFunctions, part: string, path: string): Promise<void> => {
  try {
    await fs.link(part, path)
  } catch (cause) {
    if (!NO_LINKS.has(codeOf(cause))) throw cause
    // names are random or asked for before: two writers of one name do not meet here
    if (await statFile(fs, path) !== undefined) throw Object.assign(new Error("the file is there"), { code: "EEXIST" })
    await fs.rename(part, path)
  }
}

/** What a file system without hard links answers. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"])

/** Reads so many bytes, or as many as there are. */
export const readPiece = async (file: nodeFs.FileHandle, from: number, wanted: number): Promise<Uint8Array> => {
  const piece = new Uint8Array(wanted)
  const { bytesRead } = await file.read(piece, 0, wanted, from)
  if (bytesRead === 0 || bytesRead === wanted) return piece.subarray(0, bytesRead)
  // a file system may give less than there is
  const rest = await readPiece(file, from + bytesRead, wanted - bytesRead)
  piece.set(rest, bytesRead)
  return piece.subarray(0, bytesRead + rest.length)
}

/** Describes a file; `undefined` when there is none, or something else. */
export const statFile = async (fs: FileFunctions, path: string) => {
  try {
    const stats = await fs.lstat(path)
    return stats.isFile() ? { bytes: stats.size, modifiedMillis: stats.mtimeMs } : undefined
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}

/** Removes the parts that nobody has written to since; returns how many. */
export const removeParts = async (fs: FileFunctions, directory: string, before: number): Promise<number> => {
  const parts = (await fs.readdir(directory)).filter((name) => name.startsWith(PART_PREFIX))
  const removed = await Promise.all(parts.map(async (name) => {
    const path = join(directory, name)
    const found = await statFile(fs, path)
    if (found === undefined || found.modifiedMillis > before) return false
    await unlinkIfThere(fs, path)
    return true
  }))
  return removed.filter(Boolean).length
}

/** Removes a file that may be there. */
export const unlinkIfThere = async (fs: FileFunctions, path: string): Promise<void> => {
  try {
    await fs.unlink(path)
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT") throw cause
  }
}

/** Makes names outlive a power failure. */
export const flushDirectory = async (fs: FileFunctions, directory: string): Promise<void> => {
  let file: nodeFs.FileHandle
  try {
    file = await fs.open(directory, "r")
  } catch (cause) {
    // Windows does not open directories, and keeps their entries by itself
    if (codeOf(cause) === "EISDIR" || codeOf(cause) === "EPERM") return
    throw cause
  }
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : ""

const REASONS: Readonly<Record<string, BackupStorageReason>> = {
  ENOENT: "NotFound",
  EEXIST: "AlreadyExists",
  ENOSPC: "NoSpace",
  EDQUOT: "NoSpace",
  EFBIG: "NoSpace",
  EACCES: "AccessDenied",
  EPERM: "AccessDenied",
  EROFS: "AccessDenied",
  EMFILE: "Unavailable",
  ENFILE: "Unavailable",
  EAGAIN: "Unavailable",
  EBUSY: "Unavailable",
  ESTALE: "Unavailable",
  ETIMEDOUT: "Unavailable"
}

/** What a failure of the file system means. */
export const reasonOf = (cause: unknown): BackupStorageReason => REASONS[codeOf(cause)] ?? "Failed"

/** What it says to people. */
export const describe = (cause: unknown): string => {
  switch (reasonOf(cause)) {
    case "NotFound":
      return "it is not there"
    case "AlreadyExists":
      return "the file is there already"
    case "NoSpace":
      return "there is no space left"
    default:
      return cause instanceof Error ? cause.message : String(cause)
  }
}
