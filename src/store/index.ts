/**
 * The contract of the log, and what a storage does to keep it.
 *
 * @since 0.1.0
 */
export * from "./AppendRequest.ts"
export * from "./CheckpointStorage.ts"
export * from "./CheckpointStore.ts"
export * from "./EventArchive.ts"
export * from "./EventDigest.ts"
export * from "./EventStore.ts"
export * from "./EventStoreError.ts"
export * from "./fromStorage.ts"
export * from "./History.ts"
export * from "./InlineAppender.ts"
export * from "./KeptChanges.ts"
export * from "./LogArchive.ts"
export * from "./LogTransfer.ts"
export * from "./LogTransferStorage.ts"
export * from "./ProjectionKey.ts"
export * from "./ReadModelStore.ts"
export * from "./RestoreError.ts"
export * from "./Slice.ts"
export * from "./SnapshotStorage.ts"
export * from "./SnapshotStore.ts"
export * from "./Storage.ts"
export * from "./StoreAdmin.ts"
export * from "./StreamList.ts"
export * from "./TableComparison.ts"
