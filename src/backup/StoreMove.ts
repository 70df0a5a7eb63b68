/**
 * Moves a whole store to another place: from an embedded one to a server, say,
 * or back.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { addEvents, EMPTY_DIGEST } from "../store/EventDigest.ts"
import {
  type BuildLeftOut,
  type LogTransfer,
  type LogView,
  type OtherKind,
  type RestoreError,
  type RestoreReport,
  TRANSFER_KINDS,
  type TransferState,
  type WriteRows
} from "../store/LogTransfer.ts"
import { compareEvents, eventPages } from "./internal/eventPages.ts"
import { makeMeter } from "./internal/meter.ts"
import type { CopyDiffers } from "./TransferError.ts"
import type { OnProgress } from "./TransferProgress.ts"

/**
 * From where, and to where.
 *
 * @category models
 * @since 0.1.0
 */
export interface MoveOptions {
  /** Only read. */
  readonly from: LogTransfer["Service"]
  /** Has to be empty, or to hold a part of the same move. */
  readonly to: LogTransfer["Service"]
  /** Whether all events are read back and compared, and not only their count and digest; true when absent. */
  readonly verify?: boolean | undefined
  readonly onProgress?: OnProgress | undefined
}

/**
 * What a move did.
 *
 * @category models
 * @since 0.1.0
 */
export interface MoveReport extends RestoreReport {
  /** The history that was moved. */
  readonly source: string
  /** Events that were written by this move, and not by one that was broken off. */
  readonly written: number
  readonly elapsedMillis: number
}

/**
 * How both stores stand before a move.
 *
 * @category models
 * @since 0.1.0
 */
export interface MovePreview {
  readonly from: TransferState
  /** A move to a store that is not empty fails. */
  readonly to: TransferState
  /** How many events are there already, of the same move when it was broken off. */
  readonly goesOnAfter: number
}

/**
 * Says how both stores stand. Changes nothing.
 *
 * @category operations
 * @since 0.1.0
 */
export const plan = Effect.fn("StoreMove.plan")(function*(
  options: Pick<MoveOptions, "from" | "to">
): Effect.fn.Return<MovePreview, RestoreError> {
  const from = yield* options.from.describe
  const to = yield* options.to.describe
  const { restoring } = to
  const goesOn = restoring !== undefined && restoring.source === from.incarnation && restoring.position <= from.position
  return { from, to, goesOnAfter: goesOn ? restoring.position : 0 }
})

/**
 * Moves a store as it is now: events with positions, revisions, ids, times and
 * bytes, settings of streams, snapshots, checkpoints, states and parked events
 * of projections.
 *
 * **Details**
 *
 * The target is usable when all of it is there. It is a history of its own, of
 * which the source is the parent, and its projections go on where they were;
 * those with tables of their own are built again. A move that was broken off is
 * gone on with, where the target keeps what was written.
 *
 * **Gotchas**
 *
 * What is appended to the source after the move began is not moved: stop whoever
 * writes to it before, or move again to another target.
 *
 * @category operations
 * @since 0.1.0
 */
export const promote = Effect.fn("StoreMove.promote")(function*(
  { from, onProgress, to, verify = true }: MoveOptions
): Effect.fn.Return<MoveReport, RestoreError | CopyDiffers> {
  const meter = yield* makeMeter(onProgress)
  return yield* Effect.scoped(Effect.gen(function*() {
    const view = yield* from.view
    const { incarnation: source, position: until } = view
    const all = { after: 0, until }
    const session = yield* to.restore({ source, until })
    let digest = EMPTY_DIGEST
    let written = 0
    yield* meter.begin("events", until)
    yield* Stream.runForEach(
      eventPages(view.readEvents, all),
      Effect.fnUntraced(function*(rows) {
        digest = addEvents(digest, rows)
        const fresh = rows.filter(({ position }) => position > session.position)
        yield* session.writeEvents(fresh)
        written += fresh.length
        yield* meter.count(rows)
      })
    )
    yield* meter.begin("rest", 0)
    const report = yield* session.finish({ digest, rest: (write) => writeRest(view, write) })
    if (verify) {
      yield* meter.begin("verify", until)
      yield* compareEvents(
        Stream.flatMap(eventPages(view.readEvents, all), (rows) => Stream.fromIterable(rows)),
        Stream.flatMap(eventPages(to.readEvents, all), (rows) => Stream.fromIterable(rows)),
        until,
        meter.count
      )
    }
    const buildsLeftOut: ReadonlyArray<BuildLeftOut> = [...view.leftOut, ...report.buildsLeftOut]
    return { ...report, buildsLeftOut, source, written, elapsedMillis: yield* meter.elapsedMillis }
  }))
})

// internal

const writeRest = (view: LogView, write: WriteRows) =>
  Effect.forEach(
    TRANSFER_KINDS,
    (kind) => kind === "events" ? Effect.void : writeKind(view, write, kind),
    { discard: true }
  )

const writeKind = <K extends OtherKind>(view: LogView, write: WriteRows, kind: K) =>
  Stream.runForEachArray(view.rows(kind), (rows) => write(kind, rows))
