/**
 * The contract of `SnapshotStore` as tests: one text for all storages.
 *
 * **Details**
 *
 * The tests of a suite share one store. Each makes streams and kinds of its own;
 * none expects an empty store.
 */
import { assert, it } from "@effect/vitest"
import { DateTime, Effect, type Layer, Option } from "effect"
import type { Revision } from "../../src/event/Revision.ts"
import type { StreamId } from "../../src/event/StreamId.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import {
  type ListSnapshotsOptions,
  SNAPSHOT_BYTES_MAX,
  type SnapshotDescription,
  SnapshotStore,
  type StoredSnapshot
} from "../../src/store/SnapshotStore.ts"
import { append, assertInvalid, indexes, proposedMany, someName, someStream } from "./fixtures.ts"

/** Fingerprints that all tests share. */
export const FINGERPRINT = "a1".repeat(32)
const OTHER_FINGERPRINT = "b2".repeat(32)

const allBytes = Uint8Array.from({ length: 256 }, (_, index) => index)

/** A snapshot as a codec would make it; what the bytes say is nobody's business here. */
export const stored = (
  streamId: string,
  revision: number,
  rest: Partial<Omit<StoredSnapshot, "firstRevision">> & { readonly firstRevision?: number } = {}
): StoredSnapshot => ({
  streamId: streamId as StreamId,
  kind: "thing",
  fingerprint: FINGERPRINT,
  revision: revision as Revision,
  serialization: "json",
  compression: "none",
  bytes: allBytes,
  plainBytes: 256,
  digest: new Uint8Array(32).fill(7),
  takenAt: DateTime.makeUnsafe(1_700_000_000_123),
  loadMillis: 1.5,
  ...rest,
  firstRevision: (rest.firstRevision ?? 0) as Revision
})

/** Buffers and views compare by their bytes. */
const plain = (snapshot: StoredSnapshot) => ({
  ...snapshot,
  bytes: Array.from(snapshot.bytes),
  digest: Array.from(snapshot.digest),
  takenAt: snapshot.takenAt.epochMilliseconds
})

const assertLoaded = (found: Option.Option<StoredSnapshot>, expected: StoredSnapshot): void =>
  assert.deepStrictEqual(Option.map(found, plain), Option.some(plain(expected)))

const load = (streamId: string, rest: { readonly kind?: string; fingerprint?: string; atMost?: number } = {}) =>
  SnapshotStore.use((store) => store.load({ streamId, kind: "thing", fingerprint: FINGERPRINT, ...rest }))

const revisionOf = (found: Option.Option<StoredSnapshot>): number | undefined => Option.getOrUndefined(found)?.revision

const saveAll = (...snapshots: ReadonlyArray<StoredSnapshot>) =>
  SnapshotStore.use((store) => Effect.forEach(snapshots, store.save, { discard: true }))

/** A stream with this many events. */
const streamOf = (events: number) =>
  Effect.gen(function*() {
    const streamId = someStream()
    yield* append(streamId, "noStream", proposedMany(events))
    return streamId
  })

/** Follows the cursors to the last page. */
const listAll = (options: ListSnapshotsOptions) =>
  Effect.gen(function*() {
    const store = yield* SnapshotStore
    const snapshots: Array<SnapshotDescription> = []
    let cursor: string | undefined
    do {
      const page = yield* store.list({ ...options, cursor })
      assert.isAtMost(page.snapshots.length, options.limit ?? 100)
      snapshots.push(...page.snapshots)
      cursor = page.next
    } while (cursor !== undefined)
    return snapshots
  })

/** Registers the contract for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<SnapshotStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`SnapshotStore (${storage})`, (it) => {
    it.effect("what was saved is loaded again, bit by bit", () =>
      Effect.gen(function*() {
        const streamId = yield* streamOf(3)
        assert.deepStrictEqual(yield* load(streamId), Option.none())
        const snapshots = [
          stored(streamId, 0, {
            bytes: new Uint8Array(0),
            plainBytes: 0,
            loadMillis: 0,
            takenAt: DateTime.makeUnsafe(0)
          }),
          stored(streamId, 1, { serialization: "binary", compression: "gzip", loadMillis: 0.1 + 0.2 }),
          stored(streamId, 2, {
            compression: "zstd",
            bytes: Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7) % 251),
            plainBytes: 2_147_483_647,
            digest: allBytes.slice(200, 232)
          })
        ]
        for (const snapshot of snapshots) {
          yield* saveAll(snapshot)
          assertLoaded(yield* load(streamId), snapshot)
        }
      }))

    it.effect("load returns the newest snapshot, or the newest that is not after a revision", () =>
      Effect.gen(function*() {
        const streamId = yield* streamOf(10)
        yield* saveAll(stored(streamId, 5), stored(streamId, 9), stored(streamId, 2))
        assert.strictEqual(revisionOf(yield* load(streamId)), 9)
        assert.strictEqual(revisionOf(yield* load(streamId, { atMost: 9 })), 9)
        assert.strictEqual(revisionOf(yield* load(streamId, { atMost: 8 })), 5)
        assert.strictEqual(revisionOf(yield* load(streamId, { atMost: 1 })), undefined)
      }))

    it.effect("programs of two versions keep their snapshots side by side, and so do two kinds", () =>
      Effect.gen(function*() {
        const streamId = yield* streamOf(10)
        const newer = stored(streamId, 8, { fingerprint: OTHER_FINGERPRINT, bytes: allBytes.slice(1) })
        const older = stored(streamId, 3)
        const other = stored(streamId, 3, { kind: "other", bytes: allBytes.slice(2) })
        yield* saveAll(newer, older, other, stored(streamId, 9, { kind: "third" }))
        assertLoaded(yield* load(streamId), older)
        assertLoaded(yield* load(streamId, { fingerprint: OTHER_FINGERPRINT }), newer)
        assertLoaded(yield* load(streamId, { kind: "other" }), other)
        assert.deepStrictEqual(yield* load(yield* streamOf(10)), Option.none())
      }))

    it.effect("saving the same revision again replaces what was there", () =>
      Effect.gen(function*() {
        const store = yield* SnapshotStore
        const streamId = yield* streamOf(5)
        yield* saveAll(stored(streamId, 4, { firstRevision: 1, compression: "gzip", serialization: "binary" }))
        const again = stored(streamId, 4, {
          bytes: allBytes.slice(9),
          plainBytes: 9,
          digest: allBytes.slice(0, 32),
          takenAt: DateTime.makeUnsafe(1_800_000_000_000),
          loadMillis: 9
        })
        yield* saveAll(again)
        assertLoaded(yield* load(streamId), again)
        assert.strictEqual((yield* store.list({ streamId })).snapshots.length, 1)
      }))

    it.effect("snapshots saved at the same time are all kept whole", () =>
      Effect.gen(function*() {
        const streamId = yield* streamOf(20)
        const snapshots = indexes(40).map((index) =>
          stored(streamId, index % 20, { bytes: new Uint8Array(5_000).fill(index % 20) })
        )
        yield* SnapshotStore.use((store) =>
          Effect.forEach(snapshots, store.save, { concurrency: "unbounded", discard: true })
        )
        for (const revision of indexes(20)) {
          assertLoaded(yield* load(streamId, { atMost: revision }), snapshots[revision]!)
        }
      }))

    it.effect("load never returns a snapshot that the log contradicts", () =>
      Effect.gen(function*() {
        const log = yield* EventStore
        const absent = someStream()
        const [short, truncated, ended] = [yield* streamOf(3), yield* streamOf(10), yield* streamOf(3)]
        yield* saveAll(stored(absent, 0), stored(short, 3), stored(truncated, 5), stored(ended, 2))
        assert.deepStrictEqual(yield* load(absent), Option.none())
        assert.deepStrictEqual(yield* load(short), Option.none())
        yield* saveAll(stored(short, 2))
        assert.strictEqual(revisionOf(yield* load(short)), 2)

        assert.strictEqual(revisionOf(yield* load(truncated)), 5)
        yield* log.truncateBefore(truncated, 4)
        assert.deepStrictEqual(yield* load(truncated), Option.none())
        yield* saveAll(stored(truncated, 8, { firstRevision: 3 }), stored(truncated, 7, { firstRevision: 4 }))
        assert.strictEqual(revisionOf(yield* load(truncated)), 7)

        assert.strictEqual(revisionOf(yield* load(ended)), 2)
        yield* log.tombstone(ended)
        assert.deepStrictEqual(yield* load(ended), Option.none())
      }))

    it.effect("list shows every snapshot without its bytes, in order, page by page", () =>
      Effect.gen(function*() {
        const kind = someName("kind")
        const streams = ["b", "a", "é", "\uffee", "🦊"].map((name) => `${name}-${kind}`)
        const snapshots = streams.flatMap((streamId) => [
          stored(streamId, 10, { kind }),
          stored(streamId, 9, { kind, compression: "gzip", bytes: allBytes.slice(6) }),
          stored(streamId, 3, { kind, fingerprint: OTHER_FINGERPRINT })
        ])
        yield* saveAll(...snapshots)
        const { bytes, digest: _, ...header } = plain(snapshots[1]!)
        const expected = streams.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
          .flatMap((streamId) => [[streamId, "a", 9], [streamId, "a", 10], [streamId, "b", 3]])
        for (const limit of [1, 4, 14, 15, 16, undefined]) {
          const found = yield* listAll({ kind, limit })
          assert.deepStrictEqual(
            found.map(({ fingerprint, revision, streamId }) => [streamId, fingerprint[0], revision as number]),
            expected
          )
          assert.deepStrictEqual(
            found.filter(({ revision, streamId }) => streamId === streams[0] && revision === 9)
              .map((found) => ({ ...found, takenAt: found.takenAt.epochMilliseconds })),
            [{ ...header, storedBytes: bytes.length }] as never
          )
        }
        assert.strictEqual((yield* listAll({ kind, streamId: streams[2] })).length, 3)
        assert.strictEqual((yield* listAll({ kind, fingerprint: OTHER_FINGERPRINT, limit: 2 })).length, 5)
        const store = yield* SnapshotStore
        const { next } = yield* store.list({ kind, limit: 2 })
        yield* assertInvalid(store.list({ streamId: streams[0], cursor: next }), "InvalidCursor", "cursor")
      }))

    it.effect("prune keeps the newest of each stream, kind and fingerprint", () =>
      Effect.gen(function*() {
        const store = yield* SnapshotStore
        const [streamId, other] = [yield* streamOf(10), yield* streamOf(10)]
        const kind = someName("kind")
        const series = (streamId: string, rest: Partial<StoredSnapshot>) =>
          [1, 4, 6, 9].map((revision) => stored(streamId, revision, rest))
        yield* saveAll(
          ...series(streamId, { kind }),
          ...series(streamId, { kind, fingerprint: OTHER_FINGERPRINT }),
          ...series(other, { kind })
        )
        assert.strictEqual(yield* store.prune({ kind }), 0)
        assert.strictEqual(yield* store.prune({ kind, streamId, fingerprint: FINGERPRINT, keepLast: 2 }), 2)
        assert.deepStrictEqual(
          (yield* listAll({ kind, streamId, fingerprint: FINGERPRINT })).map(({ revision }) => revision as number),
          [6, 9]
        )
        assert.strictEqual((yield* listAll({ kind })).length, 10)
        assert.strictEqual(yield* store.prune({ kind, keepLast: 1 }), 7)
        assert.deepStrictEqual((yield* listAll({ kind })).map(({ revision }) => revision as number), [9, 9, 9])
        assert.strictEqual(yield* store.prune({ kind, keepLast: 1 }), 0)
      }))

    it.effect("prune removes what is too old, and what load never returns", () =>
      Effect.gen(function*() {
        const store = yield* SnapshotStore
        const log = yield* EventStore
        const kind = someName("kind")
        const at = (millis: number) => ({ kind, takenAt: DateTime.makeUnsafe(1_700_000_000_000 + millis) })
        const [kept, ended, truncated] = [yield* streamOf(9), yield* streamOf(9), yield* streamOf(9)]
        yield* log.tombstone(ended)
        yield* log.truncateBefore(truncated, 3)
        yield* saveAll(
          stored(kept, 1, at(0)),
          stored(kept, 2, at(1_000)),
          stored(kept, 3, at(999)),
          stored(ended, 1, at(5_000)),
          stored(truncated, 4, at(5_000)),
          stored(truncated, 5, { ...at(5_000), firstRevision: 3 }),
          stored(someStream(), 1, at(5_000))
        )
        const left = Effect.map(
          listAll({ kind }),
          (found) => found.map(({ revision }) => revision as number).toSorted()
        )
        assert.strictEqual(yield* store.prune({ kind, takenBefore: at(1_000).takenAt }), 2)
        assert.deepStrictEqual(yield* left, [1, 1, 2, 4, 5])
        assert.strictEqual(yield* store.prune({ kind, unusable: true }), 3)
        assert.deepStrictEqual(yield* left, [2, 5])
        assert.strictEqual(yield* store.prune({ kind, unusable: true, keepLast: 1, takenBefore: at(2_000).takenAt }), 1)
        assert.deepStrictEqual(yield* left, [5])
      }))

    it.effect("remove removes what fits, and nothing else", () =>
      Effect.gen(function*() {
        const store = yield* SnapshotStore
        const kind = someName("kind")
        const [one, two] = [yield* streamOf(5), yield* streamOf(5)]
        yield* saveAll(
          stored(one, 1, { kind }),
          stored(one, 2, { kind }),
          stored(one, 2, { kind, fingerprint: OTHER_FINGERPRINT }),
          stored(two, 2, { kind }),
          stored(two, 2)
        )
        assert.strictEqual(yield* store.remove({ kind, streamId: one, revision: 1 }), 1)
        assert.strictEqual(yield* store.remove({ kind, fingerprint: OTHER_FINGERPRINT }), 1)
        assert.strictEqual(yield* store.remove({ kind: someName() }), 0)
        assert.strictEqual(yield* store.remove({ kind }), 2)
        assert.strictEqual(revisionOf(yield* load(two)), 2)
      }))

    it.effect("statistics count by kind and fingerprint", () =>
      Effect.gen(function*() {
        const store = yield* SnapshotStore
        const kind = someName("kind")
        const takenAt = DateTime.makeUnsafe(1_600_000_000_001)
        const before = yield* store.statistics
        yield* saveAll(
          stored("s-1", 1, { kind }),
          stored("s-1", 2, { kind, takenAt, bytes: allBytes.slice(6), plainBytes: 1_000 }),
          stored("s-2", 2, { kind }),
          stored("s-2", 2, { kind, fingerprint: OTHER_FINGERPRINT })
        )
        const after = yield* store.statistics
        assert.deepStrictEqual([after.snapshots - before.snapshots, after.storedBytes - before.storedBytes], [4, 1_018])
        const groups = after.groups.filter((group) => group.kind === kind)
        assert.deepStrictEqual(groups.map(({ newestTakenAt, oldestTakenAt, ...group }) => group), [
          { kind, fingerprint: FINGERPRINT, snapshots: 3, streams: 2, storedBytes: 762, plainBytes: 1_512 },
          { kind, fingerprint: OTHER_FINGERPRINT, snapshots: 1, streams: 1, storedBytes: 256, plainBytes: 256 }
        ])
        assert.deepStrictEqual(
          [groups[0]!.oldestTakenAt.epochMilliseconds, groups[0]!.newestTakenAt.epochMilliseconds],
          [1_600_000_000_001, 1_700_000_000_123]
        )
      }))

    it.effect("input that breaks a rule is refused before anything is sent", () =>
      Effect.gen(function*() {
        const store = yield* SnapshotStore
        const save = (change: object) => store.save({ ...stored("s-1", 1), ...change })
        const key = { streamId: "s-1", kind: "thing", fingerprint: FINGERPRINT }
        yield* assertInvalid(save({ streamId: "$s" }), "InvalidIdentifier", "streamId")
        yield* assertInvalid(save({ kind: "" }), "InvalidIdentifier", "kind")
        yield* assertInvalid(save({ kind: "é".repeat(257) }), "InvalidIdentifier", "kind")
        yield* assertInvalid(save({ fingerprint: FINGERPRINT.toUpperCase() }), "InvalidIdentifier", "fingerprint")
        yield* assertInvalid(save({ revision: -1 }), "InvalidRevision", "revision")
        yield* assertInvalid(save({ firstRevision: 2 }), "InvalidRevision", "firstRevision")
        yield* assertInvalid(save({ bytes: new Uint8Array(SNAPSHOT_BYTES_MAX + 1) }), "NumberOutOfRange", "bytes")
        yield* assertInvalid(save({ digest: new Uint8Array(31) }), "NumberOutOfRange", "digest")
        yield* assertInvalid(save({ plainBytes: -1 }), "NumberOutOfRange", "plainBytes")
        yield* assertInvalid(save({ loadMillis: Number.NaN }), "NumberOutOfRange", "loadMillis")
        yield* assertInvalid(save({ takenAt: DateTime.makeUnsafe(8e15) }), "InvalidTime", "takenAt")
        yield* assertInvalid(store.load({ ...key, streamId: "" }), "InvalidIdentifier", "streamId")
        yield* assertInvalid(store.load({ ...key, fingerprint: "x" }), "InvalidIdentifier", "fingerprint")
        yield* assertInvalid(store.load({ ...key, atMost: 0.5 }), "InvalidRevision", "atMost")
        for (const limit of [0, 10_001, 1.5]) yield* assertInvalid(store.list({ limit }), "InvalidLimit", "limit")
        yield* assertInvalid(store.list({ cursor: "?" }), "InvalidCursor", "cursor")
        yield* assertInvalid(store.prune({ keepLast: 0 }), "NumberOutOfRange", "keepLast")
        yield* assertInvalid(store.prune({ takenBefore: DateTime.makeUnsafe(-8e15) }), "InvalidTime", "takenBefore")
        yield* assertInvalid(store.remove({ revision: 2 ** 31 }), "InvalidRevision", "revision")
      }))
  })
}
