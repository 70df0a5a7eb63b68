/**
 * Samples of real logs through all storages. The whole logs, which are not part of the repository, go the same ways by
 * `npm run backup-round-trips`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { readFileSync } from "node:fs"
import type { BackupStorage } from "../../src/backup/index.ts"
import type { LogTransfer } from "../../src/store/LogTransfer.ts"
import type { StoreKind } from "./anyStore.ts"
import { makePlace } from "./fixtures.ts"
import { type RoundTripOptions, roundTripsFrom } from "./roundTrips.ts"
import { memory, storeKinds } from "./stores.ts"

const linesOf = (name: string, count: number): Buffer =>
  Buffer.from(
    readFileSync(new URL(`../../examples/data/${name}-sample.ndjson`, import.meta.url), "utf8")
      .split("\n", count).map((line) => `${line}\n`).join("")
  )

const LOANS = linesOf("loan", 1_000)

const options = (rest: Partial<RoundTripOptions>): RoundTripOptions => ({
  lines: LOANS,
  kinds: storeKinds,
  // moves from and to memory are tested with StoreMove
  moves: (from, to) => from !== memory && to !== memory && from !== to,
  place: makePlace,
  ...rest
})

/** A place that gives the last segment back with one bit flipped, at this byte. */
const damagedAt = (at: number): Effect.Effect<BackupStorage["Service"]> =>
  Effect.map(makePlace, (place) => ({
    ...place,
    get: (name, range) =>
      name.endsWith(".000000000001.esb")
        ? Stream.map(place.get(name, range), (piece) => {
          const bytes = Buffer.from(piece)
          const index = at - (range?.offset ?? 0)
          if (index >= 0 && index < bytes.length) bytes[index] = (bytes[index] ?? 0) ^ 1
          return bytes
        })
        : place.get(name, range)
  }))

/** A storage that gives one event back with another blank in its data. */
const lying: StoreKind = {
  ...memory,
  label: "lying",
  open: Effect.map(memory.open, (store) => {
    const transfer: LogTransfer["Service"] = {
      ...store.transfer,
      view: Effect.map(store.transfer.view, (view) => ({
        ...view,
        readEvents: (page) =>
          Effect.map(
            view.readEvents(page),
            (rows) => rows.map((row) => row.position === 42 ? { ...row, data: row.data.replace("{", "{ ") } : row)
          )
      }))
    }
    return { ...store, transfer }
  })
}

describe("round trips", () => {
  for (const kind of storeKinds) {
    it.live(`a sample of loans goes from ${kind.label} into every storage, and nothing of it is another`, () =>
      Effect.gen(function*() {
        const { before, fileBytes, trips } = yield* roundTripsFrom(kind, options({}))
        assert.strictEqual(before.events, 1_000)
        for (const rows of ["streams", "snapshots", "checkpoints", "states"] as const) {
          assert.isAbove(before.beside[rows].count, 0, rows)
        }
        assert.isAbove(fileBytes, 0)
        assert.deepStrictEqual(
          trips.map(({ differs, events, from, to, via }) => ({ from, to, via, events, differs })),
          [
            ...storeKinds.map((to) => ({ to: to.label, via: "backup" as const })),
            ...storeKinds.filter((to) => kind !== memory && to !== memory && to !== kind).map((to) => ({
              to: to.label,
              via: "promote" as const
            }))
          ].map((way) => ({ from: kind.label, ...way, events: 1_000, differs: [] }))
        )
      }))
  }

  it.live("a sample of a web shop, with letters of several bytes, goes round through memory", () =>
    Effect.gen(function*() {
      const { trips } = yield* roundTripsFrom(memory, options({ lines: linesOf("retail", 2_000), kinds: [memory] }))
      assert.deepStrictEqual(trips.map(({ differs }) => differs), [[]])
    }))

  it.live("one bit of a backup that is another one fails all restores from it", () =>
    Effect.gen(function*() {
      const { trips } = yield* roundTripsFrom(
        memory,
        options({ kinds: [memory], moves: () => false, place: damagedAt(5_000) })
      )
      assert.strictEqual(trips.length, 1)
      assert.match(trips[0]?.differs.join("\n") ?? "", /the backup is not sound.*\n.*BackupCorrupt/s)
    }))

  it.live("one blank of an event that is another one is a difference", () =>
    Effect.gen(function*() {
      const { trips } = yield* roundTripsFrom(memory, options({ kinds: [lying], moves: () => false }))
      assert.deepStrictEqual(trips.map(({ differs }) => differs), [["the rows of events"]])
    }))
})
