import type { PgPoolConfig } from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Semaphore from "effect/Semaphore"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { digestOf } from "../../store/EventDigest.ts"
import { Corrupt, StorageError, storeRestoring, Unavailable } from "../../store/EventStoreError.ts"
import {
  ArchiveBusy,
  ArchiveDiffers,
  type ArchiveSession,
  type ArchiveStep,
  type PlacedPayload
} from "../../store/LogArchive.ts"
import { toEntry } from "./archived.ts"
import * as statements from "./archiveStatements.ts"
import { takeAppendLock } from "./identifiers.ts"
import type { Ask } from "./projectionSession.ts"
import { digestLog } from "./projectionStatements.ts"
import { DURABLE } from "./restoreStatements.ts"
import { toStorageError } from "./sqlErrors.ts"

/** Opens the one session that archives. */
export const openSession = (
  config: PgPoolConfig,
  schema: string,
  own: Semaphore.Semaphore
): Effect.Effect<ArchiveSession, ArchiveBusy | StorageError, Scope.Scope> =>
  Effect.gen(function*() {
    yield* Effect.acquireRelease(
      Effect.filterOrFail(own.takeIfAvailable(1), (taken) => taken, () => new ArchiveBusy({})),
      () => own.release(1)
    )
    const connection = yield* PgConnection.make(config)
    const ask: Ask = ({ parameters, text }) => connection.queryValues(text, parameters)
    yield* Effect.acquireRelease(
      Effect.flatMap(
        ask(statements.tryLock(schema)),
        ([row]) => row?.[0] === true ? Effect.void : Effect.fail(new ArchiveBusy({}))
      ),
      // the end of the session would do; the embedded engine has one for all
      () => Effect.ignore(ask(statements.unlock(schema)))
    )
    yield* clear(ask, schema)
    return makeSession(ask, schema)
  }).pipe(inWords)

// internal

/** How long the end of others' reads and transactions is waited for. */
const PATIENCE = Duration.minutes(2)

/** When others are asked again whether they are done: after 50 ms, doubled up to 2 s. */
const AGAIN = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ duration: PATIENCE })
)

/** Payloads that one statement writes, and characters of their JSON. */
const PART_ROWS = 2_000
const PART_SIZE = 4 * 1024 * 1024

const OPERATION = "archive"

type Failure = SqlError | StorageError | ArchiveDiffers

const makeSession = (ask: Ask, schema: string): ArchiveSession => ({
  archive: (step) =>
    inWords(Effect.gen(function*() {
      const { month } = step
      yield* ask(statements.makeMonth(schema, month))
      yield* stage(ask, schema, month, ask(statements.copySkeletons(schema, month)))
      return yield* swap(
        ask,
        schema,
        month,
        Effect.andThen(checkStep(ask, schema, step), checkStaged(ask, schema, month, "skeletons")),
        (bytesFreed) =>
          Effect.flatMap(
            ask(statements.insertEntry(schema, step, bytesFreed)),
            ([row]) => row === undefined ? Effect.fail(headMissing) : Effect.succeed(toEntry(row))
          )
      )
    })),
  bringBack: (month, payloads) =>
    inWords(Effect.gen(function*() {
      const fill = Effect.andThen(
        copyPayloads(ask, schema, month, payloads),
        ask(statements.copyWhole(schema, month))
      )
      yield* stage(ask, schema, month, fill)
      yield* swap(
        ask,
        schema,
        month,
        checkStaged(ask, schema, month, "payloads"),
        () =>
          Effect.flatMap(ask(statements.deleteEntries(schema, month)), (rows) =>
            rows.length > 0
              ? Effect.void
              : Effect.fail(differs(month, "its place in the archive", "the newest month", "another one, or none")))
      )
    }))
})

const inWords = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, Exclude<E, SqlError> | StorageError, R> =>
  Effect.mapError(
    self,
    (error) => isSqlError(error) ? toStorageError(OPERATION, error) : error as Exclude<E, SqlError>
  )

const headMissing = new StorageError({
  operation: OPERATION,
  reason: new Corrupt({ detail: "the head of the log is missing" })
})

const runAll = (ask: Ask, all: ReadonlyArray<Parameters<Ask>[0]>) => Effect.forEach(all, ask, { discard: true })

/** Whatever ends the transaction but success takes it back: the embedded engine has one session for all. */
const transact = <A, E>(ask: Ask, use: Effect.Effect<A, E>): Effect.Effect<A, E | SqlError> =>
  Effect.onExit(
    runAll(ask, [statements.BEGIN, DURABLE]).pipe(Effect.andThen(use), Effect.tap(() => ask(statements.COMMIT))),
    (exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(ask(statements.ROLLBACK))
  )

const clear = Effect.fnUntraced(function*(
  ask: Ask,
  schema: string
): Effect.fn.Return<void, SqlError | StorageError> {
  for (const [name] of yield* ask(statements.leftovers(schema))) {
    yield* ask(statements.dropTable(schema, name as string))
  }
  const [row] = yield* ask(statements.isRuledOut(schema))
  if (row?.[0] === true) yield* briefly(ask, statements.forgetRuledOut(schema))
})

/** A statement that others wait behind. */
const briefly = (ask: Ask, statement: Parameters<Ask>[0]) =>
  patiently(
    orNotYet(transact(ask, runAll(ask, [statements.LOCK_TIMEOUT, statement]))),
    "others have used the default partition without a pause"
  )

/** Lets nobody wait for a look at the default partition when the month is attached. */
const ruleOut = Effect.fnUntraced(function*(
  ask: Ask,
  schema: string,
  month: string
): Effect.fn.Return<void, SqlError | StorageError> {
  const [row] = yield* ask(statements.hasDefault(schema))
  if (row?.[0] !== true) return
  yield* briefly(ask, statements.ruleOut(schema, month))
  yield* ask(statements.proveRuledOut(schema))
})

/** Makes the table that is to take the place of a month, and waits until everybody sees what is in it. */
const stage = Effect.fnUntraced(function*<A, E>(
  ask: Ask,
  schema: string,
  month: string,
  fill: Effect.Effect<A, E>
): Effect.fn.Return<void, E | SqlError | StorageError> {
  yield* clear(ask, schema)
  yield* transact(
    ask,
    Effect.gen(function*() {
      yield* ask(statements.stageMonth(schema, month))
      yield* fill
      yield* runAll(ask, statements.indexStaged(schema, month))
    })
  )
  const look = transact(ask, ask(statements.FLUSH)).pipe(
    Effect.andThen(ask(statements.vacuumStaged(schema, month))),
    Effect.andThen(ask(statements.isSeenByAll(schema, month)))
  )
  yield* patiently(
    Effect.flatMap(look, ([row]) => row?.[0] === true ? Effect.void : Effect.fail(notYet)),
    "a transaction that began before has been open"
  )
  yield* ruleOut(ask, schema, month)
})

/** Says that others are not done; nobody sees it. */
class NotYet {
  readonly _tag = "NotYet"
}

const notYet = new NotYet()

/** Tries again until others are done, or for too long. */
const patiently = <A, E>(
  attempt: Effect.Effect<A, E | NotYet>,
  who: string
): Effect.Effect<A, Exclude<E, NotYet> | StorageError> =>
  Effect.retry(attempt, {
    schedule: AGAIN,
    while: (error) => error instanceof NotYet
  }).pipe(
    Effect.mapError((error) =>
      error instanceof NotYet
        ? new StorageError({
          operation: OPERATION,
          reason: new Unavailable({
            detail: `${who} for ${Duration.format(PATIENCE)}: the month was left as it is; try again later`
          })
        })
        : error as Exclude<E, NotYet>
    )
  )

/** Puts what is staged in the place of the month, in a moment in which nobody reads or appends. */
const swap = <X, A>(
  ask: Ask,
  schema: string,
  month: string,
  check: Effect.Effect<X, Failure>,
  finish: (checked: X) => Effect.Effect<A, Failure>
): Effect.Effect<A, Failure> =>
  transact(
    ask,
    Effect.gen(function*() {
      yield* ask(statements.LOCK_TIMEOUT_LONG)
      yield* ask(statements.keepStill(schema, month))
      const checked = yield* check
      yield* patiently(moment(ask, schema, month), "others have read without a pause, or held the append lock,")
      yield* runAll(ask, statements.swapMonth(schema, month))
      return yield* finish(checked)
    })
  )

/** Takes the locks of the moment, or lets go of all of them. */
const moment = (ask: Ask, schema: string, month: string): Effect.Effect<void, SqlError | NotYet> =>
  runAll(ask, [
    statements.SAVEPOINT,
    statements.LOCK_TIMEOUT,
    statements.STAND_STILL,
    { text: takeAppendLock(schema), parameters: [] },
    statements.lockAll(schema, month)
  ]).pipe(
    orNotYet,
    Effect.tapError((error) => error instanceof NotYet ? ask(statements.ROLLBACK_TO_SAVEPOINT) : Effect.void)
  )

/** Others have the lock. */
const orNotYet = <A>(self: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError | NotYet> =>
  Effect.mapError(
    self,
    (error) => error.reason._tag === "LockTimeoutError" || error.reason._tag === "DeadlockError" ? notYet : error
  )

const differs = (month: string, detail: string, expected: unknown, actual: unknown): ArchiveDiffers =>
  new ArchiveDiffers({ month, detail, expected: String(expected), actual: String(actual) })

/** Whether the month is what the step is about. */
const checkStep = Effect.fnUntraced(function*(
  ask: Ask,
  schema: string,
  { after, events, incarnation, month, until }: ArchiveStep
): Effect.fn.Return<void, Failure> {
  const [store] = yield* ask(statements.describeStore(schema))
  if (store === undefined) return yield* headMissing
  const [archived, history, isRestoring] = store
  if (isRestoring === true) return yield* storeRestoring(OPERATION)
  if (history !== incarnation) return yield* differs(month, "the history of the store", incarnation, history)
  if (archived !== after) return yield* differs(month, "what is archived before it ends at a position", after, archived)
  const finished = yield* ask(statements.finishedMonths(schema))
  if (!finished.some(([name]) => name === month)) {
    return yield* differs(month, "whether it is over", "a month before this one", "it is not")
  }
  const [range] = yield* ask(statements.describeMonth(schema, month, true))
  if (range?.[1] !== until) return yield* differs(month, "the position of its last event", until, range?.[1])
  const [[count, first, second] = []] = yield* ask(digestLog(schema, { filter: undefined, after, until }))
  const digest = `${Number(count)} ${digestOf(Number(first), Number(second))}`
  if (digest !== `${events.count} ${events.digest}`) {
    return yield* differs(month, "count and digest of its events", `${events.count} ${events.digest}`, digest)
  }
})

/** Whether what is staged is the month; says by how much it becomes smaller. */
const checkStaged = Effect.fnUntraced(function*(
  ask: Ask,
  schema: string,
  month: string,
  kind: "skeletons" | "payloads"
): Effect.fn.Return<number, Failure> {
  const [row] = yield* ask(statements.compareStaged(schema, month))
  const [events, staged, different, withPayload, withoutData, bytesFreed] = (row ?? []).map(Number)
  if (events !== staged || different !== 0) {
    return yield* differs(month, "the copy of it", `${events} events`, `${staged}, ${different} of them different`)
  }
  const wrong = kind === "skeletons" ? withPayload : withoutData
  if (wrong !== 0) return yield* differs(month, `the copy of it has ${kind} only`, "all", `all but ${wrong}`)
  return bytesFreed ?? 0
})

/** Cuts payloads into parts that one statement writes. */
const toParts = <E>(
  payloads: Stream.Stream<PlacedPayload, E>
): Stream.Stream<ReadonlyArray<PlacedPayload>, E> =>
  Stream.mapAccumArray(
    payloads,
    (): { readonly rows: Array<PlacedPayload>; readonly size: number } => ({ rows: [], size: 0 }),
    (before, found) => {
      const parts: Array<ReadonlyArray<PlacedPayload>> = []
      let { rows, size } = before
      for (const row of found) {
        rows.push(row)
        size += row.data.length + row.metadata.length
        if (rows.length >= PART_ROWS || size >= PART_SIZE) {
          parts.push(rows)
          rows = []
          size = 0
        }
      }
      return [{ rows, size }, parts]
    },
    { onHalt: ({ rows }) => rows.length === 0 ? [] : [rows] }
  )

/** Copies events with their payloads, as these come. */
const copyPayloads = <E>(
  ask: Ask,
  schema: string,
  month: string,
  payloads: Stream.Stream<PlacedPayload, E>
): Effect.Effect<void, E | SqlError | ArchiveDiffers> =>
  Stream.runForEach(toParts(payloads), (part) =>
    Effect.flatMap(
      ask(statements.copyWith(schema, month, part)),
      (rows) =>
        rows.length === part.length
          ? Effect.void
          : Effect.fail(differs(month, "archived events with these ids", part.length, rows.length))
    ))
