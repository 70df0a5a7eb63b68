/**
 * Reading single events from backups: proved, kept for a while, and nothing else.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { type BackupManifest, type BackupStorage, BackupStorageError } from "../../src/backup/index.ts"
import type { Archived, Unavailable } from "../../src/store/EventStoreError.ts"
import type { ArchiveEntry } from "../../src/store/LogArchive.ts"
import { archiveOf, type Place } from "./archives.ts"
import { at, encryptionKey, eventRows, idOf, makePlace, writeBackup } from "./fixtures.ts"

const EVENTS = 1_200

/** Two backups: 900 events in several segments, and what follows. */
const writeChain = Effect.fnUntraced(function*(place: Place, options: Parameters<typeof writeBackup>[0] = {}) {
  const full = yield* at(place, writeBackup({ to: 900, segmentBytes: 65_536, ...options }))
  const next = yield* at(place, writeBackup({ from: 901, to: EVENTS, parent: full, segmentBytes: 65_536, ...options }))
  return { full, next, entry: entryOf(next) }
})

const entryOf = ({ chain, id, total, until }: BackupManifest): ArchiveEntry => ({
  month: "2026-01",
  after: 0,
  until,
  backupId: id,
  chain,
  events: total,
  bytesFreed: 0,
  archivedAt: 0
})

const wanted = (positions: ReadonlyArray<number>) => positions.map((position) => ({ position, id: idOf(position) }))

const EXPECTED = new Map(eventRows(1, EVENTS).map(({ data, metadata, position }) => [position, { data, metadata }]))

/** A place that counts the segments that are read. */
const counted = (place: Place) => {
  const reads: Array<string> = []
  const storage: BackupStorage["Service"] = {
    ...place,
    get: (name, range) => {
      if (name.endsWith(".esb")) reads.push(name)
      return place.get(name, range)
    }
  }
  return { reads, storage }
}

describe("BackupArchive", () => {
  it.effect("reads events of a chain wherever they stand, in the order in which they are asked for", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* makePlace
      const encryption = encryptionKey()
      const { entry } = yield* writeChain(place, { encryption })
      const archive = yield* archiveOf(place, { keys: { encryption: [encryption] } })
      const orders = [[1], [EVENTS], [900, 901], [5, 1_000, 6, 999, 5], Array.from({ length: EVENTS }, (_, n) => n + 1)]
      for (const positions of orders) {
        assert.deepStrictEqual(
          yield* archive.read(entry, wanted(positions)),
          positions.map((position) => EXPECTED.get(position)!)
        )
      }
      assert.deepStrictEqual(yield* archive.read(entry, []), [])
    })))

  it.effect("a segment is inflated once for all pages of it, also when they are asked for at a time", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* makePlace
      const { entry, full, next } = yield* writeChain(place)
      const segments = [full, next].flatMap((manifest) => manifest.segments).filter(({ kind }) => kind === "events")
      assert.isAtLeast(segments.length, 4)
      const { reads, storage } = counted(place)
      const archive = yield* archiveOf(storage)
      const pages = Array.from(
        { length: EVENTS / 20 },
        (_, page) => wanted(Array.from({ length: 20 }, (_, index) => page * 20 + index + 1))
      )
      yield* Effect.forEach(pages, (page) => archive.read(entry, page), { concurrency: 8, discard: true })
      assert.strictEqual(reads.length, segments.length)
      assert.strictEqual(new Set(reads).size, segments.length)
    })))

  it.effect("keeps no more than it may", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* makePlace
      const { entry } = yield* writeChain(place)
      const { reads, storage } = counted(place)
      const archive = yield* archiveOf(storage, { cacheBytes: 1 })
      for (let round = 0; round < 3; round++) yield* archive.read(entry, wanted([1, 2, 3]))
      assert.strictEqual(reads.length, 3)
    })))

  it.effect("another event, another backup and a place that is away are told apart", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* makePlace
      const { entry, full } = yield* writeChain(place)
      const failure = (from: ArchiveEntry, events: ReadonlyArray<{ position: number; id: string }>, at = place) =>
        Effect.flatMap(archiveOf(at), (archive) => Effect.flip(archive.read(from, events))) as Effect.Effect<
          Archived | Unavailable
        >
      const other = yield* failure(entry, [...wanted([3]), { position: 4, id: idOf(5) }])
      assert.deepInclude(other as object, { _tag: "Archived", position: 4, backupId: entry.backupId, until: EVENTS })
      assert.match(
        other.detail,
        new RegExp(`${full.id}.000000000001.esb: the event is ${idOf(4)} there, and ${idOf(5)}`)
      )
      assert.match(
        (yield* failure({ ...entry, chain: "0".repeat(64) }, wanted([1]))).detail,
        /its chain of hashes ends with .*, that of the archived backup with 0{64}/
      )
      assert.match(
        (yield* failure({ ...entry, backupId: "20260101T000000Z-0000000000000000" }, wanted([1]))).detail,
        /There is no backup 20260101T000000Z/
      )
      assert.match(
        (yield* failure(entry, wanted([EVENTS + 1]))).detail,
        /manifest.json: no segment of the chain has the event \(events from position 1201 on\)/
      )
      const away = yield* failure(entry, wanted([1]), {
        ...place,
        get: (name) =>
          Stream.fail(
            new BackupStorageError({
              operation: "get",
              location: "elsewhere",
              name,
              reason: "Unavailable",
              detail: "no answer"
            })
          )
      })
      assert.deepInclude(away as object, { _tag: "Unavailable", isRetryable: true })
    })))
})
