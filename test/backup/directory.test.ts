import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import * as nodeFs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { createInterface } from "node:readline"
import { BackupCatalog, BackupStorage, BackupVerification, layerDirectory } from "../../src/backup/index.ts"
import { make } from "../../src/backup/internal/directory.ts"
import type { FileFunctions } from "../../src/backup/internal/fileOperations.ts"
import { at, collect, makeRandom, writeBackup } from "./fixtures.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-backup-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const place = (path: string) => Effect.provide(BackupStorage.use(Effect.succeed), layerDirectory(path), { local: true })

const writer = join(import.meta.dirname, "programs/write.ts")

/**
 * File functions of which the one with this number fails, before or after it had its effect, or, of a write, in its
 * middle; every later one fails without effect, as after a kill, unless only that one shall.
 */
const failing = (
  step: number,
  options: { readonly when: "before" | "after" | "halfway"; readonly code: string; readonly once: boolean }
): { readonly fs: FileFunctions; readonly calls: ReadonlyArray<string> } => {
  const calls: Array<string> = []
  const guard = async <A>(name: string, run: () => Promise<A>, half?: () => Promise<unknown>): Promise<A> => {
    const now = calls.push(name) - 1
    if (now < step || (options.once && now > step)) return run()
    if (now === step) {
      if (options.when === "halfway") await half?.()
      if (options.when === "after") {
        const result = await run()
        // nobody gets the descriptor
        if (name === "open") await (result as nodeFs.FileHandle).close()
      }
    }
    throw Object.assign(new Error("injected"), { code: options.code })
  }
  const watch = (file: nodeFs.FileHandle) => ({
    read: file.read.bind(file),
    writeFile: (bytes: Uint8Array) =>
      guard("write", () => file.writeFile(bytes), () => file.writeFile(bytes.subarray(0, bytes.length >> 1))),
    sync: () => guard("sync", () => file.sync()),
    // the test's own descriptors are closed whatever happens
    close: () => guard("close", () => Promise.resolve()).finally(() => file.close())
  })
  const fs = {
    mkdir: (...args: Parameters<typeof nodeFs.mkdir>) => guard("mkdir", () => nodeFs.mkdir(...args)),
    open: (...args: Parameters<typeof nodeFs.open>) => guard("open", () => nodeFs.open(...args)).then(watch),
    link: (...args: Parameters<typeof nodeFs.link>) => guard("link", () => nodeFs.link(...args)),
    rename: (...args: Parameters<typeof nodeFs.rename>) => guard("rename", () => nodeFs.rename(...args)),
    unlink: (...args: Parameters<typeof nodeFs.unlink>) => guard("unlink", () => nodeFs.unlink(...args)),
    lstat: (path: string) => guard("lstat", () => nodeFs.lstat(path)),
    readdir: (path: string) => guard("readdir", () => nodeFs.readdir(path))
  } as unknown as FileFunctions
  return { fs, calls }
}

/** What a new process finds: sound backups, and leftovers that it removes; then it can write the next one. */
const lookAfterwards = Effect.fnUntraced(function*(path: string, acknowledged: ReadonlyArray<string>) {
  const storage = yield* place(path)
  const { backups, faults } = yield* at(storage, BackupCatalog.list())
  assert.deepStrictEqual(faults, [])
  assert.includeMembers(backups.map(({ id }) => id), [...acknowledged])
  for (const { id } of backups) {
    const report = yield* at(storage, BackupVerification.verify(id))
    assert.deepStrictEqual(report.faults, [])
  }
  yield* at(storage, BackupCatalog.removeIncomplete({ idleMillis: -1 }))
  const expected = backups.reduce((sum, { segments }) => sum + segments.length + 1, 0)
  assert.strictEqual(readdirSync(path).length, expected)
  const next = yield* at(storage, writeBackup({ to: 5 }))
  assert.isTrue((yield* at(storage, BackupVerification.verify(next.id))).isSound)
})

describe("a backup in a directory", () => {
  const options = { to: 400, segmentBytes: 64 * 1024, withOthers: false }

  for (const when of ["before", "after", "halfway"] as const) {
    it.live(`is whole or not there when the process dies ${when} any file operation`, () =>
      Effect.gen(function*() {
        const path = yield* directory
        const all = failing(Number.MAX_SAFE_INTEGER, { when, code: "EIO", once: false })
        yield* at(yield* make(join(path, "all"), all.fs), writeBackup(options))
        assert.isAbove(all.calls.length, 20)
        const steps = [...all.calls.keys()].filter((step) => when !== "halfway" || all.calls[step] === "write")
        yield* Effect.forEach(steps, (step) =>
          Effect.gen(function*() {
            const target = join(path, String(step))
            mkdirSync(target)
            const dying = failing(step, { when, code: "EIO", once: false })
            const exit = yield* Effect.exit(
              Effect.flatMap(make(target, dying.fs), (storage) => at(storage, writeBackup(options)))
            )
            yield* lookAfterwards(target, Exit.isSuccess(exit) ? [exit.value.id] : [])
          }), { concurrency: 8, discard: true })
      }), 120_000)
  }

  it.live(
    "names a full disk, and leaves nothing behind, at whatever file operation it shows",
    () =>
      Effect.gen(function*() {
        const path = yield* directory
        const all = failing(Number.MAX_SAFE_INTEGER, { when: "before", code: "ENOSPC", once: false })
        yield* at(yield* make(join(path, "all"), all.fs), writeBackup(options))
        let named = 0
        for (const [step, call] of all.calls.entries()) {
          if (!["mkdir", "open", "write", "sync", "link"].includes(call)) continue
          const target = join(path, String(step))
          const full = failing(step, { when: "halfway", code: "ENOSPC", once: true })
          const result = yield* Effect.result(
            Effect.flatMap(make(target, full.fs), (storage) => at(storage, writeBackup(options)))
          )
          if (result._tag === "Success") continue
          named++
          assert.strictEqual(result.failure._tag, "BackupStorageError")
          assert.strictEqual("reason" in result.failure && result.failure.reason, "NoSpace")
          mkdirSync(target, { recursive: true })
          assert.deepStrictEqual(readdirSync(target), [])
        }
        assert.isAbove(named, 10)
      }),
    120_000
  )

  it.live("has a place below directories and links, which is made once, and none in a file or where nothing can be", () =>
    Effect.gen(function*() {
      const path = yield* directory
      mkdirSync(join(path, "there"))
      symlinkSync(join(path, "there"), join(path, "link"))
      const nested = join(path, "link", "a", "b")
      yield* Effect.all([make(nested), make(nested), make(`${nested}/c/`)], { concurrency: "unbounded" })
      assert.deepStrictEqual(readdirSync(join(path, "there", "a", "b")), ["c"])
      writeFileSync(join(path, "file"), "")
      for (const below of ["file", "file/a/b", "/proc/event-store/a"]) {
        const failure = yield* Effect.flip(make(resolve(path, below)))
        assert.include(["Failed", "NotFound"], failure.reason)
      }
      assert.include((yield* Effect.flip(make(join(path, "file")))).message, "it is not a directory")
      const refused = () => Promise.reject(Object.assign(new Error("no"), { code: "EACCES" }))
      const closed = yield* make(path, { ...nodeFs, lstat: refused, readdir: refused } as unknown as FileFunctions)
      assert.strictEqual((yield* Effect.flip(collect(closed.list()))).reason, "AccessDenied")
    }))

  it.live("is written without hard links too, and still never over another one", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const fs = { ...nodeFs, link: () => Promise.reject(Object.assign(new Error("no links"), { code: "EPERM" })) }
      const storage = yield* make(path, fs)
      const manifest = yield* at(storage, writeBackup(options))
      assert.isTrue((yield* at(storage, BackupVerification.verify(manifest.id))).isSound)
      yield* storage.put("a.esb", new Uint8Array([1]))
      assert.strictEqual((yield* Effect.flip(storage.put("a.esb", new Uint8Array([2])))).reason, "AlreadyExists")
      assert.isTrue(readdirSync(path).every((name) => !name.startsWith(".part-")))
    }))

  it.live("is whole or not there when the process is killed, and the next one goes on", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const random = makeRandom(Date.now())
      const acknowledged: Array<string> = []
      for (let trial = 0; trial < 4; trial++) {
        yield* Effect.promise(() =>
          new Promise<void>((resolve, reject) => {
            const child = spawn(process.execPath, [writer, path], { stdio: ["ignore", "pipe", "inherit"] })
            child.on("error", reject)
            child.on("exit", (code) => code === 1 ? reject(new Error("the writer failed")) : resolve())
            // the first id says that it works; a moment after, somewhere in the next backup, it dies
            createInterface({ input: child.stdout }).on("line", (id) => {
              acknowledged.push(id)
              setTimeout(() => child.kill("SIGKILL"), random() * 60)
            })
          })
        )
      }
      assert.isAtLeast(acknowledged.length, 4)
      yield* lookAfterwards(path, acknowledged)
    }), 120_000)

  // mounting needs rights that not every machine gives
  const mounts = spawnSync("unshare", ["--mount", "true"]).status === 0
  if (mounts) {
    it.live("names a disk that is really full, and leaves nothing on it", () =>
      Effect.gen(function*() {
        const path = yield* directory
        const mounted = [
          `mount -t tmpfs -o size=48k tmpfs ${path}`,
          `! ${process.execPath} ${writer} ${path} 1 2>&1`,
          `ls -A ${path}`,
          `echo left: $(ls -A ${path} | wc -l)`
        ].join(" && ")
        const output = execFileSync("unshare", ["--mount", "sh", "-c", mounted], { encoding: "utf8" })
        assert.include(output, "NoSpace")
        assert.include(output, "left: 0")
      }), 60_000)
  }

  it.live("is listed while another process removes and writes", () =>
    Effect.gen(function*() {
      const path = yield* directory
      const storage = yield* place(path)
      const ids = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.map(at(storage, writeBackup({ to: 3 })), ({ id }) => id)
      )
      yield* Effect.all([
        Effect.forEach(ids, (id) => at(storage, BackupCatalog.remove(id)), { discard: true }),
        Effect.forEach(Array.from({ length: 20 }), () => collect(storage.list()), { discard: true })
      ], { concurrency: "unbounded", discard: true })
      assert.deepStrictEqual(yield* collect(storage.list()), [])
    }))
})
