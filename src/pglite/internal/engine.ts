/**
 * One running PGlite, reduced to the three things the session needs of it.
 *
 * @since 0.1.0
 */
import type { PGlite, PGliteOptions } from "@electric-sql/pglite"
import type { Filesystem } from "@electric-sql/pglite/basefs"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { Blob, Buffer } from "node:buffer"
import { PgliteError } from "../PgliteError.ts"
import { describeFullDisk, makeHostFilesystem } from "./hostFilesystem.ts"
import { frameSize, HEADER_SIZE_BYTES, simpleQuery } from "./wire.ts"

/** A PostgreSQL session inside this process. */
export interface Engine {
  readonly serverVersion: string
  /**
   * Runs protocol messages to their end and returns the answer. A rejection
   * means that the module is broken: nothing more may be run on it, and what
   * became of these messages is unknown.
   */
  readonly run: (messages: Uint8Array) => Promise<Buffer>
  /** Ends the session in order, and releases its files and memory. */
  readonly close: () => Promise<void>
  /** Closes the files of a broken module, and writes nothing. */
  readonly discard: () => Promise<void>
}

/** What an engine is started with. */
export interface EngineOptions {
  /** The cluster's own directory; `undefined` keeps everything in memory. */
  readonly clusterDirectory: string | undefined
  /** Whether a commit waits until the disk has it. */
  readonly fsync: boolean
  /** An archive of a cluster to start from; only in memory. */
  readonly image: Uint8Array | undefined
  /** Server settings, as after `postgres -c`. */
  readonly settings: Readonly<Record<string, string>>
  /** Called after each flush to the disk. */
  readonly onFsync?: (() => void) | undefined
}

/** Starts PGlite; loads it first, so that nobody else pays for its 20 MB. */
export const open: (options: EngineOptions) => Effect.Effect<Engine, PgliteError> = Effect.fnUntraced(
  function*(options) {
    const module = yield* Effect.tryPromise({ try: () => import("@electric-sql/pglite"), catch: engineMissing })
    const { clusterDirectory } = options
    const fs = clusterDirectory === undefined ? undefined : makeHostFilesystem(clusterDirectory, options)
    return yield* Effect.tryPromise({
      try: () => module.PGlite.create(pgliteOptions(module.PGlite.defaultStartParams, options, fs)),
      catch: (cause) => cause
    }).pipe(
      Effect.flatMap((db) => engineOver(db, fs, clusterDirectory)),
      Effect.tapError(() => Effect.promise(() => fs?.closeFs() ?? Promise.resolve())),
      Effect.mapError((cause) => startFailed(options, cause))
    )
  }
)

// internal

const pgliteOptions = (
  defaults: ReadonlyArray<string>,
  options: EngineOptions,
  fs: Filesystem | undefined
): PGliteOptions => {
  const settings = options.fsync ? { ...options.settings, fsync: "on", wal_sync_method: "fsync" } : options.settings
  return {
    ...(fs === undefined ? {} : { fs }),
    ...(options.image === undefined ? {} : { loadDataDir: new Blob([options.image]) }),
    startParams: [
      ...(options.fsync ? defaults.filter((parameter) => parameter !== "-F") : defaults),
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
    ]
  }
}

const engineOver = (
  db: PGlite,
  fs: Filesystem | undefined,
  clusterDirectory: string | undefined
): Effect.Effect<Engine, unknown> => {
  const module = db.Module as unknown as WasmModule
  const breakage = watch(module)
  const explain = (cause: unknown): unknown => {
    const full = describeFullDisk(clusterDirectory)
    return full === undefined ? cause : new Error(full, { cause })
  }
  const run = (messages: Uint8Array): Promise<Buffer> => {
    const chunks: Array<Buffer> = []
    const onRawData = (bytes: Uint8Array): void => {
      chunks.push(Buffer.from(bytes))
    }
    return db.execProtocolRawStream(messages, { syncToFs: false, onRawData }).then(
      () => breakage.cause === undefined ? Buffer.concat(chunks) : Promise.reject(explain(breakage.cause)),
      (cause: unknown) => Promise.reject(explain(breakage.cause ?? cause))
    )
  }
  return Effect.tryPromise({ try: () => run(simpleQuery("SHOW server_version")), catch: (cause) => cause }).pipe(
    Effect.map((answer) => ({
      serverVersion: firstValue(answer),
      run,
      close: () => db.close(),
      discard: () => fs?.closeFs() ?? Promise.resolve()
    }))
  )
}

/** What we use of the WebAssembly module that PGlite drives. */
interface WasmModule {
  _PostgresMainLoopOnce: () => void
  stackRestore: (stackPointer: number) => void
}

/** Exit status by which PGlite's own code signals an SQL error. */
const SQL_ERROR_STATUS = 100

/**
 * Notes what breaks the module.
 *
 * **Details**
 *
 * PGlite 0.5.16 catches every exception of its main loop and goes on, also
 * after an overflow of the stack or an abort: the statement then seems to have
 * succeeded with no rows. Here such an exception is kept, and thrown again
 * where PGlite does not catch it, which is where it cleans up after the first.
 */
const watch = (module: WasmModule): { readonly cause: unknown } => {
  const breakage: { cause: unknown } = { cause: undefined }
  const { _PostgresMainLoopOnce: mainLoopOnce, stackRestore } = module
  module._PostgresMainLoopOnce = () => {
    try {
      mainLoopOnce()
    } catch (cause) {
      if (!(Predicate.hasProperty(cause, "status") && cause.status === SQL_ERROR_STATUS)) breakage.cause ??= cause
      throw cause
    }
  }
  module.stackRestore = (stackPointer) => {
    if (breakage.cause !== undefined) throw breakage.cause
    stackRestore(stackPointer)
  }
  return breakage
}

/** The first column of the first row of an answer, as text. */
const firstValue = (answer: Buffer): string => {
  let at = 0
  for (let size = frameSize(answer, at); size !== undefined; size = frameSize(answer, at)) {
    if (answer[at] === 0x44) {
      const length = answer.readInt32BE(at + HEADER_SIZE_BYTES + 2)
      const start = at + HEADER_SIZE_BYTES + 6
      return answer.toString("utf8", start, start + length)
    }
    at += size
  }
  throw new Error("the server did not tell its version")
}

const engineMissing = (cause: unknown): PgliteError =>
  new PgliteError({
    reason: "EngineMissing",
    what: "The embedded PostgreSQL did not load",
    why: describe(cause),
    fix: "Install the package @electric-sql/pglite 0.5.16",
    cause
  })

const startFailed = ({ clusterDirectory }: EngineOptions, cause: unknown): PgliteError => {
  const full = describeFullDisk(clusterDirectory)
  return new PgliteError({
    reason: "StartFailed",
    directory: clusterDirectory,
    what: `The embedded PostgreSQL did not start${clusterDirectory === undefined ? "" : ` on ${clusterDirectory}`}`,
    why: full ?? describe(cause),
    fix: clusterDirectory === undefined
      ? "Check that the process has 500 MB of memory"
      : full === undefined
      ? "Restore the directory from a backup, or use another one"
      : "Free some space: nothing that was committed is lost",
    cause
  })
}

const describe = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)
