import * as PgTypes from "@effect/sql-pg/PgTypes"
import { PROJECTION_BUILD_MAX } from "../../event/Limits.ts"
import type { BuildKey, MakeLive, ProjectionKey, ProjectionVersion } from "../../store/CheckpointStore.ts"
import { type Statement, texts } from "./statements.ts"

/** The number under which a build is stored, in the columns that are called `version`. */
export const storedNumber = ({ build = 1, version }: ProjectionKey): number => version + BUILD_STEP * (build - 1)

/** Version and build of a stored number. */
export const splitNumber = (stored: number): { readonly version: number; readonly build: number } => ({
  version: stored % BUILD_STEP,
  build: Math.floor(stored / BUILD_STEP) + 1
})

/**
 * The stored number as an expression: of the build that the key names, or of the one
 * that is current at the moment of the statement, NULL when there is none. `$1` and `$2`
 * are those of `keyParameters`.
 */
export const storedVersion = (schema: string, { build }: ProjectionKey): string =>
  build === undefined ? storedVersionOf(schema, "$1", "$2") : "$2"

/** The stored number of the current build of a version, both given as expressions. */
export const storedVersionOf = (schema: string, name: string, version: string): string =>
  `(SELECT b.version FROM ${schema}.projection_builds b
    WHERE b.name = ${name} AND b.version % ${BUILD_STEP} = ${version} AND b.status = 'current')`

/**
 * The stored number of the current build of a version, as an expression; of the build that is
 * live when no version is asked for. The parameters stand where `names` says.
 */
export const readVersion = (
  schema: string,
  names: { readonly name: string; readonly version: string },
  { version }: { readonly version: number | undefined }
): string =>
  `(SELECT b.version FROM ${schema}.projection_builds b WHERE b.name = ${names.name} AND ${
    version === undefined ? "b.is_live" : `b.version % ${BUILD_STEP} = ${names.version} AND b.status = 'current'`
  })`

/** `$1` and `$2`: the name, and the stored number of a build, or the version when none is named. */
export const keyParameters = (key: ProjectionKey): ReadonlyArray<unknown> => [
  PgTypes.text(key.name),
  PgTypes.int2(storedNumber(key))
]

/** Registers the current build of a version unless there is one: live when nothing of the name is. */
export const registerCurrent = (schema: string, version: ProjectionVersion): Statement => ({
  text: `INSERT INTO ${schema}.projection_builds AS t (name, version, status, is_live)
    SELECT $1, n.version, 'current',
      NOT EXISTS (SELECT 1 FROM ${schema}.projection_builds l WHERE l.name = $1 AND l.is_live)
    FROM (${freeNumber(schema)}) n
    WHERE NOT EXISTS (SELECT 1 FROM ${schema}.projection_builds c
      WHERE c.name = $1 AND c.version % ${BUILD_STEP} = $2 AND c.status = 'current')
    ON CONFLICT (name, version) DO UPDATE SET status = 'current', is_live = excluded.is_live, ${AFRESH}`,
  parameters: keyParameters({ ...version, build: 1 })
})

/** Registers one more build of a version; no row when there is no number for it. */
export const addBuild = (schema: string, version: ProjectionVersion): Statement => ({
  text: `INSERT INTO ${schema}.projection_builds AS t (name, version, status)
    SELECT $1, n.version, 'building' FROM (${freeNumber(schema)}) n
    ON CONFLICT (name, version) DO UPDATE SET status = 'building', ${AFRESH}
    RETURNING ${buildColumns("t")}`,
  parameters: keyParameters({ ...version, build: 1 })
})

/** Waits for others who register or remove builds of the name. */
export const lockName = (schema: string, { name }: ProjectionVersion): Statement => ({
  text: `SELECT pg_advisory_xact_lock(${BUILDS_LOCK}, hashtext($1))`,
  parameters: [PgTypes.text(`${schema}.${name}`)]
})

/** The build that a key means, kept from being removed until the transaction ends. */
export const holdBuild = (schema: string, key: ProjectionKey): Statement => ({
  text: `SELECT b.version::int4 FROM ${schema}.projection_builds b
    WHERE b.name = $1 AND b.version = ${storedVersion(schema, key)} AND b.status <> 'removed' FOR KEY SHARE`,
  parameters: keyParameters(key)
})

/** The version that is live. */
export const findLive = (schema: string, name: string): Statement => ({
  text: `SELECT (version % ${BUILD_STEP})::int4 FROM ${schema}.projection_builds WHERE name = $1 AND is_live`,
  parameters: [PgTypes.text(name)]
})

/** Describes the builds of a name, or all. */
export const listBuilds = (schema: string, name: string | undefined): Statement => ({
  text: `SELECT ${buildColumns("b")} FROM ${schema}.projection_builds b
    WHERE (b.status <> 'removed' OR NOT (${isFree(schema, "b")}))${name === undefined ? "" : " AND b.name = $1"}
    ORDER BY b.name, b.version % ${BUILD_STEP}, b.version`,
  parameters: name === undefined ? [] : [PgTypes.text(name)]
})

/** What forbids that a build is removed, if anything does; locks it. */
export const judgeRemoval = (schema: string, key: BuildKey): Statement => ({
  text: `SELECT b.is_live, b.status, b.retired_at IS NOT NULL, b.tables, EXISTS (
      SELECT 1 FROM ${schema}.projections p WHERE p.name = b.name AND p.version = b.version
        AND p.owner IS NOT NULL AND p.leased_until > clock_timestamp())
    FROM ${schema}.projection_builds b WHERE b.name = $1 AND b.version = $2 FOR UPDATE OF b`,
  parameters: keyParameters(key)
})

/** Ends all leases of a build, and remembers their epochs; nobody can take a new one. */
export const fenceRemoved = (schema: string, key: BuildKey): ReadonlyArray<Statement> => [
  {
    text: `UPDATE ${schema}.projections SET epoch = epoch + 1, owner = NULL, leased_until = NULL
      WHERE name = $1 AND version = $2`,
    parameters: keyParameters(key)
  },
  {
    text: `UPDATE ${schema}.projection_builds b SET status = 'removed', epoch = greatest(b.epoch, (
        SELECT max(p.epoch) FROM ${schema}.projections p WHERE p.name = $1 AND p.version = $2))
      WHERE b.name = $1 AND b.version = $2`,
    parameters: keyParameters(key)
  }
]

/** Deletes all that is kept of a removed build but its number. */
export const deleteRemoved = (schema: string, key: BuildKey): ReadonlyArray<Statement> =>
  [
    ...["projection_states", "projection_parked", "projection_changes", "projection_feeds"].map((table) =>
      `DELETE FROM ${schema}.${table} WHERE projection = $1 AND version = $2`
    ),
    `DELETE FROM ${schema}.projections WHERE name = $1 AND version = $2`,
    `UPDATE ${schema}.projection_builds SET tables = '{}' WHERE name = $1 AND version = $2 AND status = 'removed'`
  ].map((text) => ({ text, parameters: keyParameters(key) }))

/** Notes which tables were made for a build. */
export const noteTables = (
  schema: string,
  key: BuildKey,
  tables: ReadonlyArray<readonly [schema: string, name: string]>
): Statement => ({
  text: `UPDATE ${schema}.projection_builds SET tables = $3 WHERE name = $1 AND version = $2`,
  parameters: [...keyParameters(key), texts(tables.flat())]
})

/**
 * Makes a build live: ends the leases of those whose places it takes, says
 * whether it has seen as much as they have (the one row of the second
 * statement), retires them, and puts it in their place.
 */
export const makeLive = (
  schema: string,
  key: BuildKey,
  { keepMillis }: Pick<MakeLive, "keepMillis">
): ReadonlyArray<Statement> => {
  const builds = `${schema}.projection_builds`
  const replaced = `b.name = $1 AND b.version <> $2
    AND (b.is_live OR (b.status = 'current' AND b.version % ${BUILD_STEP} = $2 % ${BUILD_STEP}))`
  const parameters = keyParameters(key)
  return [
    {
      text: `UPDATE ${schema}.projections p SET epoch = p.epoch + 1, owner = NULL, leased_until = NULL
        FROM ${builds} b WHERE p.name = b.name AND p.version = b.version AND ${replaced}`,
      parameters
    },
    {
      text: `SELECT coalesce((SELECT min(p.position) FROM ${schema}.projections p
          WHERE p.name = $1 AND p.version = $2), 0) >=
        coalesce((SELECT max(p.position) FROM ${schema}.projections p, ${builds} b
          WHERE p.name = b.name AND p.version = b.version AND ${replaced}), 0)`,
      parameters
    },
    {
      text: `UPDATE ${builds} b SET is_live = false, retired_at = clock_timestamp(),
          keep_until = clock_timestamp() + $3 * interval '1 millisecond',
          status = CASE WHEN b.version % ${BUILD_STEP} = $2 % ${BUILD_STEP} THEN 'kept' ELSE b.status END
        WHERE ${replaced}`,
      parameters: [...parameters, PgTypes.float8(keepMillis)]
    },
    {
      text: `UPDATE ${builds} SET is_live = true, status = 'current', retired_at = NULL, keep_until = NULL
        WHERE name = $1 AND version = $2`,
      parameters
    }
  ]
}

/** Which of the statements of `makeLive` says whether the build has seen as much. */
export const NOT_BEHIND_INDEX = 1

// internal

/** Apart from the locks of the log; a name that shares its hash waits too. */
const BUILDS_LOCK = 1_163_088_962

/** Versions end below it, so that version and build are one number. */
const BUILD_STEP = 1_000

/** The lowest number of a version that no build has. */
const freeNumber = (schema: string): string =>
  `SELECT ($2 + ${BUILD_STEP} * g.build)::int2 AS version FROM generate_series(0, ${PROJECTION_BUILD_MAX - 1}) g (build)
    WHERE NOT EXISTS (SELECT 1 FROM ${schema}.projection_builds x
      WHERE x.name = $1 AND x.version = $2 + ${BUILD_STEP} * g.build
        AND NOT (x.status = 'removed' AND ${isFree(schema, "x")}))
    ORDER BY g.build LIMIT 1`

/** Whether nothing is left of a build that was removed. */
const isFree = (schema: string, build: string): string =>
  `${build}.tables = '{}' AND NOT EXISTS (
    SELECT 1 FROM ${schema}.projections p WHERE p.name = ${build}.name AND p.version = ${build}.version)`

/** A number that is given again keeps nothing but its epoch. */
const AFRESH = "created_at = clock_timestamp(), retired_at = NULL, keep_until = NULL"

const buildColumns = (row: string): string =>
  `${row}.name, ${row}.version::int4, replace(${row}.status, 'removed', 'removing'), ${row}.is_live, ${row}.created_at, ${row}.retired_at,
  ${row}.keep_until, coalesce(${row}.keep_until <= clock_timestamp(), false), ${row}.tables`
