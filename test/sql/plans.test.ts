/**
 * What the server does for a statement, in a log of 24 months: it finds events
 * by index, and leaves out the months that cannot hold any.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import type { Position } from "../../src/event/Revision.ts"
import type { StreamId } from "../../src/event/StreamId.ts"
import * as reads from "../../src/postgres/internal/reads.ts"
import type { Statement } from "../../src/postgres/internal/statements.ts"
import { openSql, type OpenStore, openStore } from "../postgres/fixtures.ts"
import { idAt, partitionOf, plantLog } from "../postgres/plantedLog.ts"
import { proposed } from "../store/fixtures.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"

const MONTHS = 24
const EVENTS_PER_MONTH = 2_000
const HEAD = MONTHS * EVENTS_PER_MONTH

/** Name of the partition of month `m`, 0 the oldest. */
const month = (m: number): string => partitionOf(MONTHS - 1 - m)
const MONTH_NAMES = Array.from({ length: MONTHS }, (_, m) => month(m))

/** Tables that a sequential scan reads too much of. */
const isBig = (table: string): boolean => table === "event_tags" || table === "streams" || MONTH_NAMES.includes(table)

/** Name of the sessions that scan tables. */
const OTHERS = "others"

const layerPlanted = (server: typeof servers[number]) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    yield* Effect.scoped(openStore(urlOf(sql), { applicationName: OTHERS }))
    yield* Effect.scoped(Effect.flatMap(openSql(urlOf(sql), { applicationName: OTHERS }), (owner) =>
      plantLog(owner, { months: MONTHS, eventsPerMonth: EVENTS_PER_MONTH, partitioned: true })))
  })).pipe(Layer.provideMerge(layerDatabase(server)))

const urlOf = (sql: PgClient.PgClient): string => String(sql.config.url === undefined ? "" : redacted(sql.config.url))

interface Scans {
  readonly sequential: number
  readonly byIndex: number
}

const readScans = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  const rows = yield* sql`SELECT relname, seq_scan::int, coalesce(idx_scan, 0)::int FROM pg_stat_user_tables
                          WHERE schemaname = 'event_store'`.values
  return new Map(
    rows.map(([name, sequential, byIndex]) =>
      [String(name), { sequential: Number(sequential), byIndex: Number(byIndex) }] as const
    )
  )
})

const othersAreGone = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  yield* waitFor(
    sql`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND starts_with(application_name, ${OTHERS})`,
    (rows) => rows.length === 0
  )
})

/**
 * The tables that an operation of the store scanned. Its sessions are closed
 * before the counters are read: that is when the last counts of theirs arrive.
 */
const scansOf = <A, E>(use: (open: OpenStore) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    yield* othersAreGone
    const before = yield* readScans
    yield* Effect.scoped(Effect.flatMap(
      openStore(urlOf(sql), { migrate: false, applicationName: OTHERS, notifications: false }),
      use
    ))
    yield* othersAreGone
    const after = yield* readScans
    const scans = new Map<string, Scans>()
    for (const [name, { byIndex, sequential }] of after) {
      const old = before.get(name) ?? { sequential: 0, byIndex: 0 }
      scans.set(name, { sequential: sequential - old.sequential, byIndex: byIndex - old.byIndex })
    }
    return {
      sequential: [...scans].filter(([name, scan]) => isBig(name) && scan.sequential > 0).map(([name]) => name),
      months: MONTH_NAMES.flatMap((name, m) => {
        const scan = scans.get(name)
        return scan !== undefined && scan.byIndex + scan.sequential > 0 ? [m] : []
      })
    }
  })

interface Plan {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Actual Loops": number
  readonly Plans?: ReadonlyArray<Plan>
}

const nodesOf = (plan: Plan): ReadonlyArray<Plan> => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]

/** Runs a statement of the store as its sessions do, with a generic plan, and tells what was executed. */
const explain = ({ parameters, text }: Statement) =>
  Effect.gen(function*() {
    const sql = yield* openSql(urlOf(yield* PgClient.PgClient), {
      maxConnections: 1,
      applicationName: OTHERS,
      startupParameters: { plan_cache_mode: "force_generic_plan", jit: "off" }
    })
    yield* sql.unsafe("DEALLOCATE ALL").unprepared
    yield* sql.unsafe(`PREPARE page AS ${text}`).unprepared
    const rows = yield* sql.unsafe(
      `EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page(${parameters.map(literal).join(", ")})`
    ).unprepared
    const [{ Plan: plan }] = Object.values(rows[0]!)[0] as readonly [{ readonly Plan: Plan }]
    const executed = nodesOf(plan).filter((node) => node["Actual Loops"] > 0)
    return {
      months: MONTH_NAMES.flatMap((name, m) => executed.some((node) => node["Relation Name"] === name) ? [m] : []),
      sequential: executed.filter((node) => node["Node Type"] === "Seq Scan" && isBig(node["Relation Name"] ?? ""))
    }
  }).pipe(Effect.scoped)

const literal = (parameter: unknown): string => {
  const { value } = parameter as { readonly value: unknown }
  const text = value instanceof Date
    ? value.toISOString()
    : Array.isArray(value)
    ? `{${value.join(",")}}`
    : String(value)
  return `'${text}'`
}

const redacted = (url: NonNullable<PgClient.PgClient["config"]["url"]>): string => Redacted.value(url)

const page = { direction: "forwards", after: undefined, until: undefined, filter: undefined, limit: 100 } as const
const schema = "\"event_store\""
const streamId = (m: number, n: number) => `acct-${m}-${n}` as StreamId
/** A time in the middle of month `m`. */
const timeIn = (m: number) => {
  const now = new Date()
  return DateTime.makeUnsafe(new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - (MONTHS - 1 - m), 14)))
}
const v7 = () => SecureRandom.uuidV7Unsafe()
const now = () => proposed("Now", { id: v7(), tags: ["common:1"] })

for (const server of servers) {
  it.layer(layerPlanted(server), { excludeTestServices: true, timeout: "60 seconds" })(
    `plans (${server.label})`,
    (it) => {
      describe("explained", () => {
        for (const direction of ["forwards", "backwards"] as const) {
          it.effect(`a page of a stream, ${direction}, leaves out the months in which the stream did not live`, () =>
            Effect.gen(function*() {
              for (const m of [0, 7, 23]) {
                const found = yield* explain(reads.streamPage(schema, {
                  streamId: streamId(m, 3),
                  direction,
                  from: undefined,
                  limit: 1_000
                }))
                assert.deepStrictEqual(found, { months: [m], sequential: [] })
              }
              const long = yield* explain(reads.streamPage(schema, {
                streamId: "long-1" as StreamId,
                direction,
                from: undefined,
                limit: 1_000
              }))
              assert.deepStrictEqual(long.sequential, [])
              assert.strictEqual(long.months.length, MONTHS)
            }))
        }

        it.effect("a page of the log that knows its time leaves out the months before it", () =>
          Effect.gen(function*() {
            const after = 20 * EVENTS_PER_MONTH + 1_500
            const found = yield* explain(reads.logPage(schema, { ...page, after, timeBound: timeIn(20) }, {
              after,
              until: undefined
            }))
            assert.deepStrictEqual(found.sequential, [])
            assert.isAtLeast(found.months[0]!, 20)
          }))

        it.effect("a page of the log backwards that knows its time leaves out the months after it", () =>
          Effect.gen(function*() {
            const after = 3 * EVENTS_PER_MONTH + 700
            const query = { ...page, direction: "backwards", after, timeBound: timeIn(3) } as const
            const found = yield* explain(reads.logPage(schema, query, { after, until: undefined }))
            assert.deepStrictEqual(found.sequential, [])
            assert.isAtMost(found.months.at(-1)!, 3)
          }))

        it.effect("a page of the log from its start, and one by tags, read by index", () =>
          Effect.gen(function*() {
            const first = yield* explain(
              reads.logPage(schema, { ...page, timeBound: undefined }, { after: 0, until: undefined })
            )
            assert.deepStrictEqual(first.sequential, [])
            for (const tags of [["rare:1"], ["rare:1", "month:9"], ["common:1"]]) {
              const found = yield* explain(reads.logPage(schema, { ...page, filter: { tags }, timeBound: undefined }, {
                after: 9 * EVENTS_PER_MONTH,
                until: undefined
              }))
              assert.deepStrictEqual(found.sequential, [], String(tags))
            }
          }))

        it.effect("the time of a position is found by index", () =>
          Effect.gen(function*() {
            assert.deepStrictEqual((yield* explain(reads.timeAt(schema, 4_711))).sequential, [])
          }))
      })

      describe("counted", () => {
        const operations: ReadonlyArray<
          readonly [
            name: string,
            use: (open: OpenStore) => Effect.Effect<unknown, unknown>,
            months?: ReadonlyArray<number>
          ]
        > = [
          ["readStream", ({ store }) => Stream.runDrain(store.readStream(streamId(5, 7))), [5]],
          ["readStream of a long stream", ({ store }) => Stream.runDrain(store.readStream("long-1", { from: 20 }))],
          [
            "readAll from a position",
            ({ store }) => Stream.runDrain(store.readAll({ after: HEAD - 3_000, limit: 2_500 }))
          ],
          [
            "readAll backwards",
            ({ store }) => Stream.runDrain(store.readAll({ direction: "backwards", limit: 2_500 }))
          ],
          ["readPage by tags", ({ store }) => store.readPage({ after: 0, filter: { tags: ["rare:1", "month:3"] } })],
          ["readPage by a query of tags", ({ store }) =>
            store.readPage({
              after: HEAD - 1_000,
              filter: { query: [{ tags: ["month:23"], types: ["Type0"] }, { tags: ["rare:1"] }] }
            })],
          ["findEvent", ({ store }) => store.findEvent(idAt(12_345))],
          ["describeStream", ({ store }) => store.describeStream(streamId(1, 1))],
          ["listStreams by category", ({ store }) => store.listStreams({ category: "long" })],
          ["listStreams by prefix", ({ store }) => store.listStreams({ prefix: "acct-7-", limit: 20 })],
          ["head", ({ store }) => store.head, []],
          [
            "one append of this month's id",
            ({ store }) => store.append({ streamId: "new-1", expected: "any", events: [now()] }),
            []
          ],
          [
            "one append of an id without a time",
            ({ store }) => store.append({ streamId: "new-1", expected: "any", events: [proposed("Now")] })
          ],
          ["many appends of this month's ids", ({ store }) => many(store, () => now()), []],
          ["many appends of ids without a time", ({ store }) => many(store, () => proposed("Now"))],
          [
            "an append that is refused looks its id up in its month",
            ({ store }) => Effect.flip(store.append({ streamId: "long-1", expected: "noStream", events: [now()] })),
            [23]
          ],
          ["a retry of an old append", ({ store }) =>
            Effect.flip(store.append({
              streamId: "acct-4-0",
              expected: "noStream",
              events: [proposed("Type0", { id: idAt(4 * EVENTS_PER_MONTH + 1) })]
            }))],
          ["a condition on a tag", ({ store }) => conditional(store, [{ tags: ["rare:1"] }], HEAD), []],
          [
            "a condition on tags and types",
            ({ store }) => conditional(store, [{ tags: ["rare:1", "common:1"], types: ["Type0"] }], 0),
            []
          ],
          ["a condition on a type", ({ store }) => conditional(store, [{ types: ["Unheard"] }], HEAD)],
          ["tombstone", ({ store }) => store.tombstone("acct-0-9"), []]
        ]
        for (const [name, use, months] of operations) {
          it.effect(`${name} scans no big table in sequence${months === undefined ? "" : ", and no month that it has no need of"}`, () =>
            Effect.gen(function*() {
              const scans = yield* scansOf(use)
              assert.deepStrictEqual(scans.sequential, [])
              if (months !== undefined) assert.deepStrictEqual(scans.months, months)
            }))
        }
      })
    }
  )
}

type Store = OpenStore["store"]

const many = (store: Store, make: () => ReturnType<typeof proposed>) =>
  Effect.forEach(
    Array.from({ length: 30 }, (_, index) => `many-${index}`),
    (streamId) => store.append({ streamId, expected: "any", events: [make()] }),
    { concurrency: "unbounded" }
  )

const conditional = (
  store: Store,
  query: ReadonlyArray<{ readonly tags?: ReadonlyArray<string>; readonly types?: ReadonlyArray<string> }>,
  after: number
) =>
  Effect.flatMap(store.head, ({ position }) =>
    Effect.result(
      store.append({
        streamId: "new-2",
        expected: "any",
        events: [now()],
        condition: { after: after === HEAD ? position : after as Position, query }
      })
    ))
