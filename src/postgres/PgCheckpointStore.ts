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
  BuildBehind,
  CheckpointStore,
  historyChanged,
  isOfHistory,
  type Lease,
  leaseLost,
  type MakeLive,
  type ParkedEvent,
  type ProjectionCommit,
  StatementFailed
} from "../store/CheckpointStore.ts"
import { digestOf } from "../store/EventDigest.ts"
import type { LogHead } from "../store/EventStore.ts"
import { NO_WRITES, type StorageError } from "../store/EventStoreError.ts"
import * as builds from "./internal/buildStatements.ts"
import { NO_PRIMARY_KEY } from "./internal/changeStatements.ts"
import { quoteName } from "./internal/identifiers.ts"
import { isPlain, plainCommit } from "./internal/plainCommit.ts"
import { acquire, makeBuilds } from "./internal/projectionBuilds.ts"
import { toRecord, toRollCalls } from "./internal/projectionRows.ts"
import * as Session from "./internal/projectionSession.ts"
import * as statements from "./internal/projectionStatements.ts"
import { oldestStates, stateTimes } from "./internal/retentionStatements.ts"
import { READER } from "./internal/sessions.ts"
import { judge, sqlState, storageErrors, toStorageError } from "./internal/sqlErrors.ts"
import { type Rows, runner, type Statement } from "./internal/statements.ts"
import { compareTables } from "./internal/tableComparison.ts"
import { toParent } from "./internal/transferStatements.ts"
import { SchemaName } from "./PgMigrations.ts"

/**
 * Layer that keeps the checkpoints of a log's projections in its schema. Needs
 * the rights of `event_store_writer` (`sql/privileges.sql`), and those on the
 * projections' own tables.
 *
 * **Details**
 *
 * Opens up to 11 connections of its own, with the client's settings: 4 to commit,
 * 2 to take leases, 1 to compare tables and 4 for the rest. What it does never becomes part of a transaction of the
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
    const sessions = {
      committing: yield* Session.make({ ...config, startupParameters }, size),
      // statements of handlers, however long they take, keep nobody from taking a lease
      claiming: yield* Session.make({ ...config, startupParameters }, Math.min(size, CLAIMING_MAX)),
      comparing: yield* Session.make({ ...config, startupParameters }, 1)
    }
    return fromCheckpointStorage(make(sql, sessions, quoteName(yield* SchemaName)))
  })
).pipe(Layer.provide(Reactivity.layer))

// internal

const CONNECTIONS_MAX = 4

const CLAIMING_MAX = 2

/** Whoever stands still keeps nobody waiting for long. */
const IMPATIENT = { idle_in_transaction_session_timeout: "5000" }

const make = (
  sql: PgClient.PgClient,
  { claiming, committing: sessions, comparing }: {
    readonly claiming: Session.Sessions
    readonly committing: Session.Sessions
    readonly comparing: Session.Sessions
  },
  schema: string
): CheckpointStore["Service"] => {
  const run = runner(sql)
  return {
    hasTables: true,
    acquire: (claim) => acquire(claiming, schema, claim),
    attend: (attendance) =>
      attendance.projections.length === 0
        ? Effect.succeed([])
        : Effect.map(
          run("attendProjections", statements.attend(schema, attendance)),
          (rows) => toRollCalls(rows, attendance.projections.length)
        ),
    leave: (owner) => Effect.asVoid(run("leaveProjections", statements.leave(schema, owner))),
    renew: (lease) =>
      Effect.flatMap(
        run("renewLease", statements.renew(schema, lease)),
        ([row]) => row === undefined ? Effect.fail(leaseLost(lease)) : Effect.succeed(toRecord(row))
      ),
    release: (lease) => Effect.asVoid(run("releaseLease", statements.release(schema, lease))),
    commit: (lease, work) =>
      Effect.catchTag(commit(sql, sessions, schema, lease, work), "BuildBehind", (fault) => Effect.die(fault)),
    makeLive: (lease, change) => {
      const { at, statements } = change
      return commit(sql, sessions, schema, lease, { from: at.position, to: at, statements }, change)
    },
    reportFailure: (lease, failure) =>
      Effect.flatMap(
        run("reportFailure", statements.reportFailure(schema, lease, failure)),
        ([row]) => row === undefined ? Effect.fail(leaseLost(lease)) : Effect.void
      ),
    find: (key) =>
      Effect.map(
        run("findProjection", statements.records(schema, { ...key, slice: key.slice ?? 0 })),
        (rows) => Option.map(Arr.head(rows), toRecord)
      ),
    findSlices: (key) =>
      Effect.map(
        run("findProjection", statements.records(schema, { ...key, slice: undefined })),
        (rows) => rows.map(toRecord)
      ),
    list: Effect.map(run("listProjections", statements.records(schema, undefined)), (rows) => rows.map(toRecord)),
    ...makeBuilds(sql, claiming, schema),
    ...makeStates(run, schema),
    compareTables: (comparison) => compareTables(comparing, schema, comparison),
    setStatus: (key, status) =>
      Effect.map(run("setProjectionStatus", statements.setStatus(schema, key, status)), (rows) => rows.length > 0),
    listParked: (key, page = {}) =>
      Effect.map(run("listParked", statements.listParked(schema, key, page)), (rows) => rows.map(toParked)),
    digestLog: (options) =>
      Effect.map(run("digestLog", statements.digestLog(schema, options)), ([row]) => {
        const [count, first, second] = row as unknown as readonly [number, number, number]
        return { count, digest: digestOf(first, second) }
      }),
    digestSlices: ({ filter, untils }) =>
      Effect.map(run("digestLog", statements.digestSlices(schema, filter, untils)), (rows) =>
        rows.map((row) => {
          const [count, first, second] = row as unknown as readonly [number, number, number]
          return { count, digest: digestOf(first, second) }
        }))
  }
}

/** What a leader and readers ask of the states. */
const makeStates = (
  run: ReturnType<typeof runner>,
  schema: string
): Pick<CheckpointStore["Service"], "listStates" | "loadStates" | "oldestStates" | "stateTimes"> => ({
  loadStates: (key, keys) =>
    keys.length === 0
      ? Effect.succeed(new Map())
      : Effect.map(run("loadStates", statements.loadStates(schema, key, keys)), (rows) => new Map(statesOf(rows))),
  listStates: (key, page = {}) =>
    Effect.map(
      run("listStates", statements.listStates(schema, key, page)),
      (rows) => statesOf(rows).map(([name, state]) => ({ key: name, state }))
    ),
  stateTimes: (lease, keys) =>
    Effect.map(run("stateTimes", stateTimes(schema, lease, keys)), (rows) => new Map(timesOf(rows))),
  oldestStates: (lease, limit) =>
    Effect.map(
      run("oldestStates", oldestStates(schema, lease, limit)),
      (rows) => timesOf(rows).map(([key, time]) => ({ key, time }))
    )
})

const statesOf = (rows: Rows) => rows as unknown as ReadonlyArray<readonly [key: string, state: string]>

const commit = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  sessions: Session.Sessions,
  schema: string,
  lease: Lease,
  work: ProjectionCommit,
  makeLive?: MakeLive
) {
  if (makeLive === undefined && isPlain(work)) {
    const moved = yield* runner(sql)("commitProjection", plainCommit(schema, lease, work))
    return moved.length === 1 ? undefined : yield* whyNotMoved(sql, schema, lease, work)
  }
  const { after, before } = statements.effects(schema, lease, work)
  const first = [...limitStatements(work.statementMillis), ...before]
  const own = work.statements ?? []
  const swap = makeLive === undefined ? [] : builds.makeLive(schema, lease, makeLive)
  const all: ReadonlyArray<statements.Effect> = [
    ...first,
    ...own,
    ...after,
    ...(work.tables === undefined ? [] : [builds.noteTables(schema, lease, work.tables)]),
    ...swap,
    statements.moveCheckpoint(schema, lease, work)
  ]
  const isBehind = (exits: Session.Outcome["exits"]) =>
    makeLive?.notBehind === true && isFalse(exits.at(builds.NOT_BEHIND_INDEX - swap.length - 1))
  const outcome = yield* Effect.mapError(
    sessions.transact(
      all,
      (exits) => exits.every((exit, index) => hasRows(exit, all[index]?.rows)) && !isBehind(exits)
    ),
    (error) => toStorageError("commitProjection", error)
  )
  const failure = Session.firstFailure(outcome.exits)
  if (failure !== undefined) {
    const index = failure.index - first.length
    const isOwn = index >= 0 && index < own.length
    return yield* Effect.fail(
      isOwn || sqlState(failure.error.reason) === NO_PRIMARY_KEY
        ? toStatementFailed(failure.error, isOwn ? index : undefined)
        : toStorageError("commitProjection", failure.error)
    )
  }
  if (outcome.commit === undefined) {
    const { build, name, version } = lease
    return outcome.exits.every((exit, index) => hasRows(exit, all[index]?.rows))
      ? yield* new BuildBehind({ name, version, build })
      : yield* whyNotMoved(sql, schema, lease, work)
  }
  const refusal = Session.firstFailure([outcome.commit])
  if (refusal !== undefined) return yield* Effect.fail(toStatementFailed(refusal.error, undefined))
})

const timesOf = (rows: Rows) => rows as unknown as ReadonlyArray<readonly [key: string, time: number]>

const limitStatements = (millis: number | undefined): ReadonlyArray<Statement> =>
  millis === undefined ? [] : [{ text: `SET LOCAL statement_timeout = ${Math.ceil(millis)}`, parameters: [] }]

/** Whether a statement did what it must; one without a number of rows may have any. */
const hasRows = (exit: Session.Outcome["exits"][number], rows: number | undefined): boolean =>
  Exit.isSuccess(exit) && exit.value.length === (rows ?? exit.value.length)

const isFalse = (exit: Session.Outcome["exits"][number] | undefined): boolean =>
  exit !== undefined && Exit.isSuccess(exit) && exit.value[0]?.[0] === false

/** A connection that is lost, a deadlock, or a server that takes no writes is no statement's fault. */
const toStatementFailed = (error: SqlError, index: number | undefined): StatementFailed | StorageError => {
  const code = sqlState(error.reason)
  const verdict = code === undefined ? undefined : judge(error)
  const isChance = error.reason._tag === "ConnectionError" || verdict === "lost" || verdict === "again" ||
    NO_WRITES.has(code ?? "")
  if (isChance) return toStorageError("commitProjection", error)
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
    `SELECT p.epoch::float8, p.incarnation, h.position::float8, h.incarnation, h.parent, h.parent_position::float8
      FROM ${schema}.projections p, ${schema}.head h WHERE h.id = 1 AND p.name = $1 AND p.version = $2 AND p.slice = $3`,
    statements.sliceParameters(lease)
  ).values.pipe(storageErrors("commitProjection"))
  if (row === undefined) return yield* leaseLost(lease)
  const [epoch, incarnation, position, actual, parent, parentPosition] = row as unknown as readonly [
    number,
    string,
    Position,
    string,
    string | null,
    number | null
  ]
  const head: LogHead = { position, incarnation: actual, parent: toParent(parent, parentPosition) }
  const reached = { position: to.position, incarnation }
  return yield* Effect.fail(
    epoch === lease.epoch && !isOfHistory(reached, head) ? historyChanged(lease, reached, head) : leaseLost(lease)
  )
})

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
