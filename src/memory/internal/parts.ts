/**
 * The insides of the stores in memory, for those who move all of it at once.
 */
import * as Context from "effect/Context"
import type { CheckpointRow, ParkedRow, StateRow } from "../../store/LogTransfer.ts"
import type { StoredSnapshot } from "../../store/SnapshotStore.ts"
import type { Log } from "./log.ts"

/** The log, and how those who wait for it are told that it has grown. */
export class MemoryLog extends Context.Service<MemoryLog, {
  readonly log: Log
  readonly grown: () => void
}>()("effect-event-store/memory/internal/parts/MemoryLog") {}

/** Snapshots. */
export class MemorySnapshots extends Context.Service<MemorySnapshots, {
  /** All, in the order of their keys. */
  readonly all: () => ReadonlyArray<StoredSnapshot>
  readonly save: (snapshot: StoredSnapshot) => void
}>()("effect-event-store/memory/internal/parts/MemorySnapshots") {}

/** Projections. */
export class MemoryProjections extends Context.Service<MemoryProjections, {
  readonly isEmpty: () => boolean
  /** All of it as it is now. */
  readonly rows: () => ProjectionRows
  /** Puts projections into a store that has none. */
  readonly restore: (rows: ProjectionRows) => void
}>()("effect-event-store/memory/internal/parts/MemoryProjections") {}

export interface ProjectionRows {
  readonly checkpoints: ReadonlyArray<CheckpointRow>
  readonly states: ReadonlyArray<StateRow>
  readonly parked: ReadonlyArray<ParkedRow>
}
