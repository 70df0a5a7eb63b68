/**
 * The operator's side of a log in PostgreSQL.
 *
 * @since 0.1.0
 */
import { PgClient } from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { StorageError } from "../store/EventStoreError.ts"
import { type HealthCheck, StoreAdmin } from "../store/StoreAdmin.ts"
import { CATALOG } from "./internal/catalog.ts"
import { quoteName } from "./internal/identifiers.ts"
import { catalog as expectedCatalog } from "./internal/migrations.ts"
import { storageErrors } from "./internal/sqlErrors.ts"
import * as PgMigrations from "./PgMigrations.ts"

/**
 * Layer that provides the operator's side; `storage` says what runs beneath.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (storage: "postgres" | "pglite"): Layer.Layer<StoreAdmin, never, PgClient> =>
  Layer.effect(StoreAdmin, make(storage))

/**
 * Describes the schema as it is, a line each thing; the same whatever its name.
 *
 * @category operations
 * @since 0.1.0
 */
export const describeCatalog: Effect.Effect<ReadonlyArray<string>, StorageError, PgClient> = Effect.gen(function*() {
  const sql = yield* PgClient
  const rows = yield* sql.unsafe(CATALOG, [yield* PgMigrations.SchemaName]).values.pipe(storageErrors("schemaVerify"))
  return rows.map(([line]) => String(line))
})

// internal

const make = Effect.fnUntraced(function*(storage: "postgres" | "pglite") {
  const sql = yield* PgClient
  const schema = yield* PgMigrations.SchemaName
  const inContext = <A, E>(self: Effect.Effect<A, E, PgClient>): Effect.Effect<A, E> =>
    Effect.provideContext(self, Context.make(PgClient, sql).pipe(Context.add(PgMigrations.SchemaName, schema)))
  const run = (operation: string, text: string) => sql.unsafe(text).values.pipe(storageErrors(operation))
  return StoreAdmin.of({
    storage,
    schemaStatus: inContext(PgMigrations.status),
    schemaApply: (options) => inContext(PgMigrations.apply(options)),
    schemaScript: PgMigrations.script(schema),
    schemaVerify: inContext(Effect.gen(function*() {
      const status = yield* PgMigrations.status
      const unfinished = [
        ...status.migrations.filter(({ state }) => state !== "applied").map(({ name, state }) =>
          `migration ${name} is ${state}`
        ),
        ...status.outdatedFunctions.map((name) => `function ${name} has another text`)
      ]
      return unfinished.length > 0 ? unfinished : differences(expectedCatalog, yield* describeCatalog)
    })),
    createIndex: (kind) =>
      Effect.asVoid(run("createIndex", `SELECT ${quoteName(schema)}.create_optional_index('${kind}')`)),
    checkHealth: inContext(checkHealth(storage)),
    verifyLog: Effect.map(
      run("verifyLog", `SELECT fault, found::float8, example FROM ${quoteName(schema)}.verify_log()`),
      (rows) =>
        rows.map(([fault, found, example]) =>
          `${fault}: ${found}${example === null ? "" : ` (for example ${example})`}`
        )
    )
  })
})

const OPTIONAL_INDEX = /\bevents(?:_default)?_(?:type_position|data|type_idx|expr_idx|type_position_idx|data_idx)\b/

const differences = (expected: ReadonlyArray<string>, found: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [isExpected, isFound] = [new Set(expected), new Set(found)]
  return [
    ...expected.filter((line) => !isFound.has(line)).map((line) => `missing: ${line}`),
    ...found.filter((line) => !isExpected.has(line) && !OPTIONAL_INDEX.test(line)).map((line) => `unexpected: ${line}`)
  ]
}

const ok = (name: string, detail: string): HealthCheck => ({ name, level: "ok", detail, hint: "" })

const verdict = (
  isOk: boolean,
  level: "warn" | "fail",
  name: string,
  detail: string,
  hint: string
): HealthCheck => isOk ? ok(name, detail) : { name, level, detail, hint }

const checkHealth = (storage: "postgres" | "pglite") =>
  Effect.gen(function*() {
    const sql = yield* PgClient
    const schema = yield* PgMigrations.SchemaName
    const server = yield* checkServer(sql, storage)
    const status = yield* PgMigrations.status
    const isThere = status.migrations.every(({ state }) => state === "applied")
    const schemaCheck = verdict(
      status.isCurrent,
      "fail",
      "schema",
      status.isCurrent ? `${schema} is current` : `${schema} is not this version's`,
      "run \"event-store schema status\", then \"event-store schema apply\""
    )
    return isThere
      ? [...server, schemaCheck, ...(yield* checkLog(sql, quoteName(schema), storage))]
      : [...server, schemaCheck]
  })

/** Largest difference of the clocks that is not worth a word, in milliseconds. */
const CLOCK_SKEW_MS_MAX = 5_000

const checkServer = (sql: PgClient, storage: "postgres" | "pglite") =>
  Effect.gen(function*() {
    const text = "SELECT current_setting('server_version'), current_setting('server_version_num')::int, " +
      "current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes'), " +
      "current_setting('server_encoding'), clock_timestamp(), current_setting('default_transaction_isolation'), " +
      "current_setting('transaction_read_only')"
    const [row = []] = yield* sql.unsafe(text).values.pipe(storageErrors("checkHealth"))
    const [version, number, fsync, commit, pages, encoding, time, isolation, readOnly] = row
    const skewMs = Math.abs((time as Date).getTime() - (yield* DateTime.now).epochMilliseconds)
    const isDurable = fsync === "on" && commit !== "off" && pages === "on"
    return [
      verdict(Number(number) >= 150_000, "fail", "server", `PostgreSQL ${version}`, "use PostgreSQL 15 or newer"),
      verdict(encoding === "UTF8", "fail", "encoding", String(encoding), "create the database with ENCODING 'UTF8'"),
      verdict(readOnly === "off", "fail", "writable", readOnly === "off" ? "yes" : "no", "connect to the primary"),
      verdict(
        isDurable || storage === "pglite",
        "warn",
        "durability",
        `fsync ${fsync}, synchronous_commit ${commit}, full_page_writes ${pages}`,
        "switch all three on: an acknowledged append may be lost otherwise"
      ),
      verdict(
        isolation === "read committed",
        "warn",
        "isolation",
        `default is ${isolation}`,
        "appends need READ COMMITTED: set default_transaction_isolation back for this role"
      ),
      verdict(
        skewMs <= CLOCK_SKEW_MS_MAX,
        "warn",
        "clock",
        `${skewMs} ms apart from the server`,
        "let both machines follow a time server"
      )
    ]
  })

const checkLog = (sql: PgClient, schema: string, storage: "postgres" | "pglite") =>
  Effect.gen(function*() {
    const text = `SELECT
      (SELECT count(*) FROM generate_series(0, 1) AS m (ahead)
       WHERE to_regclass(format('${schema}.events_%s', to_char(date_trunc('month', now() AT TIME ZONE 'UTC')
         + make_interval(months => m.ahead), 'YYYY_MM'))) IS NOT NULL)::int,
      (SELECT count(*) FROM ${schema}.events_default)::float8,
      (SELECT h.position FROM ${schema}.head h)::float8,
      (SELECT max(e.position) FROM ${schema}.events e)::float8,
      has_table_privilege('${schema}.events', 'UPDATE') OR has_table_privilege('${schema}.events', 'DELETE'),
      (SELECT count(*) FROM pg_prepared_xacts)::int,
      (SELECT h.restoring ->> 'position' FROM ${schema}.head h)`
    const [row = []] = yield* sql.unsafe(text).values.pipe(storageErrors("checkHealth"))
    const [months, strays, head, last, mayChange, prepared, restored] = row
    return [
      ...(restored === null ? [] : [{
        name: "restore",
        level: "fail" as const,
        detail: `a restore is under way or was broken off at position ${restored}`,
        hint: "run the restore again, which goes on where it was, or abandon it; nothing can be read or appended before"
      }]),
      verdict(
        months === 2,
        "warn",
        "partitions",
        months === 2 ? "this month and the next are there" : "this month or the next is missing",
        "run \"event-store schema apply\" as the owner: events go to the default partition until then"
      ),
      verdict(
        strays === 0,
        "warn",
        "default partition",
        `${strays} events`,
        "run \"event-store schema apply\" as the owner: it moves them into their months"
      ),
      verdict(
        head === (last ?? 0),
        "fail",
        "positions",
        `head ${head}, last event ${last ?? 0}`,
        "do not append; compare with a backup"
      ),
      verdict(
        mayChange !== true || storage === "pglite",
        "warn",
        "rights",
        mayChange === true ? "this role may change or delete events" : "this role cannot change events",
        "run the application as a member of event_store_writer (\"event-store schema apply --roles\")"
      ),
      verdict(prepared === 0, "warn", "prepared transactions", String(prepared), "commit them or roll them back")
    ]
  })
