import { LRUCache } from "lru-cache"
import type { Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { StoredSnapshot } from "../../store/SnapshotStore.ts"
import type { Observation } from "../SnapshotStrategy.ts"
import { sizeOf } from "./sizeOf.ts"

/** What is known of the snapshots of one stream. */
export interface Known {
  /** Revision of its newest snapshot in the store; -1 for none. */
  storedRevision: number
  /** When that was taken, in milliseconds since 1970; `undefined` when unknown. */
  storedAt: number | undefined
  /** First revision that is in its state. */
  firstRevision: Revision
  /** Whether the store holds one that cannot be read: the next report replaces it, whatever the strategy says. */
  isBroken: boolean
  /** Size of the state, in bytes, as it was at `measuredRevision`. */
  stateBytes: number
  measuredRevision: number
  /** What the strategy was asked last. */
  observation: Observation | undefined
}

/** Known streams, those that were not used for long left out. */
export type Ledger = LRUCache<StreamId, Known>

export const makeLedger = (): Ledger => new LRUCache({ max: STREAMS_MAX })

/** What is known of a stream; of one that is not, what a report says. */
export const know = (ledger: Ledger, streamId: StreamId, snapshotRevision: number): Known => {
  const found = ledger.get(streamId)
  if (found !== undefined) return found
  const known: Known = {
    storedRevision: snapshotRevision,
    storedAt: undefined,
    firstRevision: 0 as Revision,
    isBroken: false,
    stateBytes: 0,
    measuredRevision: -1,
    observation: undefined
  }
  ledger.set(streamId, known)
  return known
}

/** Notes what the store holds of a stream. */
export const noteStored = (known: Known, snapshot: StoredSnapshot): void => {
  known.storedRevision = snapshot.revision
  known.storedAt = snapshot.takenAt.epochMilliseconds
  known.isBroken = false
}

/**
 * Measures a state, again whenever its stream has grown by a quarter: measuring
 * costs as much as the state is large, and this spreads it over the events.
 */
export const measure = (known: Known, state: unknown, revision: number): void => {
  if (known.measuredRevision >= 0 && revision < known.measuredRevision * 1.25 + REMEASURE_EVENTS) return
  known.stateBytes = sizeOf(state)
  known.measuredRevision = revision
}

// internal

/** Streams that are remembered; each takes some 200 bytes. */
const STREAMS_MAX = 10_000

const REMEASURE_EVENTS = 8
