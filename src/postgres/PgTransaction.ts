/**
 * Appends together with other work in the same database.
 *
 * @since 0.1.0
 */
import { PgClient } from "@effect/sql-pg/PgClient"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { BeginTransaction } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { InvalidInput } from "../event/InvalidInput.ts"
import type { Position, Revision } from "../event/Revision.ts"
import { encodeAppendAll } from "../store/AppendRequest.ts"
import type { AppendAllOptions, AppendAllResult, AppendResult } from "../store/EventStore.ts"
import { type AppendError, AppendOutcomeUnknown, Refused, StorageError, Unavailable } from "../store/EventStoreError.ts"
import { type InlineFollower, InlineFollowers } from "../store/InlineAppender.ts"
import type { AppendRequest } from "../store/Storage.ts"
import { toRequestOutcome, toStatement } from "./internal/batch.ts"
import { quoteName, takeAppendLock } from "./internal/identifiers.ts"
import { type Ask, hasMovedOn, standing, takeAlong } from "./internal/inlineAppends.ts"
import { judge, toStorageError } from "./internal/sqlErrors.ts"
import { runTransaction } from "./internal/transactions.ts"
import { type PgEventStoreSettings, Settings } from "./PgEventStore.ts"
import { SchemaName } from "./PgMigrations.ts"

/**
 * Service for appending together with other work in the same database.
 *
 * @category services
 * @since 0.1.0
 */
export class PgTransaction extends Context.Service<PgTransaction, {
  /** See {@link transact}. */
  readonly transact: <A, E, R>(
    work: Effect.Effect<TransactWork<A>, E, R>
  ) => Effect.Effect<Transacted<A>, E | AppendError, R>
}>()("effect-event-store/postgres/PgTransaction") {}

/**
 * What the work of a transaction returns: the append it leads to, and a value
 * for the caller.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransactWork<A> {
  readonly append: AppendAllOptions
  readonly value: A
}

/**
 * What a transaction returns: where its events stand, and the value.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transacted<A> {
  readonly result: AppendAllResult
  readonly value: A
}

/**
 * Runs work in one transaction that ends with an append: both are committed, or
 * neither is.
 *
 * **Details**
 *
 * The work returns the append that it leads to, and a value for the caller. The
 * append is the last statement before COMMIT, so the append lock is held for
 * one statement and one commit, never while the work runs. Inline projections
 * of the context (`InlineProjections.layer`) are taken along after it. When the append is
 * refused (`RevisionConflict`, `AppendConditionFailed`, …), or the work fails,
 * everything is rolled back and nothing was written.
 *
 * A connection that is lost while the transaction is committed is resolved by
 * the ids of the events; only when that is impossible the answer is
 * `AppendOutcomeUnknown`.
 *
 * **Gotchas**
 *
 * Runs at READ COMMITTED. Inside another transaction of the same client it is
 * refused: the outer one would hold the append lock. A retry whose events are
 * recorded already rolls its work back and returns the original places: the
 * transaction that recorded them did the work.
 *
 * **Example**
 *
 * ```ts
 * const placed = PgTransaction.transact(Effect.gen(function*() {
 *   const sql = yield* PgClient.PgClient
 *   yield* sql`INSERT INTO orders ${sql.insert({ id: "42" })}`
 *   return { append: { writes: [{ streamId: "order-42", expected: "noStream", events }] }, value: "42" }
 * }))
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const transact = <A, E, R>(
  work: Effect.Effect<TransactWork<A>, E, R>
): Effect.Effect<Transacted<A>, E | AppendError, R | PgTransaction> =>
  Effect.flatMap(PgTransaction, (service) => service.transact(work))

/**
 * Layer that provides transactions of the client, in the schema and with the
 * settings of the store.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<PgTransaction, never, PgClient> = Layer.effect(
  PgTransaction,
  Effect.gen(function*() {
    const target: Target = {
      sql: yield* PgClient,
      schema: quoteName(yield* SchemaName),
      settings: yield* Settings
    }
    return { transact: (work) => transactOn(target, work) }
  })
)

// internal

interface Target {
  readonly sql: PgClient
  readonly schema: string
  readonly settings: PgEventStoreSettings
}

const transactOn = <A, E, R>(
  { schema, settings, sql }: Target,
  work: Effect.Effect<TransactWork<A>, E, R>
): Effect.Effect<Transacted<A>, E | AppendError, R> =>
  Effect.gen(function*() {
    if (Option.isSome(yield* Effect.serviceOption(sql.transactionService))) return yield* Effect.fail(nested)
    const followers = yield* InlineFollowers
    // what is known of the append should the connection be lost from here on
    let pending: Pending<A> | undefined
    const transaction = Effect.gen(function*() {
      const { append, value } = yield* Effect.mapError(work, (error) => new WorkFailed(error))
      const request = encodeAppendAll(append)
      if (request instanceof InvalidInput) return yield* Effect.fail(request)
      pending = { request, value }
      const { parameters, text } = toStatement(schema, [request], { checkIds: true, notify: settings.notifications })
      yield* sql.unsafe(`SET LOCAL lock_timeout = ${Duration.toMillis(settings.lockTimeout)}`)
      const outcome = toRequestOutcome(request, yield* sql.unsafe(text, parameters).values)
      const done: Transacted<A> = { result: toResult(yield* Effect.fromResult(outcome)), value }
      // the transaction that recorded these events did the work too: this one takes its own back
      if (done.result.alreadyAppended) return yield* Effect.fail(new DoneBefore(done))
      yield* takeFollowers(sql, schema, followers, { requests: [request], outcomes: [outcome] })
      return done
    })
    return yield* Effect.catch(
      runTransaction(sql, transaction, settings.resolveTimeout).pipe(atReadCommitted),
      (error): Effect.Effect<Transacted<A>, E | AppendError> => {
        if (error instanceof WorkFailed) return Effect.fail(error.error)
        if (error instanceof DoneBefore) {
          return Effect.as(catchUpFollowers({ schema, settings, sql }, followers), error.done)
        }
        if (!isSqlError(error)) return Effect.fail(error)
        return pending !== undefined && judge(error) === "lost"
          ? resolve(sql, schema, settings.resolveTimeout, pending, error)
          : Effect.fail(toStorageError("transact", error))
      }
    )
  })

/** Takes inline projections along, in the transaction that has just appended. */
const takeFollowers = Effect.fnUntraced(function*(
  sql: PgClient,
  schema: string,
  followers: ReadonlyArray<InlineFollower>,
  appended: Parameters<typeof takeAlong>[3]
): Effect.fn.Return<void, SqlError | StorageError> {
  if (followers.length === 0) return
  const ask: Ask = ({ parameters, text }) => sql.unsafe(text, parameters).values
  const stands = yield* ask(standing(schema, followers))
  const refusal = yield* Effect.catchIf(
    takeAlong(ask, schema, followers, appended, stands),
    hasMovedOn,
    () => Effect.fail(movedOn)
  )
  if (refusal !== undefined) return yield* refusal.error
})

const movedOn = new StorageError({
  operation: "transact",
  reason: new Unavailable({ detail: "another build of an inline projection became current meanwhile" })
})

/** Shows inline projections what others have recorded, who may not know them. */
const catchUpFollowers = (
  { schema, settings, sql }: Target,
  followers: ReadonlyArray<InlineFollower>
): Effect.Effect<void, StorageError> => {
  if (followers.length === 0) return Effect.void
  const work = Effect.gen(function*() {
    yield* sql.unsafe(`SET LOCAL lock_timeout = ${Duration.toMillis(settings.lockTimeout)}`)
    yield* sql.unsafe(takeAppendLock(schema))
    yield* takeFollowers(sql, schema, followers, { requests: [], outcomes: [] })
  })
  return runTransaction(sql, work, settings.resolveTimeout).pipe(
    atReadCommitted,
    Effect.mapError((error) => isSqlError(error) ? toStorageError("transact", error) : error)
  )
}

const nested = new StorageError({
  operation: "transact",
  reason: new Refused({ detail: "a transaction around this one would hold the append lock: end it first" })
})

const atReadCommitted = Effect.provideService(BeginTransaction, "BEGIN ISOLATION LEVEL READ COMMITTED")

interface Pending<A> {
  readonly request: AppendRequest
  readonly value: A
}

/** Keeps the failures of the work apart from those of the transaction. */
class WorkFailed<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

class DoneBefore<A> {
  readonly done: Transacted<A>
  constructor(done: Transacted<A>) {
    this.done = done
  }
}

const toResult = (writes: Arr.NonEmptyReadonlyArray<AppendResult>): AppendAllResult => ({
  writes,
  position: Arr.lastNonEmpty(writes).position,
  alreadyAppended: writes[0].alreadyAppended
})

/** Pause before the events are looked for again. */
const LOOK_AGAIN = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")]).pipe(
  Schedule.jittered
)

/**
 * Finds out what became of a transaction whose connection was lost after its
 * append was sent. COMMIT is sent only when the append was answered, so its
 * session held the append lock until it ended: under that lock the events are
 * there, or will never be.
 */
const resolve = <A>(
  sql: PgClient,
  schema: string,
  timeout: Duration.Duration,
  { request, value }: Pending<A>,
  cause: SqlError
): Effect.Effect<Transacted<A>, AppendError> => {
  const ids = request.writes.map(({ events }) => events[0]?.id)
  const look = Effect.andThen(
    sql.unsafe(takeAppendLock(schema)),
    sql.unsafe(`SELECT id, revision, position::float8 FROM ${schema}.events WHERE id = ANY ($1)`, [
      Result.getOrThrow(PgTypes.array(ids, PgTypes.OID.uuid))
    ]).values
  )
  return runTransaction(sql, look, timeout).pipe(
    atReadCommitted,
    Effect.retry({ schedule: LOOK_AGAIN }),
    Effect.timeoutOption(timeout),
    Effect.catch(() => Effect.succeedNone),
    Effect.flatMap((found): Effect.Effect<Transacted<A>, AppendError> => {
      if (Option.isNone(found)) {
        const streamIds = request.writes.map(({ streamId }) => streamId)
        return Effect.fail(
          new AppendOutcomeUnknown({
            streamIds,
            ids: request.writes.flatMap(({ events }) => events.map(({ id }) => id)),
            cause
          })
        )
      }
      const writes = request.writes.flatMap(({ events, streamId }): ReadonlyArray<AppendResult> => {
        const row = found.value.find(([id]) => id === events[0]?.id)
        if (row === undefined) return []
        const [firstRevision, firstPosition] = [row[1] as Revision, row[2] as Position]
        const revision = firstRevision + events.length - 1 as Revision
        const position = firstPosition + events.length - 1 as Position
        return [{ streamId, firstRevision, revision, firstPosition, position, alreadyAppended: false }]
      })
      return Arr.isReadonlyArrayNonEmpty(writes) && writes.length === request.writes.length
        ? Effect.succeed({ result: toResult(writes), value })
        : Effect.fail(toStorageError("transact", cause))
    })
  )
}
