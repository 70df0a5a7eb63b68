/**
 * Backups of whole stores as tests: one text for all storages.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Fiber, Layer, Option, type Scope, Stream } from "effect"
import {
  BackupCatalog,
  BackupService,
  BackupStorage,
  BackupVerification,
  type TransferProgress
} from "../../src/backup/index.ts"
import { layerMemory } from "../../src/runtime/EventStoreLayer.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { LogTransfer } from "../../src/store/LogTransfer.ts"
import { allEvents, fillStore, viewOf } from "../store/transfers.ts"
import { waitFor } from "../support/waitFor.ts"
import { encryptionKey, filesOf, makePlace, placeOf, signingKeys } from "./fixtures.ts"
import type { AnyStore, StoreKind } from "./stores.ts"

type Place = BackupStorage["Service"]

/** The service of a store and a place. */
export const serviceOf = (
  store: AnyStore,
  place: Place
): Effect.Effect<BackupService["Service"], never, Scope.Scope> =>
  Effect.map(
    Layer.build(BackupService.layer.pipe(
      Layer.provide(Layer.succeed(BackupStorage, place)),
      Layer.provide(Layer.succeed(EventStore, store.store)),
      Layer.provide(Layer.succeed(LogTransfer, store.transfer))
    )),
    (context) => Context.get(context, BackupService)
  )

export const created = (
  backups: BackupService["Service"],
  options?: Parameters<BackupService["Service"]["create"]>[0]
) =>
  Effect.map(backups.create(options), (outcome) => {
    if (outcome._tag !== "Created") return assert.fail("unchanged")
    return outcome.manifest
  })

export const appendSome = (store: AnyStore["store"], count: number, streamId = "more-1") =>
  store.append({
    streamId,
    expected: "any",
    events: Array.from({ length: count }, (_, index) => ({ type: "More", data: { index } }))
  })

/** Registers the tests for one storage. */
export const suite = ({ keepsSteps, label, open }: StoreKind): void => {
  const test = (name: string, run: Effect.Effect<void, unknown, Scope.Scope>) => it.live(name, () => Effect.scoped(run))
  describe(`BackupService (${label})`, () => {
    test(
      "a full backup and what goes on from it restore the same store, whatever is compressed, encrypted and signed",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        const backups = yield* serviceOf(from, place)
        const encryption = encryptionKey()
        const { signing, trusted } = signingKeys()
        const keys = { encryption: [encryption], trusted }
        yield* fillStore(from)
        const full = yield* created(backups, { keys, encryption, signing, segmentBytes: 65_536 })
        assert.deepInclude(full as object, {
          kind: "full",
          after: 0,
          until: 60,
          incarnation: (yield* from.store.head).incarnation
        })
        assert.deepStrictEqual(
          { ...full.counts },
          { events: 60, streams: 3, snapshots: 2, checkpoints: 2, states: 3, parked: 1 }
        )
        yield* appendSome(from.store, 40)
        yield* from.store.truncateBefore("order-0", 2)
        const next = yield* created(backups, { keys, encryption, signing, compression: { codec: "gzip" } })
        assert.deepInclude(next as object, { kind: "incremental", after: 60, until: 100 })
        assert.isTrue(
          (yield* Effect.provideService(BackupVerification.verify(next.id, { keys }), BackupStorage, place)).isSound
        )

        const to = yield* open
        const restoring = yield* serviceOf(to, place)
        const plan = yield* restoring.planRestore({ keys })
        assert.deepInclude(plan as object, { id: next.id, position: 100, source: next.incarnation, goesOnAfter: 0 })
        assert.strictEqual(plan.chain.length, 2)
        const outcome = yield* restoring.restore({ keys })
        assert.deepInclude(outcome as object, { id: next.id, position: 100, written: 100 })
        assert.deepStrictEqual(yield* allEvents(to.transfer, 100), yield* allEvents(from.transfer, 100))
        assert.deepStrictEqual(
          JSON.stringify((yield* viewOf(to.transfer)).streams),
          JSON.stringify((yield* viewOf(from.transfer)).streams)
        )
        assert.deepStrictEqual(yield* to.admin.verifyLog, [])
      })
    )

    test(
      "a backup that is made while others append holds a prefix of the log",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        const backups = yield* serviceOf(from, place)
        yield* appendSome(from.store, 2_000, "first-1")
        const writer = yield* Effect.forkChild(
          Effect.forever(Effect.suspend(() => appendSome(from.store, 20)).pipe(Effect.andThen(Effect.yieldNow)))
        )
        yield* waitFor(Effect.map(from.store.head, ({ position }) => position), (position) => position > 2_100)
        const manifests = [yield* created(backups)]
        for (let index = 0; index < 3; index++) {
          const before = manifests.at(-1)!.until
          yield* waitFor(Effect.map(from.store.head, ({ position }) => position), (position) => position > before)
          manifests.push(yield* created(backups))
        }
        yield* Fiber.interrupt(writer)
        assert.isAbove(manifests[0]!.until, 2_000)
        assert.deepStrictEqual(manifests.map(({ kind }) => kind), ["full", "incremental", "incremental", "incremental"])
        const { until } = manifests.at(-1)!
        const report = yield* backups.drill({ scratch: layerMemory })
        assert.strictEqual(report.position, until)
        const to = yield* open
        yield* (yield* serviceOf(to, place)).restore()
        assert.deepStrictEqual(yield* allEvents(to.transfer, until), yield* allEvents(from.transfer, until))
      })
    )

    test(
      "without new events nothing is written, and it says so",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        const backups = yield* serviceOf(from, place)
        yield* appendSome(from.store, 3)
        const manifest = yield* created(backups)
        const files = (yield* filesOf(place)).size
        const again = yield* backups.create()
        assert.strictEqual(again._tag, "Unchanged")
        assert.strictEqual((yield* filesOf(place)).size, files)
        const full = yield* created(backups, { kind: "full" })
        assert.notStrictEqual(full.id, manifest.id)
      })
    )

    test(
      "what changed beside the events is backed up without new events",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        const backups = yield* serviceOf(from, place)
        const encryption = encryptionKey()
        yield* fillStore(from)
        yield* created(backups, { encryption })
        yield* from.store.truncateBefore("order-0", 2)
        const next = yield* created(backups, { encryption })
        assert.deepInclude(next as object, { kind: "incremental", after: 60, until: 60 })
        assert.strictEqual((yield* backups.create({ encryption }))._tag, "Unchanged")
        // the first row that no backup has
        yield* from.store.setStreamMetadata("order-4", { owner: "x" })
        const last = yield* created(backups, { encryption })
        const to = yield* open
        const outcome = yield* (yield* serviceOf(to, place)).restore({ keys: { encryption: [encryption] } })
        assert.deepInclude(outcome as object, { id: last.id, position: 60 })
        assert.strictEqual(
          JSON.stringify((yield* viewOf(to.transfer)).streams),
          JSON.stringify((yield* viewOf(from.transfer)).streams)
        )
      })
    )

    test(
      "a backup goes on from those of its own history only",
      Effect.gen(function*() {
        const place = yield* makePlace
        const first = yield* open
        yield* appendSome(first.store, 3)
        const backups = yield* serviceOf(first, place)
        assert.strictEqual((yield* Effect.flip(backups.create({ kind: "incremental" })))._tag, "BackupNotFound")
        const manifest = yield* created(backups)
        const second = yield* open
        const others = yield* serviceOf(second, place)
        yield* others.restore()
        yield* appendSome(second.store, 1)
        const differs = yield* Effect.flip(others.create({ kind: "incremental" }))
        assert.deepInclude(differs as object, {
          _tag: "BackupHistoryDiffers",
          id: manifest.id,
          expected: manifest.incarnation,
          actual: (yield* second.store.head).incarnation,
          restoredUntil: 3
        })
        const third = yield* open
        yield* appendSome(third.store, 1)
        const stranger = yield* Effect.flip((yield* serviceOf(third, place)).create({ kind: "incremental" }))
        assert.deepInclude(stranger as object, { _tag: "BackupHistoryDiffers", id: manifest.id })
        assert.notProperty(stranger, "restoredUntil")
        const own = yield* created(others)
        assert.strictEqual(own.kind, "full")
        yield* appendSome(first.store, 1)
        assert.deepInclude(
          (yield* created(backups)).parent as object,
          { id: manifest.id }
        )
      })
    )

    test(
      "a point in time or in the log restores exactly the events up to it",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        const backups = yield* serviceOf(from, place)
        yield* fillStore(from)
        yield* created(backups)
        yield* appendSome(from.store, 10)
        yield* from.store.tombstone("order-1")
        yield* created(backups)
        const rows = yield* allEvents(from.transfer, 70)

        const at = yield* open
        const outcome = yield* (yield* serviceOf(at, place)).restore({ to: { position: 33 } })
        assert.strictEqual(outcome.position, 33)
        assert.deepStrictEqual(yield* allEvents(at.transfer, 70), rows.slice(0, 33))
        // tombstoned after the first backup, which reaches the point
        const stream = Option.getOrThrow(yield* at.store.describeStream("order-1"))
        assert.isFalse(stream.isTombstoned)

        const then = yield* open
        const time = DateTime.makeUnsafe(Math.floor(rows[44]!.recordedAt / 1_000))
        const last = rows.findLast(({ recordedAt }) => Math.floor(recordedAt / 1_000) <= time.epochMilliseconds)!
        const timed = yield* (yield* serviceOf(then, place)).restore({ to: { time } })
        assert.strictEqual(timed.position, last.position)
        assert.deepStrictEqual(yield* allEvents(then.transfer, 70), rows.slice(0, last.position))
      })
    )

    test(
      "a point that the backup does not hold is refused, and the store stays empty",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        const to = yield* open
        const backups = yield* serviceOf(from, place)
        const restoring = yield* serviceOf(to, place)
        assert.strictEqual((yield* Effect.flip(restoring.restore()))._tag, "BackupNotFound")
        yield* created(backups, { kind: "full" })
        const none = yield* Effect.flip(restoring.restore({ to: { time: DateTime.makeUnsafe(0) } }))
        assert.deepInclude(none as object, { _tag: "RestorePointInvalid", first: "none", last: "none" })
        yield* appendSome(from.store, 5)
        const { id } = yield* created(backups)
        const [first, last] = [(yield* allEvents(from.transfer, 5))[0]!, (yield* allEvents(from.transfer, 5))[4]!]
        const points = [
          { time: DateTime.makeUnsafe(Math.floor(first.recordedAt / 1_000) - 1) },
          { time: DateTime.makeUnsafe(Math.floor(last.recordedAt / 1_000) + 1) },
          { position: 0 },
          { position: 6 },
          { position: 1.5 }
        ]
        for (const to of points) {
          const refused = yield* Effect.flip(restoring.restore({ to }))
          assert.deepInclude(refused as object, { _tag: "RestorePointInvalid", id })
          assert.strictEqual((yield* Effect.flip(restoring.planRestore({ to })))._tag, "RestorePointInvalid")
        }
        const at = (row: { readonly recordedAt: number }) => ({
          time: DateTime.makeUnsafe(Math.floor(row.recordedAt / 1_000))
        })
        assert.strictEqual((yield* restoring.planRestore({ to: at(last) })).position, 5)
        assert.isAtLeast((yield* restoring.planRestore({ to: at(first) })).position, 1)
        assert.strictEqual((yield* to.store.head).position, 0)
      })
    )

    test(
      "a store that has events is not restored into",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        const backups = yield* serviceOf(from, place)
        yield* appendSome(from.store, 3)
        yield* created(backups)
        assert.isFalse((yield* backups.planRestore()).target.isEmpty)
        assert.strictEqual((yield* Effect.flip(backups.restore()))._tag, "RestoreTargetNotEmpty")
        assert.strictEqual((yield* from.store.head).position, 3)
      })
    )

    test(
      "a damaged backup restores nothing: the error names the file, and the store is empty and usable",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        yield* appendSome(from.store, 2_000)
        const { segments } = yield* created(yield* serviceOf(from, place), {
          segmentBytes: 65_536,
          compression: { codec: "none" }
        })
        assert.isAbove(segments.length, 1)
        const files = yield* filesOf(place)
        const [name, bytes] = [...files].findLast(([file]) => file.endsWith(".esb"))!
        const flipped = Buffer.from(bytes)
        flipped[300]! ^= 1
        const damaged = yield* placeOf(
          [...files.entries()].map(([file, content]) => [file, file === name ? flipped : content] as const)
        )
        const to = yield* open
        const failure = yield* Effect.flip((yield* serviceOf(to, damaged)).restore())
        assert.deepInclude(failure as object, { _tag: "BackupCorrupt", file: name })
        assert.deepInclude((yield* to.transfer.describe) as object, { isEmpty: true, restoring: undefined })
        assert.strictEqual((yield* appendSome(to.store, 1)).position, 1)
      })
    )

    test(
      "a restore that was interrupted is gone on with",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        yield* appendSome(from.store, 9_000)
        yield* created(yield* serviceOf(from, place), { segmentBytes: 65_536 })
        const to = yield* open
        const restoring = yield* serviceOf(to, place)
        const seen: Array<TransferProgress> = []
        yield* Effect.flip(Effect.timeoutOrElse(
          restoring.restore({
            onProgress: (progress) => {
              seen.push(progress)
              if (progress.events > 4_000) throw new Error("pulled the plug")
            }
          }).pipe(Effect.catchDefect((defect) => Effect.fail(defect))),
          { duration: "1 minute", orElse: () => Effect.void }
        ))
        assert.isAbove(seen.at(-1)!.events, 4_000)
        const { goesOnAfter } = yield* restoring.planRestore()
        assert.strictEqual(goesOnAfter > 0, keepsSteps)
        const outcome = yield* restoring.restore()
        assert.strictEqual(outcome.written, 9_000 - goesOnAfter)
        assert.deepStrictEqual(yield* allEvents(to.transfer, 9_000), yield* allEvents(from.transfer, 9_000))
      })
    )

    test(
      "a drill restores into a scratch store, compares every event, and runs a probe",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        yield* fillStore(from)
        const backups = yield* serviceOf(from, place)
        yield* created(backups)
        const phases = new Set<string>()
        const report = yield* backups.drill({
          scratch: layerMemory,
          probe: EventStore.use((store) => Stream.runCount(store.readAll())),
          onProgress: ({ phase }) => void phases.add(phase)
        })
        assert.deepInclude(report as object, { position: 60, probe: 60, written: 60 })
        assert.deepStrictEqual([...phases], ["events", "rest", "verify"])
        const failed = yield* Effect.flip(backups.drill({ scratch: layerMemory, probe: Effect.fail("no" as const) }))
        assert.strictEqual(failed, "no")
      })
    )

    test(
      "pruning keeps what the policy says, and what that goes on from",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        const backups = yield* serviceOf(from, place)
        const made = []
        for (let index = 0; index < 4; index++) {
          yield* appendSome(from.store, 1)
          made.push(yield* created(backups, { kind: index === 2 ? "full" : "auto" }))
        }
        const dry = yield* backups.prune({ keepLast: 1 }, { dryRun: true })
        assert.deepStrictEqual(dry.removed, [made[1]!.id, made[0]!.id])
        assert.strictEqual((yield* Effect.provideService(BackupCatalog.list(), BackupStorage, place)).backups.length, 4)
        const pruned = yield* backups.prune({ keepLast: 1 })
        assert.deepStrictEqual(pruned.removed, dry.removed)
        const left = yield* Effect.provideService(BackupCatalog.list(), BackupStorage, place)
        assert.deepStrictEqual(left.backups.map(({ id }) => id), [made[2]!.id, made[3]!.id])
        assert.strictEqual((yield* Effect.flip(backups.prune({})))._tag, "InvalidInput")
      })
    )
  })
}
