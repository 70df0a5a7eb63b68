import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { Position } from "../../event/Revision.ts"
import { sha256 } from "../../event/Sha256.ts"
import type { SqlStatement } from "../../store/CheckpointStore.ts"
import type { MaterializedView, ViewDescription, ViewIndex } from "../ViewModel.ts"

/** A quoted name. */
export const at = (schema: string, name: string): string => `${quote(schema)}.${quote(name)}`

/** What is wrong with a definition. */
export const viewFaults = ({ indexes, key, name, of, query, schema }: MaterializedView): ReadonlyArray<string> => [
  ...[["name", name] as const, ["schema", schema] as const].flatMap(([where, text]) =>
    NAME.test(text) ? [] : [`${where}: ${JSON.stringify(text.slice(0, 64))} must match ${NAME.source}`]
  ),
  ...(of.length === 0 ? ["of: name at least one projection"] : []),
  ...(query.parameters.length === 0 ? [] : ["query: a materialised view has no parameters"]),
  ...(query.text.includes("\0") ? ["query: it has U+0000"] : []),
  ...[key, ...indexes.map(({ columns }) => columns)].flatMap((columns) =>
    columns.every((column) => column !== "" && !column.includes("\0") && column.isWellFormed())
      ? []
      : ["a column has no name"]
  ),
  ...(indexes.some(({ columns }) => columns.length === 0) ? ["indexes: name at least one column"] : [])
]

/** Makes a view unless it is there as it is defined; what was done is the outcome. */
export const create = (view: MaterializedView, position: Position): SqlStatement =>
  block(`DECLARE
  old regclass := to_regclass(${literal(at(view.schema, view.name))});
  rights aclitem[] := (SELECT relacl FROM pg_class WHERE oid = old);
  given record;
BEGIN
  IF (${noteOf("old")} ->> 'definition') = ${literal(definitionOf(view))} THEN
    ${ensureIndexes(view, "old")}
    RETURN;
  END IF;
  DROP MATERIALIZED VIEW IF EXISTS ${nextOf(view)};
  EXECUTE ${literal(`CREATE MATERIALIZED VIEW ${nextOf(view)} AS ${view.query.text}`)};
  ${indexesOf(view).map((index) => `${makeIndex(index, nextOf(view))};`).join("\n  ")}
  FOR given IN SELECT g.privilege_type AS kind, r.rolname AS role
    FROM aclexplode(rights) g LEFT JOIN pg_roles r ON r.oid = g.grantee
    WHERE g.grantee <> (SELECT relowner FROM pg_class WHERE oid = old)
  LOOP
    EXECUTE format('GRANT %s ON %s TO %s', given.kind, ${literal(nextOf(view))},
      CASE WHEN given.role IS NULL THEN 'PUBLIC' ELSE quote_ident(given.role) END);
  END LOOP;
  IF old IS NOT NULL THEN
    DROP MATERIALIZED VIEW ${at(view.schema, view.name)};
  END IF;
  ALTER MATERIALIZED VIEW ${nextOf(view)} RENAME TO ${quote(view.name)};
  ${writeNote(view, position)}
  PERFORM set_config('${OUTCOME}', CASE WHEN old IS NULL THEN 'created' ELSE 'rebuilt' END, true);
END`)

/** Makes the indexes of the definition, and removes others of ours. */
export const reindex = (view: MaterializedView): SqlStatement =>
  block(`DECLARE
  old regclass := ${literal(at(view.schema, view.name))}::regclass;
BEGIN
  ${ensureIndexes(view, "old")}
END`)

/** What `create` or `reindex` did. */
export const outcome: SqlStatement = { text: "SELECT current_setting('eventstore.view', true)", parameters: [] }

/** Computes a view anew. */
export const refresh = (view: MaterializedView, concurrently: boolean): SqlStatement => ({
  text: `REFRESH MATERIALIZED VIEW ${concurrently ? "CONCURRENTLY " : ""}${at(view.schema, view.name)}`,
  parameters: []
})

/** Notes how far a view is. */
export const note = (view: MaterializedView, position: Position): SqlStatement =>
  block(`BEGIN
  ${writeNote(view, position)}
END`)

/** Removes a view. */
export const drop = (view: MaterializedView): SqlStatement => ({
  text: `DROP MATERIALIZED VIEW IF EXISTS ${at(view.schema, view.name)}`,
  parameters: []
})

/** Size, note and indexes of a view; no row when it is not there. */
export const describe = (view: MaterializedView): SqlStatement => ({
  text: `SELECT pg_total_relation_size(c.oid)::float8 AS bytes, ${noteOf("c.oid")}::text AS note,
      (SELECT coalesce(json_agg(i.indexrelid::regclass::text ORDER BY 1), '[]')::text
        FROM pg_index i WHERE i.indrelid = c.oid) AS indexes
    FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind = 'm'`,
  parameters: [at(view.schema, view.name)]
})

/** What `describe` answered; none when the view is not one of ours. */
export const readDescription = (
  view: MaterializedView,
  row: ReadonlyArray<unknown> | undefined
): Option.Option<Omit<ViewDescription, "staleBy">> => {
  const [bytes, note, indexes] = (row ?? []) as unknown as readonly [number?, (string | null)?, string?]
  if (bytes === undefined || note === undefined || note === null || indexes === undefined) return Option.none()
  // the note is what `writeNote` has written
  const { definition, position, refreshedAt } = JSON.parse(note) as {
    readonly definition: string
    readonly position: Position
    readonly refreshedAt: number
  }
  return Option.some({
    bytes,
    refreshedAt: DateTime.makeUnsafe(refreshedAt),
    position,
    isCurrent: definition === definitionOf(view),
    indexes: JSON.parse(indexes) as ReadonlyArray<string>
  })
}

// internal

/** PostgreSQL cuts names at 63 bytes in silence; those of indexes need some of them. */
const NAME = /^[a-z_][a-z0-9_]{0,47}$/

/** Setting in which a block leaves what it did, until the transaction ends. */
const OUTCOME = "eventstore.view"

/** Begins what we write as the comment of a view. */
const MARK = "effect-event-store "

const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** A block has no parameters: everything in it is quoted. The tag is nowhere in it. */
const block = (body: string): SqlStatement => {
  const tag = `$b${sha256(body).slice(0, 16)}$`
  return { text: `DO ${tag} ${body} ${tag}`, parameters: [] }
}

const definitionOf = ({ key, query }: MaterializedView): string =>
  sha256(JSON.stringify([query.text, key])).slice(0, 32)

const nextOf = ({ name, schema }: MaterializedView): string => at(schema, `${name}__next`)

/** What we have noted of a relation, as JSON; null when it has no note of ours. */
const noteOf = (relation: string): string =>
  `CASE WHEN starts_with(obj_description(${relation}, 'pg_class'), '${MARK}')
    THEN substr(obj_description(${relation}, 'pg_class'), ${MARK.length + 1})::json END`

const writeNote = (view: MaterializedView, position: Position): string =>
  `EXECUTE format('COMMENT ON MATERIALIZED VIEW ${at(view.schema, view.name)} IS %L', '${MARK}' || json_build_object(
    'definition', ${literal(definitionOf(view))}, 'position', ${position},
    'refreshedAt', floor(extract(epoch FROM clock_timestamp()) * 1000))::text);`

interface NamedIndex extends ViewIndex {
  readonly name: string
}

/** The indexes of a definition, and the one of the key; their names say what they are of. */
const indexesOf = (view: MaterializedView): ReadonlyArray<NamedIndex> => {
  const { indexes, key } = view
  const all: ReadonlyArray<ViewIndex> = [...(key.length === 0 ? [] : [{ columns: key, unique: true }]), ...indexes]
  const named = all.map((index) => ({
    ...index,
    name: indexPrefix(view) + sha256(JSON.stringify([index.columns, index.unique === true])).slice(0, 6)
  }))
  return named.filter(({ name }, place) => named.findIndex((other) => other.name === name) === place)
}

/** Two builds of a view have indexes of different names. */
const indexPrefix = (view: MaterializedView): string => `${view.name}_${definitionOf(view).slice(0, 6)}_`

const makeIndex = ({ columns, name, unique = false }: NamedIndex, relation: string): string =>
  `CREATE ${unique ? "UNIQUE " : ""}INDEX ${quote(name)} ON ${relation} (${columns.map(quote).join(", ")})`

const ensureIndexes = (view: MaterializedView, relation: string): string => {
  const wanted = indexesOf(view)
  const names = `ARRAY[${wanted.map(({ name }) => literal(name)).join(", ")}]::text[]`
  return `DECLARE
      surplus text;
      done boolean := false;
    BEGIN
      ${
    wanted.map((index) =>
      `IF to_regclass(${literal(at(view.schema, index.name))}) IS NULL THEN
        ${makeIndex(index, at(view.schema, view.name))};
        done := true;
      END IF;`
    ).join("\n      ")
  }
      FOR surplus IN SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = ${relation} AND starts_with(c.relname, ${
    literal(indexPrefix(view))
  }) AND c.relname <> ALL (${names})
      LOOP
        EXECUTE format('DROP INDEX %I.%I', ${literal(view.schema)}, surplus);
        done := true;
      END LOOP;
      PERFORM set_config('${OUTCOME}', CASE WHEN done THEN 'indexed' ELSE 'unchanged' END, true);
    END;`
}
