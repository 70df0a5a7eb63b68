/**
 * One PGlite from its opening to its closing, breakages in between included.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { type DataDirectoryLocked, PgliteError } from "../PgliteError.ts"
import * as ClusterImage from "./clusterImage.ts"
import * as DataDirectory from "./dataDirectory.ts"
import * as DirectoryLock from "./directoryLock.ts"
import * as Engine from "./engine.ts"
import { Mux } from "./mux.ts"
import { simpleQuery } from "./wire.ts"

/** What outlives a crash: nothing, what a crashed process had committed, or what a power cut interrupted. */
export type Durability = "memory" | "processCrash" | "powerLoss"

/** What an instance is opened with. */
export interface InstanceOptions {
  readonly directory: string | undefined
  readonly durability: Durability
  readonly clusterImage: string | false | undefined
  readonly settings: Readonly<Record<string, string>>
  readonly idleInTransaction: Duration.Duration
}

/** An open PGlite. */
export interface Instance {
  /** Its real path; `undefined` in memory. */
  readonly directory: string | undefined
  readonly mux: Mux
  /** Signals that the log may have grown by megabytes. */
  readonly work: Queue.Dequeue<void>
  /** How often the disk was asked to keep what was written. */
  readonly fsyncs: () => number
}

/**
 * Opens a PGlite until the scope closes.
 *
 * **Details**
 *
 * A broken engine is replaced by a fresh one over the same directory, which
 * recovers every committed transaction from the log; meanwhile connections
 * wait. In memory there is nothing to recover, and every connection fails.
 *
 * The closing waits up to `DRAIN_MS_MAX` for statements and
 * transactions, writes a checkpoint, and releases the lock last.
 */
export const make: (
  options: InstanceOptions
) => Effect.Effect<Instance, DataDirectoryLocked | PgliteError, Scope.Scope> = Effect.fnUntraced(function*(options) {
  let fsyncs = 0
  const place = yield* openPlace(options)
  const engineOptions: Engine.EngineOptions = {
    ...place,
    fsync: options.durability === "powerLoss",
    settings: options.settings,
    onFsync: () => {
      fsyncs++
    }
  }
  const broken = yield* Queue.unbounded<Breakage>()
  const work = yield* Queue.sliding<void>(1)
  const mux = new Mux({
    idleInTransactionMs: Duration.toMillis(options.idleInTransaction),
    onBroken: (engine, cause) => {
      Queue.offerUnsafe(broken, { engine, cause })
    },
    onWork: () => {
      Queue.offerUnsafe(work, undefined)
    }
  })
  yield* Effect.acquireRelease(
    Effect.map(Engine.open(engineOptions), (engine) => mux.attach(engine)),
    () => close(mux)
  )
  yield* Effect.forkScoped(Effect.forever(
    // Uninterruptible: an engine that opens must not outlive the lock.
    Effect.flatMap(Queue.take(broken), (breakage) => Effect.uninterruptible(replace(mux, engineOptions, breakage)))
  ))
  return { directory: place.directory, mux, work, fsyncs: () => fsyncs }
})

// internal

/** Milliseconds that the closing of a scope waits for statements and transactions. */
const DRAIN_MS_MAX = 5000

interface Breakage {
  readonly engine: Engine.Engine
  readonly cause: unknown
}

interface Place {
  readonly directory: string | undefined
  readonly clusterDirectory: string | undefined
  readonly image: Uint8Array | undefined
}

const openPlace = (
  options: InstanceOptions
): Effect.Effect<Place, DataDirectoryLocked | PgliteError, Scope.Scope> =>
  Effect.gen(function*() {
    const image = ClusterImage.load(options.clusterImage)
    if (options.directory === undefined) {
      return { directory: undefined, clusterDirectory: undefined, image: yield* image }
    }
    const directory = yield* DataDirectory.prepare(options.directory)
    yield* DirectoryLock.acquire(directory)
    const clusterDirectory = yield* DataDirectory.openCluster(
      directory,
      Effect.flatMap(image, (ready) => ready === undefined ? ClusterImage.make : Effect.succeed(ready))
    )
    return { directory, clusterDirectory, image: undefined }
  })

const replace = (mux: Mux, options: Engine.EngineOptions, { cause, engine }: Breakage): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* Effect.logError("The embedded PostgreSQL broke", cause)
    yield* discard(engine)
    if (options.clusterDirectory === undefined) return yield* lostMemory(cause)
    mux.attach(yield* Engine.open(options))
    yield* Effect.logInfo("The embedded PostgreSQL was opened again, with everything that was committed")
  }).pipe(
    Effect.catch((error) =>
      Effect.sync(() => {
        mux.refuse(error)
      })
    )
  )

const discard = (engine: Engine.Engine): Effect.Effect<void> => Effect.promise(() => engine.discard())

const lostMemory = (cause: unknown): Effect.Effect<never, PgliteError> =>
  Effect.fail(
    new PgliteError({
      reason: "Broken",
      what: "The embedded PostgreSQL in memory is lost",
      why: `It crashed: ${cause instanceof Error ? cause.message : String(cause)}`,
      fix: "Open a new one; name a directory if the data is to outlive a crash",
      cause
    })
  )

const close = (mux: Mux): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* Effect.callback<void>((resume) => mux.whenDrained(DRAIN_MS_MAX, () => resume(Effect.void)))
    const engine = mux.refuse(
      new PgliteError({
        reason: "Closed",
        what: "The embedded PostgreSQL is closed",
        why: "The scope of its layer has ended",
        fix: "Keep the layer for as long as its clients"
      })
    )
    if (engine === undefined) return
    // PGlite's own closing writes the checkpoint of a shutdown.
    yield* Effect.tryPromise(() => engine.run(simpleQuery("ROLLBACK")).then(() => engine.close())).pipe(
      Effect.catchCause((cause) =>
        Effect.andThen(discard(engine), Effect.logError("The embedded PostgreSQL did not close in order", cause))
      )
    )
  })
