/**
 * Disks that are full: where backups are written, where a store is restored, and
 * where it is backed up from.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import {
  BackupCatalog,
  BackupCopy,
  BackupService,
  BackupStorage,
  BackupVerification,
  layerDirectory
} from "../../src/backup/index.ts"
import { layerMemory } from "../../src/runtime/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { LogTransfer } from "../../src/store/LogTransfer.ts"
import { runCli } from "../cli/harness.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { makeSmallDisk, noSmallDisk, type SmallDisk } from "../support/smallDisk.ts"
import { at, filesOf, makePlace, writeBackup } from "./fixtures.ts"
import { inStore, openStore } from "./trials/ground.ts"
import { besides, digestOfRows, digestOfStore, logRows } from "./trials/logs.ts"
import { startWorker } from "./trials/processes.ts"
import type { Task } from "./trials/worker.ts"

const KIB = 1024
const MIB = 1024 * KIB

/** More than fits into what is left of a disk. */
const EVENTS = 10_000
const LITTLE = 2 * MIB

/** A busy machine; an idle one takes a few seconds. */
const DEADLINE_MS = 300_000

const test = (name: string, run: Effect.Effect<void, unknown, Scope.Scope>) => {
  if (noSmallDisk === undefined) it.live(name, () => Effect.scoped(run), DEADLINE_MS)
  else it(name, (context) => context.skip(noSmallDisk))
}

const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-moved-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const directoryAt = (path: string) =>
  Effect.provide(BackupStorage.use(Effect.succeed), layerDirectory(path), { local: true })

/** Data that no codec makes smaller. */
const append = (bytes: number) =>
  EventStore.use((store) =>
    store.append({
      streamId: "noise-1",
      expected: "any",
      events: Array.from({ length: Math.ceil(bytes / 10_000) }, () => ({
        type: "Noise",
        data: randomBytes(7_500).toString("base64")
      }))
    })
  )

const assertSound = (storage: BackupStorage["Service"], ids: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const found = yield* at(storage, BackupCatalog.list())
    assert.deepStrictEqual(
      { ids: found.backups.map(({ id }) => id), faults: found.faults, incomplete: found.incomplete },
      { ids, faults: [], incomplete: [] }
    )
    for (const id of ids) assert.isTrue((yield* at(storage, BackupVerification.verify(id))).isSound)
  })

/** Runs a task where the disk is seen. */
const run = (disk: SmallDisk, task: Task) =>
  Effect.scoped(
    Effect.flatMap(startWorker({ name: "full disk", task, moment: undefined }, disk.inside), ({ end }) => end)
  )

/** A backup in a directory of the disk or elsewhere. */
const writeLog = (storage: BackupStorage["Service"], events: number) =>
  Effect.gen(function*() {
    const [rows, others] = [logRows(events), besides(100)]
    yield* at(storage, writeBackup({ events: rows, others }))
    return { until: events, digest: digestOfRows(rows, others) }
  })

describe("a place of backups that is full", () => {
  test(
    "names the file, keeps what was there and nothing else, and takes the next backup when there is room",
    Effect.gen(function*() {
      const disk = yield* makeSmallDisk(700 * KIB)
      const storage = yield* directoryAt(join(disk.outside, "place"))
      const layer = Layer.provideMerge(
        BackupService.layer,
        Layer.merge(Layer.fresh(layerMemory), Layer.succeed(BackupStorage, storage))
      )
      yield* Effect.provide(
        Effect.gen(function*() {
          const backups = yield* BackupService
          yield* append(100 * KIB)
          const full = yield* backups.create()
          if (full._tag !== "Created") return assert.fail("unchanged")
          const files = yield* filesOf(storage)
          yield* append(2 * MIB)
          for (const kind of ["incremental", "full"] as const) {
            const failure = yield* Effect.flip(backups.create({ kind, segmentBytes: 64 * KIB }))
            assert.deepInclude(failure as object, { _tag: "BackupStorageError", operation: "put", reason: "NoSpace" })
            assert.match("name" in failure ? String(failure.name) : "", /^\d{8}T\d{6}Z-[0-9a-f]{16}\.\d{12}\.esb$/)
            assert.deepStrictEqual(yield* filesOf(storage), files)
            assert.deepStrictEqual(readdirSync(join(disk.outside, "place")).sort(), [...files.keys()].sort())
          }
          yield* assertSound(storage, [full.manifest.id])
          yield* disk.leave(8 * MIB)
          const next = yield* backups.create()
          if (next._tag !== "Created") return assert.fail("unchanged")
          assert.strictEqual(next.manifest.parent?.id, full.manifest.id)
          yield* assertSound(storage, [full.manifest.id, next.manifest.id])
        }),
        layer
      )
    })
  )

  test(
    "is told by the command, with what to do about it",
    Effect.gen(function*() {
      const disk = yield* makeSmallDisk(40 * KIB)
      const url = yield* makeDatabase(servers[0]?.admin ?? "")
      yield* inStore(url, ({ store }) => Effect.provideService(append(300 * KIB), EventStore, store))
      const create = runCli(["backup", "create", "--dest", disk.outside, "--url", url, "--json"])
      const { code, err, out } = yield* create
      assert.deepStrictEqual([code, out], [1, ""])
      const { error } = JSON.parse(err.trim().split("\n").at(-1) ?? "")
      assert.deepInclude(error, { code: "ES-2019" })
      assert.deepInclude(error.details, { operation: "put", reason: "NoSpace" })
      assert.match(error.details.name, /\.000000000001\.esb$/)
      assert.deepStrictEqual(readdirSync(disk.outside), [])
      yield* disk.leave(4 * MIB)
      assert.strictEqual((yield* create).code, 0)
    })
  )

  test(
    "has whole backups only of a copy, which goes on when there is room",
    Effect.gen(function*() {
      const from = yield* makePlace
      const first = yield* at(from, writeBackup({ to: 300 }))
      const second = yield* at(from, writeBackup({ from: 301, to: 5_000, parent: first, segmentBytes: 64 * KIB }))
      const disk = yield* makeSmallDisk(96 * KIB)
      const to = yield* directoryAt(disk.outside)
      const failure = yield* Effect.flip(BackupCopy.copy({ from, to }))
      assert.deepInclude(failure as object, { _tag: "BackupStorageError", operation: "put", reason: "NoSpace" })
      assert.match("name" in failure ? String(failure.name) : "", /\.esb$/)
      const { backups, faults, incomplete } = yield* at(to, BackupCatalog.list())
      assert.deepStrictEqual([backups.map(({ id }) => id), faults], [[first.id], []])
      assert.deepStrictEqual(incomplete.map(({ id }) => id), [second.id])
      yield* disk.leave(8 * MIB)
      const report = yield* BackupCopy.copy({ from, to })
      assert.isAbove(report.present, first.segments.length)
      yield* assertSound(to, [first.id, second.id])
      assert.deepStrictEqual(yield* filesOf(to), yield* filesOf(from))
    })
  )
})

describe("an embedded store on a full disk", () => {
  test(
    "fails a restore in words, and goes on with it when there is room",
    Effect.gen(function*() {
      const disk = yield* makeSmallDisk(512 * MIB)
      const place = join(disk.path, "place")
      const expected = yield* writeLog(yield* directoryAt(join(disk.outside, "place")), EVENTS)
      const task: Task = { _tag: "restore", store: `pglite:${join(disk.path, "store")}`, place, until: undefined }
      // makes the store, and finds that the backup does not reach there
      const made = yield* run(disk, { ...task, until: EVENTS + 1 })
      assert.strictEqual(made._tag === "Failed" ? made.tag : made._tag, "RestorePointInvalid")
      yield* disk.leave(LITTLE)
      const failed = yield* run(disk, task)
      if (failed._tag !== "Failed") return assert.fail(JSON.stringify(failed))
      assert.include(["StorageError", "PgliteError"], failed.tag)
      assert.match(failed.message, /disk/)
      yield* disk.leave(128 * MIB)
      const done = yield* run(disk, task)
      assert.strictEqual(done._tag, "Done", JSON.stringify(done))
      const moved = yield* scratch
      cpSync(join(disk.outside, "store"), moved, { recursive: true })
      assert.strictEqual(
        yield* inStore(`pglite:${moved}`, ({ transfer }) => digestOfStore(transfer)),
        expected.digest
      )
    })
  )
})

/** A server whose data are on the disk. */
const startSmallServer = (disk: SmallDisk) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const [command, ...args] = disk.inside
      const program = join(import.meta.dirname, "programs/smallServer.ts")
      const child = spawn(command, [...args, process.execPath, program, disk.path], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      const next = async () => String((await lines.next()).value)
      return { child, admin: await next(), next }
    }),
    ({ child }) =>
      Effect.callback<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        child.stdin.end()
      })
  ).pipe(Effect.map(({ admin, child, next }) => ({
    admin,
    /** Starts it again, with recovery: it may have ended, which is the server's way when its own log has no room. */
    restart: Effect.promise(() => {
      child.stdin.write("start\n")
      return next()
    })
  })))

describe("a server on a full disk", () => {
  test(
    "fails a restore in words, goes on with it or is emptied when there is room, and is backed up all the same",
    Effect.gen(function*() {
      const storage = yield* makePlace
      const expected = yield* writeLog(storage, EVENTS)
      const disk = yield* makeSmallDisk(1024 * MIB)
      const server = yield* startSmallServer(disk)
      const url = yield* makeDatabase(server.admin)
      const use = <A, E>(work: (backups: BackupService["Service"]) => Effect.Effect<A, E>) =>
        Effect.scoped(Effect.gen(function*() {
          const { store, transfer } = yield* openStore(url)
          const layer = BackupService.layer.pipe(
            Layer.provide(Layer.succeed(BackupStorage, storage)),
            Layer.provide(Layer.succeed(EventStore, store)),
            Layer.provide(Layer.succeed(LogTransfer, transfer))
          )
          return yield* Effect.provide(BackupService.use(work), layer)
        }))
      yield* inStore(url, () => Effect.void)
      let written = 0
      for (const isGivenUp of [true, false]) {
        yield* disk.leave(LITTLE)
        const failure = yield* Effect.flip(use((backups) => backups.restore()))
        assert.strictEqual(failure._tag, "StorageError")
        yield* disk.leave(256 * MIB)
        yield* server.restart
        const { restoring } = yield* inStore(url, ({ transfer }) => transfer.describe)
        if (restoring === undefined) return assert.fail("not restoring")
        written = restoring.position
        if (!isGivenUp) continue
        assert.isTrue(yield* use((backups) => backups.abandonRestore))
        assert.isTrue((yield* inStore(url, ({ transfer }) => transfer.describe)).isEmpty)
      }
      assert.strictEqual((yield* use((backups) => backups.restore())).written, expected.until - written)
      assert.strictEqual(yield* inStore(url, ({ transfer }) => digestOfStore(transfer)), expected.digest)

      // a backup of it only reads; the server itself may have to write before it lets somebody in
      yield* disk.leave(0)
      const dest = yield* scratch
      const create = yield* runCli(["backup", "create", "--dest", dest, "--url", url, "--json"])
      yield* disk.leave(64 * MIB)
      if (create.code !== 0) return assert.include(create.err, "the disk is full")
      assert.strictEqual(JSON.parse(create.out).until, expected.until)
      assert.strictEqual((yield* runCli(["backup", "verify", "--dest", dest])).code, 0)
    })
  )
})
