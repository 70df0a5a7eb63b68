/**
 * Checkpoints of projections in PostgreSQL, beside the log that they follow and
 * in one transaction with the tables that they fill.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Arr from "effect/Array"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlError } from "effect/sql/SqlError"
import type { EventId } from "../event/Event.ts"
import type { Position, Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"
import { fromCheckpointStorage } from "../store/CheckpointStorage.ts"
import {
  CheckpointStore,
  historyChanged,
  isOfHistory,
  judgeClaim,
  type Lease,
  leaseLost,
  type ParkedEvent,
  type ProjectionCommit,
  type ProjectionRecord,
  type ProjectionStatus,
  StatementFailed
} from "../store/CheckpointStore.ts"
import { digestOf } from "../store/EventDigest.ts"
import type { LogHead } from "../store/EventStore.ts"
import { Corrupt, StorageError } from "../store/EventStoreError.ts"
import { quoteName } from "./internal/identifiers.ts"
import * as Session from "./internal/projectionSession.ts"
import * as statements from "./internal/projectionStatements.ts"
import { READER } from "./internal/sessions.ts"
import { judge, rescueTransaction, sqlState, storageErrors, toStorageError } from "./internal/sqlErrors.ts"
import { type Rows, runner, type Statement } from "./internal/statements.ts"
import { SchemaName } from "./PgMigrations.ts"

/**
 * Layer that keeps the checkpoints of a log's projections in its schema. Needs
 * the rights of `event_store_writer` (`sql/privileges.sql`), and those on the
 * projections' own tables.
 *
 * **Details**
 *
 * Opens up to 8 connections of its own, with the client's settings: 4 to commit
 * and 4 for the rest. What it does never becomes part of a transaction of the
 * caller's. A commit is sent at once, so its statements cost one round trip
 * together. A session that stands still inside of a commit is ended by the
 * server after 5 seconds, and with it the locks that it holds.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<CheckpointStore, StorageError, PgClient.PgClient> = Layer.effect(
  CheckpointStore,
  Effect.gen(function*() {
    // a pool says here how many connections it has
    const config: PgClient.PgPoolConfig = (yield* PgClient.PgClient).config
    const size = Math.min(config.maxConnections ?? CONNECTIONS_MAX, CONNECTIONS_MAX)
    const startupParameters = { ...config.startupParameters, ...READER, ...IMPATIENT }
    const sql = yield* PgClient.make({ ...config, maxConnections: size, startupParameters }).pipe(
      storageErrors("connect")
    )
    const sessions = yield* Session.make({ ...config, startupParameters }, size)
    return fromCheckpointStorage(make(sql, sessions, quoteName(yield* SchemaName)))
  })
).pipe(Layer.provide(Reactivity.layer))

// internal

const CONNECTIONS_MAX = 4

/** Whoever stands still keeps nobody waiting for long. */
const IMPATIENT = { idle_in_transaction_session_timeout: "5000" }

const make = (
  sql: PgClient.PgClient,
  sessions: Session.Sessions,
  schema: string
): CheckpointStore["Service"] => {
  const run = runner(sql)
  const states = (rows: Rows) => rows as unknown as ReadonlyArray<readonly [key: string, state: string]>
  return {
    hasTables: true,
    acquire: (claim) => acquire(sql, schema, claim),
    renew: (lease) =>
      Effect.flatMap(
        run("renewLease", statements.renew(schema, lease)),
        ([row]) => row === undefined ? Effect.fail(leaseLost(lease)) : Effect.succeed(toRecord(row))
      ),
    release: (lease) => Effect.asVoid(run("releaseLease", statements.release(schema, lease))),
    commit: (lease, work) => commit(sql, sessions, schema, lease, work),
    reportFailure: (lease, failure) =>
      Effect.flatMap(
        run("reportFailure", statements.reportFailure(schema, lease, failure)),
        ([row]) => row === undefined ? Effect.fail(leaseLost(lease)) : Effect.void
      ),
    find: (key) =>
      Effect.map(
        run("findProjection", statements.records(schema, key)),
        (rows) => Option.map(Arr.head(rows), toRecord)
      ),
    list: Effect.map(run("listProjections", statements.records(schema, undefined)), (rows) => rows.map(toRecord)),
    setStatus: (key, status) =>
      Effect.map(run("setProjectionStatus", statements.setStatus(schema, key, status)), (rows) => rows.length > 0),
    loadStates: (key, keys) =>
      keys.length === 0
        ? Effect.succeed(new Map())
        : Effect.map(run("loadStates", statements.loadStates(schema, key, keys)), (rows) => new Map(states(rows))),
    listStates: (key, page = {}) =>
      Effect.map(
        run("listStates", statements.listStates(schema, key, page)),
        (rows) => states(rows).map(([name, state]) => ({ key: name, state }))
      ),
    listParked: (key, page = {}) =>
      Effect.map(run("listParked", statements.listParked(schema, key, page)), (rows) => rows.map(toParked)),
    digestLog: ({ filter, until }) =>
      Effect.map(run("digestLog", statements.digestLog(schema, filter, until)), ([row]) => {
        const [count, first, second] = row as unknown as readonly [number, number, number]
        return { count, digest: digestOf(first, second) }
      })
  }
}

const acquire = (
  sql: PgClient.PgClient,
  schema: string,
  claim: Parameters<CheckpointStore["Service"]["acquire"]>[0]
): ReturnType<CheckpointStore["Service"]["acquire"]> => {
  const run = ({ parameters, text }: Statement) => sql.unsafe(text, parameters).values
  const attempt = Effect.gen(function*() {
    yield* run(statements.register(schema, claim))
    const [row] = yield* run(statements.lock(schema, claim))
    if (row === undefined) return yield* Effect.fail(missing)
    const record = toRecord(row)
    const [position, incarnation, now] = row.slice(RECORD_COLUMNS) as unknown as readonly [Position, string, Date]
    const verdict = judgeClaim(record, claim, { position, incarnation }, now.getTime())
    if (verdict === "held") return { _tag: "Held", record } as const
    if (verdict !== "free") return yield* Effect.fail(verdict)
    const [granted] = yield* run(statements.grant(schema, claim))
    if (granted === undefined) return yield* Effect.fail(missing)
    const { name, owner, version } = claim
    const { epoch } = toRecord(granted)
    return {
      _tag: "Acquired",
      lease: { name, version, owner, epoch, leaseMillis: claim.leaseMillis, incarnation },
      record: toRecord(granted)
    } as const
  })
  return rescueTransaction(sql.withTransaction(attempt)).pipe(
    Effect.catchTag("SqlError", (error) => Effect.fail(toStorageError("acquireLease", error)))
  )
}

const missing = new StorageError({
  operation: "acquireLease",
  reason: new Corrupt({ detail: "the head of the log, or the projection's row, is missing" })
})

const commit = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  sessions: Session.Sessions,
  schema: string,
  lease: Lease,
  work: ProjectionCommit
) {
  const { after, before } = statements.effects(schema, lease, work)
  const first = [...limitStatements(work.statementMillis), ...before]
  const own = work.statements ?? []
  const all = [...first, ...own, ...after, statements.moveCheckpoint(schema, lease, work)]
  const outcome = yield* Effect.mapError(
    sessions.transact(all, (exits) => exits.every(Exit.isSuccess) && hasMoved(exits)),
    (error) => toStorageError("commitProjection", error)
  )
  const failure = Session.firstFailure(outcome.exits)
  if (failure !== undefined) {
    const index = failure.index - first.length
    return yield* Effect.fail(
      index >= 0 && index < own.length
        ? toStatementFailed(failure.error, index)
        : toStorageError("commitProjection", failure.error)
    )
  }
  if (outcome.commit === undefined) return yield* whyNotMoved(sql, schema, lease, work)
  const refusal = Session.firstFailure([outcome.commit])
  if (refusal !== undefined) return yield* Effect.fail(toStatementFailed(refusal.error, undefined))
})

const limitStatements = (millis: number | undefined): ReadonlyArray<Statement> =>
  millis === undefined ? [] : [{ text: `SET LOCAL statement_timeout = ${Math.ceil(millis)}`, parameters: [] }]

const hasMoved = (exits: Session.Outcome["exits"]): boolean => {
  const last = exits.at(-1)
  return last !== undefined && Exit.isSuccess(last) && last.value.length === 1
}

/** A connection that is lost is no statement's fault. */
const toStatementFailed = (error: SqlError, index: number | undefined): StatementFailed | StorageError => {
  const code = sqlState(error.reason)
  const isLost = error.reason._tag === "ConnectionError" || (code !== undefined && judge(error) === "lost")
  if (isLost) return toStorageError("commitProjection", error)
  const cause: unknown = error.reason.cause
  const detail = cause instanceof Error ? cause.message : error.reason.message ?? error.reason._tag
  return new StatementFailed({ index, code: code ?? "", detail })
}

/** Which of the conditions of the checkpoint's move did not hold. */
const whyNotMoved = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  schema: string,
  lease: Lease,
  { to }: ProjectionCommit
) {
  const [row] = yield* sql.unsafe(
    `SELECT p.epoch::float8, p.incarnation, h.position::float8, h.incarnation FROM ${schema}.projections p,
      ${schema}.head h WHERE h.id = 1 AND p.name = $1 AND p.version = $2`,
    [lease.name, lease.version]
  ).values.pipe(storageErrors("commitProjection"))
  if (row === undefined) return yield* leaseLost(lease)
  const [epoch, incarnation, position, actual] = row as unknown as readonly [number, string, Position, string]
  const head: LogHead = { position, incarnation: actual }
  const reached = { position: to.position, incarnation }
  return yield* Effect.fail(
    epoch === lease.epoch && !isOfHistory(reached, head) ? historyChanged(lease, reached, head) : leaseLost(lease)
  )
})

/** How many columns `toRecord` reads. */
const RECORD_COLUMNS = 19

type RecordRow = readonly [
  name: string,
  version: number,
  definition: string,
  status: ProjectionStatus,
  isSetUp: boolean,
  position: Position,
  incarnation: string,
  count: number,
  digest: string,
  epoch: number,
  owner: string | null,
  leasedUntil: Date | null,
  failures: number,
  firstFailedAt: Date | null,
  lastFailedAt: Date | null,
  failedPosition: Position | null,
  failure: string | null,
  updatedAt: Date,
  parked: number
]

const toRecord = (row: ReadonlyArray<unknown>): ProjectionRecord => {
  const [
    name,
    version,
    definition,
    status,
    isSetUp,
    position,
    incarnation,
    count,
    digest,
    epoch,
    owner,
    leasedUntil,
    failures,
    firstFailedAt,
    lastFailedAt,
    failedPosition,
    failure,
    updatedAt,
    parked
  ] = row as unknown as RecordRow
  return {
    name,
    version,
    definition,
    status,
    isSetUp,
    checkpoint: { position, incarnation, count, digest },
    epoch,
    owner: owner ?? undefined,
    leasedUntil: leasedUntil === null ? undefined : DateTime.makeUnsafe(leasedUntil),
    failure: firstFailedAt === null || lastFailedAt === null || failedPosition === null || failure === null
      ? undefined
      : {
        count: failures,
        firstAt: DateTime.makeUnsafe(firstFailedAt),
        lastAt: DateTime.makeUnsafe(lastFailedAt),
        position: failedPosition,
        message: failure
      },
    updatedAt: DateTime.makeUnsafe(updatedAt),
    parked
  }
}

const toParked = (row: ReadonlyArray<unknown>): ParkedEvent => {
  const [position, key, id, type, streamId, revision, attempts, reason, parkedAt] = row as unknown as readonly [
    Position,
    string,
    EventId,
    string,
    StreamId,
    Revision,
    number,
    string,
    Date
  ]
  return { position, key, id, type, streamId, revision, attempts, reason, parkedAt: DateTime.makeUnsafe(parkedAt) }
}
