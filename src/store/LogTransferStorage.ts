/**
 * What a storage implements to become a `LogTransfer`: the same operations,
 * after every row was checked, and after what does not belong to the restored
 * prefix was left out.
 *
 * @since 0.1.0
 */
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { InvalidInput } from "../event/InvalidInput.ts"
import type { EventDigest } from "./EventDigest.ts"
import { checkCheckpoint, checkPage, checkPlan, makeEventCheck } from "./internal/transferChecks.ts"
import {
  type BuildLeftOut,
  type CheckpointRow,
  type EventPage,
  type EventRow,
  type LogTransfer,
  type OtherKind,
  type RestoreError,
  type RestorePlan,
  type RestoreSession,
  TRANSFER_KINDS,
  type TransferRows,
  type WriteRows
} from "./LogTransfer.ts"

/**
 * Operations of one storage. `LogTransfer` is made of them by
 * `fromTransferStorage`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransferStorage extends Omit<LogTransfer["Service"], "restore"> {
  readonly restore: (
    plan: RestorePlan
  ) => Effect.Effect<StorageRestore, Exclude<RestoreError, InvalidInput>, Scope.Scope>
}

/**
 * A restore as a storage does it.
 *
 * @category models
 * @since 0.1.0
 */
export interface StorageRestore {
  readonly position: number
  readonly recordedAt: number
  /** Rows are checked, and there is one at least. */
  readonly writeEvents: (rows: ReadonlyArray<EventRow>) => Effect.Effect<void, RestoreError>
  /**
   * Everything in one step: `rest` is run in it. The log is `incarnation` from
   * then on, and goes on from the plan's source.
   */
  readonly finish: <E>(options: {
    readonly incarnation: string
    readonly digest: EventDigest
    readonly rest: (write: StorageWrite) => Effect.Effect<void, E>
  }) => Effect.Effect<void, E | RestoreError>
}

/**
 * Writes rows of a kind, as they are to be stored, and returns how many: a
 * snapshot or settings of a stream that the log does not bear out are not
 * written. `CheckpointRow.epoch` is of the lease before.
 *
 * @category models
 * @since 0.1.0
 */
export type StorageWrite = <K extends OtherKind>(
  kind: K,
  rows: ReadonlyArray<TransferRows[K]>
) => Effect.Effect<number, RestoreError>

/**
 * Makes a `LogTransfer` of a storage.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromTransferStorage = (storage: TransferStorage): LogTransfer["Service"] => ({
  ...storage,
  readEvents: checkedPages(storage.readEvents),
  view: Effect.map(storage.view, (view) => ({ ...view, readEvents: checkedPages(view.readEvents) })),
  restore: (plan) =>
    checkedBy(checkPlan(plan), Effect.map(storage.restore(plan), (restore) => makeSession(plan, restore)))
})

/**
 * Checks the pages that are asked for, before anything is read.
 *
 * @category combinators
 * @since 0.1.0
 */
export const checkedPages =
  <Row, E>(read: (page: EventPage) => Effect.Effect<ReadonlyArray<Row>, E>) =>
  (page: EventPage): Effect.Effect<ReadonlyArray<Row>, E | InvalidInput> => checkedBy(checkPage(page), read(page))

// internal

const checkedBy = <A, E, R>(
  fault: InvalidInput | undefined,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | InvalidInput, R> => fault === undefined ? effect : Effect.fail(fault)

const makeSession = (plan: RestorePlan, restore: StorageRestore): RestoreSession => {
  const check = makeEventCheck(plan, restore)
  return {
    position: restore.position,
    recordedAt: restore.recordedAt,
    writeEvents: (rows) =>
      Effect.suspend(() => rows.length === 0 ? Effect.void : checkedBy(check.rows(rows), restore.writeEvents(rows))),
    finish: ({ digest, rest }) =>
      Effect.suspend(() => {
        const fault = check.end()
        if (fault !== undefined) return Effect.fail(fault)
        const incarnation = uuidV7Unsafe()
        const counts = { streams: 0, snapshots: 0, checkpoints: 0, states: 0, parked: 0 }
        const left = { rows: 0, builds: new Array<BuildLeftOut>() }
        return restore.finish({
          incarnation,
          digest,
          rest: (storageWrite) => {
            const count = <K extends OtherKind>(kind: K, rows: ReadonlyArray<TransferRows[K]>) =>
              rows.length === 0 ? Effect.void : Effect.map(storageWrite(kind, rows), (written) => {
                counts[kind] += written
                left.rows += rows.length - written
              })
            const writer = makeWriter({ ...plan, incarnation }, count, left.builds)
            return Effect.andThen(rest(writer.write), writer.end)
          }
        }).pipe(Effect.map(() => ({
          incarnation,
          position: plan.until,
          digest,
          counts,
          rowsLeftOut: left.rows,
          buildsLeftOut: left.builds
        })))
      })
  }
}

/** Lets through what belongs to the prefix. Checkpoints wait for all slices of their builds. */
const makeWriter = (
  plan: RestorePlan & { readonly incarnation: string },
  write: WriteRows,
  leftOut: Array<BuildLeftOut>
): { readonly write: WriteRows; readonly end: Effect.Effect<void, RestoreError> } => {
  const waiting: Array<CheckpointRow> = []
  const kept = new Set<string>()
  let at = 0

  const settle = Effect.suspend(() => {
    const builds = Map.groupBy(waiting.splice(0), keyOf)
    const rows: Array<CheckpointRow> = []
    for (const [key, slices] of builds) {
      const reason = slices.map((slice) => hindrance(slice, plan)).find((found) => found !== undefined)
      const [{ build, projection, version }] = slices as [CheckpointRow]
      if (reason !== undefined) {
        leftOut.push({ projection, version, build, reason })
        continue
      }
      kept.add(key)
      for (const slice of slices) rows.push({ ...slice, incarnation: plan.incarnation })
    }
    return write("checkpoints", rows)
  })

  const turnTo = (kind: OtherKind): Effect.Effect<void, RestoreError> => {
    const next = TRANSFER_KINDS.indexOf(kind)
    if (next < at) {
      const detail = `must come before ${TRANSFER_KINDS[at]}`
      return Effect.fail(new InvalidInput({ reason: "InvalidQuery", path: kind, detail }))
    }
    at = next
    return next > CHECKPOINTS ? settle : Effect.void
  }

  return {
    end: settle,
    write: <K extends OtherKind>(kind: K, rows: ReadonlyArray<TransferRows[K]>) =>
      Effect.andThen(
        turnTo(kind),
        Effect.suspend((): Effect.Effect<void, RestoreError> => {
          if (kind === "checkpoints") {
            for (const row of rows as ReadonlyArray<CheckpointRow>) {
              const fault = checkCheckpoint(row)
              if (fault !== undefined) return Effect.fail(fault)
              waiting.push(row)
            }
            return Effect.void
          }
          return write(
            kind,
            kind === "states" || kind === "parked"
              ? rows.filter((row) => kept.has(keyOf(row as TransferRows["states" | "parked"])))
              : rows
          )
        })
      )
  }
}

const CHECKPOINTS = TRANSFER_KINDS.indexOf("checkpoints")

/** Neither versions nor builds have blanks. */
const keyOf = (
  { build, projection, version }: Pick<CheckpointRow, "projection" | "version" | "build">
): string => `${version} ${build} ${projection}`

const hindrance = (
  { incarnation, position }: CheckpointRow,
  { source, until }: RestorePlan
): BuildLeftOut["reason"] | undefined =>
  position === 0 ? undefined : incarnation !== source ? "history" : position > until ? "ahead" : undefined
