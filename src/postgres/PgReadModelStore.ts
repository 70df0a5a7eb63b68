/**
 * Reads what projections have made, in PostgreSQL.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { SqlError } from "effect/sql/SqlError"
import { type Position, START } from "../event/Revision.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import {
  type ReadCount,
  ReadModelStore,
  type ReadPage,
  type ReadPlace,
  type ReadPoint,
  SelectRefused,
  type StatementWork,
  type StoredChange,
  type TableShape
} from "../store/ReadModelStore.ts"
import { quoteName } from "./internal/identifiers.ts"
import * as Session from "./internal/projectionSession.ts"
import * as statements from "./internal/readStatements.ts"
import { READER } from "./internal/sessions.ts"
import { answeredWithin, sqlState, storageErrors, toStorageError } from "./internal/sqlErrors.ts"
import { type Rows, runner, type Statement } from "./internal/statements.ts"
import { SchemaName } from "./PgMigrations.ts"

/**
 * Layer that reads the states and tables of a log's projections. Needs the
 * rights of `event_store_reader` (`sql/privileges.sql`) and SELECT on the
 * projections' own tables; materialised views need their owner's.
 *
 * **Details**
 *
 * Opens up to 6 connections of its own, with the client's settings: 4 to read, and
 * 2 for materialised views. What it does
 * never becomes part of a transaction of the caller's, and a long read keeps no
 * runner waiting. A read may take 30 seconds. Needs the schema to be up to date.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<ReadModelStore, StorageError, PgClient.PgClient> = Layer.effect(
  ReadModelStore,
  Effect.gen(function*() {
    // a pool says here how many connections it has
    const config: PgClient.PgPoolConfig = (yield* PgClient.PgClient).config
    const sql = yield* PgClient.make({
      ...config,
      maxConnections: Math.min(config.maxConnections ?? CONNECTIONS_MAX, CONNECTIONS_MAX),
      startupParameters: { ...config.startupParameters, ...SESSION }
    }).pipe(storageErrors("connect"))
    const sessions = yield* Session.make(sql.config, WORKING_MAX)
    return make(sql, sessions, quoteName(yield* SchemaName))
  })
).pipe(Layer.provide(Reactivity.layer))

// internal

const CONNECTIONS_MAX = 4

/** Connections for work on views. */
const WORKING_MAX = 2

/** What the network may take of a transaction. */
const ROUND_TRIPS_MILLIS = 1_000

/** Places are text, and views are made by text: the settings that they depend on are fixed. A filter of the caller's is planned for its values. */
const SESSION = {
  ...READER,
  plan_cache_mode: "auto",
  statement_timeout: "30000",
  idle_in_transaction_session_timeout: "5000",
  TimeZone: "UTC",
  DateStyle: "ISO",
  IntervalStyle: "postgres",
  bytea_output: "hex",
  extra_float_digits: "1",
  standard_conforming_strings: "on"
}

const make = (sql: PgClient.PgClient, sessions: Session.Sessions, schema: string): ReadModelStore["Service"] => {
  const run = runner(sql)
  const select = ({ parameters, text }: Statement) =>
    sql.unsafe(text, parameters).values.pipe(Effect.mapError((error) => toSelectRefused("readRows", error, 0)))
  return {
    hasTables: true,
    readPoint: (source) => Effect.map(run("readPoint", statements.readPoint(schema, source)), ([row]) => toPoint(row)),
    readStates: (query) =>
      Effect.map(
        run("readStates", statements.readStates(schema, query)),
        (rows) => toPage(rows, 2, ([key, state]) => ({ key: key as string, state: state as string }))
      ),
    countStates: (query) => Effect.map(run("countStates", statements.countStates(schema, query)), toCount),
    describeTable: (table) => Effect.map(run("describeTable", statements.describeTable(table)), toShape),
    readRows: (query) =>
      Effect.map(
        select(statements.readRows(schema, query)),
        (rows) => toPage(rows, query.columns.length, (values) => values)
      ),
    countRows: (query) => Effect.map(select(statements.countRows(schema, query)), toCount),
    readChanges: (query) =>
      Effect.map(run("readChanges", statements.readChanges(schema, query)), (rows) => {
        const [first] = rows
        if (first === undefined) return Option.none()
        const [feed, newest, forgotten, ...point] = first as unknown as readonly [string, number, number]
        const changes = rows.flatMap((row) => row[5] === null ? [] : [toChange(row)])
        return Option.some({ feed, newest, forgotten, changes, point: toPoint(point) })
      }),
    transact: (work) => transact(sessions, schema, work)
  }
}

const transact = (
  sessions: Session.Sessions,
  schema: string,
  { lock, statementMillis, statements: wanted }: StatementWork
): ReturnType<ReadModelStore["Service"]["transact"]> => {
  const work = Effect.fnUntraced(function*(ask: Session.Ask) {
    const run = (index: number, statement: Statement) =>
      Effect.mapError(ask({ ...statement, prepare: false }), (error) => toSelectRefused("transact", error, index))
    yield* run(0, { text: `SET LOCAL statement_timeout = ${Math.ceil(statementMillis)}`, parameters: [] })
    if (lock !== undefined) {
      const take = lock.wait ? "pg_advisory_xact_lock" : "pg_try_advisory_xact_lock"
      const [row] = yield* run(0, {
        text: `SELECT ${take}(${VIEW_LOCK}, hashtext($1))`,
        parameters: [PgTypes.text(`${schema}.${lock.name}`)]
      })
      if (row?.[0] === false) return Option.none()
    }
    const answers: Array<Rows> = []
    for (const [index, statement] of wanted.entries()) answers.push(yield* run(index, statement))
    return Option.some(answers)
  })
  // beginning, lock, statements and end: they end by themselves, unless the server has gone silent
  const within = Duration.millis(statementMillis * (wanted.length + 3) + ROUND_TRIPS_MILLIS)
  return Effect.catchTag(
    sessions.interact(work),
    "SqlError",
    (error) => Effect.fail(toSelectRefused("transact", error, wanted.length))
  ).pipe(answeredWithin("transact", within))
}

/** Apart from the locks of the log and of builds; a name that shares its hash waits too. */
const VIEW_LOCK = 1_163_088_963

/** What the database says about a statement of the caller's; whatever else goes wrong is the storage's. */
const toSelectRefused = (operation: string, error: SqlError, index: number): SelectRefused | StorageError => {
  const failure = toStorageError(operation, error)
  const code = sqlState(error.reason)
  const isRefusal = code !== undefined &&
    (failure.reason._tag === "Refused" || failure.reason._tag === "SchemaMismatch")
  if (!isRefusal) return failure
  const cause: unknown = error.reason.cause
  const detail = cause instanceof Error ? cause.message : error.reason.message ?? error.reason._tag
  return new SelectRefused({ index, code, detail })
}

const toPoint = (row: ReadonlyArray<unknown> | undefined): ReadPoint => {
  const [position = START, incarnation] = (row ?? []) as unknown as readonly [Position?, (string | null)?]
  return { position, incarnation: incarnation ?? undefined }
}

/** Position, incarnation, number, values and place. */
const toPage = <A>(rows: Rows, values: number, make: (values: ReadonlyArray<unknown>) => A): ReadPage<A> => {
  const found = rows.filter((row) => row[2] !== null)
  return {
    items: found.map((row) => make(row.slice(3, 3 + values))),
    places: found.map((row) => row.slice(3 + values) as ReadPlace),
    point: toPoint(rows[0])
  }
}

const toCount = ([row]: Rows): ReadCount => ({ count: row?.[3] as number, point: toPoint(row) })

const toShape = (rows: Rows): Option.Option<TableShape> => {
  if (rows.length === 0) return Option.none()
  const columns = rows as unknown as ReadonlyArray<readonly [name: string, isRequired: boolean, place: number]>
  return Option.some({
    columns: columns.map(([name, isRequired]) => ({ name, isRequired })),
    key: columns.filter(([, , place]) => place > 0).sort(([, , a], [, , b]) => a - b).map(([name]) => name)
  })
}

const toChange = (row: ReadonlyArray<unknown>): StoredChange => {
  const [change, id, position, table, key, isRemoval] = row.slice(5) as unknown as readonly [
    number,
    string,
    Position,
    string | null,
    string,
    boolean
  ]
  return { change, id, position, table: table ?? undefined, key, isRemoval }
}
