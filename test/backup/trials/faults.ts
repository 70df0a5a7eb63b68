/**
 * What happens to the processes of a trial, one function a kind of fault. Each
 * looks after every fault, and lets a process that nobody stops end the work.
 */
import { Effect, Fiber, type Scope } from "effect"
import { cpSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type BackupManifest, BackupRetention } from "../../../src/backup/index.ts"
import { makeRandom } from "../../checker/random.ts"
import { openSql } from "../../postgres/fixtures.ts"
import { makeSmallDisk, noSmallDisk, type SmallDisk } from "../../support/smallDisk.ts"
import { at, writeBackup } from "../fixtures.ts"
import {
  chooseStop,
  type Ground,
  inStore,
  makeBackup,
  openPlace,
  openStore,
  runTask,
  type Stop,
  type StoreKind,
  WORKER
} from "./ground.ts"
import { digestOfStore, proposeSome } from "./logs.ts"
import { type Expected, lookAtBackup, lookAtPlace, lookAtTarget, sweep, useTarget } from "./look.ts"
import type { End, Worker } from "./processes.ts"
import type { Task } from "./worker.ts"

type Play = (ground: Ground, size: Size) => Effect.Effect<void, never, Scope.Scope>

/**
 * How much a trial has to do.
 */
export interface Size {
  readonly events: number
  /** Most processes that are stopped. */
  readonly faults: number
  /** Where the stores are; any when absent. */
  readonly store?: StoreKind
}

/**
 * All kinds of faults.
 */
export const FAULTS = {
  /** Whoever makes backups, of a store that others append to, is killed. */
  create: (ground, size) =>
    Effect.gen(function*() {
      const kind = storeKind(ground, size, 0.7)
      const url = yield* ground.makeStore(kind)
      const place = yield* ground.makePlace
      yield* inStore(url, ({ store }) => {
        const random = makeRandom(ground.random.int(2 ** 31))
        return Effect.repeat(Effect.suspend(() => store.append(proposeSome(random))), { times: size.events / 20 })
      })
      const writer = kind === "postgres" ? yield* startWriter(ground, url) : undefined
      const acknowledged: Array<string> = []
      const task = () => createTask(ground, url, place.path, kind === "pglite")
      const take = (end: End) => {
        if (end._tag === "Done" && end.outcome.id !== undefined) acknowledged.push(end.outcome.id)
        if (end._tag === "Failed") ground.wrong.push(`B4 create failed: ${end.tag} ${end.message}`)
      }
      for (let fault = 1; fault <= 1 + ground.random.int(size.faults); fault++) {
        const before = acknowledged.length
        const next = task()
        const end = yield* runTask(ground, next, chooseStop(ground, next, size.events))
        take(end)
        const backups = yield* lookAtPlace(ground, place.storage, acknowledged, fault)
        yield* ground.found(
          end._tag === "Done" ? "done before" : backups.length > before ? "complete" : "not there"
        )
        for (const { id } of backups) if (!acknowledged.includes(id)) acknowledged.push(id)
      }
      take(yield* runTask(ground, task()))
      if (writer !== undefined) yield* Fiber.interrupt(writer)
      yield* sweep(ground, place)
      const backups = yield* lookAtPlace(ground, place.storage, acknowledged, 0)
      yield* inStore(url, ({ transfer }) =>
        Effect.forEach(backups, (backup) => lookAtBackup(ground, place.storage, backup, transfer)))
    }),

  /** Whoever restores is killed, and others go on, begin something else, or give it up. */
  restore: (ground, size) =>
    Effect.gen(function*() {
      const backup = yield* makeBackup(ground, size.events, 10 + ground.random.int(3_000))
      const url = yield* ground.makeStore(storeKind(ground, size, 0.7))
      const until = ground.random.chance(0.2) ? ENOUGH + ground.random.int(backup.until - ENOUGH) : undefined
      const task: Task = { _tag: "restore", store: url, place: backup.path, until }
      yield* stopAndGoOn(ground, task, size, { until: until ?? backup.until, digest: backup.digest(until) })
    }),

  /** The same with a move from another store. */
  promote: (ground, size) =>
    Effect.gen(function*() {
      const [from, to] = [storeKind(ground, size, 0.5), storeKind(ground, size, 0.5)]
      const source = yield* ground.makeStore(from)
      const backup = yield* makeBackup(ground, size.events, 10 + ground.random.int(1_000))
      yield* settle(ground, { _tag: "restore", store: source, place: backup.path, until: undefined })
      const expected = { until: backup.until, digest: backup.digest() }
      const url = yield* ground.makeStore(to)
      yield* stopAndGoOn(ground, { _tag: "promote", store: url, from: source }, size, expected)
      if ((yield* inStore(source, ({ transfer }) => digestOfStore(transfer))) !== expected.digest) {
        ground.wrong.push("B7 the source of a move is not what it was")
      }
    }),

  /** Whoever copies backups to a second place is killed. */
  copy: (ground, size) =>
    Effect.gen(function*() {
      const from = yield* ground.makePlace
      const to = yield* ground.makePlace
      const ids = (yield* makeChain(ground, from.storage, size.events)).map(({ id }) => id)
      const task: Task = { _tag: "copy", place: from.path, second: to.path }
      for (let fault = 1 + ground.random.int(size.faults); fault > 0; fault--) {
        yield* runTask(ground, task, chooseStop(ground, task, 0))
        const { length } = yield* lookAtPlace(ground, to.storage, [], 1)
        yield* ground.found(length === ids.length ? "complete" : length === 0 ? "empty" : "in the middle")
      }
      yield* settle(ground, task)
      yield* lookAtPlace(ground, to.storage, ids, 0)
      yield* sweep(ground, to)
      const [files, copies] = [readdirSync(from.path).sort(), readdirSync(to.path).sort()]
      const isEqual = files.join() === copies.join() &&
        files.every((name) => readFileSync(join(from.path, name)).equals(readFileSync(join(to.path, name))))
      if (!isEqual) ground.wrong.push("B4 the second place is not the first")
    }),

  /** Whoever prunes is killed. */
  prune: (ground, size) =>
    Effect.gen(function*() {
      const place = yield* ground.makePlace
      const chain = yield* makeChain(ground, place.storage, size.events)
      const keepLast = 1 + ground.random.int(2)
      const { keep } = yield* Effect.orDie(Effect.fromResult(BackupRetention.plan({ keepLast }, chain)))
      const kept = keep.map(({ id }) => id)
      const task: Task = { _tag: "prune", place: place.path, keepLast }
      for (let fault = 1 + ground.random.int(size.faults); fault > 0; fault--) {
        yield* runTask(ground, task, chooseStop(ground, task, 0))
        const { length } = yield* lookAtPlace(ground, place.storage, kept, 1)
        yield* ground.found(
          length === kept.length ? "complete" : length === chain.length ? "untouched" : "in the middle"
        )
      }
      yield* settle(ground, task)
      const left = yield* lookAtPlace(ground, place.storage, kept, 0)
      if (left.length !== kept.length) ground.wrong.push(`L2 ${left.length} backups are left of ${kept.length}`)
      yield* sweep(ground, place)
    }),

  /** The server ends sessions of a process that makes a backup, restores or moves. */
  backend: (ground, size) =>
    Effect.gen(function*() {
      const { random, server, tally } = ground
      const terminate = (worker: Worker) =>
        Effect.gen(function*() {
          const sql = yield* openSql(server.admin, { maxConnections: 1 })
          const before = tally.faults
          for (let left = 1 + random.int(3); left > 0 && !worker.isOver(); left--) {
            yield* Effect.sleep(random.int(random.chance(0.5) ? 30 : 300))
            const pids = yield* sql.unsafe<{ readonly pid: number }>(
              `SELECT pid FROM pg_stat_activity WHERE application_name = '${WORKER}' ORDER BY pid`
            )
            const victims = random.chance(0.3) ? pids : [random.pick(pids)].filter((one) => one !== undefined)
            for (const { pid } of victims) yield* sql`SELECT pg_terminate_backend(${pid})`
            tally.faults += victims.length
          }
          if (tally.faults === before) tally.missed++
        }).pipe(Effect.orDie)
      yield* failAndGoOn(ground, size, { _tag: "Other", play: terminate })
    }),

  /** The server is killed, with what it had not written yet, and starts again. */
  server: (ground, size) =>
    failAndGoOn(ground, size, {
      _tag: "Other",
      play: () =>
        Effect.gen(function*() {
          yield* Effect.sleep(ground.random.int(700))
          yield* Effect.promise(ground.server.kill9)
          ground.tally.faults++
          yield* Effect.sleep(ground.random.int(300))
          yield* Effect.promise(ground.server.start)
        })
    }),

  /** The disk is full, on which backups, their copies or an embedded store are written, and has room again. */
  disk: (ground, size) =>
    Effect.gen(function*() {
      if (noSmallDisk !== undefined) return yield* ground.found(`no small disk: ${noSmallDisk}`)
      const disk = yield* makeSmallDisk(DISK)
      const what = ground.random.pick(["create", "copy", "restore", "promote"] as const) ?? "create"
      yield* what === "create" || what === "copy"
        ? fillPlace(ground, size, disk, what)
        : fillStore(ground, size, disk, what)
    })
} satisfies Record<string, Play>

// internal

/** Bytes of a disk, in memory as far as they are used. */
const DISK = 512 * 1_048_576

/** Events with which all that stands beside them belongs to the log. */
const ENOUGH = 100

const storeKind = ({ random }: Ground, { store }: Size, postgres: number): StoreKind => {
  const chosen = random.chance(postgres) ? "postgres" : "pglite"
  return store ?? chosen
}

const createTask = ({ random, signing }: Ground, store: string, place: string, isAppending: boolean): Task => ({
  _tag: "create",
  store,
  place,
  kind: random.chance(0.3) ? "full" : "auto",
  codec: random.pick(["zstd", "gzip", "none"] as const) ?? "zstd",
  // one way a trial: what goes on from an encrypted backup has to be encrypted
  isEncrypted: signing !== undefined,
  signing: signing?.privateKey,
  segmentBytes: 65_536 * (1 + random.int(3)),
  isAppending
})

/** Appends until it is interrupted. */
const startWriter = (ground: Ground, url: string) =>
  Effect.gen(function*() {
    const random = makeRandom(ground.random.int(2 ** 31))
    const { store } = yield* openStore(url)
    return yield* Effect.forkScoped(Effect.forever(
      Effect.andThen(
        Effect.suspend(() => Effect.orDie(store.append(proposeSome(random)))),
        Effect.sleep(1)
      )
    ))
  })

/** Runs a task that has to succeed. */
const settle = (ground: Ground, task: Task): Effect.Effect<End> =>
  Effect.tap(runTask(ground, task), (end) =>
    Effect.sync(() => {
      if (end._tag === "Done") return
      ground.wrong.push(`L1 ${task._tag} did not succeed in the end: ${JSON.stringify(end).slice(0, 1_000)}`)
    }))

type Restoring = Extract<Task, { readonly _tag: "promote" | "restore" }>

/** Stops whoever restores, some times, and looks; then lets it be done, or gives it up. */
const stopAndGoOn = Effect.fnUntraced(function*(ground: Ground, task: Restoring, size: Size, expected: Expected) {
  let written = 0
  for (let fault = 1 + ground.random.int(size.faults); fault > 0; fault--) {
    const stop: Stop = chooseStop(ground, task, expected.until)
    const end = yield* runTask(ground, task, stop)
    if (end._tag === "Failed") ground.wrong.push(`B5 ${task._tag} failed: ${end.tag} ${end.message}`)
    const { position, restoring } = yield* lookAtTarget(ground, task.store, expected)
    if (end._tag === "Done" && position === 0) ground.wrong.push("B5 done, and not complete")
    if (position > 0) return yield* useTarget(ground, task.store, expected)
    const reached = restoring?.position ?? 0
    if (reached < written) ground.wrong.push(`B5 it went back from ${written} to ${reached}`)
    written = reached
  }
  yield* conclude(ground, task, expected, written)
})

/** Lets it be done, or gives it up first. */
const conclude = Effect.fnUntraced(function*(ground: Ground, task: Restoring, expected: Expected, written: number) {
  const isGivenUp = ground.random.chance(0.25)
  if (isGivenUp) {
    const wasThere = yield* inStore(task.store, ({ transfer }) => transfer.abandonRestore)
    yield* ground.found(wasThere ? "given up" : "nothing to give up")
    const { position, restoring } = yield* lookAtTarget(ground, task.store, expected)
    if (position > 0 || restoring !== undefined) ground.wrong.push("B5 given up, and not empty")
    if (ground.random.chance(0.5)) return yield* useTarget(ground, task.store, expected)
  }
  const end = yield* settle(ground, task)
  const fresh = expected.until - (isGivenUp ? 0 : written)
  if (end._tag === "Done" && end.outcome.written !== fresh) {
    ground.wrong.push(`B5 it wrote ${end.outcome.written} events, not the ${fresh} that were missing`)
  }
  yield* useTarget(ground, task.store, expected)
})

/** Lets a fault of the server meet a process, which goes on or says why not; then the work is done. */
const failAndGoOn = Effect.fnUntraced(function*(ground: Ground, size: Size, fault: Stop) {
  const kind = ground.random.pick(["create", "restore", "restore", "promote"] as const) ?? "restore"
  const backup = yield* makeBackup(ground, size.events, 10 + ground.random.int(2_000))
  const source = yield* ground.makeStore("postgres")
  const expected = { until: backup.until, digest: backup.digest() }
  if (kind !== "restore") {
    yield* settle(ground, { _tag: "restore", store: source, place: backup.path, until: undefined })
  }
  const place = yield* ground.makePlace
  const task: Task = kind === "create"
    ? createTask(ground, source, place.path, false)
    : kind === "restore"
    ? { _tag: "restore", store: source, place: backup.path, until: undefined }
    : { _tag: "promote", store: yield* ground.makeStore("postgres"), from: source }
  const end = yield* runTask(ground, task, fault)
  yield* ground.found(end._tag === "Failed" ? `${kind} failed (${end.tag})` : `${kind} ${end._tag.toLowerCase()}`)
  if (task._tag === "create") {
    const { length } = yield* lookAtPlace(ground, place.storage, [], 1)
    if (length === 0) yield* settle(ground, task)
    const [made] = yield* lookAtPlace(ground, place.storage, [], 1)
    if (made !== undefined) {
      yield* inStore(source, ({ transfer }) => lookAtBackup(ground, place.storage, made, transfer))
    }
    return
  }
  if (task._tag !== "restore" && task._tag !== "promote") return
  const { position, restoring } = yield* lookAtTarget(ground, task.store, expected)
  if (end._tag === "Done" && position === 0) ground.wrong.push("B5 done, and not complete")
  if (position > 0) return yield* useTarget(ground, task.store, expected)
  yield* conclude(ground, task, expected, restoring?.position ?? 0)
})

/** Backups or copies of them go to a disk that is full. */
const fillPlace = Effect.fnUntraced(function*(ground: Ground, size: Size, disk: SmallDisk, what: "copy" | "create") {
  const { random } = ground
  const place = { path: join(disk.outside, "place"), storage: yield* openPlace(join(disk.outside, "place")) }
  const from = yield* ground.makePlace
  const url = yield* ground.makeStore("postgres")
  yield* makeChain(ground, from.storage, size.events)
  const acknowledged: Array<string> = []
  const task = (): Task =>
    what === "copy"
      ? { _tag: "copy", place: from.path, second: place.path }
      : createTask(ground, url, place.path, false)
  for (let fault = 1 + random.int(size.faults); fault > 0; fault--) {
    yield* inStore(
      url,
      ({ store }) => Effect.repeat(Effect.suspend(() => store.append(proposeSome(random))), { times: 100 })
    )
    yield* disk.leave(random.int(random.chance(0.5) ? 30_000 : 1_000_000))
    const end = yield* runTask(ground, task(), undefined, disk.inside)
    yield* noteFull(ground, what, end, "BackupStorageError")
    if (end._tag === "Done" && end.outcome.id !== undefined) acknowledged.push(end.outcome.id)
    yield* lookAtPlace(ground, place.storage, acknowledged, what === "copy" ? 1 : 0)
  }
  yield* disk.leave(DISK / 2)
  yield* settle(ground, task())
  yield* sweep(ground, place)
  yield* lookAtPlace(ground, place.storage, acknowledged, 0)
})

/** An embedded store on a disk that is full is restored into. */
const fillStore = Effect.fnUntraced(function*(
  ground: Ground,
  size: Size,
  disk: SmallDisk,
  what: "promote" | "restore"
) {
  const { random } = ground
  const backup = yield* makeBackup(ground, size.events, 10 + random.int(3_000))
  const expected = { until: backup.until, digest: backup.digest() }
  const from = yield* ground.makeStore("postgres")
  yield* settle(ground, { _tag: "restore", store: from, place: backup.path, until: undefined })
  const store = `pglite:${join(disk.path, "store")}`
  const task: Task = what === "promote"
    ? { _tag: "promote", store, from }
    : { _tag: "restore", store, place: backup.path, until: undefined }
  if (random.chance(0.7)) {
    // makes the store, and finds that the backup does not reach there
    yield* runTask(
      ground,
      { _tag: "restore", store, place: backup.path, until: backup.until + 1 },
      undefined,
      disk.inside
    )
  }
  for (let fault = 1 + random.int(size.faults); fault > 0; fault--) {
    yield* disk.leave(random.int(random.chance(0.3) ? DISK / 8 : DISK / 64))
    const end = yield* runTask(ground, task, undefined, disk.inside)
    yield* noteFull(ground, what, end, "StorageError", "PgliteError")
    if (end._tag === "Done") break
  }
  yield* disk.leave(DISK / 2)
  const last = yield* runTask(ground, task, undefined, disk.inside)
  const isDone = last._tag === "Done" || last._tag === "Failed" && last.tag === "RestoreTargetNotEmpty"
  if (!isDone) ground.wrong.push(`L1 ${what} did not succeed in the end: ${JSON.stringify(last).slice(0, 1_000)}`)
  const copy = join(ground.directory, "copy")
  cpSync(join(disk.outside, "store"), copy, { recursive: true })
  yield* useTarget(ground, `pglite:${copy}`, expected)
})

const noteFull = (ground: Ground, what: string, end: End, ...tags: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (end._tag === "Failed" && tags.includes(end.tag)) ground.tally.faults++
    else if (end._tag === "Done") ground.tally.missed++
    else ground.wrong.push(`D1 ${what} on a full disk: ${JSON.stringify(end).slice(0, 1_000)}`)
    return ground.found(`${what} ${end._tag === "Failed" ? `failed (${end.tag})` : end._tag.toLowerCase()}`)
  })

/** Some backups of one place: full ones, and those that go on from them. */
const makeChain = ({ random, signer }: Ground, storage: Parameters<typeof at>[0], events: number) =>
  Effect.gen(function*() {
    const made: Array<BackupManifest> = []
    for (let left = 4 + random.int(5); left > 0; left--) {
      const parent = random.chance(0.4) ? undefined : made.at(-1)
      const from = (parent?.until ?? 0) + 1
      const to = from + random.int(Math.ceil(events / 4))
      made.push(yield* at(storage, writeBackup({ from, to, parent, signing: signer, segmentBytes: 65_536 })))
    }
    return made
  }).pipe(Effect.orDie)
