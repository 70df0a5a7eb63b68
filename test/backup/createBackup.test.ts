/**
 * What happens to the store, or to the place, while a backup is made or tried out.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer } from "effect"
import { BackupVerification, type CreateOptions, layerMemory as layerPlace } from "../../src/backup/index.ts"
import { createBackup } from "../../src/backup/internal/createBackup.ts"
import { drillBackup } from "../../src/backup/internal/drillBackup.ts"
import { layerMemory } from "../../src/runtime/index.ts"
import { LogTransfer, type LogView } from "../../src/store/LogTransfer.ts"
import { appendSome } from "./BackupServiceSuite.ts"
import { at, encryptionKey, filesOf, makePlace } from "./fixtures.ts"
import { memory } from "./stores.ts"

type Transfer = LogTransfer["Service"]

const created = (transfer: Transfer, options: CreateOptions = {}) =>
  Effect.map(createBackup(transfer, options), (outcome) => {
    if (outcome._tag !== "Created") return assert.fail("unchanged")
    return outcome.manifest
  })

/** The same store, as if it said first that it is only so long. */
const behind = (transfer: Transfer, position: number): Transfer => ({
  ...transfer,
  describe: Effect.map(transfer.describe, (state) => ({ ...state, position }))
})

const viewed = (transfer: Transfer, change: (view: LogView) => LogView): Transfer => ({
  ...transfer,
  view: Effect.map(transfer.view, change)
})

describe("the making of a backup", () => {
  it.live("takes what was appended after it began, and is never unchanged then", () =>
    Effect.gen(function*() {
      const { store, transfer } = yield* memory.open
      yield* appendSome(store, 3)
      const first = yield* created(transfer)
      yield* appendSome(store, 4)
      const second = yield* created(behind(transfer, 3))
      assert.deepInclude(second as object, { kind: "incremental", after: 3, until: 7 })
      yield* appendSome(store, 2)
      const third = yield* created(behind(transfer, 8))
      assert.deepInclude(third as object, { after: 7, until: 9 })
      const report = yield* BackupVerification.verify(third.id)
      assert.deepStrictEqual([report.isSound, report.backups], [true, [first.id, second.id, third.id]])
    }).pipe(Effect.provide(layerPlace)))

  it.live("goes on in the clear from no backup that is encrypted, whoever forgot the key", () =>
    Effect.gen(function*() {
      const { store, transfer } = yield* memory.open
      const place = yield* makePlace
      const encryption = encryptionKey(1, "shop")
      yield* appendSome(store, 3)
      yield* at(place, created(transfer, { encryption }))
      const files = yield* filesOf(place)
      for (const more of [Effect.void, appendSome(store, 1)]) {
        yield* more
        for (const kind of ["auto", "incremental"] as const) {
          const { _tag } = yield* Effect.flip(at(place, createBackup(transfer, { kind })))
          assert.deepStrictEqual([_tag, yield* filesOf(place)], ["BackupKeyMissing", files])
        }
      }
      assert.strictEqual((yield* at(place, created(transfer, { encryption }))).kind, "incremental")
      assert.strictEqual((yield* at(place, created(transfer, { kind: "full" }))).encryption, undefined)
    }))

  it.live("rests after each page for four times as long as it took while others append, and not when nobody does", () =>
    Effect.gen(function*() {
      const { store, transfer } = yield* memory.open
      yield* appendSome(store, 10)
      /** Pauses of a backup whose pages have two events and take a second. */
      const restsOf = (meanwhile: Effect.Effect<unknown, unknown>) =>
        Effect.gen(function*() {
          let now = Date.now()
          const rests: Array<number> = []
          const nanos = () => BigInt(now) * 1_000_000n
          const clock: Clock.Clock = {
            currentTimeMillisUnsafe: () => now,
            currentTimeMillis: Effect.sync(() => now),
            currentTimeNanosUnsafe: nanos,
            currentTimeNanos: Effect.sync(nanos),
            monotonicTimeNanosUnsafe: nanos,
            monotonicTimeNanos: Effect.sync(nanos),
            sleep: (duration) => Effect.sync(() => void rests.push(Duration.toMillis(duration)))
          }
          const slow: Transfer = {
            ...transfer,
            readEvents: (page) =>
              Effect.orDie(meanwhile).pipe(
                Effect.tap(Effect.sync(() => {
                  now += 1_000
                })),
                Effect.andThen(transfer.readEvents({ ...page, limit: 2 }))
              )
          }
          yield* Effect.provideService(created(slow, { kind: "full" }), Clock.Clock, clock)
          return rests.filter((millis) => millis >= 4_000)
        })
      assert.deepStrictEqual(yield* restsOf(Effect.void), [])
      assert.isAtLeast((yield* restsOf(Effect.suspend(() => appendSome(store, 1)))).length, 5)
    }).pipe(Effect.provide(layerPlace)))

  it.live("goes on from no backup whose chain is broken", () =>
    Effect.gen(function*() {
      const { store, transfer } = yield* memory.open
      const place = yield* makePlace
      yield* appendSome(store, 3)
      const first = yield* at(place, created(transfer))
      yield* appendSome(store, 1)
      yield* at(place, created(transfer))
      yield* place.remove(`${first.id}.manifest.json`)
      yield* appendSome(store, 1)
      assert.strictEqual((yield* at(place, created(transfer))).kind, "full")
      yield* appendSome(store, 1)
      assert.strictEqual((yield* at(place, created(transfer, { kind: "full" }))).kind, "full")
    }))

  it.live("stops where the store has lost events, or becomes another one, and leaves no backup", () =>
    Effect.gen(function*() {
      const { store, transfer } = yield* memory.open
      const place = yield* makePlace
      yield* appendSome(store, 3)
      const { id } = yield* at(place, created(transfer))
      const lost = yield* Effect.flip(at(place, createBackup(behind(transfer, 2), {})))
      assert.deepInclude(lost as object, { _tag: "BackupAheadOfLog", id, until: 3, head: 2 })
      yield* appendSome(store, 1)
      const other = viewed(transfer, (view) => ({ ...view, incarnation: "1b9f6e52-6a6c-4d0e-9b55-0f2c7d3c8a11" }))
      const changed = yield* Effect.flip(at(place, createBackup(other, {})))
      assert.strictEqual(changed._tag, "BackupHistoryDiffers")
      const manifests = [...(yield* filesOf(place)).keys()].filter((name) => name.endsWith(".manifest.json"))
      assert.deepStrictEqual(manifests, [`${id}.manifest.json`])
    }))
})

describe("a drill", () => {
  it.live("finds what the scratch store gives back otherwise", () =>
    Effect.gen(function*() {
      const { store, transfer } = yield* memory.open
      yield* appendSome(store, 9)
      yield* created(transfer)
      const lossy = Layer.effect(
        LogTransfer,
        Effect.map(LogTransfer, (whole) => ({
          ...whole,
          readEvents: (page) =>
            Effect.map(whole.readEvents(page), (rows) =>
              rows.map((row) => row.position === 6 ? { ...row, data: `${row.data} ` } : row))
        }))
      ).pipe(Layer.provideMerge(layerMemory))
      const failure = yield* Effect.flip(drillBackup({ scratch: lossy }))
      assert.deepInclude(failure as object, { _tag: "CopyDiffers", position: 6 })
      assert.strictEqual((yield* drillBackup({ scratch: layerMemory })).position, 9)
    }).pipe(Effect.provide(layerPlace)))
})
