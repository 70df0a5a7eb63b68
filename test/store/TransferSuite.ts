/**
 * The contract of `LogTransfer` as tests, what is restored: one text for all
 * storages. Each test has stores of its own, as a restore needs an empty one.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Option, type Scope, Stream } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import type { CheckpointRow, OtherKind, TransferRows } from "../../src/store/LogTransfer.ts"
import type { StoreKind } from "../backup/stores.ts"
import { claim } from "../projection/checkpoints.ts"
import { stored } from "./SnapshotSuite.ts"
import {
  allEvents,
  allRows,
  digestOf,
  fillStore,
  moveAll,
  OTHER_SOURCE,
  OTHERS,
  restoreRows,
  someRows,
  SOURCE,
  viewOf
} from "./transfers.ts"

/** Registers the contract for one storage. */
export const suite = ({ label, open }: StoreKind): void => {
  const test = (name: string, run: Effect.Effect<void, unknown, Scope.Scope>) => it.live(name, () => Effect.scoped(run))
  describe(`LogTransfer (${label})`, () => {
    test(
      "a restored store has the same events to the last byte, and goes on after them as another history",
      Effect.gen(function*() {
        const from = yield* open
        const to = yield* open
        const source = yield* fillStore(from)
        const report = yield* moveAll(from.transfer, to.transfer)
        const before = yield* allEvents(from.transfer, 60)
        assert.deepStrictEqual(yield* allEvents(to.transfer, 60, 7), before)
        assert.strictEqual(before.length, 60)
        const state = yield* to.transfer.describe
        assert.deepStrictEqual(state, {
          position: 60,
          incarnation: report.incarnation,
          parent: { incarnation: source, position: 60 },
          isEmpty: false,
          restoring: undefined
        })
        assert.notStrictEqual(report.incarnation, source)
        assert.deepStrictEqual(yield* to.admin.verifyLog, [])
        assert.deepStrictEqual(yield* to.admin.schemaVerify, [])
        assert.deepStrictEqual(
          yield* Stream.runCollect(to.store.readAll()),
          yield* Stream.runCollect(from.store.readAll())
        )
        const next = yield* to.store.append({ streamId: "order-0", expected: 8, events: [{ type: "Next", data: 1 }] })
        assert.strictEqual(next.position, 61)
      })
    )

    test(
      "what stands beside the events is restored: settings of streams, snapshots, checkpoints, states, parked events",
      Effect.gen(function*() {
        const from = yield* open
        const to = yield* open
        yield* fillStore(from)
        // of what the log does not hold: somebody made it of another history
        yield* from.snapshots.save(stored("order-4", 90))
        yield* from.snapshots.save(stored("nobody-1", 0))
        const { buildsLeftOut, counts, incarnation, rowsLeftOut } = yield* moveAll(from.transfer, to.transfer)
        assert.deepStrictEqual({ ...counts }, { streams: 3, snapshots: 2, checkpoints: 2, states: 3, parked: 1 })
        assert.deepStrictEqual([rowsLeftOut, buildsLeftOut.length], [0, 0])
        const [before, after] = [yield* viewOf(from.transfer), yield* viewOf(to.transfer)]
        for (const kind of ["streams", "snapshots", "states"] as const) {
          assert.deepStrictEqual(JSON.stringify(after[kind]), JSON.stringify(before[kind]), kind)
        }
        assert.deepStrictEqual(after.parked.length, before.parked.length)
        assert.deepStrictEqual(comparable(after.checkpoints), comparable(before.checkpoints))
        assert.isTrue(after.checkpoints.every((row) => row.incarnation === incarnation))
        const described = yield* to.store.describeStream("order-2")
        assert.deepStrictEqual(described, yield* from.store.describeStream("order-2"))
        const [first] = yield* Stream.runCollect(to.store.readStream("order-2"))
        assert.strictEqual(first?.revision, 4)
        const ended = yield* Effect.flip(Stream.runCollect(to.store.readStream("order-3")))
        assert.strictEqual(ended._tag, "StreamTombstoned")
        const found = yield* to.snapshots.load({ streamId: "order-4", kind: "thing", fingerprint: "a1".repeat(32) })
        assert.strictEqual(Option.getOrThrow(found).revision, 7)
      })
    )

    test(
      "every value of a row beside the events comes back, also where a build of that number was removed before",
      Effect.gen(function*() {
        const { checkpoints, transfer } = yield* open
        yield* checkpoints.removeBuild(yield* checkpoints.addBuild({ name: "orders", version: 2 }))
        const rows = someRows(10)
        const ofAnotherHistory = { ...fullRows.checkpoints[0]!, projection: "strange", incarnation: OTHER_SOURCE }
        const written: { [K in OtherKind]: ReadonlyArray<TransferRows[K]> } = {
          streams: [{ streamId: "a-1", revision: 2, truncateBefore: 1, isTombstoned: true, metadata: "{\"x\": 1}" }],
          snapshots: [],
          ...fullRows
        }
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* transfer.restore({ source: SOURCE, until: 10 })
          yield* session.writeEvents(rows)
          const report = yield* session.finish({
            digest: digestOf(rows),
            rest: (write) =>
              Effect.forEach(OTHERS, (kind) =>
                write(
                  kind,
                  (kind === "checkpoints" ? [...written[kind], ofAnotherHistory] : written[kind]) as never
                ), { discard: true })
          })
          const { build, projection, version } = ofAnotherHistory
          assert.deepStrictEqual(report.buildsLeftOut, [{ projection, version, build, reason: "history" }])
        }))
        const { incarnation, position: _, ...after } = yield* viewOf(transfer)
        assert.deepStrictEqual(after, {
          ...written,
          checkpoints: written.checkpoints.map((row) => ({ ...row, incarnation, epoch: row.epoch + 1 }))
        })
      })
    )

    test(
      "a projection goes on in a restored store where it was, and its next lease is newer",
      Effect.gen(function*() {
        const from = yield* open
        const to = yield* open
        yield* fillStore(from)
        yield* moveAll(from.transfer, to.transfer)
        const answer = yield* to.checkpoints.acquire(claim("orders"))
        assert.strictEqual(answer._tag, "Acquired")
        assert.strictEqual(answer.record.checkpoint.position, 50)
        assert.strictEqual(answer.record.epoch, 3)
        const states = yield* to.checkpoints.listStates({ name: "orders", version: 1 })
        assert.deepStrictEqual([...states], [{ key: "", state: "{\"n\":50}" }, { key: "schlüssel 🦊", state: "[1]" }])
      })
    )

    test(
      "a runner of the old history can commit nothing in the restored store",
      Effect.gen(function*() {
        const from = yield* open
        const to = yield* open
        yield* fillStore(from)
        const answer = yield* from.checkpoints.acquire(claim("orders"))
        if (answer._tag === "Held") return assert.fail("held")
        yield* moveAll(from.transfer, to.transfer)
        const lost = yield* Effect.flip(to.checkpoints.commit(answer.lease, {
          from: 50 as Position,
          to: { position: 51 as Position, count: 51, digest: "0".repeat(16) }
        }))
        assert.strictEqual(lost._tag, "LeaseLost")
      })
    )

    test(
      "an append that was recorded before the restore is answered with its result, whatever time its id claims",
      Effect.gen(function*() {
        const from = yield* open
        const to = yield* open
        yield* fillStore(from)
        yield* moveAll(from.transfer, to.transfer)
        for (const [index, revision] of [[30, 4], [31, 4], [59, 8]] as const) {
          const [event] = yield* Stream.runCollect(from.store.readAll({ after: index, limit: 1 }))
          const { data, id, metadata, tags, type, version } = event!
          const again = yield* to.store.append({
            streamId: `order-${index % 7}`,
            expected: "any",
            events: [{ data, id, metadata, tags, type, version }]
          })
          assert.deepInclude(again as object, { position: index + 1, revision, alreadyAppended: true })
        }
      })
    )

    test(
      "conditions and filters on tags see what was restored",
      Effect.gen(function*() {
        const from = yield* open
        const to = yield* open
        yield* fillStore(from)
        yield* moveAll(from.transfer, to.transfer)
        const filter = { tags: ["größe:🦊"] }
        const found = yield* Stream.runCollect(to.store.readAll({ filter }))
        assert.strictEqual(found.length, 10)
        const refused = yield* Effect.flip(to.store.append({
          streamId: "order-9",
          expected: "any",
          events: [{ type: "Placed", data: 1 }],
          condition: { query: [{ tags: ["größe:🦊"] }], after: 5 as Position }
        }))
        assert.deepInclude(refused as object, { _tag: "AppendConditionFailed", position: 7 })
      })
    )

    test(
      "only the prefix is restored: what reaches beyond it is left out, and said",
      Effect.gen(function*() {
        const from = yield* open
        const to = yield* open
        yield* fillStore(from)
        const report = yield* moveAll(from.transfer, to.transfer, 52)
        assert.strictEqual((yield* to.store.head).position, 52)
        // order-4 has revisions 0 to 6 by then
        assert.strictEqual(report.counts.snapshots, 1)
        assert.strictEqual(report.rowsLeftOut, 1)
        assert.deepStrictEqual(report.buildsLeftOut, [{ projection: "late", version: 1, build: 1, reason: "ahead" }])
        assert.deepStrictEqual(report.counts.states, 2)
        assert.deepStrictEqual(Option.isNone(yield* to.checkpoints.find({ name: "late", version: 1 })), true)
        assert.deepStrictEqual(yield* to.admin.verifyLog, [])
        assert.deepStrictEqual(yield* allEvents(to.transfer, 60), (yield* allEvents(from.transfer, 60)).slice(0, 52))
      })
    )

    test(
      "a truncation that lies beyond the prefix hides what there is of the stream",
      Effect.gen(function*() {
        const from = yield* open
        const to = yield* open
        yield* fillStore(from)
        yield* moveAll(from.transfer, to.transfer, 10)
        const described = Option.getOrThrow(yield* to.store.describeStream("order-2"))
        assert.deepInclude(described as object, { revision: 1, truncateBefore: 2 })
      })
    )

    test(
      "an empty log is restored too",
      Effect.gen(function*() {
        const from = yield* open
        const to = yield* open
        const { incarnation } = yield* moveAll(from.transfer, to.transfer)
        assert.deepInclude((yield* to.transfer.describe) as object, { position: 0, incarnation, isEmpty: true })
        const first = yield* to.store.append({ streamId: "a", expected: "noStream", events: [{ type: "A", data: 1 }] })
        assert.strictEqual(first.position, 1)
      })
    )

    test(
      "events of many years go back into their months, with microseconds",
      Effect.gen(function*() {
        const to = yield* open
        const rows = someRows(40, (index) => 1_200_000_000_000_000 + index * 2_000_000_000_017 * 7)
        yield* restoreRows(to.transfer, rows)
        assert.deepStrictEqual(yield* allEvents(to.transfer, 40, 9), rows)
        assert.deepStrictEqual(yield* to.admin.verifyLog, [])
        assert.deepStrictEqual(yield* to.admin.schemaVerify, [])
        const [event] = yield* Stream.runCollect(to.store.readStream("a-1", { from: 3 as never, limit: 1 }))
        const row = rows.find(({ revision, streamId }) => streamId === "a-1" && revision === 3)!
        assert.strictEqual(DateTime.toEpochMillis(event!.recordedAt), Math.floor(row.recordedAt / 1_000))
      })
    )

    test(
      "a page ends when it has enough bytes, however many events it may hold",
      Effect.gen(function*() {
        const to = yield* open
        // random digits: a server stores them compressed to half at best
        const random = () => Array.from({ length: 1_000 }, () => Math.random().toString(36).slice(2)).join("")
        const rows = someRows(40, (index) => 1_700_000_000_000_000 + index).map((row) => ({
          ...row,
          data: JSON.stringify(Array.from({ length: 60 }, random))
        }))
        yield* restoreRows(to.transfer, rows)
        const page = yield* to.transfer.readEvents({ after: 0, until: 40 })
        assert.isAbove(page.length, 0)
        assert.isBelow(page.length, 40)
        assert.deepStrictEqual(yield* allEvents(to.transfer, 40), rows)
      })
    )

    test(
      "a view shows one moment, whatever comes after it",
      Effect.gen(function*() {
        const from = yield* open
        yield* fillStore(from)
        const before = yield* viewOf(from.transfer)
        const seen = yield* Effect.scoped(Effect.gen(function*() {
          const view = yield* from.transfer.view
          yield* from.store.append({ streamId: "order-0", expected: "any", events: [{ type: "A", data: 1 }] })
          yield* from.store.setStreamMetadata("order-0", { later: true })
          const answer = yield* from.checkpoints.acquire(claim("orders"))
          if (answer._tag === "Held") return assert.fail("held")
          yield* from.checkpoints.commit(answer.lease, {
            from: 50 as Position,
            to: { position: 60 as Position, count: 60, digest: "0".repeat(16) },
            states: new Map([["", "{\"n\":60}"]])
          })
          return { position: view.position, incarnation: view.incarnation, ...(yield* allRows(view)) }
        }))
        assert.deepStrictEqual(JSON.stringify(seen), JSON.stringify(before))
      })
    )
  })
}

// internal

/** What a restore changes in rows of checkpoints. */
const comparable = (rows: ReadonlyArray<CheckpointRow>) =>
  rows.map(({ builtAt: _, epoch: __, incarnation: ___, updatedAt: ____, ...row }) => row)

const SECONDS = 1_700_000_000_000_000

/** Rows of projections in which every value says something: times are whole milliseconds, which memory keeps. */
const fullRows =
  ((): Pick<{ [K in OtherKind]: ReadonlyArray<TransferRows[K]> }, "checkpoints" | "states" | "parked"> => {
    const checkpoint: CheckpointRow = {
      projection: "orders",
      version: 2,
      build: 1,
      slice: 0,
      buildStatus: "current",
      isLive: true,
      builtAt: SECONDS + 1_000,
      retiredAt: undefined,
      keepUntil: undefined,
      definition: "state of [Happened]",
      status: "halted",
      isSetUp: true,
      start: 3,
      position: 9,
      incarnation: SOURCE,
      events: 6,
      digest: "0123456789abcdef",
      epoch: 4,
      failures: 2,
      firstFailedAt: SECONDS + 2_000,
      lastFailedAt: SECONDS + 3_000,
      failedPosition: 7,
      failure: "it threw",
      updatedAt: SECONDS + 4_000
    }
    const kept: CheckpointRow = {
      ...checkpoint,
      version: 3,
      build: 2,
      buildStatus: "kept",
      isLive: false,
      retiredAt: SECONDS + 5_000,
      keepUntil: SECONDS + 6_000,
      status: "paused",
      isSetUp: false,
      start: 0,
      failures: 0,
      firstFailedAt: undefined,
      lastFailedAt: undefined,
      failedPosition: undefined,
      failure: undefined
    }
    const build = { projection: "orders", version: 3, build: 2 }
    return {
      checkpoints: [checkpoint, kept, { ...kept, slice: 1, position: 4, events: 1, digest: "1".repeat(16) }],
      states: [
        { ...build, version: 2, build: 1, key: "", state: "{ \"n\" :1}", changedAt: undefined },
        { ...build, key: "schlüssel 🦊", state: "[1]", changedAt: SECONDS + 7_000 }
      ],
      parked: [{
        ...build,
        slice: 1,
        position: 4,
        key: "a-0",
        id: "0d0c5bd6-3f29-4c1e-8a55-000000000003",
        type: "Happened",
        streamId: "a-0",
        revision: 1,
        attempts: 3,
        reason: "it threw",
        parkedAt: SECONDS + 8_000
      }]
    }
  })()
