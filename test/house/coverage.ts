/**
 * Source modules without a test file of their own, and the suite in which their promises are tested. A name that ends
 * with `/` stands for every module of that folder.
 */
export const coveredBySuite: Readonly<Record<string, string>> = {
  "src/event/Event.ts": "test/event/EncodedEvent.test.ts",
  "src/event/InvalidInput.ts": "test/event/EncodedEvent.test.ts",
  "src/event/Limits.ts": "test/event/EncodedEvent.test.ts",

  "src/store/AppendRequest.ts": "test/store/AppendSuite.ts",
  "src/store/EventStore.ts": "test/store/EventStoreSuite.ts",
  "src/store/EventStoreError.ts": "test/store/EventStoreSuite.ts",
  "src/store/Storage.ts": "test/store/EventStoreSuite.ts",
  "src/store/StreamList.ts": "test/store/StreamSuite.ts",
  "src/store/fromStorage.ts": "test/store/EventStoreSuite.ts",

  "src/memory/internal/": "test/store/memory.test.ts",

  "src/pglite/PgliteClient.ts": "test/pglite/connections.test.ts",
  "src/pglite/PgliteError.ts": "test/pglite/dataDirectory.test.ts",
  "src/pglite/internal/answer.ts": "test/pglite/connections.test.ts",
  "src/pglite/internal/clusterImage.ts": "test/pglite/dataDirectory.test.ts",
  "src/pglite/internal/connection.ts": "test/pglite/connections.test.ts",
  "src/pglite/internal/directoryLock.ts": "test/pglite/dataDirectory.test.ts",
  "src/pglite/internal/engine.ts": "test/pglite/crash.test.ts",
  "src/pglite/internal/eventLoopTurn.ts": "test/pglite/connections.test.ts",
  "src/pglite/internal/hostFilesystem.ts": "test/pglite/maintenance.test.ts",
  "src/pglite/internal/instance.ts": "test/pglite/maintenance.test.ts",
  "src/pglite/internal/mux.ts": "test/pglite/connections.test.ts",
  "src/pglite/internal/sharedState.ts": "test/pglite/connections.test.ts",
  "src/pglite/internal/tar.ts": "test/pglite/dataDirectory.test.ts",
  "src/pglite/internal/wire.ts": "test/pglite/connections.test.ts",

  "src/postgres/PgEventStore.ts": "test/store/postgres.test.ts",
  "src/postgres/PgMigrations.ts": "test/store/postgres.test.ts",
  "src/postgres/internal/batch.ts": "test/store/postgres.test.ts",
  "src/postgres/internal/committer.ts": "test/store/postgres.test.ts",
  "src/postgres/internal/headWatcher.ts": "test/store/postgres.test.ts",
  "src/postgres/internal/migrations.ts": "test/house/tidy.test.ts",
  "src/postgres/internal/reads.ts": "test/store/postgres.test.ts",
  "src/postgres/internal/rows.ts": "test/store/postgres.test.ts",
  "src/postgres/internal/sqlErrors.ts": "test/store/postgres.test.ts",
  "src/postgres/internal/streamChanges.ts": "test/store/postgres.test.ts"
}
