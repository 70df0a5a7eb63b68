/**
 * What has effects in a trial: a projection with a storage of its own and a
 * reactor, both of which write down each delivery, and what must be true of that.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, Schedule } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { Projection, Reactor } from "../../../src/projection/index.ts"
import type { EventTypes, Projection as AnyProjection } from "../../../src/projection/Projection.ts"
import type { Reactor as AnyReactor } from "../../../src/projection/Reactor.ts"

/**
 * A delivery of an event.
 */
interface Delivery {
  readonly dedupeKey: string
  readonly position: number
  readonly streamId: string
}

/**
 * Where deliveries are written down, in their order and without any check.
 */
export class Ledger extends Context.Service<Ledger, {
  readonly clear: (follower: string) => Effect.Effect<void, SqlError>
  readonly write: (follower: string, deliveries: ReadonlyArray<Delivery>) => Effect.Effect<void, SqlError>
}>()("trial/Ledger") {
  /** A ledger with connections of its own. */
  static readonly layer = (url: string, applicationName: string) =>
    Layer.effect(
      this,
      Effect.map(PgClient.PgClient, (sql) => {
        // a lost connection is no fault of the event's; what was written may be written again
        const insist = (text: string, ...parameters: ReadonlyArray<string>) =>
          Effect.asVoid(Effect.retry(sql.unsafe(text, parameters), AGAIN))
        return {
          clear: (follower) => insist("DELETE FROM public.trial_ledger WHERE follower = $1", follower),
          write: (follower, deliveries) => insist(WRITE, follower, JSON.stringify(deliveries))
        }
      })
    ).pipe(Layer.provide(PgClient.layer({ url: Redacted.make(url), applicationName, maxConnections: 2 })))
}

/**
 * Makes the table of the ledger.
 */
export const makeLedgerTable = (sql: PgClient.PgClient): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    yield* sql`CREATE TABLE public.trial_ledger (id bigserial PRIMARY KEY, follower text NOT NULL,
      dedupe text NOT NULL, position bigint NOT NULL, stream text NOT NULL)`
    yield* sql`CREATE INDEX ON public.trial_ledger (follower, position)`
  })

/**
 * Names of those who write in the ledger.
 */
export const LEDGERED: ReadonlyArray<string> = ["deliveries", "reactions"]

/**
 * The two who write in the ledger; `refuses` are events that both fail at.
 */
export const makeLedgered = <const Types extends EventTypes>(
  events: Types,
  action: "halt" | "park",
  refuses: (event: { readonly data: unknown }) => boolean
): { readonly deliveries: AnyProjection<Ledger>; readonly reactions: AnyReactor<Ledger> } => ({
  deliveries: Projection.custom({
    name: "deliveries",
    events,
    onError: { action },
    setUp: Ledger.use((ledger) => ledger.clear("deliveries")),
    apply: (delivered) =>
      Effect.andThen(
        delivered.some(({ event }) => refuses(event)) ? Effect.fail("poison") : Effect.void,
        Ledger.use((ledger) =>
          ledger.write("deliveries", delivered.map(({ dedupeKey, event }) => ({ dedupeKey, ...placeOf(event) })))
        )
      )
  }),
  reactions: Reactor.make({
    name: "reactions",
    events,
    onError: { action },
    from: "end",
    concurrency: 3,
    react: (event, { dedupeKey }) =>
      Effect.andThen(
        refuses(event) ? Effect.fail("poison") : Effect.void,
        Ledger.use((ledger) => ledger.write("reactions", [{ dedupeKey, ...placeOf(event) }]))
      )
  })
})

/**
 * Says what is wrong with the ledger at one moment: an event up to the checkpoint
 * that was not delivered, one key for two events or two keys for one, an event
 * that came before an earlier one of its stream, or one that nobody asked for.
 */
export const lookAtLedger = (
  sql: PgClient.PgClient,
  isOrdered: (follower: string) => boolean
): Effect.Effect<ReadonlyArray<string>> =>
  sql.unsafe<Found>(LOOK).unprepared.pipe(
    Effect.map((rows) =>
      rows.flatMap(({ follower, foreign, keys, missing, order }) => [
        ...(missing === null ? [] : [`P1 ${follower}: position ${missing} was never delivered`]),
        ...(keys === null ? [] : [`P4 ${follower}: the dedupe key of position ${keys} is not its own`]),
        ...(order === null || !isOrdered(follower)
          ? []
          : [`P2 ${follower}: position ${order} came before an earlier one of its stream`]),
        ...(foreign === null ? [] : [`P1 ${follower}: position ${foreign} is none that it asked for`])
      ])
    ),
    // a fault may be meant for this server
    Effect.orElseSucceed(() => [])
  )

// internal

const AGAIN = { schedule: Schedule.spaced("50 millis"), times: 40 }

const WRITE = `INSERT INTO public.trial_ledger (follower, dedupe, position, stream)
  SELECT $1::text, d->>'dedupeKey', (d->>'position')::bigint, d->>'streamId'
  FROM json_array_elements($2::json) WITH ORDINALITY x (d, n) ORDER BY n`

const placeOf = ({ position, streamId }: { readonly position: number; readonly streamId: string }) => ({
  position,
  streamId
})

/** Of each follower the first position of each kind of fault. */
interface Found {
  readonly follower: string
  readonly missing: number | null
  readonly keys: number | null
  readonly order: number | null
  readonly foreign: number | null
}

const LOOK = `SELECT p.name AS follower,
    (SELECT min(e.position)::int FROM event_store.events e
      WHERE e.type = 'Sold' AND e.position > p.start AND e.position <= p.position
        AND NOT EXISTS (SELECT FROM public.trial_ledger l WHERE l.follower = p.name AND l.position = e.position)
        AND NOT EXISTS (SELECT FROM event_store.projection_parked k
          WHERE k.projection = p.name AND k.position = e.position)) AS missing,
    (SELECT min(position)::int FROM (
      SELECT min(position) AS position FROM public.trial_ledger l WHERE l.follower = p.name
        GROUP BY l.position HAVING count(DISTINCT dedupe) > 1
      UNION ALL SELECT min(position) FROM public.trial_ledger l WHERE l.follower = p.name
        GROUP BY l.dedupe HAVING count(DISTINCT position) > 1) twice) AS keys,
    (SELECT min(position)::int FROM (
      SELECT position, lag(position) OVER (PARTITION BY stream ORDER BY first) AS before FROM (
        SELECT stream, position, min(id) AS first FROM public.trial_ledger l WHERE l.follower = p.name
          GROUP BY stream, position) firsts) ordered WHERE position < before) AS "order",
    (SELECT min(l.position)::int FROM public.trial_ledger l WHERE l.follower = p.name
      AND (l.position <= p.start OR NOT EXISTS (SELECT FROM event_store.events e
        WHERE e.position = l.position AND e.type = 'Sold' AND e.stream = l.stream))) AS "foreign"
  FROM event_store.projections p WHERE p.name IN ('deliveries', 'reactions')`
