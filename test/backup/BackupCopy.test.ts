import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, Stream } from "effect"
import { BackupCopy, BackupStorage, BackupStorageError, BackupVerification, layerS3 } from "../../src/backup/index.ts"
import { startS3Server } from "../support/s3Server.ts"
import { at, encryptionKey, filesOf, makePlace, placeOf, signingKeys, writeBackup } from "./fixtures.ts"

const { signing, trusted } = signingKeys()

/** Two chains: a full one with two incrementals, and a full one. */
const source = Effect.gen(function*() {
  const storage = yield* makePlace
  const options = { segmentBytes: 64 * 1024, encryption: encryptionKey(), signing }
  const full = yield* at(storage, writeBackup({ to: 600, ...options }))
  const second = yield* at(storage, writeBackup({ from: 601, to: 700, parent: full, ...options }))
  const third = yield* at(storage, writeBackup({ from: 701, to: 702, parent: second, ...options }))
  const other = yield* at(storage, writeBackup({ to: 50, ...options }))
  return { storage, full, second, third, other }
})

/** Fails with the put of this number, and with all after it. */
const dyingAfter = (storage: BackupStorage["Service"], puts: number): BackupStorage["Service"] => {
  let count = 0
  return {
    ...storage,
    put: (name, bytes) =>
      Effect.suspend(() =>
        count++ < puts ? storage.put(name, bytes) : Effect.fail(
          new BackupStorageError({ operation: "put", location: "there", name, reason: "Unavailable", detail: "gone" })
        )
      )
  }
}

describe("BackupCopy", () => {
  it.live("copies all backups byte for byte, without their key, and once", () =>
    Effect.gen(function*() {
      const { full, other, second, storage, third } = yield* source
      const to = yield* makePlace
      const seen: Array<BackupCopy.CopyProgress> = []
      const report = yield* BackupCopy.copy({
        from: storage,
        to,
        keys: { trusted },
        onProgress: (step) => seen.push(step)
      })
      assert.deepStrictEqual(yield* filesOf(to), yield* filesOf(storage))
      assert.sameMembers([...report.backups], [full.id, second.id, third.id, other.id])
      assert.isBelow(report.backups.indexOf(full.id), report.backups.indexOf(second.id))
      assert.isBelow(report.backups.indexOf(second.id), report.backups.indexOf(third.id))
      assert.strictEqual(seen.length, report.copied)
      assert.strictEqual(seen.at(-1)!.fileBytes, report.fileBytes)
      const again = yield* BackupCopy.copy({ from: storage, to })
      assert.deepStrictEqual([again.copied, again.present], [0, report.copied])
    }))

  it.live("copies a backup with all that it goes on from, and nothing else", () =>
    Effect.gen(function*() {
      const { full, second, storage } = yield* source
      const to = yield* makePlace
      const report = yield* BackupCopy.copy({ from: storage, to, ids: [second.id] })
      assert.deepStrictEqual(report.backups, [full.id, second.id])
      const check = yield* at(
        to,
        BackupVerification.verify(second.id, { keys: { encryption: [encryptionKey()], trusted } })
      )
      assert.deepStrictEqual(check.faults, [])
    }))

  it.live("goes on where it was cut short, at whatever file that was", () =>
    Effect.gen(function*() {
      const { storage } = yield* source
      const files = yield* filesOf(storage)
      for (let puts = 0; puts < files.size; puts++) {
        const to = yield* makePlace
        assert.isTrue(Exit.isFailure(yield* Effect.exit(BackupCopy.copy({ from: storage, to: dyingAfter(to, puts) }))))
        const report = yield* BackupCopy.copy({ from: storage, to })
        assert.deepStrictEqual(yield* filesOf(to), files)
        assert.strictEqual(report.copied + report.present, files.size - report.backups.length)
        assert.isAtLeast(report.present, puts - report.backups.length)
      }
    }))

  it.live("repairs what is damaged in the second place, and copies nothing that is damaged in the first", () =>
    Effect.gen(function*() {
      const { full, storage } = yield* source
      const files = yield* filesOf(storage)
      const name = `${full.id}.000000000002.esb`
      for (
        const damage of [
          (bytes: Buffer) => bytes.subarray(0, 100),
          (bytes: Buffer) => Buffer.concat([bytes, bytes]),
          (bytes: Buffer) => bytes.map((byte, index) => index === 300 ? byte ^ 1 : byte)
        ]
      ) {
        const damaged = new Map<string, Uint8Array>(files).set(name, damage(files.get(name)!))
        const to = yield* placeOf(damaged)
        const report = yield* BackupCopy.copy({ from: storage, to })
        assert.strictEqual(report.copied, 1)
        assert.deepStrictEqual(yield* filesOf(to), files)

        const from = yield* placeOf(damaged)
        const empty = yield* makePlace
        const error = yield* Effect.flip(BackupCopy.copy({ from, to: empty, ids: [full.id] }))
        assert.deepStrictEqual([error._tag, "file" in error && error.file], ["BackupCorrupt", name])
        assert.isFalse((yield* filesOf(empty)).has(`${full.id}.manifest.json`))
      }
      const manifest = `${full.id}.manifest.json`
      const to = yield* placeOf(new Map(files).set(manifest, Buffer.from("{}")))
      yield* BackupCopy.copy({ from: storage, to })
      assert.deepStrictEqual(yield* filesOf(to), files)
    }))

  it.live("copies all others when one is damaged in the first place, and says which one", () =>
    Effect.gen(function*() {
      const { full, other, second, storage, third } = yield* source
      const name = `${full.id}.000000000002.esb`
      const files = yield* filesOf(storage)
      const damaged = Buffer.from(files.get(name)!)
      damaged[300]! ^= 1
      const from = yield* placeOf(new Map(files).set(name, damaged))
      const to = yield* makePlace
      const report = yield* BackupCopy.copy({ from, to })
      assert.sameMembers([...report.backups], [second.id, third.id, other.id])
      assert.deepStrictEqual(report.faults.map(({ fault, id }) => [id, "file" in fault && fault.file]), [[
        full.id,
        name
      ]])
      const there = yield* filesOf(to)
      for (const { id, segments } of [second, third, other]) {
        assert.isTrue(there.has(`${id}.manifest.json`))
        assert.strictEqual([...there.keys()].filter((each) => each.startsWith(id)).length, segments.length + 1)
      }
      assert.isFalse(there.has(`${full.id}.manifest.json`))
      yield* BackupCopy.copy({ from: storage, to })
      assert.deepStrictEqual(yield* filesOf(to), files)
    }))

  it.live("finds what a place loses or changes on the way", () =>
    Effect.gen(function*() {
      const { full, storage } = yield* source
      const place = yield* makePlace
      const lossy: BackupStorage["Service"] = {
        ...place,
        put: (name, bytes) =>
          place.put(
            name,
            name.endsWith("000000000002.esb")
              ? bytes.map((byte, index) => index === 500 ? byte ^ 1 : byte)
              : bytes
          )
      }
      const error = yield* Effect.flip(BackupCopy.copy({ from: storage, to: lossy, ids: [full.id] }))
      assert.strictEqual(error._tag, "BackupCorrupt")
    }))

  it.live(
    "copies between regions while requests fail, and says which backups it could not read",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const { full, storage } = yield* source
        const server = yield* Effect.acquireRelease(
          Effect.promise(startS3Server),
          (server) => Effect.promise(server.close)
        )
        const open = (prefix: string) =>
          Effect.flatMap(
            Layer.build(layerS3({
              bucket: server.bucket,
              endpoint: server.endpoint,
              region: server.region,
              prefix,
              credentials: { accessKeyId: server.accessKeyId, secretAccessKey: Redacted.make(server.secretAccessKey) }
            })),
            (context) => Effect.provide(BackupStorage.use(Effect.succeed), context)
          )
        const near = yield* open("near")
        const far = yield* open("far")
        let requests = 0
        server.fault = (method) => {
          requests++
          return requests % 7 === 0
            ? 503
            : requests % 11 === 0
            ? "drop"
            : method === "PUT" && requests % 5 === 0
            ? "dropAfter"
            : undefined
        }
        yield* BackupCopy.copy({ from: storage, to: near })
        yield* BackupCopy.copy({ from: near, to: far })
        server.fault = undefined
        assert.deepStrictEqual(yield* filesOf(far), yield* filesOf(storage))

        yield* near.remove(`${full.id}.manifest.json`)
        yield* near.put(`${full.id}.manifest.json`, Buffer.from("{}"))
        const report = yield* BackupCopy.copy({ from: near, to: yield* makePlace })
        assert.deepStrictEqual(report.faults.map(({ id }) => id), [full.id])
        yield* Stream.runDrain(near.list())
      })),
    60_000
  )
})
