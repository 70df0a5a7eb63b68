/**
 * The revenue of a web shop by country and day, built from an export of it, and
 * built anew while it is read.
 */
import type { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Exit, Fiber, Option, Schema, Scope, Stream } from "effect"
import { createReadStream } from "node:fs"
import { performance } from "node:perf_hooks"
import { importEvents } from "../../src/cli/Import.ts"
import { EventType } from "../../src/event/index.ts"
import { Projection, ProjectionRebuild, ProjectionRunner } from "../../src/projection/index.ts"
import type { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import type { LiveReads } from "../protocol.ts"
import { round } from "../summary.ts"
import type { Projected } from "../variant.ts"
import { openSql } from "./oursProjections.ts"

/**
 * Imports an export, and builds the revenue for the first time.
 */
export const fillShop = (url: string, file: string): Effect.Effect<void, unknown, EventStore | CheckpointStore> =>
  Effect.gen(function*() {
    const bytes = Stream.fromAsyncIterable<Uint8Array, unknown>(createReadStream(file), (cause) => cause)
    const { rejected } = yield* importEvents(bytes)
    if (rejected > 0) return yield* Effect.die(new Error(`${rejected} lines were rejected`))
    yield* ProjectionRunner.runOnce(revenue)
    yield* withSql(url, (sql) => checkLines(sql, FIRST))
  })

/**
 * Builds the revenue beside what is live, which is verified and takes its place
 * then; reads the model all the while, as its users do.
 */
export const rebuild = (
  url: string
): Effect.Effect<Projected & { readonly reads: LiveReads }, unknown, EventStore | CheckpointStore> =>
  withSql(url, (sql) =>
    Effect.gen(function*() {
      const whole = yield* look(sql)
      const reads = { count: 0, failed: 0, wrong: 0, slowestMs: 0 }
      const reader = yield* Effect.forkChild(Effect.forever(Effect.andThen(read(sql, whole, reads), READ_PAUSE)))
      const { build } = yield* ProjectionRebuild.blueGreen(revenue)
      // what readers see afterwards belongs to it
      yield* read(sql, whole, reads)
      yield* Fiber.interrupt(reader)
      const { position } = yield* (yield* EventStore).head
      return {
        events: position,
        reads: { ...reads, slowestMs: round(reads.slowestMs, 1) },
        check: () => check(url, Projection.tableName(NAME, 1, build.build))
      }
    }))

// internal

const NAME = "revenue"

/** The table of the first build, which is kept for a day. */
const FIRST = Projection.tableName(NAME, 1)

const READ_PAUSE = Effect.sleep(Duration.millis(20))

const Document = { country: Schema.String, currency: Schema.String, customerId: Schema.optionalKey(Schema.String) }

const Line = {
  sku: Schema.String,
  description: Schema.optionalKey(Schema.String),
  quantity: Schema.Finite,
  unitPrice: Schema.Finite
}

const shopTypes = [
  EventType.make("OrderPlaced", Document),
  EventType.make("CreditNoteIssued", Document),
  EventType.make("ItemAdded", Line),
  EventType.make("ItemReturned", Line)
] as const

type ShopEvent = Projection.EventIn<typeof shopTypes>

type Tables = { readonly revenue: Projection.SqlName; readonly revenue_documents: Projection.SqlName }

/** Lines know neither country nor day: those are the document's, which is the first event of its stream. */
const revenue = (() => {
  const document = (event: Extract<ShopEvent, { type: "OrderPlaced" | "CreditNoteIssued" }>, tables: Tables) =>
    Projection
      .sql`INSERT INTO ${tables.revenue_documents} (stream, country, day) VALUES (${event.streamId}, ${event.data.country}, ${
      String(event.metadata["time"]).slice(0, 10)
    }::date)`
  const line = (sign: 1 | -1) => (event: Extract<ShopEvent, { type: "ItemAdded" | "ItemReturned" }>, tables: Tables) =>
    Projection.sql`INSERT INTO ${tables.revenue} AS r (country, day, pence, lines)
      SELECT d.country, d.day, ${BigInt(sign * Math.round(event.data.quantity * event.data.unitPrice * 100))}::bigint, 1
      FROM ${tables.revenue_documents} d WHERE d.stream = ${event.streamId}
      ON CONFLICT (country, day) DO UPDATE SET pence = r.pence + excluded.pence, lines = r.lines + 1`
  return Projection.table({
    name: NAME,
    events: shopTypes,
    tables: {
      revenue: "country text, day date, pence bigint NOT NULL, lines integer NOT NULL, PRIMARY KEY (country, day)",
      revenue_documents: "stream text PRIMARY KEY, country text NOT NULL, day date NOT NULL"
    },
    on: { OrderPlaced: document, CreditNoteIssued: document, ItemAdded: line(1), ItemReturned: line(-1) }
  })
})()

/** What a reader sees of the whole model. */
const look = (sql: PgClient.PgClient) =>
  Effect.map(
    sql.unsafe("SELECT count(*)::text AS days, sum(pence)::text AS pence, sum(lines)::text AS lines FROM revenue"),
    ([row]) => JSON.stringify(row)
  )

const read = (sql: PgClient.PgClient, whole: string, reads: { -readonly [Key in keyof LiveReads]: number }) =>
  Effect.gen(function*() {
    const started = performance.now()
    const seen = yield* Effect.option(look(sql))
    reads.count++
    reads.slowestMs = Math.max(reads.slowestMs, performance.now() - started)
    if (Option.isNone(seen)) reads.failed++
    else if (seen.value !== whole) reads.wrong++
  })

const check = (url: string, table: string): Promise<void> =>
  Effect.runPromise(withSql(url, (sql) =>
    Effect.gen(function*() {
      yield* checkLines(sql, table)
      const [row] = yield* sql.unsafe<{ readonly different: number }>(
        `SELECT count(*)::int AS different FROM (
          (TABLE ${table} EXCEPT TABLE ${FIRST}) UNION ALL (TABLE ${FIRST} EXCEPT TABLE ${table})
        ) d`
      )
      if (row?.different !== 0) return yield* Effect.die(new Error(`${row?.different} rows differ from those before`))
    })))

/** Every line of the log is in the table. */
const checkLines = (sql: PgClient.PgClient, table: string) =>
  Effect.gen(function*() {
    const [row] = yield* sql.unsafe<{ readonly lines: number; readonly expected: number }>(
      `SELECT (SELECT sum(lines) FROM ${table})::int AS lines, (SELECT count(*) FROM event_store.events
        WHERE type IN ('ItemAdded', 'ItemReturned'))::int AS expected`
    )
    if (row === undefined || row.lines !== row.expected || row.lines === 0) {
      return yield* Effect.die(new Error(`the revenue holds ${row?.lines} of ${row?.expected} lines`))
    }
  })

/** Does something with a connection for plain SQL. */
const withSql = <A, E, R>(
  url: string,
  use: (sql: PgClient.PgClient) => Effect.Effect<A, E, R>
): Effect.Effect<A, unknown, R> =>
  Effect.suspend(() => {
    const scope = Scope.makeUnsafe()
    return Effect.flatMap(Scope.provide(openSql(url), scope), use).pipe(
      Effect.onExit(() => Scope.close(scope, Exit.void))
    )
  })
