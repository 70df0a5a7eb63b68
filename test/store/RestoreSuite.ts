/**
 * The contract of `LogTransfer` as tests, how a restore goes: one text for all
 * storages.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Result, Scope, Stream } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import { EMPTY_DIGEST } from "../../src/store/EventDigest.ts"
import type { EventRow, RestoreSession } from "../../src/store/LogTransfer.ts"
import type { StoreKind } from "../backup/stores.ts"
import { claim } from "../projection/checkpoints.ts"
import { stored } from "./SnapshotSuite.ts"
import {
  allEvents,
  digestOf,
  fillStore,
  OTHER_SOURCE,
  OTHERS,
  restoreRows,
  someRows,
  SOURCE,
  writeKind
} from "./transfers.ts"

/** Registers the contract for one storage. */
export const suite = ({ keepsSteps, label, open }: StoreKind): void => {
  const test = (name: string, run: Effect.Effect<void, unknown, Scope.Scope>) => it.live(name, () => Effect.scoped(run))
  describe(`restores (${label})`, () => {
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
        const { checkpoints, snapshots, store, transfer } = yield* open
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
        yield* assertRestoring(checkpoints.addBuild({ name: "orders", version: 1 }))
        yield* assertRestoring(snapshots.save(stored("a-1", 2)))
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
      "of appends and a restore that come at once the store has one or the other, never both",
      Effect.gen(function*() {
        for (const lead of [0, 3]) {
          const { admin, store, transfer } = yield* open
          const rows = someRows(10)
          const appends = Effect.forEach(
            Array.from({ length: 8 }, (_, index) => index),
            (index) =>
              Effect.result(store.append({
                streamId: `live-${index}`,
                expected: "noStream",
                events: [{ type: "Live", data: index }]
              })),
            { concurrency: "unbounded" }
          )
          const restore = Effect.result(
            Effect.andThen(
              Effect.forEach(Array.from({ length: lead }), () => Effect.yieldNow),
              restoreRows(transfer, rows)
            )
          )
          const [appended, restored] = yield* Effect.all([appends, restore], { concurrency: "unbounded" })
          const log = yield* Stream.runCollect(store.readAll())
          const written = appended.filter(Result.isSuccess).length
          if (Result.isSuccess(restored)) {
            // who came while it was under way was refused, and who came after it stands behind
            assert.deepStrictEqual(log.slice(0, 10).map(({ id }) => `${id}`), rows.map(({ id }) => id))
            assert.strictEqual(log.length, 10 + written)
          } else {
            assert.strictEqual(restored.failure._tag, "RestoreTargetNotEmpty")
            assert.strictEqual(log.length, written)
            assert.isAbove(written, 0)
          }
          assert.deepStrictEqual(log.map(({ position }) => Number(position)), log.map((_, index) => index + 1))
          for (const refused of appended) {
            if (Result.isFailure(refused)) assert.deepInclude(refused.failure as object, { _tag: "StorageError" })
          }
          assert.deepStrictEqual(yield* admin.verifyLog, [])
        }
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
          // to another end than before
          const session = yield* transfer.restore({ source: SOURCE, until: 29 })
          assert.deepInclude((yield* transfer.describe).restoring as object, { until: 29, position: session.position })
        }))
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
        const other = rows.map((row) => row.position === 10 ? { ...row, id: idOf(99) } : row)
        const months = someRows(10, (index) => 1_700_000_000_000_000 + index * 86_400_000_000 * 20)
        const twiceInMonths = months.map((row) => row.position === 10 ? { ...row, id: months[0]!.id } : row)
        const { store, transfer } = yield* open
        const attempts = [
          [rows, rows.slice(1), /^count and digest/],
          [rows, other, /^count and digest/],
          [twice, twice, /./],
          [twiceInMonths, twiceInMonths, /^ids/],
          [gap, gap, /^revisions/]
        ] as const
        for (const [index, [written, expected, detail]] of attempts.entries()) {
          const source = SOURCE.slice(0, -1) + String(index)
          const failure = yield* Effect.flip(Effect.scoped(Effect.gen(function*() {
            const session = yield* transfer.restore({ source, until: 10 })
            yield* session.writeEvents(written)
            yield* session.finish({ digest: digestOf(expected), rest: () => Effect.void })
          })))
          assert.deepInclude(failure as object, { _tag: "RestoreDiffers" })
          if (failure._tag === "RestoreDiffers") assert.match(failure.detail, detail)
          if (keepsSteps) yield* assertRestoring(store.head)
          else assert.strictEqual((yield* store.head).position, 0)
        }
        // and what is sound is restored after all of them
        yield* restoreRows(transfer, rows)
        assert.deepStrictEqual(yield* allEvents(transfer, 10), rows)
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
          // also when all was written before the other one came
          const third = yield* transfer.restore({ source: SOURCE, until: 20 })
          const overtaken = yield* Effect.flip(second.finish({ digest: digestOf(rows), rest: () => Effect.void }))
          assert.strictEqual(overtaken._tag, "RestoreOvertaken")
          yield* third.finish({ digest: digestOf(rows), rest: () => Effect.void })
          assert.deepStrictEqual(yield* allEvents(transfer, 20), rows)
        })
      )
    }

    if (!keepsSteps) {
      test(
        "a restore that has ended writes nothing any more",
        Effect.gen(function*() {
          const { store, transfer } = yield* open
          const ended = yield* Effect.scoped(transfer.restore({ source: SOURCE, until: 3 }))
          const late = yield* Effect.flip(ended.writeEvents(someRows(3)))
          assert.strictEqual(late._tag, "RestoreOvertaken")
          yield* store.append({ streamId: "a-1", expected: "any", events: [{ type: "A", data: 1 }] })
          assert.strictEqual((yield* store.head).position, 1)
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
  })
}

// internal

const isRestoring = (error: { readonly _tag: string; readonly reason?: unknown }) =>
  error._tag === "StorageError" && (error.reason as { readonly _tag: string })._tag === "Restoring"

const idOf = (index: number): string => `0d0c5bd6-3f29-4c1e-8a55-${`${index}`.padStart(12, "0")}`

const assertRestoring = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => assert.isTrue(isRestoring(error), JSON.stringify(error)))
