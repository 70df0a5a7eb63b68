import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, Stream } from "effect"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  BackupStorage,
  type BackupStorageError,
  layerDirectory,
  layerMemory,
  layerS3,
  readBackupFile
} from "../../src/backup/index.ts"
import * as s3 from "../../src/backup/internal/s3.ts"
import { type S3Server, startS3Server } from "../support/s3Server.ts"
import { collect } from "./fixtures.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-backup-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const server = Effect.acquireRelease(Effect.promise(startS3Server), (server) => Effect.promise(server.close))

const layerOf = (server: S3Server, options: { readonly prefix?: string; readonly attempts?: number } = {}) =>
  layerS3({
    bucket: server.bucket,
    endpoint: server.endpoint,
    region: server.region,
    credentials: { accessKeyId: server.accessKeyId, secretAccessKey: Redacted.make(server.secretAccessKey) },
    ...options
  })

const places: ReadonlyArray<readonly [string, Layer.Layer<BackupStorage, BackupStorageError>]> = [
  ["memory", layerMemory],
  ["directory", Layer.unwrap(Effect.map(directory, (path) => layerDirectory(join(path, "new", "place"))))],
  ["S3", Layer.unwrap(Effect.map(server, (server) => layerOf(server, { prefix: "shop/nightly" })))]
]

for (const [place, layer] of places) {
  describe(`BackupStorage (${place})`, () => {
    const bytes = new Uint8Array(3 * 1024 * 1024 + 17).map((_, index) => (index * 31) % 251)

    it.live("gives back what was put, whole or in part", () =>
      Effect.gen(function*() {
        const storage = yield* BackupStorage
        yield* storage.put("a.esb", bytes)
        yield* storage.put("empty.esb", new Uint8Array())
        assert.deepStrictEqual(yield* readBackupFile(storage, "a.esb", bytes.length), bytes)
        assert.deepStrictEqual(yield* readBackupFile(storage, "empty.esb", 10), new Uint8Array())
        const read = (offset: number, length?: number) =>
          Effect.map(
            collect(storage.get("a.esb", { offset, length })),
            (pieces) => new Uint8Array(Buffer.concat(pieces))
          )
        assert.deepStrictEqual(yield* read(5, 10), bytes.slice(5, 15))
        assert.deepStrictEqual(
          yield* read(1024 * 1024 - 1, 1024 * 1024 + 2),
          bytes.slice(1024 * 1024 - 1, 2 * 1024 * 1024 + 1)
        )
        assert.deepStrictEqual(yield* read(bytes.length - 3), bytes.slice(-3))
        assert.deepStrictEqual(yield* read(bytes.length - 3, 100), bytes.slice(-3))
        assert.deepStrictEqual(yield* read(bytes.length), new Uint8Array())
        assert.deepStrictEqual(yield* read(bytes.length + 5, 5), new Uint8Array())
        assert.deepStrictEqual(yield* read(0, 0), new Uint8Array())
      }).pipe(Effect.provide(layer)))

    it.live("never writes over a file", () =>
      Effect.gen(function*() {
        const storage = yield* BackupStorage
        yield* storage.put("a.esb", new Uint8Array([1]))
        const error = yield* Effect.flip(storage.put("a.esb", new Uint8Array([2])))
        assert.strictEqual(error.reason, "AlreadyExists")
        assert.deepStrictEqual(yield* readBackupFile(storage, "a.esb", 10), new Uint8Array([1]))
      }).pipe(Effect.provide(layer)))

    it.live("of two that put one name, exactly one has done it", () =>
      Effect.gen(function*() {
        const storage = yield* BackupStorage
        const results = yield* Effect.forEach(
          [1, 2, 3, 4],
          (byte) => Effect.result(storage.put("a.esb", new Uint8Array([byte]))),
          { concurrency: "unbounded" }
        )
        const winners = results.flatMap((result, index) => result._tag === "Success" ? [index + 1] : [])
        assert.strictEqual(winners.length, 1)
        assert.deepStrictEqual(yield* readBackupFile(storage, "a.esb", 10), new Uint8Array(winners))
      }).pipe(Effect.provide(layer)))

    it.live("lists by name, all or those that begin so, and describes", () =>
      Effect.gen(function*() {
        const storage = yield* BackupStorage
        const names = ["b.2", "a.1", "b.1", "c", "b.3", "b.10", "a.2", "b"]
        yield* Effect.forEach(names, (name, index) => storage.put(name, new Uint8Array(index)))
        const all = yield* collect(storage.list())
        assert.deepStrictEqual(all.map(({ name }) => name), [...names].sort())
        assert.deepStrictEqual(
          all.map(({ bytes, name }) => [name, bytes]),
          [...names].sort().map((name) => [name, names.indexOf(name)])
        )
        assert.deepStrictEqual((yield* collect(storage.list("b."))).map(({ name }) => name), [
          "b.1",
          "b.10",
          "b.2",
          "b.3"
        ])
        assert.deepStrictEqual(yield* collect(storage.list("nothing")), [])
        const found = yield* storage.stat("b.10")
        assert.strictEqual(Option.getOrThrow(found).bytes, 5)
        assert.isTrue(Math.abs(Option.getOrThrow(found).modifiedAt.epochMilliseconds - Date.now()) < 60_000)
        assert.isTrue(Option.isNone(yield* storage.stat("nothing")))
      }).pipe(Effect.provide(layer)))

    it.live("removes a file, and one that is not there", () =>
      Effect.gen(function*() {
        const storage = yield* BackupStorage
        yield* storage.put("a.esb", new Uint8Array([1]))
        yield* storage.remove("a.esb")
        yield* storage.remove("a.esb")
        assert.deepStrictEqual(yield* collect(storage.list()), [])
        const error = yield* Effect.flip(collect(storage.get("a.esb")))
        assert.strictEqual(error.reason, "NotFound")
        assert.isFalse(error.isRetryable)
      }).pipe(Effect.provide(layer)))

    it.live("refuses every name that could lead elsewhere, and does nothing", () =>
      Effect.gen(function*() {
        const storage = yield* BackupStorage
        const names = [
          "",
          ".",
          "..",
          "../a",
          "a/b",
          "/etc/passwd",
          "a\\b",
          "C:\\a",
          ".hidden",
          "-a",
          "a\0",
          "a b",
          "ä",
          "a\n",
          "%2e%2e",
          "a".repeat(129)
        ]
        for (const name of names) {
          const attempts = [
            storage.put(name, new Uint8Array()),
            collect(storage.get(name)),
            storage.stat(name),
            storage.remove(name)
          ]
          for (const attempt of attempts) {
            const error = yield* Effect.flip(attempt as Effect.Effect<unknown, BackupStorageError>)
            assert.strictEqual(error.reason, "InvalidName", JSON.stringify(name))
            assert.strictEqual(error.name, "")
          }
        }
        assert.deepStrictEqual(yield* collect(storage.list()), [])
      }).pipe(Effect.provide(layer)))

    it.live("reads no more of a file than it may have", () =>
      Effect.gen(function*() {
        const storage = yield* BackupStorage
        yield* storage.put("a.esb", bytes)
        const error = yield* Effect.flip(readBackupFile(storage, "a.esb", bytes.length - 1))
        assert.strictEqual(error.reason, "TooLarge")
      }).pipe(Effect.provide(layer)))
  })
}

describe("BackupStorage in a directory", () => {
  it.live("keeps what is in it from everybody else", () =>
    Effect.gen(function*() {
      const path = join(yield* directory, "place")
      const storage = yield* BackupStorage.use(Effect.succeed).pipe(Effect.provide(layerDirectory(path)))
      yield* storage.put("a.esb", new Uint8Array([1]))
      assert.strictEqual(statSync(path).mode & 0o777, 0o700)
      assert.strictEqual(statSync(join(path, "a.esb")).mode & 0o777, 0o600)
    }))

  it.live("neither follows links nor takes directories for files", () =>
    Effect.gen(function*() {
      const path = yield* directory
      writeFileSync(join(path, "..secret"), "secret")
      symlinkSync("/etc/hostname", join(path, "link.esb"))
      mkdirSync(join(path, "directory.esb"))
      const storage = yield* BackupStorage.use(Effect.succeed).pipe(Effect.provide(layerDirectory(path)))
      assert.deepStrictEqual(yield* collect(storage.list()), [])
      assert.isTrue(Option.isNone(yield* storage.stat("link.esb")))
      assert.strictEqual((yield* Effect.flip(collect(storage.get("link.esb")))).reason, "Failed")
    }))

  it.live("sweeps what interrupted puts left, when it is old enough", () =>
    Effect.gen(function*() {
      const path = yield* directory
      writeFileSync(join(path, ".part-0123"), "half")
      writeFileSync(join(path, "whole.esb"), "whole")
      const storage = yield* BackupStorage.use(Effect.succeed).pipe(Effect.provide(layerDirectory(path)))
      assert.strictEqual(yield* storage.sweep(60_000), 0)
      assert.isTrue(existsSync(join(path, ".part-0123")))
      assert.strictEqual(yield* storage.sweep(-1), 1)
      assert.deepStrictEqual(readdirSync(path), ["whole.esb"])
    }))

  it.live("says what is in the way", () =>
    Effect.gen(function*() {
      const path = yield* directory
      writeFileSync(join(path, "file"), "")
      const error = yield* Effect.flip(
        Effect.provide(BackupStorage.use(Effect.succeed), layerDirectory(join(path, "file", "place")))
      )
      assert.strictEqual(error.operation, "open")
      assert.include(error.message, path)
    }))
})

describe("BackupStorage in a bucket", () => {
  const open = (server: S3Server, attempts?: number) =>
    Effect.map(
      Layer.build(layerOf(server, attempts === undefined ? {} : { attempts })),
      (context) => BackupStorage.pipe(Effect.provide(context))
    ).pipe(Effect.flatten)

  it.live("tries again what failed for a passing reason", () =>
    Effect.gen(function*() {
      const s3 = yield* server
      const storage = yield* open(s3)
      let failures = 0
      s3.fault = (method) => method === "PUT" && failures++ < 2 ? 503 : undefined
      yield* storage.put("a.esb", new Uint8Array([1]))
      failures = 0
      s3.fault = () => failures++ < 2 ? "drop" : undefined
      assert.deepStrictEqual(yield* readBackupFile(storage, "a.esb", 10), new Uint8Array([1]))
    }))

  it.live("names every refusal, and says whether to try again", () =>
    Effect.gen(function*() {
      const s3 = yield* server
      const storage = yield* open(s3, 1)
      const reasons = { 403: "AccessDenied", 500: "Unavailable", 503: "Unavailable", 507: "NoSpace", 418: "Failed" }
      for (const [status, reason] of Object.entries(reasons)) {
        s3.fault = () => Number(status)
        const error = yield* Effect.flip(storage.put("a.esb", new Uint8Array([1])))
        assert.strictEqual(error.reason, reason, status)
        assert.strictEqual(error.isRetryable, reason === "Unavailable")
      }
      s3.fault = () => "drop"
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(storage.list()))).reason, "Unavailable")
    }))

  it.live("writes where conditions are not understood", () =>
    Effect.gen(function*() {
      const s3 = yield* server
      s3.refusesConditions = true
      const storage = yield* open(s3)
      yield* storage.put("a.esb", new Uint8Array([1]))
      assert.strictEqual((yield* Effect.flip(storage.put("a.esb", new Uint8Array([2])))).reason, "AlreadyExists")
    }))

  it.live("refuses a wrong secret, and does not tell it", () =>
    Effect.gen(function*() {
      const s3 = yield* server
      const storage = yield* open({ ...s3, secretAccessKey: "wrong-secret" } as S3Server, 1)
      const error = yield* Effect.flip(storage.put("a.esb", new Uint8Array([1])))
      assert.strictEqual(error.reason, "AccessDenied")
      assert.notInclude(JSON.stringify(error), "wrong-secret")
    }))

  it.live("says what to install when the client is not", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(
        s3.make({ bucket: "b" }, () => Promise.reject(new Error("Cannot find package '@aws-sdk/client-s3'")))
      ))
      assert.strictEqual(error.reason, "DriverMissing")
      assert.include(error.message, "npm install @aws-sdk/client-s3")
    }))
})
