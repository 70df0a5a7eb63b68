/**
 * A data directory from nothing to a whole cluster, with no state between.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as FsPromises from "node:fs/promises"
import * as Path from "node:path"
import * as Process from "node:process"
import { PgliteError, type PgliteErrorReason } from "../PgliteError.ts"
import { HOLDER_FILE, LOCK_FILE } from "./directoryLock.ts"
import { fsyncPath } from "./hostFilesystem.ts"
import { CLUSTER_VERSION, readTar, type TarEntry, VERSION_FILE } from "./tar.ts"

/** Makes the directory and its parents, if they are absent, and returns its real path. */
export const prepare = (directory: string): Effect.Effect<string, PgliteError> =>
  Effect.try({
    try: () => {
      const path = Path.resolve(directory)
      const created = Fs.mkdirSync(path, { recursive: true, mode: 0o700 })
      if (created !== undefined) fsyncPath(Path.dirname(created))
      return Fs.realpathSync(path)
    },
    catch: (cause) => unusable(directory, cause)
  })

/**
 * Returns the path of the directory's cluster, which `image` is unpacked to if
 * there is none yet. The caller holds the directory's lock.
 *
 * **Details**
 *
 * A new cluster is written beside its place, flushed to the disk, and renamed:
 * it exists as a whole or not at all, and what a kill left behind is removed
 * by the next start.
 */
export const openCluster = <E, R>(
  directory: string,
  image: Effect.Effect<Uint8Array, E, R>
): Effect.Effect<string, E | PgliteError, R> =>
  Effect.gen(function*() {
    const cluster = Path.join(directory, CLUSTER)
    const isNew = yield* io(directory, () => {
      for (const name of Fs.readdirSync(directory)) {
        if (name.startsWith(UNFINISHED)) Fs.rmSync(Path.join(directory, name), { recursive: true, force: true })
      }
      return !Fs.existsSync(cluster)
    })
    if (!isNew) return yield* Effect.as(checkCluster(directory, cluster), cluster)
    yield* checkEmpty(directory)
    const entries = yield* Effect.map(image, readTar)
    const unfinished = Path.join(directory, `${UNFINISHED}${Process.pid}`)
    yield* io(directory, () => unpack(unfinished, entries))
    yield* Effect.tryPromise({
      try: () => flush(unfinished, entries),
      catch: (cause) => unusable(directory, cause)
    })
    yield* io(directory, () => {
      Fs.renameSync(unfinished, cluster)
      fsyncPath(directory)
    })
    return cluster
  })

// internal

/** Name of the cluster inside the data directory. */
const CLUSTER = "cluster"

/** How the name of a cluster starts that is being written; the process id follows. */
const UNFINISHED = "cluster.unfinished-"

/** Files of a directory that do not make it somebody else's. */
const isOurs = (name: string): boolean =>
  name.startsWith(".") || name === HOLDER_FILE || name === LOCK_FILE || name === "lost+found"

const io = <A>(directory: string, operation: () => A): Effect.Effect<A, PgliteError> =>
  Effect.try({ try: operation, catch: (cause) => unusable(directory, cause) })

const checkEmpty = (directory: string): Effect.Effect<void, PgliteError> =>
  Effect.gen(function*() {
    const foreign = (yield* io(directory, () => Fs.readdirSync(directory))).filter((name) => !isOurs(name))
    const [example] = foreign
    if (example === undefined) return
    return yield* new PgliteError({
      reason: "NotEmpty",
      directory,
      what: `${directory} is no data directory of an event store`,
      why: `It holds ${foreign.length} other files, ${example} among them`,
      fix: "Use an empty directory, or one that does not exist yet"
    })
  })

const checkCluster = (directory: string, cluster: string): Effect.Effect<void, PgliteError> =>
  Effect.gen(function*() {
    const missing = CLUSTER_FILES.find((file) => !Fs.existsSync(Path.join(cluster, file)))
    if (missing !== undefined) {
      return yield* new PgliteError({
        reason: "Damaged",
        directory,
        what: `The data in ${cluster} is damaged`,
        why: `The file ${missing} is missing`,
        fix: "Restore the directory from a backup, or use another one"
      })
    }
    const version = yield* io(directory, () => Fs.readFileSync(Path.join(cluster, VERSION_FILE), "utf8").trim())
    if (version === CLUSTER_VERSION) return
    return yield* new PgliteError({
      reason: "OtherVersion",
      directory,
      what: `The data in ${cluster} cannot be opened`,
      why: `It is of PostgreSQL ${version}, and the embedded one is PostgreSQL ${CLUSTER_VERSION}`,
      fix: "Export it with the version of the package that wrote it, and import it into a new directory"
    })
  })

/** Files without which PostgreSQL does not start. */
const CLUSTER_FILES = [VERSION_FILE, "global/pg_control", "pg_wal"]

const unpack = (root: string, entries: ReadonlyArray<TarEntry>): void => {
  Fs.mkdirSync(root, { mode: 0o700 })
  for (const entry of entries) {
    const path = Path.join(root, entry.path)
    if (entry.content === undefined) Fs.mkdirSync(path, { recursive: true, mode: 0o700 })
    else {
      Fs.mkdirSync(Path.dirname(path), { recursive: true, mode: 0o700 })
      Fs.writeFileSync(path, entry.content, { mode: 0o600 })
    }
  }
}

/** Flushes all files, then all directories: the disk orders neither for us. */
const flush = (root: string, entries: ReadonlyArray<TarEntry>): Promise<void> => {
  const files = entries.filter(({ content }) => content !== undefined).map(({ path }) => path)
  const directories = new Set(
    entries.flatMap(({ content, path }) => content === undefined ? [path] : Path.dirname(path))
  )
  const each = (paths: Iterable<string>): Promise<unknown> =>
    Promise.all(Array.from(paths, (path) => flushPath(Path.join(root, path))))
  return each(files).then(() => each(directories)).then(() => flushPath(root))
}

const flushPath = (path: string): Promise<void> =>
  FsPromises.open(path, "r").then((file) => file.sync().finally(() => file.close()))

const unusable = (directory: string, cause: unknown): PgliteError => {
  const { code = "unknown", message } = cause as NodeJS.ErrnoException
  const reason: PgliteErrorReason = code === "ENOTDIR" || code === "EEXIST" ? "NotADirectory" : "NotWritable"
  return new PgliteError({
    reason,
    directory,
    what: `${directory} cannot be used as a data directory`,
    why: reason === "NotADirectory" ? "It, or a part of its path, is a file" : message,
    fix: reason === "NotADirectory"
      ? "Name a directory, or a path that does not exist yet"
      : "Make it writable for this user, free space on its disk, or use another directory",
    cause
  })
}
