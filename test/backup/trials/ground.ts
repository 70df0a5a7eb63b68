/**
 * Where a trial takes place: a directory, a server, and processes that are
 * killed while they work.
 */
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  type BackupKeys,
  type BackupManifest,
  BackupStorage,
  layerDirectory,
  type SigningKey
} from "../../../src/backup/index.ts"
import { layerUrl } from "../../../src/runtime/index.ts"
import { EventStore } from "../../../src/store/EventStore.ts"
import { LogTransfer } from "../../../src/store/LogTransfer.ts"
import { StoreAdmin } from "../../../src/store/StoreAdmin.ts"
import { makeRandom, type Random } from "../../checker/random.ts"
import { openSql } from "../../postgres/fixtures.ts"
import { type FaultProxy, makeFaultProxy } from "../../support/faultProxy.ts"
import { makeDatabase, type Server } from "../../support/postgres.ts"
import { at, encryptionKey, writeBackup, type WriteOptions } from "../fixtures.ts"
import { besides, digestOfRows, logRows } from "./logs.ts"
import { type End, startWorker, type Worker } from "./processes.ts"
import type { Moment, Task } from "./worker.ts"

/**
 * A trial that is going on.
 */
export interface Ground {
  readonly random: Random
  readonly server: Server
  readonly directory: string
  readonly proxy: FaultProxy
  readonly wrong: Array<string>
  readonly tally: {
    /** Times that the fault happened to a process at work. */
    faults: number
    /** Processes that had done their work before. */
    missed: number
    /** What was found afterwards. */
    readonly found: Record<string, number>
    /** Longest that a process worked that was not stopped, in milliseconds. */
    slowestMs: number
  }
  /** Private and public key, as PEM, of the backups that are signed. */
  readonly signing: { readonly privateKey: string; readonly publicKey: string } | undefined
  /** The private one, as it is used; `undefined` when they are not. */
  readonly signer: SigningKey | undefined
  readonly keys: BackupKeys
  /** An empty store with its schema: a database of its own, or a directory. */
  readonly makeStore: (kind: StoreKind) => Effect.Effect<string, never, Scope.Scope>
  /** A new directory for backups. */
  readonly makePlace: Effect.Effect<{ readonly path: string; readonly storage: BackupStorage["Service"] }>
  readonly found: (what: string) => Effect.Effect<void>
}

/**
 * A kind of store that outlives a process.
 */
export type StoreKind = "postgres" | "pglite"

/**
 * Services of an open store.
 */
export interface OpenStore {
  readonly store: EventStore["Service"]
  readonly transfer: LogTransfer["Service"]
  readonly admin: StoreAdmin["Service"]
}

/**
 * Makes a ground; its directory goes with the scope.
 */
export const makeGround = (seed: number, server: Server): Effect.Effect<Ground, never, Scope.Scope> =>
  Effect.gen(function*() {
    const random = makeRandom(seed)
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-trial-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const signing = random.chance(0.3) ? makePair() : undefined
    const tally: Ground["tally"] = { faults: 0, missed: 0, found: {}, slowestMs: 0 }
    let names = 0
    const newName = (kind: string) => `${kind}${++names}`
    return {
      random,
      server,
      directory,
      proxy: yield* makeFaultProxy(server.admin),
      wrong: [],
      tally,
      signing,
      signer: signing && { id: "trial", privateKey: Redacted.make(signing.privateKey) },
      keys: {
        encryption: [encryptionKey()],
        ...(signing === undefined ? {} : { trusted: [{ id: "trial", publicKey: signing.publicKey }] })
      },
      makeStore: (kind) =>
        kind === "pglite"
          ? Effect.succeed(`pglite:${join(directory, newName("store"))}`)
          : Effect.orDie(Effect.tap(makeDatabase(server.admin), (url) => inStore(url, () => Effect.void))),
      makePlace: Effect.suspend(() => {
        const path = join(directory, newName("place"))
        return Effect.map(openPlace(path), (storage) => ({ path, storage }))
      }),
      found: (what) =>
        Effect.sync(() => {
          tally.found[what] = (tally.found[what] ?? 0) + 1
        })
    }
  })

/**
 * Opens a store for as long as it is used. Nobody else may have a directory open.
 */
export const inStore = <A, E>(url: string, use: (store: OpenStore) => Effect.Effect<A, E>): Effect.Effect<A> =>
  Effect.scoped(Effect.flatMap(openStore(url), use)).pipe(Effect.orDie)

/**
 * Opens a store until the scope closes.
 */
export const openStore = (url: string): Effect.Effect<OpenStore, never, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layerUrl(url))), (context) => ({
    store: Context.get(context, EventStore),
    transfer: Context.get(context, LogTransfer),
    admin: Context.get(context, StoreAdmin)
  })).pipe(Effect.orDie)

/**
 * Opens a directory of backups.
 */
export const openPlace = (path: string): Effect.Effect<BackupStorage["Service"]> =>
  Effect.orDie(Effect.provide(BackupStorage.use(Effect.succeed), layerDirectory(path), { local: true }))

/**
 * A backup of a log of its own, in one to three parts, and what it restores.
 */
export interface SomeBackup {
  readonly path: string
  readonly storage: BackupStorage["Service"]
  readonly until: number
  /** What a store holds that it was restored into, up to this position (all when absent). */
  readonly digest: (until?: number) => string
}

/**
 * Writes such a backup.
 */
export const makeBackup = (
  { makePlace, random, signer }: Ground,
  events: number,
  states: number
): Effect.Effect<SomeBackup> =>
  Effect.gen(function*() {
    const { path, storage } = yield* makePlace
    const rows = logRows(events)
    const others = besides(states)
    const ends = [...new Set([1 + random.int(events), 1 + random.int(events), events])].sort((a, b) => a - b)
    let parent: BackupManifest | undefined
    for (const until of random.chance(0.5) ? ends : [events]) {
      const options: WriteOptions = {
        events: rows.slice(parent?.until ?? 0, until),
        others,
        parent,
        segmentBytes: 65_536 * (1 + random.int(4)),
        compression: { codec: random.pick(["zstd", "gzip", "none"] as const) ?? "zstd" },
        encryption: random.chance(0.4) ? encryptionKey() : undefined,
        signing: signer
      }
      parent = yield* at(storage, writeBackup(options))
    }
    return { path, storage, until: events, digest: (until = events) => digestOfRows(rows.slice(0, until), others) }
  }).pipe(Effect.orDie)

/**
 * How a process is stopped: by itself at a moment, by another one after a time,
 * when it has sent a statement, or by somebody else.
 */
export type Stop =
  | Moment
  | { readonly _tag: "Time"; readonly millis: number }
  | {
    readonly _tag: "Statement"
    readonly match: RegExp
    /** How many of them come before. */
    readonly skip: number
    /** Whether the server gets it. */
    readonly isSent: boolean
  }
  | { readonly _tag: "Other"; readonly play: (worker: Worker) => Effect.Effect<void, never, Scope.Scope> }

/**
 * Runs a process to its end, which may come early.
 */
export const runTask = (
  ground: Ground,
  task: Task,
  stop?: Stop,
  inside?: ReadonlyArray<string>
): Effect.Effect<End> =>
  Effect.scoped(Effect.gen(function*() {
    const isHeld = stop?._tag === "Statement"
    const worker = yield* startWorker({
      name: WORKER,
      task: isHeld ? through(ground.proxy.port, task) : task,
      moment: stop?._tag === "File" || stop?._tag === "Progress" ? stop : undefined
    }, inside)
    yield* worker.begun
    const armed = isHeld
      ? yield* ground.proxy.arm(countdown(stop.skip, stop.match), { _tag: stop.isSent ? "HoldAnswer" : "HoldRequest" })
      : undefined
    const playing = stop?._tag === "Time"
      ? Effect.andThen(Effect.sleep(stop.millis), worker.kill)
      : stop?._tag === "Other"
      ? stop.play(worker)
      : armed === undefined
      ? Effect.never
      : Effect.andThen(armed.happened, worker.kill)
    const end = stop?._tag === "Other"
      ? yield* Effect.andThen(playing, worker.end)
      : yield* Effect.raceFirst(worker.end, Effect.andThen(playing, worker.end))
    if (armed !== undefined) yield* Effect.all([armed.disarm, armed.release])
    if (end._tag === "Done") {
      learned.set(kindOf(task), end)
      ground.tally.slowestMs = Math.max(ground.tally.slowestMs, end.millis)
    }
    if (end._tag === "Broken") ground.wrong.push(`${task._tag} was not stopped, it broke: ${end.text}`)
    if (end._tag === "Hung") ground.wrong.push(`${task._tag} hung: ${yield* describeWaits(ground)}`)
    if (stop !== undefined) {
      if (end._tag === "Killed") ground.tally.faults++
      else if (stop._tag !== "Other") ground.tally.missed++
    }
    return end
  }))

/**
 * Chooses when a process of this kind is stopped.
 */
export const chooseStop = ({ random }: Ground, task: Task, events: number): Stop => {
  const { fileOperations, millis } = learned.get(kindOf(task)) ?? USUAL
  const withFiles = task._tag === "create" || task._tag === "copy" || task._tag === "prune"
  const withProgress = task._tag === "create" || task._tag === "restore" || task._tag === "promote"
  const withStatements = (task._tag === "restore" || task._tag === "promote") && task.store.startsWith("postgres:")
  const ways = [
    ...(task._tag === "prune" ? [] : ["Time"]),
    ...(withFiles ? ["File", "File", "File"] : []),
    ...(withProgress ? ["Progress"] : []),
    ...(withStatements ? ["Statement", "Statement"] : [])
  ]
  switch (random.pick(ways)) {
    case "File": {
      // at the last ones a backup becomes one
      const isLate = task._tag === "create" && random.chance(0.6)
      return {
        _tag: "File",
        count: random.int(isLate ? FILE_OPERATIONS + 1 : fileOperations),
        when: random.pick(["before", "during", "after"] as const) ?? "during",
        from: isLate ? "end" : "begin"
      }
    }
    case "Progress":
      return random.chance(0.5)
        ? { _tag: "Progress", phase: "events", events: random.int(events), millis: random.int(30) }
        : {
          _tag: "Progress",
          phase: task._tag === "promote" && random.chance(0.3) ? "verify" : "rest",
          events: 0,
          millis: random.int(100)
        }
    case "Statement":
      return {
        _tag: "Statement",
        match: random.pick([/./, /^COMMIT/, /restoring_|ATTACH|CREATE UNIQUE INDEX/, /\.head /]) ?? /./,
        skip: random.int(random.chance(0.5) ? 6 : 24),
        isSent: random.chance(0.5)
      }
    default:
      return { _tag: "Time", millis: random.int(Math.ceil(millis * 1.1)) }
  }
}

/**
 * The name that a server shows for the processes.
 */
export const WORKER = "trial worker"

// internal

/** How long tasks of a kind took without a fault, and how many operations on files: the last one of each kind. */
const learned = new Map<string, { readonly millis: number; readonly fileOperations: number }>()

/** What storing a file takes. */
const FILE_OPERATIONS = 5

const USUAL = { millis: 700, fileOperations: 150 }

const kindOf = (task: Task): string => `${task._tag} ${"store" in task ? task.store.slice(0, 6) : ""}`

const makePair = () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  return {
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString()
  }
}

const countdown = (skip: number, match: RegExp) => {
  let left = skip
  return (sql: string) => match.test(sql) && left-- <= 0
}

/** The task, with the store that is written behind a proxy. */
const through = (port: number, task: Task): Task => {
  if (!("store" in task)) return task
  const url = new URL(task.store)
  url.port = String(port)
  return { ...task, store: url.href }
}

/** What sessions do and wait for. */
const describeWaits = ({ server }: Ground): Effect.Effect<string> =>
  Effect.scoped(Effect.gen(function*() {
    const sql = yield* openSql(server.admin)
    const sessions = yield* sql.unsafe(
      `SELECT pid, application_name, state, wait_event_type, wait_event, pg_blocking_pids(pid)::text AS blocked_by,
        (now() - query_start)::text AS since, left(query, 200) AS query FROM pg_stat_activity WHERE datname IS NOT NULL`
    )
    return JSON.stringify(sessions)
  })).pipe(Effect.orDie)
