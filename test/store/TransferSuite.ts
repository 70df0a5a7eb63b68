/**
 * The contract of `LogTransfer` as tests: one text for all storages. Each test
 * has stores of its own, as a restore needs an empty one.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Option, Scope, Stream } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import type { ProjectionCommit } from "../../src/store/CheckpointStore.ts"
import { addEvents, EMPTY_DIGEST } from "../../src/store/EventDigest.ts"
import type {
  CheckpointRow,
  EventRow,
  LogTransfer,
  LogView,
  OtherKind,
  RestoreSession,
  TransferRows,
  WriteRows
} from "../../src/store/LogTransfer.ts"
import type { AnyStore, StoreKind } from "../backup/stores.ts"
import { claim } from "../projection/checkpoints.ts"
import { stored } from "./SnapshotSuite.ts"

type Transfer = LogTransfer["Service"]

/** All events up to a position, page by page. */
export const allEvents = (transfer: Transfer, until: number, limit?: number) =>
  Effect.gen(function*() {
    const rows: Array<EventRow> = []
    while (rows.length < until) {
      const page = yield* transfer.readEvents({ after: rows.length, until, limit, recordedAt: rows.at(-1)?.recordedAt })
      if (page.length === 0) break
      rows.push(...page)
    }
    return rows
  })

export const OTHERS: ReadonlyArray<OtherKind> = ["streams", "snapshots", "checkpoints", "states", "parked"]

/** Everything beside the events. */
export const allRows = (view: LogView) =>
  Effect.map(
    Effect.forEach(OTHERS, (kind) => Effect.map(Stream.runCollect(view.rows(kind)), (rows) => [kind, rows] as const)),
    (entries) => Object.fromEntries(entries) as unknown as { readonly [K in OtherKind]: ReadonlyArray<TransferRows[K]> }
  )

export const viewOf = (transfer: Transfer) =>
  Effect.scoped(
    Effect.flatMap(transfer.view, (view) =>
      Effect.map(allRows(view), (rows) => ({ position: view.position, incarnation: view.incarnation, ...rows })))
  )

const digestOf = (rows: ReadonlyArray<EventRow>) => addEvents(EMPTY_DIGEST, rows)

/** Restores a store, or the beginning of it, into another one. */
export const moveAll = (from: Transfer, to: Transfer, until?: number) =>
  Effect.scoped(Effect.gen(function*() {
    const view = yield* from.view
    const end = until ?? view.position
    const rows = yield* allEvents(from, end)
    const session = yield* to.restore({ source: view.incarnation, until: end })
    yield* session.writeEvents(rows.slice(session.position))
    return yield* session.finish({
      digest: digestOf(rows),
      rest: (write) => Effect.forEach(OTHERS, (kind) => writeKind(view, write, kind), { discard: true })
    })
  }))

const writeKind = <K extends OtherKind>(view: LogView, write: WriteRows, kind: K) =>
  Stream.runForEachArray(view.rows(kind), (rows) => write(kind, rows))

/** Puts something of every kind into a store: 60 events of 7 streams in two months of ids, and what stands beside them. */
export const fillStore = ({ checkpoints, snapshots, store }: AnyStore) =>
  Effect.gen(function*() {
    for (let index = 0; index < 60; index++) {
      const streamId = `order-${index % 7}`
      yield* store.append({
        streamId,
        expected: "any",
        events: [{
          id: idOf(index),
          type: index % 3 === 0 ? "Größe 🦊" : "Placed",
          version: 1 + index % 2,
          data: index % 4 === 0 ? { z: 1, a: [1.5, "ä\u0001\"", null], 2: true } : "text",
          metadata: index % 5 === 0 ? undefined : { correlationId: `c${index}`, n: 1e21 },
          tags: index % 6 === 0 ? [`customer:${index % 12}`, "größe:🦊"] : []
        }]
      })
    }
    yield* store.setStreamMetadata("order-1", { owner: "Ada", z: 1, a: 2 })
    yield* store.truncateBefore("order-2", 4)
    yield* store.tombstone("order-3")
    for (const revision of [2, 7]) yield* snapshots.save(stored("order-4", revision))
    const { incarnation } = yield* store.head
    yield* project(checkpoints, "orders", 50, { states: new Map([["", "{\"n\":50}"], ["schlüssel 🦊", "[1]"]]) })
    yield* project(checkpoints, "late", 60, {
      states: new Map([["x", "1"]]),
      stateTimes: new Map([["x", 1_700_000_000_123]]),
      park: [{
        position: 4 as Position,
        key: "order-3",
        id: idOf(3) as never,
        type: "Placed",
        streamId: "order-3" as never,
        revision: 0 as never,
        attempts: 3,
        reason: "it threw"
      }]
    })
    return incarnation
  })

const idOf = (index: number): string => {
  const tail = `${index}`.padStart(12, "0")
  // half of them have a time, one of these is years ahead
  return index % 2 === 0
    ? `0d0c5bd6-3f29-4c1e-8a55-${tail}`
    : `${index === 31 ? "0258" : "0193"}5000-0000-7000-8000-${tail}`
}

const project = (
  checkpoints: AnyStore["checkpoints"],
  name: string,
  position: number,
  rest: Partial<ProjectionCommit>
) =>
  Effect.gen(function*() {
    const answer = yield* checkpoints.acquire(claim(name))
    if (answer._tag === "Held") return assert.fail("held")
    const to = { position: position as Position, count: position, digest: `${position}`.padStart(16, "0") }
    yield* checkpoints.commit(answer.lease, { from: 0 as Position, to, ...rest })
    yield* checkpoints.release(answer.lease)
  })

/** What a restore changes in rows of checkpoints. */
const comparable = (rows: ReadonlyArray<CheckpointRow>) =>
  rows.map(({ builtAt: _, epoch: __, incarnation: ___, updatedAt: ____, ...row }) => row)

const isRestoring = (error: { readonly _tag: string; readonly reason?: unknown }) =>
  error._tag === "StorageError" && (error.reason as { readonly _tag: string })._tag === "Restoring"

const assertRestoring = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => assert.isTrue(isRestoring(error), JSON.stringify(error)))

/** Registers the contract for one storage. */
export const suite = ({ keepsSteps, label, open }: StoreKind): void => {
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
          const { data, id, metadata, recordedAt: _, tags, type, version } = event!
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
      "a store that has anything is not restored into, and stays as it is",
      Effect.gen(function*() {
        const to = yield* open
        yield* to.store.append({ streamId: "a", expected: "any", events: [{ type: "A", data: 1 }] })
        const refused = yield* Effect.flip(Effect.scoped(to.transfer.restore({ source: SOURCE, until: 5 })))
        assert.deepInclude(refused as object, { _tag: "RestoreTargetNotEmpty", position: 1 })
        assert.strictEqual((yield* to.store.head).position, 1)
        const other = yield* open
        yield* other.checkpoints.acquire(claim("orders"))
        const again = yield* Effect.flip(Effect.scoped(other.transfer.restore({ source: SOURCE, until: 5 })))
        assert.strictEqual(again._tag, "RestoreTargetNotEmpty")
      })
    )

    test(
      "while a restore is under way every other operation says so, and afterwards none",
      Effect.gen(function*() {
        const { checkpoints, store, transfer } = yield* open
        const rows = someRows(10)
        const scope = yield* Scope.make()
        const session = yield* Scope.provide(transfer.restore({ source: SOURCE, until: 10 }), scope)
        yield* session.writeEvents(rows.slice(0, 6))
        const event = { type: "A", data: 1 }
        yield* assertRestoring(store.append({ streamId: "a-1", expected: "any", events: [event] }))
        yield* assertRestoring(store.append({ streamId: "a-1", expected: "noStream", events: [event, event, event] }))
        yield* assertRestoring(store.appendAll({
          writes: [
            { streamId: "a-1", expected: "any", events: [event] },
            { streamId: "a-2", expected: "any", events: Array.from({ length: 20 }, () => event) }
          ]
        }))
        yield* assertRestoring(store.head)
        yield* assertRestoring(Stream.runCollect(store.readAll()))
        yield* assertRestoring(Stream.runCollect(store.readStream("a-1")))
        yield* assertRestoring(Stream.runCollect(store.subscribe().pipe(Stream.take(1))))
        yield* assertRestoring(store.readPage({ after: 0 as Position }))
        yield* assertRestoring(store.findEvent(rows[0]!.id))
        yield* assertRestoring(store.describeStream("a-1"))
        yield* assertRestoring(store.listStreams())
        yield* assertRestoring(store.setStreamMetadata("a-1", { a: 1 }))
        yield* assertRestoring(store.statistics)
        yield* assertRestoring(checkpoints.acquire(claim("orders")))
        yield* assertRestoring(transfer.readEvents({ after: 0, until: 10 }))
        yield* assertRestoring(Effect.scoped(transfer.view))
        assert.deepInclude((yield* transfer.describe).restoring, { source: SOURCE, until: 10, position: 6 })
        yield* session.writeEvents(rows.slice(6))
        yield* session.finish({ digest: digestOf(rows), rest: () => Effect.void })
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Stream.runCollect(store.readAll())).length, 10)
        assert.strictEqual((yield* store.append({ streamId: "a-1", expected: "any", events: [event] })).position, 11)
      })
    )

    test(
      keepsSteps
        ? "a restore that was broken off is gone on with, and nothing is usable before"
        : "a restore that was broken off leaves an empty store",
      Effect.gen(function*() {
        const { store, transfer } = yield* open
        const rows = someRows(30)
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* transfer.restore({ source: SOURCE, until: 30 })
          yield* session.writeEvents(rows.slice(0, 12))
        }))
        if (keepsSteps) yield* assertRestoring(store.head)
        else assert.strictEqual((yield* store.head).position, 0)
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* transfer.restore({ source: SOURCE, until: 30 })
          assert.deepStrictEqual(
            [session.position, session.recordedAt],
            keepsSteps ? [12, rows[11]!.recordedAt] : [0, 0]
          )
          yield* session.writeEvents(rows.slice(session.position))
          yield* session.finish({ digest: digestOf(rows), rest: () => Effect.void })
        }))
        assert.deepStrictEqual(yield* allEvents(transfer, 30), rows)
      })
    )

    test(
      "a restore of something else begins anew",
      Effect.gen(function*() {
        const { admin, transfer } = yield* open
        const rows = someRows(30)
        for (const plan of [{ source: SOURCE, until: 30 }, { source: OTHER_SOURCE, until: 30 }]) {
          yield* Effect.scoped(Effect.gen(function*() {
            const session = yield* transfer.restore(plan)
            assert.strictEqual(session.position, 0)
            yield* session.writeEvents(rows.slice(0, 20))
          }))
        }
        // the beginning is shorter than what was written
        yield* restoreRows(transfer, rows.slice(0, 10), OTHER_SOURCE)
        assert.deepStrictEqual(yield* allEvents(transfer, 30), rows.slice(0, 10))
        assert.deepStrictEqual(yield* admin.schemaVerify, [])
      })
    )

    test(
      "an abandoned restore leaves an empty, usable store",
      Effect.gen(function*() {
        const { admin, store, transfer } = yield* open
        assert.isFalse(yield* transfer.abandonRestore)
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* transfer.restore({ source: SOURCE, until: 30 })
          yield* session.writeEvents(someRows(10))
        }))
        assert.strictEqual(yield* transfer.abandonRestore, keepsSteps)
        assert.deepInclude((yield* transfer.describe) as object, { position: 0, isEmpty: true, restoring: undefined })
        assert.deepStrictEqual(yield* admin.schemaVerify, [])
        const event = { type: "A", data: 1 }
        assert.strictEqual((yield* store.append({ streamId: "a", expected: "noStream", events: [event] })).position, 1)
      })
    )

    test(
      "events that are not those to restore, or lack a revision, make nothing usable",
      Effect.gen(function*() {
        const rows = someRows(10)
        const twice = rows.map((row) => row.position === 10 ? { ...row, id: rows[0]!.id } : row)
        const gap = rows.map((row) => row.position === 10 ? { ...row, revision: row.revision + 1 } : row)
        for (const [written, expected] of [[rows, rows.slice(1)], [twice, twice], [gap, gap]] as const) {
          const { store, transfer } = yield* open
          const failure = yield* Effect.flip(Effect.scoped(Effect.gen(function*() {
            const session = yield* transfer.restore({ source: SOURCE, until: 10 })
            yield* session.writeEvents(written)
            yield* session.finish({ digest: digestOf(expected), rest: () => Effect.void })
          })))
          assert.strictEqual(failure._tag, "RestoreDiffers")
          if (keepsSteps) yield* assertRestoring(store.head)
          else assert.strictEqual((yield* store.head).position, 0)
        }
      })
    )

    test(
      "when the rest cannot be written nothing has happened, and the restore can be finished again",
      Effect.gen(function*() {
        const { checkpoints, store, transfer } = yield* open
        const from = yield* open
        yield* fillStore(from)
        yield* Effect.scoped(Effect.gen(function*() {
          const view = yield* from.transfer.view
          const rows = yield* allEvents(from.transfer, 60)
          const session: RestoreSession = yield* transfer.restore({ source: view.incarnation, until: 60 })
          yield* session.writeEvents(rows)
          const failed = yield* Effect.flip(session.finish({
            digest: digestOf(rows),
            rest: (write) =>
              Effect.andThen(
                Effect.forEach(OTHERS, (kind) => writeKind(view, write, kind)),
                Effect.fail({ _tag: "Mine" as const })
              )
          }))
          assert.strictEqual(failed._tag, "Mine")
          yield* assertRestoring(store.head)
          yield* session.finish({
            digest: digestOf(rows),
            rest: (write) => Effect.forEach(OTHERS, (kind) => writeKind(view, write, kind), { discard: true })
          })
        }))
        assert.strictEqual((yield* checkpoints.list).length, 2)
        assert.strictEqual((yield* store.head).position, 60)
      })
    )

    if (keepsSteps) {
      test(
        "of two restores the later one goes on, and the earlier one learns of it",
        Effect.gen(function*() {
          const { transfer } = yield* open
          const rows = someRows(20)
          const first = yield* transfer.restore({ source: SOURCE, until: 20 })
          yield* first.writeEvents(rows.slice(0, 5))
          const second = yield* transfer.restore({ source: SOURCE, until: 20 })
          assert.strictEqual(second.position, 5)
          const lost = yield* Effect.flip(first.writeEvents(rows.slice(5, 10)))
          assert.strictEqual(lost._tag, "RestoreOvertaken")
          yield* second.writeEvents(rows.slice(5))
          const unfinished = yield* Effect.flip(first.finish({ digest: digestOf(rows), rest: () => Effect.void }))
          assert.include(["RestoreOvertaken", "InvalidInput"], unfinished._tag)
          yield* second.finish({ digest: digestOf(rows), rest: () => Effect.void })
          assert.deepStrictEqual(yield* allEvents(transfer, 20), rows)
        })
      )
    }

    test(
      "rows that no store could have written are refused",
      Effect.gen(function*() {
        const { transfer } = yield* open
        const rows = someRows(3)
        const [first, second] = rows as [EventRow, EventRow]
        const session = yield* transfer.restore({ source: SOURCE, until: 3 })
        const bad: ReadonlyArray<Partial<EventRow>> = [
          { position: 2 },
          { streamId: "" },
          { streamId: "a\u0000b" },
          { type: "x".repeat(513) },
          { id: "nonsense" },
          { version: 0 },
          { revision: -1 },
          { tags: ["\ud800"] },
          { metadata: "[]" },
          { data: `"${"x".repeat(1_048_576)}"` },
          { recordedAt: 1.5 }
        ]
        for (const part of bad) {
          const refused = yield* Effect.flip(session.writeEvents([{ ...first, ...part }]))
          assert.strictEqual(refused._tag, "InvalidInput", JSON.stringify(part).slice(0, 80))
        }
        const early = yield* Effect.flip(session.writeEvents([first, { ...second, recordedAt: first.recordedAt - 1 }]))
        assert.strictEqual(early._tag, "InvalidInput")
        const broken = yield* Effect.flip(session.writeEvents([{ ...first, data: "{" }]))
        assert.include(["InvalidInput", "StorageError"], broken._tag)
        const short = yield* Effect.flip(session.finish({ digest: EMPTY_DIGEST, rest: () => Effect.void }))
        assert.strictEqual(short._tag, "InvalidInput")
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

const SOURCE = "0b9f6e52-6a6c-4d0e-9b55-0f2c7d3c8a11"
const OTHER_SOURCE = "1b9f6e52-6a6c-4d0e-9b55-0f2c7d3c8a11"

/** Events of three streams. */
const someRows = (
  count: number,
  recordedAt = (index: number) => 1_700_000_000_000_001 + index * 1_000_003
): ReadonlyArray<EventRow> =>
  Array.from({ length: count }, (_, index) => ({
    position: index + 1,
    streamId: `a-${index % 3}`,
    revision: Math.floor(index / 3),
    id: `0d0c5bd6-3f29-4c1e-8a55-${`${index}`.padStart(12, "0")}`,
    type: "Happened",
    version: 1,
    data: `{ "index" : ${index} }`,
    metadata: index % 2 === 0 ? "" : "{\"a\":  1}",
    tags: index % 4 === 0 ? ["a:1", "b:2"] : [],
    recordedAt: recordedAt(index)
  }))

const restoreRows = (transfer: Transfer, rows: ReadonlyArray<EventRow>, source = SOURCE) =>
  Effect.scoped(Effect.gen(function*() {
    const session = yield* transfer.restore({ source, until: rows.length })
    yield* session.writeEvents(rows.slice(session.position))
    yield* session.finish({ digest: digestOf(rows), rest: () => Effect.void })
  }))
