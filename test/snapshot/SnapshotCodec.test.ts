import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Option, Result, Schema } from "effect"
import * as SnapshotCodec from "../../src/snapshot/SnapshotCodec.ts"
import { SNAPSHOT_BYTES_MAX } from "../../src/store/SnapshotStore.ts"
import { indexes } from "../store/fixtures.ts"
import { initial, OPTIONS, revision, streamId, Tally } from "./fixtures.ts"

const codecOf = (options: Partial<SnapshotCodec.CodecOptions<Tally>> = {}) =>
  Result.getOrThrow(SnapshotCodec.make({ ...OPTIONS, ...options }))

const someState: Tally = {
  count: 3,
  sum: 123_456_789_012_345_678_901n,
  by: new Map([["é🦊", 1.5], ["", -1]]),
  last: Option.some("\u0000 \"quoted\"\n")
}

const large: Tally = { ...someState, by: new Map(indexes(5_000).map((index) => [`k${index}`, index % 7])) }

const taken = (state: Tally) => ({
  streamId,
  state,
  revision: revision(2),
  firstRevision: revision(0),
  takenAt: DateTime.makeUnsafe(1_700_000_000_123),
  loadMillis: 0.1
})

describe("SnapshotCodec", () => {
  it.effect("every state comes back as it was, whatever the format", () =>
    Effect.gen(function*() {
      for (const compression of ["none", "gzip", "zstd", { algorithm: "zstd", level: 19, above: 0 }] as const) {
        const codec = codecOf({ compression })
        for (const state of [initial, someState, large]) {
          const snapshot = yield* codec.encode(taken(state))
          assert.isTrue(SnapshotCodec.isIntact(snapshot))
          assert.deepStrictEqual(yield* codec.decode(snapshot), state)
        }
      }
    }))

  it.effect("only what is large is compressed, and only when that makes it smaller", () =>
    Effect.gen(function*() {
      const small = yield* codecOf().encode(taken(someState))
      assert.strictEqual(small.compression, "none")
      assert.strictEqual(small.bytes.length, small.plainBytes)
      for (const algorithm of ["gzip", "zstd"] as const) {
        const snapshot = yield* codecOf({ compression: algorithm }).encode(taken(large))
        assert.strictEqual(snapshot.compression, algorithm)
        assert.isBelow(snapshot.bytes.length, snapshot.plainBytes / 3)
      }
      const noise = {
        name: "noise",
        encode: () => crypto.getRandomValues(new Uint8Array(5_000)),
        decode: () => someState
      }
      const incompressible = yield* codecOf({ serialization: noise }).encode(taken(someState))
      assert.deepStrictEqual([incompressible.compression, incompressible.serialization], ["none", "binary"])
    }))

  it.effect("a snapshot of any compression is read by a codec that writes another", () =>
    Effect.gen(function*() {
      const gzipped = yield* codecOf({ compression: "gzip" }).encode(taken(large))
      assert.deepStrictEqual(yield* codecOf({ compression: "none" }).decode(gzipped), large)
    }))

  it("the fingerprint is that of everything that gives the bytes their meaning, and of nothing else", () => {
    const fingerprints = [
      {},
      { kind: "other" },
      { version: 2 },
      { fingerprint: "types-2" },
      { schema: Schema.Struct({ ...Tally.fields, count: Schema.Number }) },
      { schema: Schema.Struct({ ...Tally.fields, more: Schema.optionalKey(Schema.String) }) },
      { serialization: { name: "a/1", encode: () => new Uint8Array(), decode: () => initial } },
      { serialization: { name: "a/2", encode: () => new Uint8Array(), decode: () => initial } }
    ].map((options) => codecOf(options as Partial<SnapshotCodec.CodecOptions<Tally>>).fingerprint)
    assert.strictEqual(new Set(fingerprints).size, fingerprints.length)
    for (const fingerprint of fingerprints) assert.match(fingerprint, /^[0-9a-f]{64}$/)
    assert.strictEqual(codecOf({ compression: "gzip", serialization: "json" }).fingerprint, fingerprints[0])
    assert.strictEqual(codecOf({ schema: Schema.Struct({ ...Tally.fields }) }).fingerprint, fingerprints[0])
  })

  it("the fingerprint is the same in every process and every version of this package", () => {
    assert.strictEqual(
      codecOf({ serialization: { name: "a/1", encode: () => new Uint8Array(), decode: () => initial } }).fingerprint,
      "59559c9cd37ac3707b22fa7b05b7b44beba43391e120b02c19ba77747e343dd2"
    )
  })

  it.effect("bytes that grow beyond what they say when they are decompressed are refused", () =>
    Effect.gen(function*() {
      const codec = codecOf({ compression: "zstd" })
      const snapshot = yield* codec.encode(taken(large))
      const lying = { ...snapshot, plainBytes: 100 }
      const signed = { ...lying, digest: yield* Effect.promise(() => digestOf(lying)) }
      assert.isTrue(SnapshotCodec.isIntact(signed))
      const error = yield* Effect.flip(codec.decode(signed))
      assert.strictEqual(
        error.message,
        "The snapshot of stream tally-1 at revision 2 is broken: its bytes cannot be decompressed"
      )
    }))

  it.effect("a state over the limit of a snapshot is refused", () =>
    Effect.gen(function*() {
      const huge = { name: "huge", encode: () => new Uint8Array(SNAPSHOT_BYTES_MAX + 1), decode: () => someState }
      const codec = codecOf({ serialization: huge, compression: "none" })
      const error = yield* Effect.flip(codec.encode(taken(someState)))
      assert.match(error.message, /it has more than 67108864 bytes$/)
    }))

  it("a level that the algorithm does not have is a fault", () => {
    for (
      const compression of [{ algorithm: "gzip", level: 0 }, { algorithm: "zstd", level: 23 }, {
        algorithm: "zstd",
        level: 1.5
      }] as const
    ) {
      const result = SnapshotCodec.make({ ...OPTIONS, compression })
      assert.match(String(Result.isFailure(result) && result.failure), /^compression.level: expected a whole number/)
    }
  })
})

/** The digest as this package computes it, with another hand. */
const digestOf = async (snapshot: Parameters<typeof SnapshotCodec.isIntact>[0]): Promise<Uint8Array> => {
  const header = new TextEncoder().encode(JSON.stringify([
    snapshot.streamId,
    snapshot.kind,
    snapshot.fingerprint,
    snapshot.revision,
    snapshot.firstRevision,
    snapshot.serialization,
    snapshot.compression,
    snapshot.plainBytes,
    snapshot.takenAt.epochMilliseconds,
    snapshot.loadMillis
  ]))
  const all = new Uint8Array(header.length + snapshot.bytes.length)
  all.set(header)
  all.set(snapshot.bytes, header.length)
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all))
}
