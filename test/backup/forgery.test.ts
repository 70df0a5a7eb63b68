import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { MANIFEST_BYTES_MAX } from "../../src/backup/index.ts"
import { open, seal } from "../../src/backup/internal/segment.ts"
import { backup, fileOf, forge, type Json, segmentsOf, sha256, verify } from "./damage.ts"
import { encryptionKey, makeRandom, signingKeys } from "./fixtures.ts"

describe("what somebody else wrote", () => {
  it.live("refuses a manifest that somebody else wrote, whatever he changed", () =>
    Effect.gen(function*() {
      const { files, manifest } = yield* backup()
      const name = `${manifest.id}.manifest.json`
      const bytes = files.get(name)!
      const forged = {
        unsigned: forge(bytes, () => undefined),
        "with the old signature": forge(bytes, (json) => (json.incarnation = "another"), true)
      }
      for (const [what, manifestBytes] of Object.entries(forged)) {
        const report = yield* verify(manifest.id, new Map(files).set(name, manifestBytes))
        assert.deepStrictEqual(report.faults.map(({ _tag }) => _tag), ["BackupSignatureInvalid"], what)
      }
      // signed by somebody, even under the trusted one's name
      const { signing: theirs } = signingKeys()
      const foreign = yield* backup({ signing: theirs })
      const report = yield* verify(foreign.manifest.id, foreign.files)
      assert.deepStrictEqual(report.faults.map(({ _tag }) => _tag), ["BackupSignatureInvalid"])
      const unknown = yield* backup({ signing: { ...theirs, id: "someone" } })
      assert.deepStrictEqual(
        (yield* verify(unknown.manifest.id, unknown.files)).faults.map(({ _tag }) => _tag),
        ["BackupSignatureInvalid"]
      )
    }))

  it.live("accepts no signature but the one", () =>
    Effect.gen(function*() {
      const { files, manifest } = yield* backup()
      const name = `${manifest.id}.manifest.json`
      const [body, line] = files.get(name)!.toString().split("\n") as [string, string]
      const [, keyId, signature] = line.split(" ")
      const good = Buffer.from(signature!, "base64url")
      const random = makeRandom(7)
      for (let trial = 0; trial < 300; trial++) {
        const bad = Buffer.from(good)
        for (let changes = trial % 3; changes >= 0; changes--) {
          bad[Math.floor(random() * 64)]! ^= 1 + Math.floor(random() * 255)
        }
        if (bad.equals(good)) continue
        const signed = `${body}\ned25519 ${keyId} ${bad.toString("base64url")}\n`
        const forged = Buffer.from(`${signed}sha256 ${sha256(signed)}\n`)
        const report = yield* verify(manifest.id, new Map(files).set(name, forged))
        assert.deepStrictEqual(report.faults.map(({ _tag }) => _tag), ["BackupSignatureInvalid"])
      }
      // the same 64 bytes in another spelling
      const last = signature!.at(-1)!
      const alias = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
      for (const letter of alias) {
        if (letter === last || !Buffer.from(signature!.slice(0, -1) + letter, "base64url").equals(good)) continue
        const signed = `${body}\ned25519 ${keyId} ${signature!.slice(0, -1)}${letter}\n`
        const report = yield* verify(
          manifest.id,
          new Map(files).set(name, Buffer.from(`${signed}sha256 ${sha256(signed)}\n`))
        )
        assert.deepStrictEqual(report.faults.map(({ _tag }) => _tag), ["BackupCorrupt"])
      }
    }))

  it.live("finds every contradiction in a manifest that nobody signed", () =>
    Effect.gen(function*() {
      const { files, manifest } = yield* backup({ signing: undefined })
      const name = `${manifest.id}.manifest.json`
      const changes: ReadonlyArray<(json: Json) => void> = [
        (json) => (json.until += 1),
        (json) => (json.after = 1),
        (json) => (json.events.count -= 1),
        (json) => (json.total.digest = "0".repeat(16)),
        (json) => (json.counts.streams += 1),
        (json) => (json.kind = "incremental"),
        (json) => (json.parent = { id: manifest.id, chain: manifest.chain }),
        (json) => (json.chain = "0".repeat(64)),
        (json) => (json.segments[0]!.first = 2),
        (json) => (json.segments[1]!.first = 1),
        (json) => (json.segments[0]!.records = 0),
        (json) => (json.segments[0]!.records += 1),
        (json) => (json.segments[0]!.plainBytes = 2 ** 40),
        (json) => (json.segments[0]!.fileBytes = -1),
        (json) => (json.segments[0]!.sha256 = "../../etc/passwd"),
        (json) => (json.segments = json.segments.toReversed()),
        (json) => json.segments.pop(),
        (json) => json.segments.push(json.segments[0]!),
        (json) => (json.segments[0]!.number = 7),
        (json) => (json.extra = 1),
        (json) => delete json.incarnation,
        (json) => (json.startedAt = "2026-13-45T99:99:99.999Z"),
        (json) => (json.compression.codec = "brotli"),
        (json) => (json.encryption.keyId = "a/b"),
        (json) => (json.id = "../x"),
        (json) => Object.assign(json, { events: null })
      ]
      for (const change of changes) {
        const forged = new Map(files).set(name, forge(files.get(name)!, change))
        const report = yield* verify(manifest.id, forged, { encryption: [encryptionKey()] })
        assert.deepStrictEqual(report.faults.map(({ _tag }) => _tag), ["BackupCorrupt"], String(change))
        assert.deepStrictEqual(report.faults.map(fileOf), [name])
      }
      // numbers that only the rows can belie
      const lies: ReadonlyArray<(json: Json) => void> = [
        (json) => {
          json.events.digest = "0".repeat(16)
          json.total.digest = "0".repeat(16)
        },
        (json) => (json.segments[0]!.firstRecordedAt += 1),
        (json) => (json.segments[0]!.lastRecordedAt += 1),
        (json) => (json.segments[0]!.plainBytes -= 1),
        (json) => (json.segments[0]!.sha256 = "0".repeat(64)),
        (json) => (json.segments[0]!.chain = "0".repeat(64))
      ]
      for (const lie of lies) {
        const forged = new Map(files).set(name, forge(files.get(name)!, lie))
        const report = yield* verify(manifest.id, forged, { encryption: [encryptionKey()] })
        assert.isAbove(report.faultCount, 0, String(lie))
        assert.isTrue(report.faults.every(({ _tag }) => _tag === "BackupCorrupt"), String(lie))
      }
      // whitespace and the order of keys are part of a manifest
      for (
        const text of [
          (json: object) => JSON.stringify(json, null, 1).replaceAll("\n", ""),
          (json: object) => JSON.stringify(Object.fromEntries(Object.entries(json).toReversed()))
        ]
      ) {
        const json = JSON.parse(files.get(name)!.toString().split("\n")[0]!)
        const line = `${text(json)}\n`
        const report = yield* verify(
          manifest.id,
          new Map(files).set(name, Buffer.from(`${line}sha256 ${sha256(line)}\n`)),
          {
            encryption: [encryptionKey()]
          }
        )
        assert.deepStrictEqual(report.faults.map(({ _tag }) => _tag), ["BackupCorrupt"])
      }
    }))

  it.live("tells a format of another version from damage", () =>
    Effect.gen(function*() {
      const { files, manifest } = yield* backup({ signing: undefined })
      const name = `${manifest.id}.manifest.json`
      for (const version of [0, 2, 99]) {
        const other = forge(files.get(name)!, (json) => {
          json.version = version
          json.extra = "what a later one says"
        })
        const report = yield* verify(manifest.id, new Map(files).set(name, other), {})
        assert.deepStrictEqual(report.faults.map(({ message }) => message), [
          `${name} is in version ${version} of the format, only version 1 is read: ${
            version > 1 ? "a newer version of effect-event-store wrote it" : "it is too old"
          }`
        ])
      }
      const [segment] = segmentsOf(files)
      const bytes = Buffer.from(files.get(segment!)!)
      bytes.writeUInt16LE(2, 8)
      createHash("sha256").update(bytes.subarray(0, 224)).digest().copy(bytes, 224)
      const report = yield* verify(manifest.id, new Map(files).set(segment!, bytes), { encryption: [encryptionKey()] })
      assert.deepStrictEqual(report.faults.map(({ _tag }) => _tag), ["BackupFormatUnknown"])
    }))

  it.live("finds exchanged ciphertexts: what surrounds a body is part of its encryption", () =>
    Effect.gen(function*() {
      const plain = Buffer.from("some rows")
      const key = new Uint8Array(32).fill(9)
      const segment = {
        backupId: "20261121T000000Z-0000000000000001",
        number: 1,
        kind: "states",
        records: 1,
        first: 0,
        last: 0,
        firstRecordedAt: 0,
        lastRecordedAt: 0,
        plain,
        predecessor: "0".repeat(64)
      } as const
      const sealed = yield* seal(segment, { codec: "none", level: 0 }, key)
      // another number, hashes made again, as somebody without the key can
      const moved = Buffer.from(sealed.bytes)
      moved[64] = 2
      const chain = createHash("sha256").update(moved.subarray(0, 224)).digest()
      chain.copy(moved, 224)
      const error = yield* Effect.flip(open(moved, {
        backupId: segment.backupId,
        entry: { ...sealed.entry, number: 2, sha256: sha256(moved), chain: chain.toString("hex") },
        predecessor: segment.predecessor,
        codec: "none",
        encryption: { keyId: "k", key }
      }))
      assert.include(error.message, "not what was encrypted with the key for this place")
    }))

  it.live("inflates no further than declared", () =>
    Effect.gen(function*() {
      const zeros = Buffer.alloc(64 * 1024 * 1024)
      for (const [codec, packed] of [["zstd", zstdCompressSync(zeros)], ["gzip", gzipSync(zeros)]] as const) {
        const segment = {
          backupId: "20261121T000000Z-0000000000000001",
          number: 1,
          kind: "events",
          records: 1,
          first: 1,
          last: 1,
          firstRecordedAt: 0,
          lastRecordedAt: 0,
          plain: packed,
          predecessor: "0".repeat(64)
        } as const
        // the body is the bomb as it is; header and manifest call it compressed
        const sealed = yield* seal(segment, { codec: "none", level: 0 }, undefined)
        const bytes = Buffer.from(sealed.bytes)
        bytes[11] = codec === "gzip" ? 1 : 2
        bytes.writeBigUInt64LE(1_000n, 96)
        const chain = createHash("sha256").update(bytes.subarray(0, 224)).digest()
        chain.copy(bytes, 224)
        const before = process.memoryUsage().arrayBuffers
        const error = yield* Effect.flip(open(bytes, {
          backupId: segment.backupId,
          entry: { ...sealed.entry, plainBytes: 1_000, sha256: sha256(bytes), chain: chain.toString("hex") },
          predecessor: segment.predecessor,
          codec,
          encryption: undefined
        }))
        assert.include(error.message, "does not inflate to the 1000 bytes")
        assert.isBelow(process.memoryUsage().arrayBuffers - before, 16 * 1024 * 1024)
      }
    }))

  it.live("reads no manifest without bounds", () =>
    Effect.gen(function*() {
      const { manifest } = yield* backup()
      const huge = new Map([[`${manifest.id}.manifest.json`, Buffer.alloc(MANIFEST_BYTES_MAX + 1, 32)]])
      const report = yield* verify(manifest.id, huge)
      assert.include(report.faults[0]!.message, "more than")
    }))
})
