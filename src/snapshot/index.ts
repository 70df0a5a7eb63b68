/**
 * States that need not be folded from the beginning.
 *
 * @since 0.1.0
 */
export * as SnapshotAdvice from "./SnapshotAdvice.ts"
export * as SnapshotCache from "./SnapshotCache.ts"
export * as SnapshotCodec from "./SnapshotCodec.ts"
export * as Snapshots from "./Snapshots.ts"
export * as SnapshotStrategy from "./SnapshotStrategy.ts"
