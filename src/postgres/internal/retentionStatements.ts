import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as DateTime from "effect/DateTime"
import type { Lease, ProjectionKey } from "../../store/CheckpointStore.ts"
import { keyParameters } from "./buildStatements.ts"
import { place, type Statement, texts } from "./statements.ts"

/** Writes states, with the times at which they were changed when they may grow old. */
export const insertStates = (
  schema: string,
  key: ProjectionKey,
  states: ReadonlyArray<readonly [key: string, state: string]>,
  times: ReadonlyMap<string, number> | undefined
): Statement => {
  const names = states.map(([name]) => name)
  const parameters = [...keyParameters(key), texts(names), texts(states.map(([, state]) => state))]
  if (times === undefined || times.size === 0) {
    return {
      text: `INSERT INTO ${schema}.projection_states (projection, version, key, state)
        SELECT $1, $2, u.key, u.state::json FROM unnest($3::text[], $4::text[]) u (key, state)
        ON CONFLICT (projection, version, key) DO UPDATE SET state = excluded.state`,
      parameters
    }
  }
  return {
    text: `INSERT INTO ${schema}.projection_states AS s (projection, version, key, state, changed_at)
      SELECT $1, $2, u.key, u.state::json, nullif(u.time, '')::timestamptz
      FROM unnest($3::text[], $4::text[], $5::text[]) u (key, state, time)
      ON CONFLICT (projection, version, key) DO UPDATE
      SET state = excluded.state, changed_at = coalesce(excluded.changed_at, s.changed_at)`,
    parameters: [...parameters, texts(names.map((name) => timeText(times.get(name))))]
  }
}

/** When some states were changed, in milliseconds since 1970. */
export const stateTimes = (schema: string, lease: Lease, keys: ReadonlyArray<string>): Statement => ({
  text: `SELECT key, ${MILLIS} FROM ${schema}.projection_states
    WHERE projection = $1 AND version = $2 AND key = ANY ($3) AND changed_at IS NOT NULL`,
  parameters: [...keyParameters(lease), texts(keys)]
})

/** The states that were not changed for the longest time. */
export const oldestStates = (schema: string, lease: Lease, limit: number): Statement => ({
  text: `SELECT key, ${MILLIS} FROM ${schema}.projection_states
    WHERE projection = $1 AND version = $2 AND changed_at IS NOT NULL ORDER BY changed_at LIMIT $3`,
  parameters: [...keyParameters(lease), place(limit)]
})

/** Notes where a reactor begins. */
export const setStart = (schema: string, lease: Lease, start: number): Statement => ({
  text: `UPDATE ${schema}.projections SET start = $4 WHERE name = $1 AND version = $2 AND slice = $3`,
  parameters: [...keyParameters(lease), PgTypes.int2(lease.slice), place(start)]
})

// internal

const MILLIS = "(extract(epoch FROM changed_at) * 1000)::float8"

/** Empty for a state that does not grow old. */
const timeText = (millis: number | undefined): string =>
  millis === undefined ? "" : DateTime.formatIso(DateTime.makeUnsafe(millis))
