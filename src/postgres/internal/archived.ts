import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { type ArchivedParts, EventArchive } from "../../store/EventArchive.ts"
import type { ArchiveEntry, EventPayload } from "../../store/LogArchive.ts"
import type { Run, Statement } from "./statements.ts"

/** What there is to complete events whose payloads are archived. */
export const makeArchivedParts = (run: Run, schema: string): Effect.Effect<ArchivedParts> =>
  Effect.map(Effect.serviceOption(EventArchive), (archive): ArchivedParts => ({
    archive: Option.getOrUndefined(archive),
    entries: readEntries(run, schema),
    stored: (events) =>
      Effect.map(
        run("readLog", payloadsOf(schema, events)),
        (rows) =>
          new Map(rows.map(([position, data, metadata]): [number, EventPayload] => [
            position as number,
            { data: data as string, metadata: metadata as string | null ?? "" }
          ]))
      )
  }))

/** Reads what is archived. */
export const readEntries = (run: Run, schema: string) =>
  Effect.map(run("archives", entries(schema)), (rows) => rows.map(toEntry))

/** What is archived, from the beginning of the log on; `toEntry` reads the rows. */
export const entries = (schema: string): Statement => ({
  text: `SELECT ${ENTRY_COLUMNS} FROM ${schema}.archives a ORDER BY a.until_position`,
  parameters: []
})

/** Columns of `archives`, in the order that `toEntry` reads. */
export const ENTRY_COLUMNS =
  "to_char(a.month, 'YYYY-MM'), a.after_position::float8, a.until_position::float8, a.backup, a.chain, " +
  "a.events::float8, a.digest, a.bytes_freed::float8, (extract(epoch FROM a.archived_at) * 1000)::float8"

export const toEntry = (row: ReadonlyArray<unknown>): ArchiveEntry => ({
  month: row[0] as string,
  after: row[1] as number,
  until: row[2] as number,
  backupId: row[3] as string,
  chain: row[4] as string,
  events: { count: row[5] as number, digest: row[6] as string },
  bytesFreed: row[7] as number,
  archivedAt: Math.floor(row[8] as number)
})

// internal

type Events = Parameters<ArchivedParts["stored"]>[0]

/** Payloads that stand in the store; the times leave out the months in which none of the events is. */
const payloadsOf = (schema: string, events: Events): Statement => {
  const times = events.map(({ recordedAt }) => recordedAt.epochMilliseconds)
  const [from, to] = times.reduce(
    ([low, high], time) => [Math.min(low, time), Math.max(high, time)] as const,
    [Infinity, -Infinity] as const
  )
  return {
    text: `SELECT x.position::float8, x.data::text, x.metadata::text FROM ${schema}.events x
      WHERE x.position = ANY ($1) AND x.recorded_at >= $2 AND x.recorded_at < $3 AND x.data IS NOT NULL`,
    parameters: [
      Result.getOrThrow(PgTypes.array(events.map(({ position }) => BigInt(position)), PgTypes.OID.int8)),
      PgTypes.timestamptz(from),
      // times are read in whole milliseconds, and kept in microseconds
      PgTypes.timestamptz(to + 1)
    ]
  }
}
