/**
 * A lock on a data directory that its holder's death releases.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Process from "node:process"
import { DataDirectoryLocked, PgliteError } from "../PgliteError.ts"

/** Name of the file, in the data directory, that tells the holder's process id. */
export const HOLDER_FILE = "holder.json"

/** Name of the file that is the lock on macOS and BSD. */
export const LOCK_FILE = "lock"

/**
 * Holds the lock of an existing directory until the scope closes.
 *
 * **Details**
 *
 * The kernel keeps the lock, so there is nothing stale to take over, and a
 * stopped process keeps what it holds. On Linux it is an abstract socket, on
 * Windows a named pipe, both named by a hash of the directory's device and
 * inode, and of its real path; on macOS and BSD it is a file opened with
 * `O_EXLOCK`. A second open in the same process is refused as well. The file
 * `holder.json` only tells who holds it.
 *
 * **Gotchas**
 *
 * Abstract sockets belong to a network namespace: two containers that share a
 * volume do not see each other's lock, and neither do two machines that share
 * a network file system. Give each container a directory of its own.
 */
export const acquire = (
  directory: string
): Effect.Effect<void, DataDirectoryLocked | PgliteError, Scope.Scope> =>
  (EXLOCK_PLATFORMS.has(Process.platform)
    ? holdFile(directory)
    : Effect.forEach(socketNames(directory), (name) => holdSocket(directory, name), { discard: true })).pipe(
      Effect.andThen(announce(directory))
    )

// internal

/** Platforms whose `open(2)` takes a lock; Node passes the flag on. */
const EXLOCK_PLATFORMS = new Set<string>(["darwin", "freebsd", "openbsd"])

/** `O_EXLOCK` of macOS and BSD (`<sys/fcntl.h>`), which Node has no name for. */
const O_EXLOCK = 0x20

const Holder = Schema.fromJsonString(Schema.Struct({ pid: Schema.Int }))

/** Two names: a directory may be reached by two paths, and some file systems renumber their inodes. */
const socketNames = (directory: string): ReadonlyArray<string> => {
  const { dev, ino } = Fs.statSync(directory, { bigint: true })
  return [`inode ${dev} ${ino}`, `path ${directory}`].map((identity) => {
    const name = `effect-event-store-${Crypto.createHash("sha256").update(identity).digest("hex").slice(0, 32)}`
    return Process.platform === "win32" ? `\\\\.\\pipe\\${name}` : `\0${name}`
  })
}

const holdSocket = (
  directory: string,
  name: string
): Effect.Effect<void, DataDirectoryLocked | PgliteError, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.callback<Net.Server, DataDirectoryLocked | PgliteError>((resume) => {
      const server = Net.createServer((socket) => socket.destroy())
      server.once("error", (cause: NodeJS.ErrnoException) =>
        resume(Effect.fail(cause.code === "EADDRINUSE" ? locked(directory) : noLock(directory, cause))))
      // `exclusive`: a cluster worker would share its siblings' socket.
      server.listen({ path: name, exclusive: true }, () =>
        resume(Effect.succeed(server.unref())))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() =>
          resume(Effect.void)
        )
      })
  ))

const holdFile = (directory: string): Effect.Effect<void, DataDirectoryLocked | PgliteError, Scope.Scope> => {
  const open = Effect.try({
    try: () =>
      Fs.openSync(
        Path.join(directory, LOCK_FILE),
        Fs.constants.O_RDWR | Fs.constants.O_CREAT | Fs.constants.O_NONBLOCK | O_EXLOCK,
        0o600
      ),
    catch: (cause) => (cause as NodeJS.ErrnoException).code === "EAGAIN" ? locked(directory) : noLock(directory, cause)
  })
  const close = (descriptor: number): Effect.Effect<void> => Effect.sync(() => Fs.closeSync(descriptor))
  // A file system without locks opens the same file twice.
  const probe = open.pipe(
    Effect.tap(close),
    Effect.flatMap(() => Effect.fail(noLock(directory, new Error("the file system does not lock")))),
    Effect.catchTag("DataDirectoryLocked", () => Effect.void)
  )
  return Effect.andThen(Effect.acquireRelease(open, close), probe)
}

const announce = (directory: string): Effect.Effect<void, PgliteError, Scope.Scope> => {
  const file = Path.join(directory, HOLDER_FILE)
  return Effect.asVoid(Effect.acquireRelease(
    Effect.try({
      try: () => Fs.writeFileSync(file, `${Schema.encodeSync(Holder)({ pid: Process.pid })}\n`, { mode: 0o600 }),
      catch: (cause) =>
        new PgliteError({
          reason: "NotWritable",
          directory,
          what: `The data directory ${directory} cannot be written`,
          why: (cause as NodeJS.ErrnoException).code ?? String(cause),
          fix: "Make it writable for this user, or use another directory",
          cause
        })
    }),
    () => Effect.sync(() => Fs.rmSync(file, { force: true }))
  ))
}

const locked = (directory: string): DataDirectoryLocked => {
  const holder = Option.flatMap(
    Option.liftThrowable(() => Fs.readFileSync(Path.join(directory, HOLDER_FILE), "utf8"))(),
    Schema.decodeUnknownOption(Holder)
  )
  return new DataDirectoryLocked({ directory, pid: Option.getOrUndefined(Option.map(holder, ({ pid }) => pid)) })
}

const noLock = (directory: string, cause: unknown): PgliteError =>
  new PgliteError({
    reason: "NoLock",
    directory,
    what: `The data directory ${directory} cannot be locked`,
    why: (cause as NodeJS.ErrnoException).message,
    fix: "Use a directory on a local file system",
    cause
  })
