/**
 * The schema in PostgreSQL: what it should be, what it is, and the way there.
 *
 * @since 0.1.0
 */
import { PgClient } from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { SqlError } from "effect/sql/SqlError"
import { SchemaMismatch, StorageError } from "../store/EventStoreError.ts"
import type { SchemaStatus } from "../store/StoreAdmin.ts"
import { quoteName } from "./internal/identifiers.ts"
import * as sqlFiles from "./internal/migrations.ts"
import { storageErrors } from "./internal/sqlErrors.ts"
import { runTransaction } from "./internal/transactions.ts"

/**
 * Name of the PostgreSQL schema that holds a store, `event_store` unless
 * provided otherwise.
 *
 * @category references
 * @since 0.1.0
 */
export const SchemaName = Context.Reference<string>("effect-event-store/postgres/PgMigrations/SchemaName", {
  defaultValue: () => "event_store"
})

/**
 * Says what is wrong with a schema name, or `undefined` when nothing is.
 *
 * **Details**
 *
 * Lower-case letters, digits and underscores, at most 48: PostgreSQL cuts
 * identifiers at 63 bytes in silence, which would make two names one.
 *
 * @category validation
 * @since 0.1.0
 */
export const schemaNameFault = (name: string): string | undefined =>
  /^[a-z_][a-z0-9_]{0,47}$/.test(name) && !name.startsWith("pg_")
    ? undefined
    : `the schema name ${JSON.stringify(name.slice(0, 64))} must match [a-z_][a-z0-9_]{0,47} and not start with pg_`

/**
 * Returns the SQL that makes an empty database a store, for `psql -f` or a
 * review; statements end with `;`.
 *
 * @category getters
 * @since 0.1.0
 */
export const script = (schema: string): string => {
  const name = quoteName(schema)
  return [
    ...prologue(name),
    ...sqlFiles.migrations.flatMap((file) => [...inSchema(name, file.statements), recordMigration(name, file)]),
    ...sqlFiles.functions.flatMap((file) => [...inSchema(name, file.statements), recordFunction(name, file)]),
    ensurePartitions(name)
  ].map((statement) => `${statement};\n`).join("\n")
}

/**
 * Says which migrations and functions are in the database.
 *
 * @category operations
 * @since 0.1.0
 */
export const status: Effect.Effect<SchemaStatus, StorageError, PgClient> = Effect.gen(function*() {
  const schema = yield* checkedSchema
  const { functions, migrations } = yield* readHistory(quoteName(schema)).pipe(storageErrors("schemaStatus"))
  const known = new Set(sqlFiles.migrations.map((file) => file.name))
  const states = [
    ...sqlFiles.migrations.map(({ name }) => ({
      name,
      state: migrations.has(name) ? "applied" as const : "pending" as const,
      appliedAt: migrations.get(name)?.appliedAt
    })),
    ...[...migrations].filter(([name]) => !known.has(name)).map(([name, { appliedAt }]) => ({
      name,
      state: "unknown" as const,
      appliedAt
    }))
  ]
  const outdatedFunctions = sqlFiles.functions
    .filter(({ checksum, name }) => functions.get(name) !== checksum).map(({ name }) => name)
  return {
    schema,
    migrations: states,
    outdatedFunctions,
    isCurrent: outdatedFunctions.length === 0 && states.every(({ state }) => state === "applied")
  }
})

/**
 * Brings the schema up to date in one transaction, and makes the partitions of
 * this month and the next three; returns what was done.
 *
 * **Details**
 *
 * Safe when several processes start at once: they do it one after the other,
 * and the later ones find nothing to do. Forward only: a database that has a
 * migration which this version does not know is refused, and left as it is.
 * Appends of processes that run the version before go on until the moment of
 * the commit.
 *
 * @category operations
 * @since 0.1.0
 */
export const apply = (
  options: { readonly roles?: boolean | undefined } = {}
): Effect.Effect<ReadonlyArray<string>, StorageError, PgClient> =>
  Effect.gen(function*() {
    const schema = yield* checkedSchema
    const sql = yield* PgClient
    const done = yield* runTransaction(sql, applyAll(sql, quoteName(schema), options.roles === true), COMMIT_WITHIN)
      .pipe(
        Effect.catchTag("SqlError", (error) => Effect.fail(error).pipe(storageErrors("schemaApply")))
      )
    return done
  })

/**
 * Layer that brings the schema up to date, and provides nothing. Run it as the
 * schema's owner in a deploy step.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMigrations: Layer.Layer<never, StorageError, PgClient> = Layer.effectDiscard(apply())

/**
 * Layer that makes the partitions of coming months once a day while it is
 * there, and provides nothing. A day on which that fails is logged; appends go
 * on, to the default partition in the worst case.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPartitions: Layer.Layer<never, never, PgClient> = Layer.effectDiscard(Effect.gen(function*() {
  const sql = yield* PgClient
  const schema = yield* SchemaName
  const ensure = sql.unsafe(ensurePartitions(quoteName(schema))).values.pipe(
    Effect.catch((error) => Effect.logWarning("partitions of coming months could not be made", error))
  )
  yield* Effect.forkScoped(Effect.repeat(Effect.delay(ensure, "1 day"), Schedule.forever))
}))

/**
 * Fails with `SchemaMismatch` unless the schema is this version's.
 *
 * @category operations
 * @since 0.1.0
 */
export const requireCurrent: Effect.Effect<void, StorageError, PgClient> = Effect.flatMap(status, (found) => {
  if (found.isCurrent) return Effect.void
  const unknown = found.migrations.filter(({ state }) => state === "unknown").map(({ name }) => name)
  const pending = found.migrations.filter(({ state }) => state === "pending").map(({ name }) => name)
  return Effect.fail(mismatch(
    unknown.length > 0
      ? `the schema ${found.schema} has ${unknown.join(", ")} of a newer version: update effect-event-store`
      : `the schema ${found.schema} lacks ${
        [...pending, ...found.outdatedFunctions].join(", ")
      }: run "event-store schema apply", or provide a layer that migrates`
  ))
})

// internal

/** How long what was made may take to be written. */
const COMMIT_WITHIN = "1 minute"

/** Months ahead for which partitions are made. */
const PARTITIONS_AHEAD_MONTHS = 3

const mismatch = (detail: string): StorageError =>
  new StorageError({ operation: "schema", reason: new SchemaMismatch({ detail }) })

const checkedSchema: Effect.Effect<string, StorageError> = Effect.flatMap(SchemaName, (schema) => {
  const fault = schemaNameFault(schema)
  return fault === undefined ? Effect.succeed(schema) : Effect.fail(mismatch(fault))
})

// From here on the name of the schema is quoted: it may be a word of SQL.

/** The SQL files are written for the default name; a role's name only begins with it. */
const inSchema = (schema: string, statements: ReadonlyArray<string>): ReadonlyArray<string> =>
  schema === quoteName("event_store")
    ? statements
    : statements.map((text) => text.replaceAll(/\bevent_store\b/g, schema))

const prologue = (schema: string): ReadonlyArray<string> => [
  `CREATE SCHEMA IF NOT EXISTS ${schema}`,
  `CREATE TABLE IF NOT EXISTS ${schema}.migrations (name text PRIMARY KEY, checksum text NOT NULL, ` +
  "applied_at timestamptz NOT NULL DEFAULT clock_timestamp())",
  `CREATE TABLE IF NOT EXISTS ${schema}.functions (name text PRIMARY KEY, checksum text NOT NULL, ` +
  "applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
]

const recordMigration = (schema: string, { checksum, name }: sqlFiles.SqlFile): string =>
  `INSERT INTO ${schema}.migrations (name, checksum) VALUES ('${name}', '${checksum}')`

const recordFunction = (schema: string, { checksum, name }: sqlFiles.SqlFile): string =>
  `INSERT INTO ${schema}.functions (name, checksum) VALUES ('${name}', '${checksum}') ` +
  "ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at"

const ensurePartitions = (schema: string): string =>
  `SELECT ${schema}.ensure_events_partitions(${PARTITIONS_AHEAD_MONTHS})`

interface History {
  readonly migrations: ReadonlyMap<string, { readonly checksum: string; readonly appliedAt: Date }>
  readonly functions: ReadonlyMap<string, string>
}

const readHistory = (schema: string): Effect.Effect<History, SqlError, PgClient> =>
  Effect.gen(function*() {
    const sql = yield* PgClient
    const [[isThere] = []] = yield* sql`SELECT to_regclass(${`${schema}.functions`}) IS NOT NULL`.values
    if (isThere !== true) return { migrations: new Map(), functions: new Map() }
    const migrations = yield* sql.unsafe(`SELECT name, checksum, applied_at FROM ${schema}.migrations ORDER BY name`)
      .values
    const functions = yield* sql.unsafe(`SELECT name, checksum FROM ${schema}.functions`).values
    return {
      migrations: new Map(migrations.map(([name, checksum, appliedAt]) => [
        String(name),
        { checksum: String(checksum), appliedAt: appliedAt as Date }
      ])),
      functions: new Map(functions.map(([name, checksum]) => [String(name), String(checksum)]))
    }
  })

const applyAll = Effect.fnUntraced(function*(sql: PgClient, schema: string, roles: boolean) {
  // one starter after the other; the key is that of the name of the schema
  yield* sql`SELECT pg_advisory_xact_lock(1163088961, hashtext(${schema}))`
  yield* sql`SET LOCAL client_min_messages = warning`
  const history = yield* readHistory(schema)
  yield* refuseForeign(history)
  const done: Array<string> = []
  const run = (name: string, statements: ReadonlyArray<string>) =>
    Effect.andThen(
      Effect.forEach(statements, (statement) => sql.unsafe(statement).unprepared, { discard: true }),
      Effect.sync(() => done.push(name))
    )
  if (history.migrations.size === 0) {
    yield* Effect.forEach(prologue(schema), (statement) => sql.unsafe(statement).unprepared, { discard: true })
  }
  for (const file of sqlFiles.migrations) {
    if (!history.migrations.has(file.name)) {
      yield* run(`migration ${file.name}`, [...inSchema(schema, file.statements), recordMigration(schema, file)])
    }
  }
  for (const file of sqlFiles.functions) {
    if (history.functions.get(file.name) !== file.checksum) {
      yield* run(`function ${file.name}`, [...inSchema(schema, file.statements), recordFunction(schema, file)])
    }
  }
  const [[made] = []] = yield* sql.unsafe(ensurePartitions(schema)).values
  if (Number(made) > 0) done.push(`${String(made)} partitions of months`)
  if (roles) yield* run("roles event_store_reader and event_store_writer", inSchema(schema, sqlFiles.privileges))
  return done
})

const refuseForeign = ({ migrations }: History): Effect.Effect<void, StorageError> => {
  const files = new Map(sqlFiles.migrations.map((file) => [file.name, file.checksum]))
  for (const [name, { checksum }] of migrations) {
    const own = files.get(name)
    if (own === undefined) {
      return Effect.fail(mismatch(`the migration ${name} is of a newer version: update effect-event-store`))
    }
    if (own !== checksum) {
      return Effect.fail(mismatch(`the migration ${name} was applied with another text than this version has`))
    }
  }
  return Effect.void
}
