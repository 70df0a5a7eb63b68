/**
 * A process of a trial: makes, restores, moves, copies or prunes backups, says
 * how far it has come, and kills itself where it is told to. Takes its settings
 * as JSON in its first argument.
 */
import { Cause, Context, Effect, Exit, Layer, Logger, Redacted, type Scope } from "effect"
import { writeSync } from "node:fs"
import * as nodeFs from "node:fs/promises"
import {
  BackupCopy,
  BackupService,
  BackupStorage,
  type BackupStorageError,
  type OnProgress,
  StoreMove,
  type TransferProgress
} from "../../../src/backup/index.ts"
import { make as makeDirectory } from "../../../src/backup/internal/directory.ts"
import type { FileFunctions } from "../../../src/backup/internal/fileOperations.ts"
import { layerMemory, layerPostgres, layerUrl } from "../../../src/runtime/index.ts"
import { EventStore } from "../../../src/store/EventStore.ts"
import { LogTransfer } from "../../../src/store/LogTransfer.ts"
import { makeRandom } from "../../checker/random.ts"
import { encryptionKey } from "../fixtures.ts"
import { proposeSome } from "./logs.ts"

/**
 * What a process is to do. Stores are URLs, places are directories.
 */
export type Task =
  | {
    readonly _tag: "create"
    readonly store: string
    readonly place: string
    readonly kind: "auto" | "full"
    readonly codec: "gzip" | "none" | "zstd"
    readonly isEncrypted: boolean
    /** A private key as PEM. */
    readonly signing: string | undefined
    readonly segmentBytes: number
    /** Whether this process appends too, to a store that only one can open. */
    readonly isAppending: boolean
  }
  | { readonly _tag: "restore"; readonly store: string; readonly place: string; readonly until: number | undefined }
  | { readonly _tag: "promote"; readonly store: string; readonly from: string }
  | { readonly _tag: "copy"; readonly place: string; readonly second: string }
  | { readonly _tag: "prune"; readonly place: string; readonly keepLast: number }

/**
 * Where a process kills itself: at an operation that changes a file or a
 * directory, counted from 0, or so long after it has come so far.
 */
export type Moment =
  | {
    readonly _tag: "File"
    readonly count: number
    readonly when: "before" | "during" | "after"
    /** Counts from the beginning, or from when all segments of a backup are there, and are listed. */
    readonly from: "begin" | "end"
  }
  | {
    readonly _tag: "Progress"
    readonly phase: TransferProgress["phase"]
    readonly events: number
    readonly millis: number
  }

/**
 * What a process is told when it starts.
 */
export interface WorkerSettings {
  /** Shown by `pg_stat_activity`. */
  readonly name: string
  readonly task: Task
  readonly moment: Moment | undefined
}

/**
 * What a process says, a line each.
 */
export type WorkerReport =
  /** Its stores are open. */
  | { readonly _tag: "Begun" }
  | { readonly _tag: "Progress"; readonly phase: TransferProgress["phase"]; readonly position: number }
  | {
    readonly _tag: "Done"
    readonly outcome: { readonly id?: string; readonly written?: number; readonly removed?: ReadonlyArray<string> }
    readonly millis: number
    readonly fileOperations: number
  }
  | { readonly _tag: "Failed"; readonly tag: string; readonly message: string }
  | { readonly _tag: "Broken"; readonly text: string }

/**
 * Does what the settings say, and says how it ended.
 */
export const runWorker = async (): Promise<void> => {
  const settings: WorkerSettings = JSON.parse(process.argv[2] ?? "{}")
  const exit = await Effect.runPromiseExit(Effect.provide(Effect.scoped(perform(settings)), Logger.layer([])))
  if (Exit.isFailure(exit)) {
    const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
    report(
      failure === undefined
        ? { _tag: "Broken", text: Cause.pretty(exit.cause) }
        : { _tag: "Failed", tag: failure._tag, message: failure.message }
    )
  }
  process.exit(0)
}

// internal

const report = (line: WorkerReport): void => {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

const die = (): void => {
  process.kill(process.pid, "SIGKILL")
}

/** What the tasks of a process share. */
interface Bench {
  readonly name: string
  readonly at: (directory: string) => Effect.Effect<BackupStorage["Service"], BackupStorageError>
  readonly onProgress: OnProgress
  /** Runs what the process is for, when its stores are open, and says what came of it. */
  readonly work: <E, R>(effect: Effect.Effect<Outcome, E, R>) => Effect.Effect<void, E, R>
}

type Outcome = Extract<WorkerReport, { readonly _tag: "Done" }>["outcome"]

const perform = ({ moment, name, task }: WorkerSettings): Effect.Effect<
  void,
  { readonly _tag: string; readonly message: string },
  Scope.Scope
> => {
  const files = watchFiles(moment)
  const bench: Bench = {
    name,
    at: (directory) => makeDirectory(directory, files.fs),
    onProgress: ({ events, phase, position }) => {
      if (phase === "rest") files.expectEnd()
      report({ _tag: "Progress", phase, position })
      if (moment?._tag !== "Progress" || moment.phase !== phase || events < moment.events) return
      if (moment.millis === 0) die()
      else setTimeout(die, moment.millis)
    },
    work: (effect) =>
      Effect.suspend(() => {
        report({ _tag: "Begun" })
        const startedMs = performance.now()
        return Effect.map(effect, (outcome) => {
          const millis = Math.round(performance.now() - startedMs)
          report({ _tag: "Done", outcome, millis, fileOperations: files.count() })
        })
      })
  }
  switch (task._tag) {
    case "create":
      return create(bench, task)
    case "restore":
      return restore(bench, task)
    case "promote":
      return promote(bench, task)
    case "copy":
      return copy(bench, task)
    case "prune":
      return prune(bench, task)
  }
}

type TaskOf<Tag extends Task["_tag"]> = Extract<Task, { readonly _tag: Tag }>

const KEYS = { encryption: [encryptionKey()] }

const layerOf = ({ at, name }: Bench, { place, store }: { readonly place: string; readonly store: string }) =>
  Layer.provideMerge(BackupService.layer, Layer.merge(open(store, name), Layer.effect(BackupStorage, at(place))))

const create = (bench: Bench, task: TaskOf<"create">) =>
  Effect.gen(function*() {
    const backups = yield* BackupService
    if (task.isAppending) yield* Effect.forkScoped(appendOn)
    yield* bench.work(Effect.map(
      backups.create({ ...creation(task), keys: KEYS, onProgress: bench.onProgress }),
      (outcome): Outcome => outcome._tag === "Created" ? { id: outcome.manifest.id } : {}
    ))
  }).pipe(Effect.provide(layerOf(bench, task)))

const restore = (bench: Bench, task: TaskOf<"restore">) =>
  BackupService.use((backups) => {
    const to = task.until === undefined ? "end" : { position: task.until }
    return bench.work(backups.restore({ keys: KEYS, to, onProgress: bench.onProgress }))
  }).pipe(Effect.provide(layerOf(bench, task)))

const promote = ({ name, onProgress, work }: Bench, task: TaskOf<"promote">) =>
  Effect.gen(function*() {
    const from = Context.get(yield* Layer.build(open(task.from, name)), LogTransfer)
    const to = Context.get(yield* Layer.build(open(task.store, name)), LogTransfer)
    yield* work(StoreMove.promote({ from, to, onProgress }))
  })

const copy = ({ at, work }: Bench, task: TaskOf<"copy">) =>
  Effect.gen(function*() {
    const from = yield* makeDirectory(task.place)
    yield* work(Effect.as(BackupCopy.copy({ from, to: yield* at(task.second) }), {}))
  })

const prune = ({ at, work }: Bench, task: TaskOf<"prune">) =>
  BackupService.use((backups) => work(backups.prune({ keepLast: task.keepLast }, { idleMillis: -1 }))).pipe(
    Effect.provide(
      BackupService.layer.pipe(Layer.provide(Layer.merge(layerMemory, Layer.effect(BackupStorage, at(task.place)))))
    )
  )

const creation = ({ codec, isEncrypted, kind, segmentBytes, signing }: TaskOf<"create">) => ({
  kind,
  compression: { codec },
  segmentBytes,
  encryption: isEncrypted ? encryptionKey() : undefined,
  signing: signing === undefined ? undefined : { id: "trial", privateKey: Redacted.make(signing) }
})

/** The store of a URL, apart from any other. */
const open = (url: string, name: string) =>
  Layer.fresh(
    url.startsWith("postgres:")
      ? layerPostgres({ url, applicationName: name, maxConnections: 4 })
      : layerUrl(url)
  )

/** Appends until the process ends. */
const appendOn = Effect.gen(function*() {
  const store = yield* EventStore
  const random = makeRandom(process.pid)
  return yield* Effect.forever(Effect.andThen(Effect.suspend(() => store.append(proposeSome(random))), Effect.sleep(1)))
})

/** What changes a file or a directory. */
const CHANGES: ReadonlySet<PropertyKey> = new Set(["writeFile", "sync", "link", "rename", "unlink", "mkdir"])

/** The functions on files, each of which may be the last one. */
const watchFiles = (moment: Moment | undefined) => {
  let count = 0
  let counted = 0
  let stage: "begin" | "rest" | "end" = "begin"
  const watched = <A extends object>(target: A): A =>
    new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== "function") return value
        return (...args: ReadonlyArray<unknown>) => {
          if (name === "readdir" && stage === "rest") stage = "end"
          const run = () => Promise.resolve(Reflect.apply(value, target, args))
          return CHANGES.has(name) ? step(run) : name === "open" ? run().then(watched) : run()
        }
      }
    })
  const step = async (run: () => Promise<unknown>): Promise<unknown> => {
    count++
    const isCounted = moment?._tag === "File" && (moment.from === "begin" || stage === "end")
    const when = isCounted && counted++ === moment.count ? moment.when : undefined
    if (when === "before") die()
    const running = run()
    if (when === "during") setImmediate(die)
    const result = await running
    if (when === "after") die()
    return result
  }
  return {
    fs: watched({ ...nodeFs }) as FileFunctions,
    count: () => count,
    expectEnd: () => {
      stage = "rest"
    }
  }
}
