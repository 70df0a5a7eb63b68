import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { zstdDecompressSync } from "node:zlib"
import { StoreMove } from "../../src/backup/index.ts"
import { addEvents, EMPTY_DIGEST } from "../../src/store/EventDigest.ts"
import type { EventRow } from "../../src/store/LogTransfer.ts"
import { allEvents, fillStore, viewOf } from "../store/transfers.ts"
import { idOf } from "./fixtures.ts"
import { type AnyStore, memory, pglite, postgres, type StoreKind } from "./stores.ts"

/** Every storage in turn, and back to the first: each kind of move happens in it. */
const ROUND: ReadonlyArray<StoreKind> = [
  memory,
  pglite,
  ...postgres,
  memory,
  ...postgres.toReversed(),
  pglite,
  memory
]

/** Moves a store through all storages, and compares what is left of it each time. */
const travel = (start: AnyStore, count: number) =>
  Effect.gen(function*() {
    const before = yield* allEvents(start.transfer, count)
    assert.strictEqual(before.length, count)
    let from = start
    for (const { label, open } of ROUND.slice(1)) {
      const to = yield* open
      const report = yield* StoreMove.promote({ from: from.transfer, to: to.transfer })
      assert.deepInclude(report as object, { position: count, written: count }, label)
      assert.deepStrictEqual(yield* to.admin.verifyLog, [], label)
      from = to
    }
    assert.deepStrictEqual(yield* allEvents(from.transfer, count), before)
    return from
  })

/** A store in memory that holds the beginning of a log in `../shared/data`. */
const loadData = (path: URL, count: number) =>
  Effect.gen(function*() {
    const lines = zstdDecompressSync(readFileSync(path)).toString().split("\n", count)
    const revisions = new Map<string, number>()
    let recordedAt = 0
    const rows = lines.map((line, index): EventRow => {
      const { data, metadata, stream, time, type } = JSON.parse(line)
      const revision = revisions.get(stream) ?? 0
      revisions.set(stream, revision + 1)
      recordedAt = Math.max(recordedAt, Date.parse(time) * 1_000 + index % 1_000)
      return {
        position: index + 1,
        streamId: stream,
        revision,
        id: idOf(index + 1),
        type,
        version: 1,
        data: JSON.stringify(data),
        metadata: JSON.stringify(metadata),
        tags: [],
        recordedAt
      }
    })
    const store = yield* memory.open
    yield* Effect.scoped(Effect.gen(function*() {
      const session = yield* store.transfer.restore({
        source: "0b9f6e52-6a6c-4d0e-9b55-0f2c7d3c8a11",
        until: rows.length
      })
      yield* session.writeEvents(rows)
      yield* session.finish({ digest: addEvents(EMPTY_DIGEST, rows), rest: () => Effect.void })
    }))
    return { store, count: rows.length }
  })

/** Rows compare by their values, and bytes by theirs. */
const plain = (row: object) =>
  Object.fromEntries(
    Object.entries(row).map(([key, value]) => [key, value instanceof Uint8Array ? Array.from(value) : value])
  )

const test = (name: string, run: Effect.Effect<void, unknown, Scope.Scope>) => it.live(name, () => Effect.scoped(run))

describe("StoreMove", () => {
  test(
    "a store goes through all storages and comes back the same, with what stands beside its events",
    Effect.gen(function*() {
      const start = yield* memory.open
      yield* fillStore(start)
      const before = yield* viewOf(start.transfer)
      const after = yield* viewOf((yield* travel(start, 60)).transfer)
      for (const kind of ["streams", "snapshots", "states", "parked"] as const) {
        assert.deepStrictEqual(after[kind].map(plain), before[kind].map(plain), kind)
      }
      assert.strictEqual(after.checkpoints.length, before.checkpoints.length)
    })
  )

  for (const name of ["loan", "retail"]) {
    const path = new URL(`../../../shared/data/${name}.ndjson.zst`, import.meta.url)
    it.live(`the ${name} data goes through all storages and comes back the same`, (context) =>
      Effect.scoped(Effect.gen(function*() {
        if (!existsSync(path)) return context.skip(`../shared/data/${name}.ndjson.zst is not there`)
        const { count, store } = yield* loadData(path, 5_000)
        yield* travel(store, count)
      })))
  }

  test(
    "a move that was broken off is gone on with, and says so before",
    Effect.gen(function*() {
      const from = yield* memory.open
      yield* fillStore(from)
      const to = yield* pglite.open
      const { incarnation: source } = yield* from.store.head
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* to.transfer.restore({ source, until: 60 })
        yield* session.writeEvents((yield* allEvents(from.transfer, 60)).slice(0, 25))
      }))
      const options = { from: from.transfer, to: to.transfer }
      assert.strictEqual((yield* StoreMove.plan(options)).goesOnAfter, 25)
      const report = yield* StoreMove.promote(options)
      assert.deepInclude(report as object, { position: 60, written: 35, source })
      const again = yield* Effect.flip(StoreMove.promote(options))
      assert.strictEqual(again._tag, "RestoreTargetNotEmpty")
    })
  )

  test(
    "a target that gives back something else is found out, with the position",
    Effect.gen(function*() {
      const from = yield* memory.open
      yield* fillStore(from)
      const to = yield* memory.open
      const lying: AnyStore["transfer"] = {
        ...to.transfer,
        readEvents: (page) =>
          Effect.map(
            to.transfer.readEvents(page),
            (rows) => rows.map((row) => row.position === 42 ? { ...row, data: "0" } : row)
          )
      }
      const failure = yield* Effect.flip(StoreMove.promote({ from: from.transfer, to: lying }))
      assert.deepInclude(failure as object, { _tag: "CopyDiffers", position: 42, detail: "the data" })
    })
  )
})
