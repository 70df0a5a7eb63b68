/**
 * Snapshots in PostgreSQL, beside the log that they are of.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Arr from "effect/Array"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { fromSnapshotStorage, type SnapshotStorage } from "../store/SnapshotStorage.ts"
import {
  type SnapshotCompression,
  type SnapshotDescription,
  type SnapshotGroup,
  type SnapshotSerialization,
  SnapshotStore,
  type StoredSnapshot
} from "../store/SnapshotStore.ts"
import { quoteName } from "./internal/identifiers.ts"
import { READER } from "./internal/sessions.ts"
import * as statements from "./internal/snapshotStatements.ts"
import { storageErrors } from "./internal/sqlErrors.ts"
import { runner, type Statement } from "./internal/statements.ts"
import { SchemaName } from "./PgMigrations.ts"

/**
 * Layer that keeps the snapshots of a log in its schema. Needs the rights of
 * `event_store_writer` only (`sql/privileges.sql`), and the schema to be up to
 * date: without it every operation fails with `SchemaMismatch`.
 *
 * **Details**
 *
 * Opens up to 4 connections of its own, with the client's settings: what it does
 * never becomes part of a transaction of the caller's.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SnapshotStore, StorageError, PgClient.PgClient> = Layer.effect(
  SnapshotStore,
  Effect.gen(function*() {
    // a pool says here how many connections it has
    const config: PgClient.PgPoolConfig = (yield* PgClient.PgClient).config
    const sql = yield* PgClient.make({
      ...config,
      maxConnections: Math.min(config.maxConnections ?? CONNECTIONS_MAX, CONNECTIONS_MAX),
      startupParameters: { ...config.startupParameters, ...READER }
    }).pipe(storageErrors("connect"))
    return fromSnapshotStorage(makeStorage(sql, quoteName(yield* SchemaName)))
  })
).pipe(Layer.provide(Reactivity.layer))

// internal

const CONNECTIONS_MAX = 4

const makeStorage = (sql: PgClient.PgClient, schema: string): SnapshotStorage => {
  const run = runner(sql)
  const count = (operation: string, statement: Statement) =>
    Effect.map(run(operation, statement), ([row]) => row?.[0] as number)
  return {
    save: (snapshot) => Effect.asVoid(run("saveSnapshot", statements.save(schema, snapshot))),
    load: (query) =>
      Effect.map(run("loadSnapshot", statements.load(schema, query)), (rows) => Option.map(Arr.head(rows), toSnapshot)),
    list: (query) =>
      Effect.map(run("listSnapshots", statements.list(schema, query)), (rows) => rows.map(toDescription)),
    prune: (query) => count("pruneSnapshots", statements.prune(schema, query)),
    remove: (selection) => count("removeSnapshots", statements.remove(schema, selection)),
    statistics: Effect.map(run("snapshotStatistics", statements.statistics(schema)), (rows) => {
      const groups = rows.map(toGroup)
      return {
        snapshots: groups.reduce((sum, group) => sum + group.snapshots, 0),
        storedBytes: groups.reduce((sum, group) => sum + group.storedBytes, 0),
        groups
      }
    })
  }
}

type Header = readonly [
  streamId: StreamId,
  kind: string,
  fingerprint: string,
  revision: Revision,
  firstRevision: Revision,
  serialization: SnapshotSerialization,
  compression: SnapshotCompression,
  plainBytes: number,
  takenAt: Date,
  loadMillis: number
]

const toHeader = (row: ReadonlyArray<unknown>): Omit<StoredSnapshot, "bytes" | "digest"> => {
  const [
    streamId,
    kind,
    fingerprint,
    revision,
    firstRevision,
    serialization,
    compression,
    plainBytes,
    takenAt,
    loadMillis
  ] = row as unknown as Header
  return {
    streamId,
    kind,
    fingerprint,
    revision,
    firstRevision,
    serialization,
    compression,
    plainBytes,
    takenAt: DateTime.makeUnsafe(takenAt),
    loadMillis
  }
}

const toSnapshot = (row: ReadonlyArray<unknown>): StoredSnapshot => ({
  ...toHeader(row),
  bytes: row[10] as Uint8Array,
  digest: row[11] as Uint8Array
})

const toDescription = (row: ReadonlyArray<unknown>): SnapshotDescription => ({
  ...toHeader(row),
  storedBytes: row[10] as number
})

const toGroup = (row: ReadonlyArray<unknown>): SnapshotGroup => {
  const [kind, fingerprint, snapshots, streams, storedBytes, plainBytes, oldest, newest] = row as unknown as readonly [
    string,
    string,
    number,
    number,
    number,
    number,
    Date,
    Date
  ]
  return {
    kind,
    fingerprint,
    snapshots,
    streams,
    storedBytes,
    plainBytes,
    oldestTakenAt: DateTime.makeUnsafe(oldest),
    newestTakenAt: DateTime.makeUnsafe(newest)
  }
}
