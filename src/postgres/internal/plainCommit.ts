import type { Lease, ProjectionCommit } from "../../store/CheckpointStore.ts"
import { moveCheckpoint } from "./projectionStatements.ts"
import { type Statement, texts } from "./statements.ts"

/** Whether a commit moves the checkpoint and writes states at most: most of them do. */
export const isPlain = (
  { changes, park = [], reset, setUp, start, statements = [], stateTimes, tables, unpark = [] }: ProjectionCommit
): boolean =>
  statements.length === 0 && park.length === 0 && unpark.length === 0 && (stateTimes?.size ?? 0) === 0 &&
  [changes, reset, start, tables].every((part) => part === undefined) && setUp !== true

/**
 * A plain commit as one statement, which is its own transaction: the states are
 * written when the checkpoint moves, and a row says that it did.
 */
export const plainCommit = (schema: string, lease: Lease, commit: ProjectionCommit): Statement => {
  const move = moveCheckpoint(schema, lease, commit)
  const states = [...commit.states ?? []]
  const kept = states.filter((entry): entry is [string, string] => entry[1] !== undefined)
  const gone = states.flatMap(([name, state]) => state === undefined ? [name] : [])
  const parameters = [...move.parameters]
  const bind = (value: unknown) => `$${parameters.push(value)}`
  const steps = [
    `moved AS (${move.text})`,
    ...(kept.length === 0 ? [] : [
      `kept AS (INSERT INTO ${schema}.projection_states (projection, version, key, state)
        SELECT $1, $2, u.key, u.state::json FROM unnest(${bind(texts(kept.map(([name]) => name)))}::text[], ${
        bind(texts(kept.map(([, state]) => state)))
      }::text[]) u (key, state) WHERE EXISTS (SELECT FROM moved)
        ON CONFLICT (projection, version, key) DO UPDATE SET state = excluded.state)`
    ]),
    ...(gone.length === 0 ? [] : [
      `gone AS (DELETE FROM ${schema}.projection_states WHERE projection = $1 AND version = $2
        AND key = ANY (${bind(texts(gone))}) AND EXISTS (SELECT FROM moved))`
    ])
  ]
  return { text: `WITH ${steps.join(", ")} SELECT 1 FROM moved`, parameters }
}
