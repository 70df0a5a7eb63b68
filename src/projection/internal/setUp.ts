import type { SqlStatement } from "../../store/CheckpointStore.ts"
import type { TableTarget } from "../Projection.ts"

/** Makes the tables of a build, and the views of them when it is the one that is live. */
export const setUpStatements = (target: TableTarget, isLive: boolean): ReadonlyArray<SqlStatement> => [
  ...target.tables.map(({ body, name }) =>
    statement(`CREATE TABLE ${at(target.schema, name + target.suffix)} (${body})`)
  ),
  ...(isLive ? promoteStatements(target) : []),
  ...target.setUp
]

/** Schema and name of each table of a build, as they stand in the database. */
export const physicalTables = (
  { schema, suffix, tables }: TableTarget
): ReadonlyArray<readonly [schema: string, name: string]> => tables.map(({ name }) => [schema, name + suffix])

/** Removes the tables of a build, and the views of it. */
export const tearDownStatements = ({ schema, suffix, tables }: TableTarget): ReadonlyArray<SqlStatement> =>
  tables.map(({ name }) => statement(`DROP TABLE IF EXISTS ${at(schema, name + suffix)} CASCADE`))

/**
 * Makes the views show a build. A view that is replaced keeps its rights and
 * what depends on it; one with other columns is made anew, with the rights of
 * the old one, and is refused while something depends on it.
 */
export const promoteStatements = ({ schema, suffix, tables }: TableTarget): ReadonlyArray<SqlStatement> =>
  tables.map(({ name }) => {
    const view = at(schema, name)
    const body = `${view} AS SELECT * FROM ${at(schema, name + suffix)}`
    return statement(`DO $view$
DECLARE
  rights aclitem[] := (SELECT relacl FROM pg_class WHERE oid = to_regclass(${literal(view)}));
  given record;
BEGIN
  BEGIN
    CREATE OR REPLACE VIEW ${body};
  EXCEPTION WHEN invalid_table_definition THEN
    DROP VIEW ${view};
    CREATE VIEW ${body};
    FOR given IN SELECT g.privilege_type AS kind, r.rolname AS role
      FROM aclexplode(rights) g LEFT JOIN pg_roles r ON r.oid = g.grantee
      WHERE g.grantee <> (SELECT relowner FROM pg_class WHERE oid = ${literal(view)}::regclass)
    LOOP
      EXECUTE format('GRANT %s ON ${view} TO %s', given.kind,
        CASE WHEN given.role IS NULL THEN 'PUBLIC' ELSE quote_ident(given.role) END);
    END LOOP;
  END;
END $view$`)
  })

/** What is wrong with the names of a target, and its statements. */
export const targetFaults = ({ schema, setUp, tables }: TableTarget): ReadonlyArray<string> => [
  ...(tables.length === 0 ? ["tables: name at least one"] : []),
  ...[["schema", schema] as const, ...tables.map(({ name }) => ["tables", name] as const)].flatMap(([where, name]) =>
    NAME.test(name) ? [] : [`${where}: ${JSON.stringify(name.slice(0, 64))} must match ${NAME.source}`]
  ),
  ...setUp.flatMap((statement) => {
    const fault = statementFault(statement)
    return fault === undefined ? [] : [`setUp: ${fault}`]
  })
]

/** What is wrong with a statement of the user's, which runs in a transaction that is not his; whatever it is. */
export const statementFault = (statement: Partial<SqlStatement> | undefined): string | undefined => {
  const { parameters, text } = statement ?? {}
  if (typeof text !== "string" || !Array.isArray(parameters)) return "it is no statement"
  const word = LEAVING.exec(text)?.[1]
  return word === undefined ? undefined : `${word.toUpperCase()} would reach beyond the transaction of the checkpoint`
}

// internal

/**
 * What ends a transaction, outlives it in its session, or takes over the
 * connection; behind white space and comments.
 */
const LEAVING =
  /^(?:\s|--[^\n]*\n|\/\*(?:[^*]|\*(?!\/))*\*\/)*(begin|start|commit|end|rollback|abort|savepoint|release|prepare|deallocate|set(?!\s+(?:local|constraints)\b)|reset|discard|listen|unlisten|copy)\b/i

/** PostgreSQL cuts names at 63 bytes in silence; the version needs some of them. */
const NAME = /^[a-z_][a-z0-9_]{0,47}$/

const statement = (text: string): SqlStatement => ({ text, parameters: [] })

/** The names were checked: they need no more than quotes. */
const at = (schema: string, name: string): string => `"${schema}"."${name}"`

const literal = (text: string): string => `'${text}'`
