/**
 * Backups of this repository's store, through the service that its users have.
 */
import { Context, Effect, Exit, Layer, Redacted, Scope, Stream } from "effect"
import { rmSync } from "node:fs"
import * as path from "node:path"
import {
  BackupCatalog,
  BackupLines,
  type BackupManifest,
  BackupService,
  type BackupStorage,
  BackupVerification,
  layerDirectory
} from "../../src/backup/index.ts"
import { importEvents } from "../../src/cli/Import.ts"
import { layerUrl } from "../../src/runtime/EventStoreLayer.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import type { LogTransfer } from "../../src/store/LogTransfer.ts"
import { withDatabase } from "../../test/support/postgres.ts"
import { copiesOf, ndjsonBytesOf } from "../ndjson.ts"
import type { BackupFigures, BackupOperation } from "../protocol.ts"
import { round } from "../summary.ts"
import type { BackupWork } from "../variant.ts"
import { openSql } from "./oursProjections.ts"

/**
 * Imports so many events of a file of NDJSON, from its beginning again when it has fewer, and backs them up when a
 * directory is given, once as it comes and once encrypted.
 */
export const fillBackups = (
  file: string,
  events: number,
  directory: string | undefined
): Effect.Effect<void, unknown, EventStore | LogTransfer> =>
  Effect.gen(function*() {
    const { appended } = yield* importEvents(Stream.fromIterable(copiesOf(file, events)))
    if (appended !== events) return yield* Effect.die(new Error(`${appended} of ${events} events were imported`))
    if (directory === undefined) return
    yield* create(path.join(directory, "plain"), false)
    yield* create(path.join(directory, "encrypted"), true)
  })

/**
 * Gets ready for an operation: a place, and for a restore a store of its own beside the one at `url`.
 */
export const openWork = (
  operation: BackupOperation,
  { directory, file, url }: { readonly directory: string; readonly file: string; readonly url: string }
): Effect.Effect<BackupWork, unknown, EventStore | LogTransfer> =>
  Effect.gen(function*() {
    const context = yield* Effect.context<EventStore | LogTransfer>()
    const isEncrypted = operation.endsWith("encrypted")
    const made = path.join(directory, isEncrypted ? "encrypted" : "plain")
    const scope = Scope.makeUnsafe()
    const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
    switch (operation) {
      case "create":
      case "create-encrypted": {
        const place = path.join(directory, `made-${process.pid}`)
        return {
          run: () => Effect.runPromiseWith(context)(Effect.map(create(place, isEncrypted), ({ until }) => until)),
          figures: () => Effect.runPromise(sizesOf(place, file)),
          close: async () => rmSync(place, { recursive: true, force: true })
        }
      }
      case "verify":
      case "verify-encrypted":
        return {
          run: () => Effect.runPromise(Effect.provide(verify, layerDirectory(made))),
          figures: () => Effect.runPromise(sizesOf(made, undefined)),
          close
        }
      case "restore": {
        const target = yield* Scope.provide(openEmpty(url, directory), scope)
        return {
          run: () => Effect.runPromise(Effect.scoped(restore(made, target))),
          figures: () => Effect.runPromise(sizesOf(made, undefined)),
          close
        }
      }
    }
  })

/**
 * Backs the store up again and again, all of it, for so long; returns how many events that were.
 */
export const backUpFor = (
  seconds: number,
  directory: string
): Effect.Effect<number, unknown, EventStore | LogTransfer> =>
  Effect.gen(function*() {
    const place = path.join(directory, `again-${process.pid}`)
    let done = 0
    let current = 0
    const again = Effect.gen(function*() {
      const { events } = yield* create(place, false, (read) => {
        current = read
      })
      done += events.count
      current = 0
      rmSync(place, { recursive: true, force: true })
    })
    yield* Effect.raceFirst(Effect.forever(again), Effect.sleep(`${seconds} seconds`))
    rmSync(place, { recursive: true, force: true })
    return done + current
  })

// internal

const KEY = { id: "bench", key: Redacted.make(new Uint8Array(32).fill(7)) }

const KEYS = { encryption: [KEY] }

const serviceIn = (directory: string) =>
  Effect.map(
    Layer.build(Layer.provide(BackupService.layer, layerDirectory(directory))),
    (context) => Context.get(context, BackupService)
  )

const create = (
  directory: string,
  isEncrypted: boolean,
  onEvents: (events: number) => void = () => {}
): Effect.Effect<BackupManifest, unknown, EventStore | LogTransfer> =>
  Effect.scoped(Effect.gen(function*() {
    const outcome = yield* (yield* serviceIn(directory)).create({
      kind: "full",
      onProgress: ({ events }) => onEvents(events),
      ...(isEncrypted ? { encryption: KEY } : {})
    })
    return outcome._tag === "Created" ? outcome.manifest : outcome.newest
  }))

const newest: Effect.Effect<BackupManifest, unknown, BackupStorage> = Effect.flatMap(
  BackupCatalog.list(),
  ({ backups }) => {
    const found = backups.at(-1)
    return found === undefined ? Effect.die(new Error("there is no backup")) : Effect.succeed(found)
  }
)

const verify = Effect.gen(function*() {
  const { id } = yield* newest
  const { areRowsRead, events, isSound } = yield* BackupVerification.verify(id, { keys: KEYS })
  if (!isSound || !areRowsRead) return yield* Effect.die(new Error("the backup is not sound"))
  return events.count
})

const restore = (directory: string, target: Context.Context<EventStore | LogTransfer>) =>
  Effect.gen(function*() {
    const { written } = yield* (yield* serviceIn(directory)).restore()
    return written
  }).pipe(Effect.provideContext(target))

/** A store with nothing in it, which goes with the scope. */
const openEmpty = (url: string, directory: string) =>
  Effect.gen(function*() {
    const target = yield* makeEmpty(url, directory)
    return yield* Layer.build(Layer.fresh(layerUrl(target)))
  })

const makeEmpty = (url: string, directory: string): Effect.Effect<string, unknown, Scope.Scope> => {
  if (url === "memory:") return Effect.succeed(url)
  if (url.startsWith("pglite:")) {
    const home = path.join(directory, `restored-${process.pid}`)
    return Effect.as(
      Effect.addFinalizer(() => Effect.sync(() => rmSync(home, { recursive: true, force: true }))),
      `pglite:${home}`
    )
  }
  const name = `event_store_bench_restored_${process.pid}`
  const ask = (text: string) => Effect.scoped(Effect.flatMap(openSql(url), (sql) => sql.unsafe(text)))
  return Effect.acquireRelease(
    Effect.as(ask(`CREATE DATABASE ${name} TEMPLATE template0`), withDatabase(url, name)),
    () => Effect.orDie(ask(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
  )
}

/** Sizes of the newest backup in a place; next to NDJSON when the file is told from which the events are. */
const sizesOf = (directory: string, file: string | undefined): Effect.Effect<BackupFigures, unknown> =>
  Effect.gen(function*() {
    const { events, id, segments } = yield* newest
    const sum = (key: "fileBytes" | "plainBytes") => segments.reduce((total, segment) => total + segment[key], 0)
    const fileMb = megabytes(sum("fileBytes"))
    const sizes = { plainMb: megabytes(sum("plainBytes")), fileMb }
    if (file === undefined) return sizes
    const exported = yield* Stream.runFold(
      BackupLines.cat(id, { keys: KEYS }),
      () => 0,
      (bytes, text) => bytes + Buffer.byteLength(text)
    )
    const exportMb = megabytes(exported)
    const sourceMb = megabytes(ndjsonBytesOf(file, events.count))
    return {
      ...sizes,
      exportMb,
      sourceMb,
      smallerThanExportPercent: percentSmaller(fileMb, exportMb),
      smallerThanSourcePercent: percentSmaller(fileMb, sourceMb)
    }
  }).pipe(Effect.provide(layerDirectory(directory)))

const megabytes = (bytes: number): number => round(bytes / 1e6, 3)

const percentSmaller = (part: number, whole: number): number => round(100 - (100 * part) / whole, 2)
