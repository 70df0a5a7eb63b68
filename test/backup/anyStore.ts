/**
 * Stores of all kinds, empty and of their own, for whoever moves them: tests and scripts.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { layerMemory, layerPglite, layerPostgres } from "../../src/runtime/EventStoreLayer.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import type { LogArchive } from "../../src/store/LogArchive.ts"
import { LogTransfer } from "../../src/store/LogTransfer.ts"
import { SnapshotStore } from "../../src/store/SnapshotStore.ts"
import { StoreAdmin } from "../../src/store/StoreAdmin.ts"
import { makeDatabase, type ServerAddress } from "../support/postgres.ts"

type Services = CheckpointStore | EventStore | LogArchive | LogTransfer | SnapshotStore | StoreAdmin

/** An open store. */
export interface AnyStore {
  readonly context: Context.Context<Services>
  readonly store: EventStore["Service"]
  readonly transfer: LogTransfer["Service"]
  readonly checkpoints: CheckpointStore["Service"]
  readonly snapshots: SnapshotStore["Service"]
  readonly admin: StoreAdmin["Service"]
}

export interface StoreKind {
  readonly label: string
  /** Whether what a broken-off restore has written is there afterwards. */
  readonly keepsSteps: boolean
  /** Opens an empty store, which goes with the scope. */
  readonly open: Effect.Effect<AnyStore, unknown, Scope.Scope>
}

export const memory: StoreKind = {
  label: "memory",
  keepsSteps: false,
  open: Effect.suspend(() => openLayer(layerMemory))
}

/** PGlite in memory, or in a directory that is made for each store. */
export const pgliteIn = (directory?: Effect.Effect<string, unknown, Scope.Scope>): StoreKind => ({
  label: "pglite",
  keepsSteps: true,
  open: directory === undefined
    ? Effect.suspend(() => openLayer(layerPglite({})))
    : Effect.flatMap(directory, (path) => openLayer(layerPglite({ directory: path })))
})

/** A database on a server. */
export const postgresOn = ({ admin, label }: ServerAddress): StoreKind => ({
  label,
  keepsSteps: true,
  open: Effect.flatMap(makeDatabase(admin), (url) => postgresAt(url).open)
})

/** The database of a URL. */
export const postgresAt = (url: string): StoreKind => ({
  label: "postgres",
  keepsSteps: true,
  open: Effect.suspend(() => openLayer(layerPostgres({ url, maxConnections: 4 })))
})

/** Opens what a layer provides, apart from everybody else. */
const openLayer = <E>(layer: Layer.Layer<Services, E>): Effect.Effect<AnyStore, E, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => ({
    context,
    store: Context.get(context, EventStore),
    transfer: Context.get(context, LogTransfer),
    checkpoints: Context.get(context, CheckpointStore),
    snapshots: Context.get(context, SnapshotStore),
    admin: Context.get(context, StoreAdmin)
  }))
