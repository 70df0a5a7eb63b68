import type { PgClient } from "@effect/sql-pg/PgClient"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type ExpectedRevision, isMet, type Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import { RevisionConflict, StreamTombstoned } from "../../store/EventStoreError.ts"
import type { Storage, StreamChange } from "../../store/Storage.ts"
import { takeAppendLock } from "./identifiers.ts"
import { STREAM_COLUMNS, toDescription } from "./rows.ts"
import { storageErrors } from "./sqlErrors.ts"
import { runTransaction } from "./transactions.ts"

/**
 * Changes what is kept about a stream, under the append lock: a claim that
 * holds here holds until the commit. Doing it again changes nothing, so a lost
 * connection needs no answer but another try.
 */
export const changeStream = (
  sql: PgClient,
  schema: string,
  lockTimeout: Duration.Duration
): Storage["changeStream"] =>
(streamId, change) =>
  runTransaction(
    sql,
    Effect.andThen(
      sql.unsafe(`SET LOCAL lock_timeout = ${Duration.toMillis(lockTimeout)}`),
      changeLocked(sql, schema, streamId, change)
    ),
    COMMIT_WITHIN
  ).pipe(
    Effect.catchTag("SqlError", (error) => Effect.fail(error).pipe(storageErrors("changeStream")))
  )

// internal

/** Nothing but one row is to be written. */
const COMMIT_WITHIN = Duration.seconds(10)

const changeLocked = Effect.fnUntraced(function*(
  sql: PgClient,
  schema: string,
  streamId: StreamId,
  change: StreamChange
) {
  yield* sql.unsafe(takeAppendLock(schema))
  const name = PgTypes.text(streamId)
  const [row] = yield* sql.unsafe(`SELECT ${STREAM_COLUMNS} FROM ${schema}.streams s WHERE s.name = $1`, [name]).values
  const conflict = (expected: ExpectedRevision, actual: Revision | undefined) =>
    new RevisionConflict({ streamId, expected, actual })
  if (row === undefined) {
    return yield* conflict(change._tag === "Tombstone" ? change.expected : "streamExists", undefined)
  }
  const found = toDescription(row)
  if (found.isTombstoned) {
    return change._tag === "Tombstone" ? found : yield* new StreamTombstoned({ streamId })
  }
  if (change._tag === "Tombstone" && !isMet(change.expected, found.revision)) {
    return yield* conflict(change.expected, found.revision)
  }
  if (change._tag === "TruncateBefore" && change.revision > found.revision + 1) {
    return yield* conflict(change.revision - 1, found.revision)
  }
  const [assignment, parameters] = toAssignment(change)
  const rows = yield* sql.unsafe(
    `UPDATE ${schema}.streams s SET ${assignment} WHERE s.name = $1 RETURNING ${STREAM_COLUMNS}`,
    [name, ...parameters]
  ).values
  return toDescription(rows[0] ?? row)
})

const toAssignment = (change: StreamChange): readonly [text: string, parameters: ReadonlyArray<unknown>] => {
  switch (change._tag) {
    case "SetMetadata":
      return ["metadata = $2::text::json", [PgTypes.text(change.metadata)]]
    case "TruncateBefore":
      return ["truncate_before = greatest(s.truncate_before, $2)", [PgTypes.int4(change.revision)]]
    case "Tombstone":
      return ["is_tombstoned = true", []]
  }
}
