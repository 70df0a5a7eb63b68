/**
 * A log of many months, written by SQL as the owner: the store itself records
 * events now only.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { runAll } from "./fixtures.ts"

export interface PlantedLogOptions {
  /** Months up to this one. */
  readonly months: number
  /** Events of each month; a multiple of 10. */
  readonly eventsPerMonth: number
  /** Whether the months have partitions; the default partition has their events otherwise. */
  readonly partitioned: boolean
}

/** Name of the partition of the month so many months ago, in UTC. */
export const partitionOf = (monthsAgo: number): string => {
  const now = new Date()
  const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - monthsAgo, 1))
  return `events_${month.getUTCFullYear()}_${String(month.getUTCMonth() + 1).padStart(2, "0")}`
}

/** The id of the event at a position. */
export const idAt = (position: number): string => `00000000-0000-4000-8000-${position.toString(16).padStart(12, "0")}`

/**
 * Fills an empty store with a sound log.
 *
 * **Details**
 *
 * Month `m`, 0 the oldest, has `eventsPerMonth` events in streams `acct-m-0`,
 * `acct-m-1`, … of ten each, the last of which goes to `long-1`, the one stream
 * that lives through all months. Every hundredth event is tagged `rare:1` and
 * `month:m`, all others `common:1`.
 */
export const plantLog = (
  sql: PgClient.PgClient,
  { eventsPerMonth, months, partitioned }: PlantedLogOptions
): Effect.Effect<void, SqlError.SqlError> =>
  Effect.andThen(
    partitioned
      ? runAll(sql, [
        `SELECT event_store.create_events_partition((date_trunc('month', now() AT TIME ZONE 'UTC')
           - make_interval(months => m))::date) FROM generate_series(0, ${months - 1}) AS m`
      ])
      : Effect.void,
    runAll(sql, [
      `INSERT INTO event_store.events
       SELECT m * ${eventsPerMonth} + i + 1,
         CASE WHEN i = ${eventsPerMonth - 1} THEN 'long-1' ELSE format('acct-%s-%s', m, i / 10) END,
         CASE WHEN i = ${eventsPerMonth - 1} THEN m ELSE i % 10 END,
         ('00000000-0000-4000-8000-' || lpad(to_hex(m * ${eventsPerMonth} + i + 1), 12, '0'))::uuid,
         'Type' || i % 5, 1, '{"some":"data"}', NULL,
         CASE WHEN i % 100 = 0 THEN ARRAY['month:' || m, 'rare:1'] ELSE ARRAY['common:1'] END,
         t.start + i * (least(t.start + interval '27 days', now()) - t.start) / ${eventsPerMonth}
       FROM generate_series(0, ${months - 1}) AS m,
         LATERAL (SELECT (date_trunc('month', now() AT TIME ZONE 'UTC')
           - make_interval(months => ${months - 1} - m)) AT TIME ZONE 'UTC' AS start) AS t,
         generate_series(0, ${eventsPerMonth - 1}) AS i`,
      `INSERT INTO event_store.event_tags SELECT x.tag, position, type FROM event_store.events, unnest(tags) AS x (tag)`,
      `INSERT INTO event_store.streams (name, revision, first_position, last_position, first_recorded_at, last_recorded_at)
       SELECT stream, max(revision), min(position), max(position), min(recorded_at), max(recorded_at)
       FROM event_store.events GROUP BY stream`,
      `UPDATE event_store.head SET (position, recorded_at) =
         (SELECT max(position), max(recorded_at) FROM event_store.events)`,
      "ANALYZE event_store.events",
      "ANALYZE event_store.event_tags",
      "ANALYZE event_store.streams"
    ])
  )
