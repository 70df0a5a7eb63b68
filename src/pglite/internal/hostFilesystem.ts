/**
 * PGlite's data directory on the host's disk, with an fsync that is one.
 *
 * @since 0.1.0
 */
import type { Filesystem } from "@electric-sql/pglite/basefs"
import * as Option from "effect/Option"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** Whether, and to whose knowledge, a flush reaches the disk. */
export interface HostFilesystemOptions {
  readonly fsync: boolean
  readonly onFsync?: (() => void) | undefined
}

/**
 * Mounts `directory` as the cluster of a PGlite.
 *
 * **Details**
 *
 * PGlite's own file system lets `fsync` return without a system call
 * (measured on 0.5.16 with strace: none in 1,000 commits). Here it is
 * `fdatasync(2)` for a segment of the write-ahead log, whose commits need its
 * bytes and its size only, as PostgreSQL itself does on Linux; and `fsync(2)`
 * for everything else, directories among it. On macOS Node makes either
 * `F_FULLFSYNC`.
 */
export const makeHostFilesystem = (directory: string, options: HostFilesystemOptions): Filesystem => {
  let mounted: HostModule | undefined
  return {
    init: (_, emscriptenOptions) =>
      Promise.resolve({
        emscriptenOpts: {
          ...emscriptenOptions,
          preRun: [
            ...(emscriptenOptions.preRun ?? []),
            (loaded: unknown) => {
              const module = loaded as HostModule
              if (options.fsync) module.NODEFS.stream_ops.fsync = makeFsync(module, options.onFsync)
              module.FS.mkdirTree(CLUSTER_MOUNT)
              module.FS.mount(module.NODEFS, { root: directory }, CLUSTER_MOUNT)
              mounted = module
            }
          ]
        }
      }),
    syncToFs: () => Promise.resolve(),
    initialSyncFs: () => Promise.resolve(),
    dumpTar: () => Promise.reject(new Error("a cluster on disk is copied with the file system's own tools")),
    closeFs: () => {
      for (const stream of mounted?.FS.streams ?? []) {
        // One by one: a module that broke may fail for one of them, and the others are to be closed.
        if (stream != null) closeQuietly(() => mounted?.FS.close(stream))
      }
      mounted = undefined
      return Promise.resolve()
    }
  }
}

/**
 * Says that the disk of a cluster is full, when it is: PostgreSQL ends itself
 * when it cannot make the next segment of its log, and tells nobody why.
 */
export const describeFullDisk = (clusterDirectory: string | undefined): string | undefined => {
  if (clusterDirectory === undefined) return undefined
  const { bavail, bsize } = Fs.statfsSync(clusterDirectory)
  const free = bavail * bsize
  return free < WAL_SEGMENT_BYTES
    ? `the disk of ${clusterDirectory} is full: ${
      Math.floor(free / 1024)
    } KiB are left of the 16 MiB that its log grows by`
    : undefined
}

// internal

/** A segment of the log, as initdb makes them. */
const WAL_SEGMENT_BYTES = 16 * 1024 * 1024

/** Where PGlite 0.5.16 looks for its cluster (`PGlite.paths.PGDATA`). */
const CLUSTER_MOUNT = "/pglite/data"

/** An open file of Emscripten's NODEFS; a directory has no descriptor. */
interface HostStream {
  readonly nfd?: number | undefined
  readonly node: unknown
}

/** What we use of Emscripten's module. */
interface HostModule {
  readonly NODEFS: {
    readonly stream_ops: { fsync?: (stream: HostStream) => number }
    readonly realPath: (node: unknown) => string
    /** Turns a failed system call into the errno that the module expects. */
    readonly tryFSOperation: <A>(operation: () => A) => A
  }
  readonly FS: {
    readonly mkdirTree: (path: string) => void
    readonly mount: (type: unknown, options: { readonly root: string }, path: string) => void
    readonly streams: ReadonlyArray<HostStream | null | undefined>
    readonly close: (stream: HostStream) => void
  }
}

const closeQuietly = Option.liftThrowable((close: () => void) => close())

const WAL_SEGMENT = new RegExp(`\\${Path.sep}pg_wal\\${Path.sep}[0-9A-F]{24}$`)

const makeFsync = ({ NODEFS }: HostModule, onFsync: (() => void) | undefined) => (stream: HostStream): number => {
  const path = NODEFS.realPath(stream.node)
  NODEFS.tryFSOperation(() => {
    if (stream.nfd === undefined) fsyncPath(path)
    else if (WAL_SEGMENT.test(path)) Fs.fdatasyncSync(stream.nfd)
    else Fs.fsyncSync(stream.nfd)
  })
  onFsync?.()
  return 0
}

/** Flushes a file or a directory by its name. */
export const fsyncPath = (path: string): void => {
  const descriptor = Fs.openSync(path, "r")
  try {
    Fs.fsyncSync(descriptor)
  } finally {
    Fs.closeSync(descriptor)
  }
}
