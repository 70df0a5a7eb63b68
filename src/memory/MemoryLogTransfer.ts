/**
 * The transfer of a store in memory.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { EventId } from "../event/Event.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import type { Position, Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"
import { type ArchivedParts, completeRows } from "../store/EventArchive.ts"
import { addEvents, EMPTY_DIGEST, type EventDigest } from "../store/EventDigest.ts"
import { type StorageError, storeRestoring } from "../store/EventStoreError.ts"
import {
  type EventRow,
  LogTransfer,
  type LogView,
  type OtherKind,
  type RestorePlan,
  type SnapshotRow,
  type StreamRow,
  type TransferRows
} from "../store/LogTransfer.ts"
import { fromTransferStorage, type StorageRestore, type TransferStorage } from "../store/LogTransferStorage.ts"
import { RestoreDiffers, RestoreOvertaken, RestoreTargetNotEmpty } from "../store/RestoreError.ts"
import type { SnapshotCompression, SnapshotSerialization, StoredSnapshot } from "../store/SnapshotStore.ts"
import { makeArchivedParts, PAGE_SIZE, readStored } from "./internal/archived.ts"
import { headOf, type Log, makeLog, record, replaceLog } from "./internal/log.ts"
import { MemoryLog, MemoryProjections, MemorySnapshots, type ProjectionRows } from "./internal/parts.ts"
import { compareNames } from "./internal/streams.ts"

/**
 * Layer that moves a log in memory with its snapshots and projections. Needs the
 * layers of all three.
 *
 * **Details**
 *
 * A restore that is broken off leaves nothing: the store is empty and usable at
 * once. Times of checkpoints, parked events and snapshots are kept in
 * milliseconds, those of events in microseconds.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<LogTransfer, never, MemoryLog | MemorySnapshots | MemoryProjections> = Layer.effect(
  LogTransfer,
  Effect.gen(function*() {
    const parts = yield* MemoryLog
    return fromTransferStorage(makeStorage({
      ...parts,
      archived: yield* makeArchivedParts(parts.log),
      snapshots: yield* MemorySnapshots,
      projections: yield* MemoryProjections
    }))
  })
)

// internal

/** Microseconds of a millisecond. */
const MICROS = 1_000

interface Parts {
  readonly log: Log
  readonly grown: () => void
  readonly archived: ArchivedParts
  readonly snapshots: MemorySnapshots["Service"]
  readonly projections: MemoryProjections["Service"]
}

const makeStorage = (parts: Parts): TransferStorage => {
  const { archived, log, projections, snapshots } = parts
  const describe = () => ({
    position: headOf(log),
    incarnation: log.incarnation,
    parent: log.parent,
    isEmpty: headOf(log) === 0 && snapshots.all().length === 0 && projections.isEmpty(),
    restoring: log.restoring
  })
  return {
    describe: Effect.sync(describe),
    readEvents: (page) =>
      completeRows(
        archived,
        "readEvents",
        Effect.suspend(() => unlessRestoring(log, "readEvents", () => readStored(log, page))),
        PAGE_SIZE
      ),
    view: Effect.suspend(() => unlessRestoring(log, "view", () => makeView(parts))),
    restore: (plan) => beginRestore(parts, describe, plan),
    // it ended with its scope
    abandonRestore: Effect.succeed(false)
  }
}

const unlessRestoring = <A>(log: Log, operation: string, use: () => A): Effect.Effect<A, StorageError> =>
  log.restoring === undefined ? Effect.succeed(use()) : Effect.fail(storeRestoring(operation))

const makeView = ({ archived, log, projections, snapshots }: Parts): LogView => {
  const rows: { readonly [K in OtherKind]: ReadonlyArray<TransferRows[K]> } = {
    streams: [...log.streams.values()]
      .filter(({ isTombstoned, metadata, truncateBefore }) => isTombstoned || truncateBefore > 0 || metadata !== "{}")
      .map(({ isTombstoned, metadata, positions, streamId, truncateBefore }): StreamRow => ({
        streamId,
        revision: positions.length - 1,
        truncateBefore,
        isTombstoned,
        metadata
      }))
      .sort((a, b) => compareNames(a.streamId, b.streamId)),
    snapshots: snapshots.all()
      .filter(({ revision, streamId }) => revision < (log.streams.get(streamId)?.positions.length ?? 0))
      .map((snapshot): SnapshotRow => ({
        ...snapshot,
        digest: snapshot.digest,
        takenAt: snapshot.takenAt.epochMilliseconds * MICROS
      })),
    ...projections.rows()
  }
  return {
    position: headOf(log),
    incarnation: log.incarnation,
    leftOut: [],
    readEvents: (page) => completeRows(archived, "readEvents", Effect.sync(() => readStored(log, page)), PAGE_SIZE),
    rows: (kind) => Stream.fromIterable(rows[kind])
  }
}

/** What is written beside the events waits here for the one step in which all becomes true. */
interface Waiting extends Record<OtherKind, ReadonlyArray<unknown>> {
  readonly streams: Array<StreamRow>
  readonly snapshots: Array<SnapshotRow>
  readonly checkpoints: Array<ProjectionRows["checkpoints"][number]>
  readonly states: Array<ProjectionRows["states"][number]>
  readonly parked: Array<ProjectionRows["parked"][number]>
}

const beginRestore = (
  parts: Parts,
  describe: () => { readonly isEmpty: boolean; readonly position: number },
  plan: RestorePlan
): Effect.Effect<StorageRestore, RestoreTargetNotEmpty | StorageError, Scope.Scope> =>
  Effect.gen(function*() {
    const { log } = parts
    if (log.restoring !== undefined) return yield* storeRestoring("restore")
    const notEmpty = (): RestoreTargetNotEmpty | undefined => {
      const { isEmpty, position } = describe()
      return isEmpty ? undefined : new RestoreTargetNotEmpty({
        position: position as Position,
        detail: position > 0 ? `${position} events` : "snapshots or projections"
      })
    }
    const refusal = notEmpty()
    if (refusal !== undefined) return yield* refusal
    const startedAt = (yield* Clock.currentTimeMillis) * MICROS
    const mark = { ...plan, position: 0, startedAt }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        log.restoring = mark
      }),
      () =>
        Effect.sync(() => {
          if (log.restoring?.startedAt === startedAt) log.restoring = undefined
        })
    )
    const staged = makeLog(log.incarnation)
    const tally = { digest: EMPTY_DIGEST, fault: undefined as RestoreDiffers | undefined }
    return {
      position: 0,
      recordedAt: 0,
      writeEvents: (rows) =>
        Effect.suspend((): Effect.Effect<void, InvalidInput | RestoreOvertaken> => {
          if (log.restoring === undefined) return Effect.fail(new RestoreOvertaken({ source: plan.source }))
          const fault = stage(staged, rows, tally)
          log.restoring = { ...mark, position: headOf(staged) }
          return fault === undefined ? Effect.void : Effect.fail(fault)
        }),
      finish: Effect.fnUntraced(function*({ digest, incarnation, rest }) {
        const fault = tally.fault ?? differs(digest, tally.digest)
        if (fault !== undefined) return yield* fault
        const waiting: Waiting = { streams: [], snapshots: [], checkpoints: [], states: [], parked: [] }
        yield* rest((kind, rows) =>
          Effect.sync(() => {
            const fitting = rows.filter((row) => isBorneOut(staged, kind, row))
            for (const row of fitting) (waiting[kind] as Array<unknown>).push(row)
            return fitting.length
          })
        )
        const filled = notEmpty()
        if (filled !== undefined) return yield* filled
        apply(parts, staged, waiting, incarnation, plan)
      })
    }
  })

const differs = (expected: EventDigest, actual: EventDigest): RestoreDiffers | undefined =>
  expected.count === actual.count && expected.digest === actual.digest ? undefined : new RestoreDiffers({
    detail: "count and digest of the events",
    expected: `${expected.count} ${expected.digest}`,
    actual: `${actual.count} ${actual.digest}`
  })

const stage = (
  staged: Log,
  rows: ReadonlyArray<EventRow>,
  tally: { digest: EventDigest; fault: RestoreDiffers | undefined }
): InvalidInput | undefined => {
  for (const row of rows) {
    const { data, id, metadata, recordedAt, revision, streamId, tags, type, version } = row
    const next = staged.streams.get(streamId)?.positions.length ?? 0
    if (revision !== next) {
      tally.fault ??= new RestoreDiffers({
        detail: `revisions of stream ${streamId}`,
        expected: `${next}`,
        actual: `${revision}`
      })
    }
    if (staged.ids.has(id)) tally.fault ??= new RestoreDiffers({ detail: "ids", expected: "each once", actual: id })
    const fault = checkText(data, `events[${row.position}].data`) ??
      (metadata === "" ? undefined : checkText(metadata, `events[${row.position}].metadata`))
    if (fault !== undefined) return fault
    const millis = Math.floor(recordedAt / MICROS)
    record(
      staged,
      streamId as StreamId,
      {
        id: id as EventId,
        type,
        version,
        data,
        metadata: metadata === "" ? undefined : metadata,
        tags,
        sizeBytes: Buffer.byteLength(data) + Buffer.byteLength(metadata)
      },
      millis,
      recordedAt - millis * MICROS
    )
  }
  tally.digest = addEvents(tally.digest, rows)
  return undefined
}

const checkText = (text: string, path: string): InvalidInput | undefined => {
  try {
    JSON.parse(text)
    return undefined
  } catch {
    return new InvalidInput({ reason: "NotJson", path, detail: "expected JSON" })
  }
}

/** Whether the log has what a snapshot or the settings of a stream are about. */
const isBorneOut = (staged: Log, kind: OtherKind, row: TransferRows[OtherKind]): boolean => {
  if (kind !== "streams" && kind !== "snapshots") return true
  const { revision, streamId } = row as StreamRow | SnapshotRow
  const length = staged.streams.get(streamId)?.positions.length ?? 0
  return kind === "streams" ? length > 0 : revision < length
}

const apply = (
  { grown, log, projections, snapshots }: Parts,
  staged: Log,
  waiting: Waiting,
  incarnation: string,
  { source, until }: RestorePlan
): void => {
  for (const { isTombstoned, metadata, streamId, truncateBefore } of waiting.streams) {
    const stream = staged.streams.get(streamId)
    if (stream === undefined) continue
    stream.isTombstoned = isTombstoned
    stream.metadata = metadata
    stream.truncateBefore = Math.min(truncateBefore, stream.positions.length)
  }
  for (const row of waiting.snapshots) snapshots.save(toSnapshot(row))
  projections.restore(waiting)
  replaceLog(log, { ...staged, incarnation, parent: { incarnation: source, position: until } })
  grown()
}

const toSnapshot = (row: SnapshotRow): StoredSnapshot => ({
  ...row,
  streamId: row.streamId as StreamId,
  revision: row.revision as Revision,
  firstRevision: row.firstRevision as Revision,
  serialization: row.serialization as SnapshotSerialization,
  compression: row.compression as SnapshotCompression,
  takenAt: DateTime.makeUnsafe(Math.floor(row.takenAt / MICROS))
})
