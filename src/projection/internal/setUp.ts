import type { SqlStatement } from "../../store/CheckpointStore.ts"
import { tableName, type TableTarget } from "../Projection.ts"

/** Makes the tables of a version, and the view of each unless there is one. */
export const setUpStatements = (
  { schema, setUp, tables }: TableTarget,
  version: number
): ReadonlyArray<SqlStatement> => [
  ...tables.map(({ body, name }) => statement(`CREATE TABLE ${at(schema, tableName(name, version))} (${body})`)),
  ...tables.map(({ name }) =>
    statement(`DO $view$ BEGIN
  IF to_regclass(${literal(at(schema, name))}) IS NULL THEN
    CREATE VIEW ${at(schema, name)} AS SELECT * FROM ${at(schema, tableName(name, version))};
  END IF;
END $view$`)
  ),
  ...setUp
]

/** Removes the tables of a version, and the views of it. */
export const tearDownStatements = ({ schema, tables }: TableTarget, version: number): ReadonlyArray<SqlStatement> =>
  tables.map(({ name }) => statement(`DROP TABLE IF EXISTS ${at(schema, tableName(name, version))} CASCADE`))

/** Makes a version the one that the views show. */
export const promoteStatements = ({ schema, tables }: TableTarget, version: number): ReadonlyArray<SqlStatement> =>
  tables.flatMap(({ name }) => [
    statement(`DROP VIEW IF EXISTS ${at(schema, name)}`),
    statement(`CREATE VIEW ${at(schema, name)} AS SELECT * FROM ${at(schema, tableName(name, version))}`)
  ])

/** What is wrong with the names of a target. */
export const targetFaults = ({ schema, tables }: TableTarget): ReadonlyArray<string> => [
  ...(tables.length === 0 ? ["tables: name at least one"] : []),
  ...[["schema", schema] as const, ...tables.map(({ name }) => ["tables", name] as const)].flatMap(([where, name]) =>
    NAME.test(name) ? [] : [`${where}: ${JSON.stringify(name.slice(0, 64))} must match ${NAME.source}`]
  )
]

// internal

/** PostgreSQL cuts names at 63 bytes in silence; the version needs some of them. */
const NAME = /^[a-z_][a-z0-9_]{0,47}$/

const statement = (text: string): SqlStatement => ({ text, parameters: [] })

/** The names were checked: they need no more than quotes. */
const at = (schema: string, name: string): string => `"${schema}"."${name}"`

const literal = (text: string): string => `'${text}'`
