import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { BackupCorrupt, BackupVerification } from "../../src/backup/index.ts"
import { backup, fileOf, type Files, keys, readAll, segmentsOf, signing, trusted, verify } from "./damage.ts"
import {
  at,
  collect,
  encryptionKey,
  eventRows,
  filesOf,
  makePlace,
  makeRandom,
  placeOf,
  writeBackup
} from "./fixtures.ts"

describe("BackupVerification", () => {
  it.live("names file and place of every single bit that is flipped, in every file", () =>
    Effect.gen(function*() {
      const { files, manifest } = yield* backup({ to: 3, withOthers: false, from: 1 })
      let flips = 0
      for (const [name, bytes] of files) {
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          const flipped = Buffer.from(bytes)
          flipped[bit >> 3]! ^= 1 << (bit & 7)
          const report = yield* verify(manifest.id, new Map(files).set(name, flipped))
          const [fault] = report.faults
          if (
            !(fault instanceof BackupCorrupt) || fault.file !== name || fault.offset === undefined || report.isSound
          ) {
            assert.fail(`bit ${bit} of ${name}: ${fault}`)
          }
          assert.isAtMost(fault.offset, bit >> 3, fault.message)
          assert.isAbove(fault.offset + (fault.length ?? Infinity), bit >> 3, fault.message)
          flips++
        }
      }
      assert.strictEqual(flips, [...files.values()].reduce((sum, { length }) => sum + length * 8, 0))
    }), 120_000)

  it.live(
    "finds random flips in a backup of many segments, in each of them, the last ones too",
    () =>
      Effect.gen(function*() {
        const { files, manifest } = yield* backup({
          to: 2_000,
          segmentBytes: 64 * 1024,
          compression: { codec: "none" }
        })
        const random = makeRandom(20261121)
        const names = [...files.keys()]
        assert.isAbove(names.length, 8)
        for (let trial = 0; trial < 120; trial++) {
          const name = names[trial % names.length]!
          const flipped = Buffer.from(files.get(name)!)
          const bit = Math.floor(random() * flipped.length * 8)
          flipped[bit >> 3]! ^= 1 << (bit & 7)
          const report = yield* verify(manifest.id, new Map(files).set(name, flipped))
          const fault = report.faults[0] as BackupCorrupt
          assert.strictEqual(report.faultCount, 1, `bit ${bit} of ${name}`)
          assert.strictEqual(fault._tag, "BackupCorrupt")
          assert.strictEqual(fault.file, name)
          assert.isAtMost(fault.offset!, bit >> 3)
          assert.isAbove(fault.offset! + fault.length!, bit >> 3)
          if (name.endsWith(".esb")) assert.isAtMost(fault.length!, 16 * 1024)
        }
      }),
    120_000
  )

  it.live(
    "finds what is missing, cut short, too long, doubled or exchanged, at every place",
    () =>
      Effect.gen(function*() {
        const { files, manifest } = yield* backup({ to: 1_500, segmentBytes: 64 * 1024 })
        const segments = segmentsOf(files)
        assert.isAbove(segments.length, 6)
        for (const [index, name] of segments.entries()) {
          const bytes = files.get(name)!
          const other = segments[(index + 1) % segments.length]!
          const without = new Map(files)
          without.delete(name)
          const damaged: Readonly<Record<string, Files>> = {
            missing: without,
            "cut by one": new Map(files).set(name, bytes.subarray(0, -1)),
            "cut in the header": new Map(files).set(name, bytes.subarray(0, 100)),
            empty: new Map(files).set(name, Buffer.alloc(0)),
            longer: new Map(files).set(name, Buffer.concat([bytes, Buffer.from([0])])),
            doubled: new Map(files).set(other, bytes),
            exchanged: new Map(files).set(name, files.get(other)!).set(other, bytes)
          }
          for (const [what, place] of Object.entries(damaged)) {
            const report = yield* verify(manifest.id, place)
            const expected = what === "exchanged" ? [name, other].sort() : [what === "doubled" ? other : name]
            assert.deepStrictEqual(report.faults.map(fileOf).sort(), expected, `${what}: ${report.faults.join("; ")}`)
            assert.isTrue(report.faults.every(({ _tag }) => _tag === "BackupCorrupt"))
            assert.isFalse(report.isSound)
          }
          const entry = manifest.segments[index]!
          if (entry.kind === "events") {
            const error = yield* readAll(manifest.id, without)
            assert.strictEqual((error as BackupCorrupt).position, entry.first)
          }
        }
      }),
    120_000
  )

  it.live("finds a segment of another backup in its place, and files that belong to nothing", () =>
    Effect.gen(function*() {
      const { files, manifest } = yield* backup()
      const other = yield* backup()
      const [name] = segmentsOf(files)
      const foreign = yield* verify(
        manifest.id,
        new Map(files).set(name!, other.files.get(segmentsOf(other.files)[0]!)!)
      )
      assert.include(foreign.faults[0]!.message, `segment 1 of backup ${other.manifest.id}`)
      const stranger = `${manifest.id}.000000000099.esb`
      const extra = yield* verify(manifest.id, new Map(files).set(stranger, Buffer.from("x")))
      assert.deepStrictEqual(extra.faults.map(fileOf), [stranger])
    }))

  it.live("finds a manifest that is cut, empty, missing, or of another backup", () =>
    Effect.gen(function*() {
      const { files, manifest } = yield* backup()
      const other = yield* backup()
      const name = `${manifest.id}.manifest.json`
      const bytes = files.get(name)!
      for (const size of [0, 1, 71, 72, 100, bytes.length - 73, bytes.length - 1]) {
        const report = yield* verify(manifest.id, new Map(files).set(name, bytes.subarray(0, size)))
        assert.deepStrictEqual(report.faults.map(({ _tag }) => _tag), ["BackupCorrupt"], String(size))
        assert.deepStrictEqual(report.faults.map(fileOf), [name])
      }
      const foreign = yield* verify(
        manifest.id,
        new Map(files).set(name, other.files.get(`${other.manifest.id}.manifest.json`)!)
      )
      assert.include(foreign.faults[0]!.message, `the manifest of backup ${other.manifest.id}`)
      const missing = new Map(files)
      missing.delete(name)
      assert.deepStrictEqual((yield* verify(manifest.id, missing)).faults.map(({ _tag }) => _tag), ["BackupNotFound"])
      for (const id of ["", "..", "../../etc/passwd", `${manifest.id}x`, "*"]) {
        assert.deepStrictEqual((yield* verify(id, files)).faults.map(({ _tag }) => _tag), ["BackupNotFound"])
      }
    }))

  it.live("tells a missing key, a wrong key and a key that is none from damage, and proves the hashes all the same", () =>
    Effect.gen(function*() {
      const { files, manifest } = yield* backup()
      const missing = yield* verify(manifest.id, files, { trusted })
      assert.deepStrictEqual(missing.faults.map(({ _tag }) => _tag), ["BackupKeyMissing"])
      assert.isFalse(missing.areRowsRead)
      const wrong = yield* verify(manifest.id, files, { encryption: [encryptionKey(2)] })
      assert.deepStrictEqual(wrong.faults.map(({ _tag }) => _tag), ["BackupKeyWrong"])
      const none = { id: "key-1", key: encryptionKey().key }
      const short = yield* verify(manifest.id, files, { encryption: [{ ...none, key: encryptionKey(1, "").key }] })
      assert.isTrue(short.isSound)
      const [segment] = segmentsOf(files)
      const damaged = Buffer.from(files.get(segment!)!)
      damaged[300]! ^= 1
      const both = yield* verify(manifest.id, new Map(files).set(segment!, damaged), {})
      assert.deepStrictEqual(both.faults.map(({ _tag }) => _tag), ["BackupKeyMissing", "BackupCorrupt"])
    }))

  it.live("finds events that contradict each other, though every hash is right", () =>
    Effect.gen(function*() {
      const rows = eventRows(1, 30, 3)
      const wrong = {
        "revision": rows.map((row) => row.position === 20 ? { ...row, revision: row.revision + 1 } : row),
        "has revision 1": rows.map((row) => row.streamId === "order-0" ? { ...row, revision: row.revision + 1 } : row),
        "recorded before": rows.map((row) =>
          row.position === 20 ? { ...row, recordedAt: row.recordedAt - 10_000_000 } : row
        )
      }
      for (const [detail, events] of Object.entries(wrong)) {
        const { files, manifest } = yield* backup({ events })
        const report = yield* verify(manifest.id, files)
        assert.isAbove(report.faultCount, 0)
        assert.include(report.faults[0]!.message, detail)
        assert.isNumber((report.faults[0] as BackupCorrupt).position)
      }
    }))

  it.live("proves a whole chain, and the parts of one that is broken", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const options = { encryption: encryptionKey(), signing }
      const full = yield* at(storage, writeBackup({ to: 20, ...options }))
      const second = yield* at(storage, writeBackup({ from: 21, to: 20, parent: full, ...options }))
      const third = yield* at(storage, writeBackup({ from: 21, to: 50, parent: second, ...options }))
      const sound = yield* at(storage, BackupVerification.verify(third.id, { keys }))
      assert.deepStrictEqual(sound.faults, [])
      assert.deepStrictEqual(sound.backups, [full.id, second.id, third.id])
      assert.deepStrictEqual(sound.events, third.total)
      assert.strictEqual(sound.revisionsShare, 1)
      const alone = yield* at(storage, BackupVerification.verify(third.id, { keys, wholeChain: false }))
      assert.deepStrictEqual(alone.faults, [])
      assert.deepStrictEqual(alone.backups, [third.id])

      const files = new Map(yield* filesOf(storage))
      files.delete(`${second.id}.manifest.json`)
      const broken = yield* verify(third.id, files)
      assert.deepStrictEqual(broken.faults.map(({ _tag }) => _tag), ["BackupChainBroken"])
      assert.deepStrictEqual(broken.backups, [third.id])
    }))

  it.live("tells how far it has come", () =>
    Effect.gen(function*() {
      const { files, manifest } = yield* backup({ to: 1_500, segmentBytes: 64 * 1024 })
      const storage = yield* placeOf(files)
      const seen: Array<BackupVerification.VerificationProgress> = []
      const report = yield* at(
        storage,
        BackupVerification.verify(manifest.id, { keys, onProgress: (step) => seen.push(step) })
      )
      assert.strictEqual(seen.length, manifest.segments.length)
      assert.deepStrictEqual(seen.at(-1), {
        segments: report.segments,
        segmentsTotal: report.segments,
        plainBytes: report.plainBytes,
        plainBytesTotal: report.plainBytes
      })
      assert.deepStrictEqual(yield* collect(storage.list()), yield* collect(storage.list()))
    }))
})
