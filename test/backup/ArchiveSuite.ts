/**
 * Archived months as tests: one text for all storages.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Fiber, Layer, Option, Schema, type Scope, Stream } from "effect"
import { BackupCatalog, type BackupKeys, BackupLines, BackupStorage, BackupWriter } from "../../src/backup/index.ts"
import { EventType } from "../../src/event/index.ts"
import {
  InlineProjections,
  Projection,
  ProjectionControl,
  ProjectionRunner,
  ProjectionState
} from "../../src/projection/index.ts"
import type { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import type { StorageError } from "../../src/store/EventStoreError.ts"
import type { InlineAppender } from "../../src/store/InlineAppender.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  archiveOf,
  monthBegins,
  monthlyRows,
  openBare,
  openWith,
  plant,
  readEverything,
  replaceFile,
  servicesOf,
  storedRows
} from "./archives.ts"
import { encryptionKey, filesOf, makePlace, signingKeys } from "./fixtures.ts"
import type { AnyStore, StoreKind } from "./stores.ts"

const ROWS = monthlyRows()

const MARCH = monthBegins(3)
const APRIL = monthBegins(4)

const late = {
  streamId: "late-1",
  expected: "any" as const,
  events: [{ type: "Late", data: null }, { type: "Late", data: 1 }]
}

/** A store of three months, with two events of today. */
const openPlanted = Effect.fnUntraced(function*(
  kind: StoreKind,
  place: BackupStorage["Service"],
  keys?: BackupKeys
) {
  const store = yield* openWith(kind, place, { keys })
  yield* plant(store, ROWS)
  yield* store.store.append(late)
  return { store, ...(yield* servicesOf(store, place)) }
})

/** The failure of a read as a `StorageError`. */
const archivedFailure = <A, E, R>(read: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(read), (error) => {
    const { _tag, reason } = error as StorageError
    assert.strictEqual(_tag, "StorageError", String(error))
    return reason._tag === "Archived" ? reason : assert.fail(String(error))
  })

const atPlace = <A, E, R>(place: BackupStorage["Service"], effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, BackupStorage, place)

const Shipped = EventType.make("OrderShipped", Schema.Unknown)

/** Keeps what it sees. */
const seen = (name: string) =>
  Projection.state({
    name,
    events: [Shipped],
    state: Schema.Array(Schema.Unknown),
    initial: [] as ReadonlyArray<unknown>,
    on: { OrderShipped: (state, { data, position }) => [...state, [position, data]] }
  })

const project = (store: AnyStore, name: string) =>
  Effect.gen(function*() {
    const projection = seen(name)
    const { count, digest } = yield* ProjectionRunner.runOnce(projection)
    return { count, digest, state: yield* ProjectionState.get(projection) }
  }).pipe(Effect.provideContext(store.context))

/** Registers the tests for one storage. */
export const suite = (kind: StoreKind): void => {
  const { label } = kind
  const test = (name: string, run: Effect.Effect<void, unknown, Scope.Scope>) => it.live(name, () => Effect.scoped(run))
  describe(`ArchiveService (${label})`, () => {
    test(
      "every read of everything, projections and backups are after a move what they were before",
      Effect.gen(function*() {
        const place = yield* makePlace
        const { archive, backups, store } = yield* openPlanted(kind, place)
        const before = yield* readEverything(store)
        const projected = yield* project(store, "before")
        const full = yield* backups.create({ kind: "full" })
        const plan = yield* archive.plan({ before: MARCH })
        assert.deepStrictEqual(plan.months.map(({ after, month, until }) => [month, after, until]), [
          ["2026-01", 0, 20],
          ["2026-02", 20, 40]
        ])
        assert.deepStrictEqual(yield* store.archive.entries, [])

        const { created, entries } = yield* archive.move({ before: MARCH })
        assert.deepStrictEqual([created, entries.map(({ after, until }) => [after, until])], [
          undefined,
          [[0, 20], [20, 40]]
        ])
        assert.deepStrictEqual(yield* readEverything(store), before)
        assert.deepStrictEqual(
          (yield* storedRows(store, 60)).map(({ data, metadata }) => data === undefined && metadata === ""),
          ROWS.map(({ position }) => position <= 40)
        )
        assert.deepStrictEqual(yield* project(store, "after"), projected)
        assert.deepStrictEqual(yield* store.admin.verifyLog, [])
        assert.deepStrictEqual(yield* archive.verify(), { isSound: true, events: 40, faults: [] })
        const other = yield* makePlace
        const again = yield* (yield* servicesOf(store, other)).backups.create({ kind: "full" })
        if (full._tag !== "Created" || again._tag !== "Created") return assert.fail("unchanged")
        assert.deepStrictEqual(again.manifest.total, full.manifest.total)
        assert.strictEqual(
          (yield* Stream.runCollect(atPlaceStream(other, BackupLines.cat(again.manifest.id)))).join(""),
          (yield* Stream.runCollect(atPlaceStream(place, BackupLines.cat(full.manifest.id)))).join("")
        )
      })
    )

    test(
      "appends, their conditions and retries are judged as before",
      Effect.gen(function*() {
        const place = yield* makePlace
        const { archive, store: { store } } = yield* openPlanted(kind, place)
        const judge = Effect.gen(function*() {
          const [row, other] = [ROWS[10]!, ROWS[11]!]
          const retry = { id: row.id, type: row.type, version: row.version, data: JSON.parse(row.data), tags: row.tags }
          const retried = (streamId: string, change: object = {}) =>
            Effect.result(store.append({ streamId, expected: "any", events: [{ ...retry, ...change }] }))
          const conditioned = (query: ReadonlyArray<object>, after = 0) =>
            Effect.result(store.append({
              ...late,
              condition: { query: query as never, after: after as never }
            }))
          return [
            yield* retried(row.streamId),
            yield* retried(other.streamId),
            yield* retried(row.streamId, { type: "Another" }),
            yield* retried(row.streamId, { tags: ["another"] }),
            yield* Effect.result(store.append({ ...late, streamId: "order-0", expected: "noStream" })),
            yield* Effect.result(store.append({ ...late, streamId: "order-0", expected: 3 as never })),
            yield* conditioned([{ types: ["OrderShipped"] }]),
            yield* conditioned([{ tags: ["customer:0"] }], 35)
          ].map((result) => result._tag === "Success" ? result.success : { ...result.failure })
        })
        const before = yield* judge
        yield* archive.move({ before: APRIL })
        assert.deepStrictEqual(yield* judge, before)
        assert.deepInclude(before[0] as object, { alreadyAppended: true, position: 11 })
        assert.deepStrictEqual(before.slice(1).map((one) => (one as { _tag?: string })._tag), [
          "IdempotencyConflict",
          "IdempotencyConflict",
          "IdempotencyConflict",
          "RevisionConflict",
          "RevisionConflict",
          "AppendConditionFailed",
          "AppendConditionFailed"
        ])
      })
    )

    test(
      "without its archive a store says so, and does all that needs no data",
      Effect.gen(function*() {
        const place = yield* makePlace
        const store = yield* openBare(kind)
        yield* plant(store, ROWS)
        const { archive, backups } = yield* servicesOf(store, place)
        const { created } = yield* archive.move({ before: MARCH })
        const reason = yield* archivedFailure(Stream.runCollect(store.store.readAll()))
        assert.deepInclude(reason as object, { position: 1, until: 20, backupId: created })
        assert.match(reason.detail, new RegExp(`${created}.*open the store with its archive`))
        assert.strictEqual(
          (yield* archivedFailure(Stream.runCollect(store.store.readStream("order-3", { direction: "backwards" }))))
            .position as number,
          39
        )
        assert.strictEqual((yield* archivedFailure(store.store.findEvent(ROWS[21]!.id))).position as number, 22)
        yield* archivedFailure(store.transfer.readEvents({ after: 0, until: 60 }))
        yield* archivedFailure(backups.create({ kind: "full" }))
        yield* store.store.append(late)
        const behind = yield* Stream.runCollect(store.store.readAll({ after: 40 as never }))
        assert.deepStrictEqual(
          behind.map(({ position }) => position as number),
          Array.from({ length: 22 }, (_, n) => n + 41)
        )
        assert.strictEqual((yield* backups.create())._tag, "Created")
        assert.strictEqual((yield* store.store.listStreams()).streams.length, 8)
        assert.deepStrictEqual(yield* store.admin.verifyLog, [])
      })
    )

    test(
      "a missing, damaged or foreign file is named, nothing half is read, and reading goes on when it is mended",
      Effect.gen(function*() {
        const place = yield* makePlace
        const { archive, store: { store } } = yield* openPlanted(kind, place)
        yield* archive.move({ before: MARCH })
        const before = new Map(yield* filesOf(place))
        const segment = [...before.keys()].find((name) => name.endsWith(".esb"))!
        const bytes = before.get(segment)!
        const taken: Array<number> = []
        const read = Stream.runForEach(store.readAll(), ({ position }) => Effect.sync(() => taken.push(position)))

        yield* place.remove(segment)
        const missing = yield* archivedFailure(read)
        assert.deepInclude(missing as object, { position: 1 })
        assert.match(missing.detail, new RegExp(`position 1 cannot be read.*${segment}: the file is missing`))
        const flipped = Buffer.from(bytes)
        flipped[300]! ^= 1
        yield* place.put(segment, flipped)
        assert.match((yield* archivedFailure(read)).detail, new RegExp(`${segment}, bytes .* the body is damaged`))
        const report = yield* archive.verify()
        assert.deepStrictEqual([report.isSound, report.faults.map(({ fault }) => fault._tag)], [
          false,
          ["BackupCorrupt", "BackupCorrupt"]
        ])
        const failed = yield* Effect.flip(archive.bringBack())
        assert.strictEqual(failed._tag, "BackupCorrupt")
        assert.deepStrictEqual(taken, [])
        yield* replaceFile(place, segment, bytes)
        yield* read
        assert.strictEqual(taken.length, 62)
      })
    )

    test(
      "a backup that differs from the store in one byte takes nothing away",
      Effect.gen(function*() {
        const place = yield* makePlace
        const { archive, store } = yield* openPlanted(kind, place)
        const { incarnation } = yield* store.store.head
        const forged = ROWS.map((row) => row.position === 23 ? { ...row, data: `${row.data} ` } : row)
        yield* atPlace(
          place,
          Effect.scoped(Effect.gen(function*() {
            const writer = yield* BackupWriter.make({ incarnation })
            yield* writer.write("events", forged)
            yield* writer.finish
          }))
        )
        const failure = yield* Effect.flip(archive.move({ before: MARCH }))
        assert.deepInclude(failure as object, { _tag: "CopyDiffers", position: 23, detail: "the data" })
        // the month before it is sound, and was moved
        assert.deepStrictEqual((yield* archive.status).entries.map(({ month }) => month), ["2026-01"])
        assert.strictEqual((yield* storedRows(store, 60))[22]?.data, ROWS[22]?.data)
      })
    )

    test(
      "what is archived grows, holds its backups, and comes back byte by byte",
      Effect.gen(function*() {
        const place = yield* makePlace
        const encryption = encryptionKey()
        const { signing, trusted } = signingKeys()
        const keys = { encryption: [encryption], trusted }
        const { archive, backups, store } = yield* openPlanted(kind, place, keys)
        const before = yield* readEverything(store)
        const first = yield* archive.move({ before: monthBegins(2), encryption, signing, keys })
        assert.strictEqual(typeof first.created, "string")
        assert.deepStrictEqual((yield* archive.move({ before: monthBegins(2), keys })).entries, [])
        const [entry] = first.entries
        const keyless = yield* archiveOf(place)
        assert.match(
          (yield* Effect.flip(keyless.read(entry!, [{ position: 1, id: ROWS[0]!.id }]))).detail,
          /is encrypted with the key key-1, which was not given/
        )
        assert.strictEqual((yield* archive.verify()).faults[0]?.fault._tag, "BackupKeyMissing")
        yield* archive.bringBack({ keys, release: true })

        yield* archive.move({ before: monthBegins(2), keys })
        const { entries } = yield* archive.move({ olderThan: "1 day", keys })
        assert.deepStrictEqual(entries.map(({ after, month, until }) => [month, after, until]), [
          ["2026-02", 20, 40],
          ["2026-03", 40, 60]
        ])
        assert.strictEqual((yield* archive.status).until, 60)
        assert.deepStrictEqual(yield* store.admin.verifyLog, [])
        assert.deepStrictEqual(yield* archive.verify({ keys }), { isSound: true, events: 60, faults: [] })

        yield* store.store.append(late)
        yield* backups.create({ kind: "full" })
        const policy = { keepLast: 1 }
        const pruned = yield* backups.prune(policy, { keys: { encryption: keys.encryption } })
        assert.deepStrictEqual(pruned.plan.keep.map(({ because }) => because), [["last"], ["archive"]])
        const refused = yield* Effect.flip(atPlace(place, BackupCatalog.remove(first.created!)))
        assert.deepInclude(refused as object, {
          _tag: "BackupArchived",
          id: first.created,
          file: `archive-${first.created}.json`
        })

        assert.deepStrictEqual((yield* archive.bringBack({ from: "2026-02", keys })).months, ["2026-03", "2026-02"])
        assert.strictEqual((yield* archive.status).until, 20)
        assert.deepStrictEqual(yield* store.admin.verifyLog, [])
        const back = yield* archive.bringBack({ keys, release: true })
        assert.deepInclude(back as object, { months: ["2026-01"], events: 20, released: [first.created] })
        assert.deepStrictEqual(yield* storedRows(store, 60), [...ROWS])
        assert.deepStrictEqual((yield* readEverything(store)).all.slice(0, 62), [...before.all])
        assert.deepStrictEqual((yield* backups.prune(policy)).removed, [first.created!])
      })
    )

    test(
      "appenders, readers and followers notice nothing while months are moved and brought back",
      Effect.gen(function*() {
        const place = yield* makePlace
        const { archive, store: { admin, store } } = yield* openPlanted(kind, place)
        const expected = yield* Stream.runCollect(store.readAll({ until: 60 as never }))
        const rounds = { appended: 0, read: 0 }
        const append = Effect.suspend(() => {
          rounds.appended++
          return store.append({ ...late, streamId: `late-${rounds.appended % 3}` })
        })
        const read = Effect.flatMap(
          Stream.runCollect(store.readAll({ until: 60 as never })),
          (events) =>
            Effect.sync(() => {
              rounds.read++
              assert.deepStrictEqual(events, expected)
            })
        )
        const streams = Effect.forEach(["order-1", "order-4"], (id) => Stream.runDrain(store.readStream(id)))
        const others = yield* Effect.forkChild(
          Effect.all(
            [append, read, streams].map((each) => Effect.forever(Effect.andThen(each, Effect.yieldNow))),
            {
              concurrency: "unbounded"
            }
          )
        )
        for (let round = 0; round < 2; round++) {
          yield* archive.move({ before: APRIL })
          const { appended, read } = rounds
          yield* waitFor(
            Effect.sync(() => ({ ...rounds, ended: others.pollUnsafe() })),
            (now) => now.ended !== undefined || (now.appended > appended + 1 && now.read > read),
            { deadlineMs: 50_000 }
          )
          yield* archive.bringBack()
        }
        assert.isUndefined(others.pollUnsafe(), String(others.pollUnsafe()))
        yield* Fiber.interrupt(others)
        assert.deepStrictEqual(yield* admin.verifyLog, [])
      })
    )

    test(
      "an inline projection that has missed archived events refuses appends until it is caught up",
      Effect.gen(function*() {
        const place = yield* makePlace
        const { archive, store } = yield* openPlanted(kind, place)
        const projection = seen("inline")
        const context = store.context as unknown as Context.Context<CheckpointStore | EventStore | InlineAppender>
        const inline = Context.get(
          yield* Layer.build(
            InlineProjections.layer([projection]).pipe(Layer.provide(Layer.succeedContext(context)))
          ),
          EventStore
        )
        const shipped = {
          streamId: "order-0",
          expected: "any" as const,
          events: [{ type: "OrderShipped", data: null }]
        }
        // by one who does not know the projection
        yield* store.store.append(shipped)
        yield* inline.append(shipped)
        yield* ProjectionControl.reset(projection).pipe(Effect.provideContext(context))
        yield* archive.move({ before: APRIL })
        const { reason } = (yield* Effect.flip(inline.append(shipped))) as StorageError
        assert.strictEqual(reason._tag, "InlineBehind")
        assert.match(reason.detail, /events that it has missed are archived; run ProjectionRunner.runOnce first/)
        const { count } = yield* ProjectionRunner.runOnce(projection).pipe(Effect.provideContext(context))
        yield* inline.append(shipped)
        assert.strictEqual(count, 22)
        const state = Option.getOrThrow(yield* ProjectionState.get(projection).pipe(Effect.provideContext(context)))
        assert.deepStrictEqual(state.length, 23)
      })
    )

    test(
      "one archives at a time, and never the month that is not over",
      Effect.gen(function*() {
        const place = yield* makePlace
        const { archive, store } = yield* openPlanted(kind, place)
        yield* Effect.scoped(Effect.gen(function*() {
          yield* store.archive.open
          assert.strictEqual((yield* Effect.flip(archive.move({ before: MARCH })))._tag, "ArchiveBusy")
          assert.strictEqual((yield* Effect.flip(archive.bringBack()))._tag, "ArchiveBusy")
        }))
        const now = yield* DateTime.now
        const { months } = yield* archive.plan({ before: DateTime.add(now, { years: 1 }) })
        assert.deepStrictEqual(months.map(({ month }) => month), ["2026-01", "2026-02", "2026-03"])
        for (const options of [{}, { before: MARCH, olderThan: "1 day" as const }, { olderThan: -1 }]) {
          assert.strictEqual((yield* Effect.flip(archive.plan(options)))._tag, "InvalidInput")
        }
        assert.strictEqual((yield* Effect.flip(archive.bringBack({ from: "2026-13" })))._tag, "InvalidInput")
        assert.isTrue(Option.isNone(yield* place.stat("archive-x.json")))
      })
    )
  })
}

const atPlaceStream = <A, E>(place: BackupStorage["Service"], stream: Stream.Stream<A, E, BackupStorage>) =>
  Stream.provideService(stream, BackupStorage, place)
