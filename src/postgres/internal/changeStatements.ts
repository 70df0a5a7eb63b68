import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Result from "effect/Result"
import type { Lease, ProjectionCommit } from "../../store/CheckpointStore.ts"
import { forgetUntil, type TableName } from "../../store/KeptChanges.ts"
import { keyParameters } from "./buildStatements.ts"
import { quoteName } from "./identifiers.ts"
import { place, type Statement, texts } from "./statements.ts"

/**
 * What a commit writes to the feed of its projection, before and after everything else. The
 * lock of the feed comes first: whoever has it waits for nobody who waits for it.
 */
export const changeEffects = (
  schema: string,
  lease: Lease,
  { changes, from, reset, setUp = false, statements = [], states = new Map(), to }: ProjectionCommit
): { readonly before: ReadonlyArray<Statement>; readonly after: ReadonlyArray<Statement> } => {
  const key = keyParameters(lease)
  const ofProjection = "WHERE projection = $1 AND version = $2"
  const forget = reset === undefined ? [] : [
    changes === undefined
      ? { text: `DELETE FROM ${schema}.projection_feeds ${ofProjection}`, parameters: key }
      : {
        text: `UPDATE ${schema}.projection_feeds SET id = gen_random_uuid(), change = change + 1, forgotten = change + 1
          ${ofProjection}`,
        parameters: key
      },
    { text: `DELETE FROM ${schema}.projection_changes ${ofProjection}`, parameters: key }
  ]
  if (changes === undefined) return { before: forget, after: [] }
  const until = forgetUntil(changes, from, to.position)
  return {
    before: [
      ...forget,
      ...(states.size === 0 && statements.length === 0 ? [] : [{
        text: `SELECT c.number::float8 FROM ${schema}.begin_change($1, $2, $3) c`,
        parameters: [...key, place(to.position)]
      }])
    ],
    after: [
      ...(states.size === 0 ? [] : [recordStates(schema, lease, states)]),
      ...(setUp ? changes.tables.map(({ name, table }) => watch(schema, lease, name, table)) : []),
      ...(until === undefined ? [] : [{
        text: `SELECT ${schema}.forget_changes($1, $2, $3)`,
        parameters: [...key, place(until)]
      }])
    ]
  }
}

/** What `watch_table` says of a table whose rows have no name. */
export const NO_PRIMARY_KEY = "ES004"

// internal

const recordStates = (
  schema: string,
  lease: Lease,
  states: NonNullable<ProjectionCommit["states"]>
): Statement => ({
  text: `SELECT ${schema}.record_states($1, $2, $3, $4)`,
  parameters: [
    ...keyParameters(lease),
    texts([...states.keys()]),
    Result.getOrThrow(PgTypes.array(Array.from(states.values(), (state) => state === undefined), PgTypes.OID.bool))
  ]
})

const watch = (schema: string, lease: Lease, name: string, table: TableName): Statement => ({
  text: `SELECT ${schema}.watch_table($1, $2, $3, $4)`,
  parameters: [
    ...keyParameters(lease),
    PgTypes.text(name),
    PgTypes.text(`${quoteName(table.schema)}.${quoteName(table.name)}`)
  ]
})
