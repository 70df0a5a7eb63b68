import * as Effect from "effect/Effect"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Position } from "../../event/Revision.ts"
import type { Checkpoint, CheckpointStore, ProjectionRecord, ProjectionStatus } from "../../store/CheckpointStore.ts"
import { addDigests, addEvents, EMPTY_DIGEST, type EventDigest } from "../../store/EventDigest.ts"
import type { EventStore } from "../../store/EventStore.ts"
import type { PositionAheadOfLog, StorageError } from "../../store/EventStoreError.ts"
import type { Follower } from "../Reactor.ts"
import { makeDivider } from "./slices.ts"

/** What the log has for each slice up to its checkpoint: asked of the database where that can divide as the follower does. */
export const digestsOf = (
  { checkpoints, store }: { readonly checkpoints: CheckpointStore["Service"]; readonly store: EventStore["Service"] },
  follower: Pick<Follower<unknown>, "filter" | "slices">,
  records: readonly [ProjectionRecord, ...Array<ProjectionRecord>]
): Effect.Effect<ReadonlyArray<EventDigest>, InvalidInput | PositionAheadOfLog | StorageError> => {
  const { filter, slices } = follower
  const [{ checkpoint: { position }, start }] = records
  const untils = records.map(({ checkpoint }) => checkpoint.position)
  if (records.length === 1) {
    return Effect.map(checkpoints.digestLog({ filter, after: start, until: position }), (log) => [log])
  }
  return typeof slices?.by === "function"
    ? digestByReading(store, follower, untils)
    : checkpoints.digestSlices({ filter, untils })
}

/** What is known of all slices together. */
export const joinRecords = (records: readonly [ProjectionRecord, ...Array<ProjectionRecord>]): ProjectionRecord => {
  const [first] = records
  const failed = records.flatMap(({ failure }) => failure ?? [])
  const last = failed.reduce(
    (newest, failure) =>
      newest === undefined || failure.lastAt.epochMilliseconds > newest.lastAt.epochMilliseconds ? failure : newest,
    failed[0]
  )
  return {
    ...first,
    checkpoint: joinCheckpoints(records.map(({ checkpoint }) => checkpoint), first.checkpoint),
    status: STATUSES.find((status) => records.some((record) => record.status === status)) ?? first.status,
    isSetUp: records.every(({ isSetUp }) => isSetUp),
    parked: records.reduce((sum, { parked }) => sum + parked, 0),
    failure: last === undefined ? undefined : {
      ...last,
      count: failed.reduce((sum, { count }) => sum + count, 0),
      firstAt: failed.reduce(
        (oldest, { firstAt }) => firstAt.epochMilliseconds < oldest.epochMilliseconds ? firstAt : oldest,
        last.firstAt
      )
    },
    updatedAt: records.reduce(
      (newest, { updatedAt }) => updatedAt.epochMilliseconds > newest.epochMilliseconds ? updatedAt : newest,
      first.updatedAt
    )
  }
}

/** What all slices have seen, and the lowest of their positions. */
export const joinCheckpoints = (checkpoints: ReadonlyArray<Checkpoint>, first: Checkpoint): Checkpoint => ({
  ...checkpoints.reduce<EventDigest>(addDigests, EMPTY_DIGEST),
  position: checkpoints.reduce((least, { position }) => position < least ? position : least, first.position),
  incarnation: first.incarnation
})

// internal

/** What is worst comes first. */
const STATUSES: ReadonlyArray<ProjectionStatus> = ["halted", "paused", "running"]

/** Events that are read in one go. */
const PAGE_EVENTS = 1_000

const digestByReading = Effect.fnUntraced(function*(
  store: EventStore["Service"],
  { filter, slices }: Pick<Follower<unknown>, "filter" | "slices">,
  untils: ReadonlyArray<Position>
) {
  const divide = makeDivider({ slices }) ?? (() => 0)
  const digests: Array<EventDigest> = untils.map(() => EMPTY_DIGEST)
  const until = Math.max(...untils)
  let after = 0
  while (after < until) {
    const page = yield* store.readPage({ after, until, filter, limit: PAGE_EVENTS })
    for (const [slice, events] of Map.groupBy(page.events, divide)) {
      const end = untils[slice] ?? 0
      digests[slice] = addEvents(digests[slice] ?? EMPTY_DIGEST, events.filter(({ position }) => position <= end))
    }
    after = page.position
    if (page.isEnd) break
  }
  return digests
})
