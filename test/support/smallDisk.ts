/**
 * A disk of a few megabytes, that is really full at its end: a file system in
 * memory, mounted where only a process of ours and its children see it.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, rmdirSync, statfsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"

/**
 * A small disk.
 */
export interface SmallDisk {
  /** Where it is for the processes that `inside` starts. */
  readonly path: string
  /** The same for everybody else; the system's own `realpath` of it is another. */
  readonly outside: string
  /** Leaves so many bytes free from now on. */
  readonly leave: (bytes: number) => Effect.Effect<void>
  /** A command that runs another one where the disk is seen. */
  readonly inside: readonly [string, ...ReadonlyArray<string>]
}

/**
 * Why there are no small disks on this machine; `undefined` when there are.
 */
export const noSmallDisk: string | undefined =
  spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmpdir()]).status === 0 &&
    spawnSync("nsenter", ["--version"]).status === 0
    ? undefined
    : "mounting a file system needs rights that this process does not have"

/**
 * Makes a small disk; it goes with the scope.
 */
export const makeSmallDisk = (bytes: number): Effect.Effect<SmallDisk, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const path = mkdtempSync(join(tmpdir(), "event-store-disk-"))
      chmodSync(path, 0o755)
      const keeper = await startKeeper(path, bytes)
      return { path, keeper }
    }),
    ({ keeper, path }) => Effect.promise(() => keeper.end()).pipe(Effect.andThen(Effect.sync(() => rmdirSync(path))))
  ).pipe(Effect.map(({ keeper, path }) => {
    const outside = `/proc/${keeper.pid}/root${path}`
    return {
      path,
      outside,
      leave: (free) =>
        Effect.promise(() => {
          const { bfree, blocks, bsize } = statfsSync(outside)
          return keeper.resize((blocks - bfree) * bsize + Math.ceil(free / bsize) * bsize)
        }),
      inside: ["nsenter", `--mount=/proc/${keeper.pid}/ns/mnt`, "--"]
    }
  }))

// internal

/** The disk is there as long as this runs; it answers each size with a line. */
const KEEPER = `mount -t tmpfs -o mode=1777,size="$2" tmpfs "$1" && echo mounted &&
  while read size; do mount -o remount,size="$size" "$1" && echo resized; done`

interface Keeper {
  readonly pid: number
  readonly resize: (bytes: number) => Promise<void>
  readonly end: () => Promise<void>
}

const startKeeper = async (path: string, bytes: number): Promise<Keeper> => {
  const child = spawn("unshare", ["--mount", "sh", "-c", KEEPER, "sh", path, String(bytes)], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async (expected: string): Promise<void> => {
    const { value } = await lines.next()
    if (value !== expected) throw new Error(`the disk was not ${expected}: ${String(value)}`)
  }
  await answer("mounted")
  return {
    pid: child.pid ?? 0,
    resize: (size) => {
      child.stdin.write(`${size}\n`)
      return answer("resized")
    },
    end: () => endOf(child)
  }
}

const endOf = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    child.once("exit", () => resolve())
    child.stdin?.end()
  })
