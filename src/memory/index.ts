/**
 * A store in memory: fast, and gone with the process.
 *
 * @since 0.1.0
 */
export * from "./MemoryEventStore.ts"

export * as MemoryCheckpointStore from "./MemoryCheckpointStore.ts"
export * as MemoryLogArchive from "./MemoryLogArchive.ts"
export * as MemoryLogTransfer from "./MemoryLogTransfer.ts"
export * as MemorySnapshotStore from "./MemorySnapshotStore.ts"
export * as MemoryStoreAdmin from "./MemoryStoreAdmin.ts"
