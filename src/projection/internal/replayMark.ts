import * as Clock from "effect/Clock"
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import type { RecordedEvent } from "../../event/Event.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import { type Position, START } from "../../event/Revision.ts"
import {
  type BuildMissing,
  CheckpointStore,
  type HistoryChanged,
  type Lease,
  type LeaseLost,
  type ProjectionChanged,
  type StatementFailed
} from "../../store/CheckpointStore.ts"
import { addEvents } from "../../store/EventDigest.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import { LeaseHeld } from "../ProjectionError.ts"

/** Where a replay stands, kept under a name. */
export interface Mark {
  /** Position after which it begins. */
  readonly position: Position
  /** Notes events that were replayed; written down now and then. */
  readonly note: (events: ReadonlyArray<RecordedEvent>) => Effect.Effect<void, MarkError>
  /** Notes that everything up to a position was replayed; written down now and then. */
  readonly reach: (position: Position) => Effect.Effect<void, MarkError>
}

/** What keeping a mark can answer. */
export type MarkError =
  | InvalidInput
  | ProjectionChanged
  | HistoryChanged
  | BuildMissing
  | LeaseHeld
  | LeaseLost
  | StorageError

/** Replays with a mark that nobody else has meanwhile; one that is not kept without a name. */
export const withMark = <A, E, R>(
  name: string | undefined,
  definition: string,
  use: (mark: Mark) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | MarkError, R | CheckpointStore> =>
  name === undefined
    ? use({ position: START, note: () => Effect.void, reach: () => Effect.void })
    : Effect.gen(function*() {
      const checkpoints = yield* CheckpointStore
      const owner = uuidV7Unsafe()
      const claim = {
        name: PREFIX + name,
        version: 1,
        definition,
        owner,
        leaseMillis: LEASE_MILLIS,
        // one of another history is halted, and says so each time
        statuses: ["running", "halted"]
      } as const
      const answer = yield* checkpoints.acquire(claim)
      if (answer._tag === "Held") {
        const { status } = answer.record
        return yield* new LeaseHeld({ name: PREFIX + name, version: 1, status, owner: answer.record.owner })
      }
      const { lease, record: { checkpoint: { count, digest, position } } } = answer
      const { mark, write } = makeMark(checkpoints, lease, { count, digest, position })
      return yield* Effect.raceFirst(use(mark), keepLease(checkpoints, lease)).pipe(
        // what was replayed is noted however it ends
        Effect.onExit(() => Effect.andThen(Effect.ignore(write), Effect.ignore(checkpoints.release(lease))))
      )
    })

/** Whether a name is that of a mark. */
export const isMark = (name: string): boolean => name.startsWith(PREFIX)

/** Whether a mark can be kept under a name. */
export const isMarkName = (name: string): boolean =>
  name !== "" && new TextEncoder().encode(name).length <= NAME_BYTES_MAX

// internal

/** Stands before the names of marks, which are kept beside those of projections. */
const PREFIX = "replay:"

/** With the prefix a name is one of a projection. */
const NAME_BYTES_MAX = 500

/** How long a replay that gives no sign keeps its mark. */
const LEASE_MILLIS = 5_000

/** How often it is written down: what a crash repeats. */
const WRITE_MILLIS = 1_000

const makeMark = (
  checkpoints: CheckpointStore["Service"],
  lease: Lease,
  start: { readonly count: number; readonly digest: string; readonly position: Position }
) => {
  let written = start
  let reached = start
  let writtenMillis = 0
  const write = Effect.suspend(() => {
    const to = reached
    if (to.position === written.position) return Effect.void
    return Effect.map(checkpoints.commit(lease, { from: written.position, to }), () => {
      written = to
    })
  }).pipe(
    // there are no statements in it
    Effect.catchTag("StatementFailed", (refusal: StatementFailed) => Effect.die(refusal))
  )
  const writeWhenDue = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    if (now - writtenMillis < WRITE_MILLIS) return Effect.void
    writtenMillis = now
    return write
  })
  const mark: Mark = {
    position: start.position,
    note: (events) =>
      Effect.suspend(() => {
        const last = events.at(-1)
        if (last === undefined) return Effect.void
        reached = { ...addEvents(reached, events), position: last.position }
        return writeWhenDue
      }),
    reach: (position) =>
      Effect.suspend(() => {
        reached = { ...reached, position }
        return writeWhenDue
      })
  }
  return { mark, write }
}

/** Renews a lease for ever; fails when it is lost. */
const keepLease = (checkpoints: CheckpointStore["Service"], lease: Lease): Effect.Effect<never, LeaseLost> =>
  Effect.forever(
    Effect.andThen(
      Effect.sleep(LEASE_MILLIS / 3),
      // a storage that is away fails the writes, too
      Effect.catchTag(checkpoints.renew(lease), "StorageError", () => Effect.void)
    )
  )
