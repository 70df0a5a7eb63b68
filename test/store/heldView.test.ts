/**
 * The view of a store that has more beside its events than is read at once: a
 * transaction is held while it is used.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { BackupService, BackupStorage } from "../../src/backup/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { LogTransfer } from "../../src/store/LogTransfer.ts"
import { makePlace } from "../backup/fixtures.ts"
import { type AnyStore, memory, pglite, postgres } from "../backup/stores.ts"
import { allEvents, allRows, fillStore, viewOf } from "./transfers.ts"

/** Snapshots of 5 MiB, of which fewer than these fit into what is read at once. */
const LARGE = 8
const LARGE_BYTES = 5 * 1024 * 1024

const sqlOf = ({ context }: AnyStore) =>
  Context.get(context as unknown as Context.Context<PgClient.PgClient>, PgClient.PgClient)

/** 60 events, something of every kind beside them, and more snapshots than fit. */
const fillLarge = Effect.fnUntraced(function*(store: AnyStore) {
  yield* fillStore(store)
  yield* sqlOf(store).unsafe(
    `INSERT INTO event_store.snapshots (stream, kind, fingerprint, revision, first_revision, serialization, compression,
        plain_bytes, bytes, digest, taken_at, load_millis)
      SELECT 'order-0', 'large', repeat('a', 64), n, 0, 'json', 'none', 1, decode(repeat('ab', ${LARGE_BYTES}), 'hex'),
        sha256('x'), now(), 1 FROM generate_series(0, ${LARGE - 1}) n`
  )
})

/** Changes something of every kind. */
const changeAll = ({ store }: AnyStore) =>
  Effect.gen(function*() {
    yield* store.append({ streamId: "order-0", expected: "any", events: [{ type: "Late", data: 1 }] })
    yield* store.tombstone("order-5")
    yield* store.setStreamMetadata("order-1", { owner: "somebody else" })
  })

const removeAll = (store: AnyStore) =>
  Effect.forEach(
    ["snapshots", "projection_parked", "projection_states"],
    (table) => sqlOf(store).unsafe(`DELETE FROM event_store.${table}`).unprepared,
    { discard: true }
  )

const large = (rows: ReadonlyArray<{ readonly bytes: Uint8Array }>) =>
  rows.filter(({ bytes }) => bytes.length === LARGE_BYTES).length

/** Backs the store up, and restores it into memory. */
const assertBackedUp = Effect.fnUntraced(function*(from: AnyStore) {
  const place = yield* makePlace
  const serviceOf = ({ store, transfer }: AnyStore) =>
    Effect.map(
      Layer.build(BackupService.layer.pipe(Layer.provide(Layer.mergeAll(
        Layer.succeed(BackupStorage, place),
        Layer.succeed(EventStore, store),
        Layer.succeed(LogTransfer, transfer)
      )))),
      (context) => Context.get(context, BackupService)
    )
  const compression = { codec: "zstd", level: 1 } as const
  const outcome = yield* (yield* serviceOf(from)).create({ compression })
  if (outcome._tag !== "Created") return assert.fail("unchanged")
  const counts = { streams: 3, snapshots: LARGE + 2, checkpoints: 2, states: 3, parked: 1 }
  assert.deepInclude(outcome.manifest.counts as object, { ...counts, events: 60 })
  const to = yield* memory.open
  assert.deepInclude((yield* (yield* serviceOf(to)).restore()).counts as object, counts)
  assert.strictEqual(large((yield* viewOf(to.transfer)).snapshots), LARGE)
})

for (const { label, open } of postgres) {
  describe(`a held view (${label})`, () => {
    it.live(
      "is of one moment, whatever is written meanwhile, nobody waits for it, and a backup holds all of it",
      () =>
        Effect.gen(function*() {
          const store = yield* open
          const sql = sqlOf(store)
          yield* fillLarge(store)
          yield* assertBackedUp(store)
          const before = yield* allEvents(store.transfer, 60)
          const scope = yield* Scope.make()
          const view = yield* Scope.provide(store.transfer.view, scope)
          const holders = Effect.map(
            sql<{ readonly pid: number }>`SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle in transaction'`,
            (rows) => rows.map(({ pid }) => pid)
          )
          const [holder, ...others] = yield* holders
          assert.isDefined(holder)
          assert.deepStrictEqual(others, [])
          const modes = Effect.map(
            sql<
              { readonly mode: string; readonly relation: string | null }
            >`SELECT mode, relation::regclass::text AS relation
            FROM pg_locks WHERE pid = ${holder!} AND locktype <> 'virtualxid' ORDER BY 2, 1`,
            (rows) => rows.map(({ mode }) => mode)
          )
          // only what a change of the schema would wait for
          assert.deepStrictEqual([...new Set(yield* modes)], ["AccessShareLock"])

          // whoever waited for a lock would wait for ever: it is given back below
          const hurried = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
            Effect.timeoutOrElse(effect, { duration: "60 seconds", orElse: () => Effect.die("somebody waits") })
          yield* hurried(changeAll(store))
          yield* hurried(removeAll(store))
          assert.strictEqual((yield* store.store.head).position, 61)
          const seen = yield* view.readEvents({ after: 0, until: 1_000 })
          assert.deepStrictEqual(seen, before)
          // pages of events let their tables go: a month can be made
          yield* hurried(
            sql.withTransaction(Effect.andThen(
              sql`SET LOCAL lock_timeout = '1s'`,
              sql`SELECT event_store.create_events_partition(date '2041-07-01')`
            ))
          )
          yield* hurried(store.store.append({ streamId: "a-1", expected: "any", events: [{ type: "Late", data: 2 }] }))

          const rows = yield* allRows(view)
          assert.strictEqual(view.position, 60)
          assert.strictEqual(large(rows.snapshots), LARGE)
          assert.strictEqual(rows.snapshots.length, LARGE + 2)
          assert.deepStrictEqual(
            rows.streams.map(({ isTombstoned, metadata, streamId }) => [streamId, isTombstoned, metadata]),
            [
              ["order-1", false, "{\"owner\":\"Ada\",\"z\":1,\"a\":2}"],
              ["order-2", false, "{}"],
              ["order-3", true, "{}"]
            ]
          )
          assert.strictEqual(rows.states.length, 3)
          assert.strictEqual(rows.parked.length, 1)
          assert.deepStrictEqual(yield* holders, [holder!])
          yield* Scope.close(scope, Exit.void)
          assert.deepStrictEqual(yield* holders, [])
          assert.strictEqual((yield* viewOf(store.transfer)).snapshots.length, 0)
        }),
      120_000
    )
  })
}

describe("a held view (pglite)", () => {
  it.live(
    "is of one moment, who writes meanwhile waits until it is given back, and a backup holds all of it",
    () =>
      Effect.gen(function*() {
        const store = yield* pglite.open
        yield* fillLarge(store)
        const before = yield* allEvents(store.transfer, 60)
        const scope = yield* Scope.make()
        const view = yield* Scope.provide(store.transfer.view, scope)
        const writing = yield* Effect.forkChild(changeAll(store))
        assert.deepStrictEqual(yield* view.readEvents({ after: 0, until: 1_000 }), before)
        const rows = yield* allRows(view)
        assert.strictEqual(view.position, 60)
        assert.strictEqual(large(rows.snapshots), LARGE)
        assert.isFalse(rows.streams.some(({ streamId }) => streamId === "order-5"))
        assert.isUndefined(writing.pollUnsafe())
        yield* Scope.close(scope, Exit.void)
        yield* Fiber.join(writing)
        assert.strictEqual((yield* store.store.head).position, 61)
      }),
    120_000
  )
})
