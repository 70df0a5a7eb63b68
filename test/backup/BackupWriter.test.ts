import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Redacted, Schema, Stream } from "effect"
import { generateKeyPairSync } from "node:crypto"
import {
  BackupCatalog,
  BackupReader,
  type BackupStorage,
  BackupStorageError,
  BackupVerification,
  BackupWriter
} from "../../src/backup/index.ts"
import type { EventRow } from "../../src/store/index.ts"
import {
  at,
  collect,
  encryptionKey,
  eventRows,
  filesOf,
  INCARNATION,
  makePlace,
  otherRows,
  signingKeys,
  writeBackup
} from "./fixtures.ts"

const readBack = (storage: BackupStorage["Service"], id: string) =>
  at(storage, Effect.flatMap(BackupReader.open(id), (reader) => collect(reader.events())))

describe("BackupWriter", () => {
  it.effect("writes a backup of nothing, and one of nothing new", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const full = yield* at(storage, writeBackup({ events: [], withOthers: false }))
      assert.strictEqual(full.until, 0)
      const next = yield* at(storage, writeBackup({ events: [], withOthers: false, parent: full }))
      assert.notStrictEqual(next.chain, full.chain)
      const last = yield* at(storage, writeBackup({ from: 1, to: 3, parent: next }))
      assert.strictEqual(last.until, 3)
      assert.deepStrictEqual(yield* readBack(storage, next.id), [])
      assert.deepStrictEqual(yield* readBack(storage, last.id), eventRows(1, 3))
      const report = yield* at(storage, BackupVerification.verify(last.id))
      assert.deepStrictEqual(report.faults, [])
    }))

  it.effect("cuts segments by size, whatever the pages that it is given", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const events = eventRows(1, 2_000)
      for (const page of [1, 7, 333, 2_000]) {
        const manifest = yield* at(
          storage,
          Effect.scoped(Effect.gen(function*() {
            const writer = yield* BackupWriter.make({ incarnation: INCARNATION, segmentBytes: 64 * 1024 })
            for (let from = 0; from < events.length; from += page) {
              yield* writer.write("events", events.slice(from, from + page))
            }
            assert.strictEqual((yield* writer.progress).position, 2_000)
            return yield* writer.finish
          }))
        )
        assert.strictEqual(
          manifest.segments.length,
          Math.ceil(manifest.segments.reduce((sum, { plainBytes }) => sum + plainBytes, 0) / (64 * 1024))
        )
        assert.isTrue(manifest.segments.every(({ plainBytes }) => plainBytes < 65 * 1024))
        assert.deepStrictEqual(yield* readBack(storage, manifest.id), events)
      }
    }))

  it.live("keeps any text, number and time exactly", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const wellFormed = Schema.String.check(Schema.makeFilter((text: string) => text.isWellFormed()))
      const row = Schema.Struct({
        streamId: wellFormed,
        type: wellFormed,
        data: Schema.Json,
        metadata: wellFormed,
        tags: Schema.Array(wellFormed),
        revision: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2_147_483_647 })),
        version: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 32_767 })),
        recordedAt: Schema.Int.check(Schema.isBetween({ minimum: -(2 ** 50), maximum: 2 ** 51 }))
      })
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.array(Arbitrary.schema(row), { maxLength: 20 }),
        (rows) =>
          Effect.gen(function*() {
            const events: ReadonlyArray<EventRow> = rows.map((row, index) => ({
              ...row,
              data: JSON.stringify(row.data),
              position: index + 1,
              id: eventRows(index + 1, index + 1)[0]!.id
            }))
            const manifest = yield* at(storage, writeBackup({ events, withOthers: false }))
            assert.deepStrictEqual(yield* readBack(storage, manifest.id), events)
            return true
          }),
        { runs: 200 }
      )
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
    }))

  it.effect("keeps texts of a megabyte, escapes, blanks between values, and names of every script", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const texts = [
        JSON.stringify("x".repeat(1024 * 1024)),
        JSON.stringify("🦊é\u0000\u2028".repeat(100_000)),
        "{ \"a\" :\t1.10,\n \"b\": 9007199254740993, \"\\ud800\": \"\\u0000\" }",
        "null",
        "[]"
      ]
      const names = ["Заказ-1", "注文-🦊", "طلب-\u200f1", "é-1", "e\u0301-1", "\uFEFFbom-\uFFFD"]
      const events = names.map((streamId, index): EventRow => ({
        ...eventRows(index + 1, index + 1)[0]!,
        streamId,
        revision: 0,
        data: texts[index % texts.length]!
      }))
      for (const codec of ["zstd", "gzip", "none"] as const) {
        const manifest = yield* at(storage, writeBackup({ events, compression: { codec } }))
        assert.deepStrictEqual(yield* readBack(storage, manifest.id), events)
        assert.deepStrictEqual((yield* at(storage, BackupVerification.verify(manifest.id))).faults, [])
      }
    }))

  it.effect("refuses what it could not give back, names it, and leaves nothing", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const [row] = eventRows(1, 1) as [EventRow]
      const bad: ReadonlyArray<readonly [Partial<EventRow>, string]> = [
        [{ data: "\"\ud800\"" }, "IllFormedUnicode"],
        [{ streamId: "a-\udc00" }, "IllFormedUnicode"],
        [{ tags: ["ok", "\ud83d"] }, "IllFormedUnicode"],
        [{ id: "no uuid" }, "InvalidIdentifier"],
        [{ id: row.id.toUpperCase().replace(/^./, "A") }, "InvalidIdentifier"],
        [{ id: row.id.replaceAll("-", "0") }, "InvalidIdentifier"],
        [{ position: 2 }, "InvalidPosition"],
        [{ revision: -1 }, "NumberOutOfRange"],
        [{ revision: 1.5 }, "NumberOutOfRange"],
        [{ recordedAt: Number.NaN }, "NumberOutOfRange"],
        [{ recordedAt: 2 ** 53 }, "NumberOutOfRange"]
      ]
      for (const [change, reason] of bad) {
        const exit = yield* Effect.exit(at(storage, writeBackup({ events: [{ ...row, ...change }] })))
        if (!Exit.isFailure(exit)) return assert.fail(JSON.stringify(change))
        const error = yield* Effect.flip(at(storage, writeBackup({ events: [{ ...row, ...change }] })))
        assert.strictEqual(error._tag, "InvalidInput")
        assert.include(error.message, "events[0]")
        assert.include(error.message, reason)
      }
      for (
        const compression of [{ codec: "zstd", level: 0 }, { codec: "gzip", level: 10 }, { codec: "none", level: 1 }, {
          codec: "zstd",
          level: 1.5
        }] as const
      ) {
        assert.strictEqual((yield* Effect.flip(at(storage, writeBackup({ compression }))))._tag, "InvalidInput")
      }
      for (const segmentBytes of [0, 1, 2 ** 30, Number.NaN]) {
        assert.strictEqual((yield* Effect.flip(at(storage, writeBackup({ segmentBytes }))))._tag, "InvalidInput")
      }
      assert.deepStrictEqual(yield* collect(storage.list()), [])
    }))

  it.effect("refuses keys that cannot be used, before anything is written", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const { signing, trusted } = signingKeys()
      const short = { id: "short", key: Redacted.make(new Uint8Array(31)) }
      const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
        type: "pkcs8",
        format: "pem"
      })
      const unusable = [
        { encryption: short },
        { encryption: { ...encryptionKey(), id: "a b" } },
        { encryption: encryptionKey(1, "x".repeat(65)) },
        { signing: { ...signing, id: "a/b" } },
        { signing: { id: "pem", privateKey: Redacted.make("no key") } },
        { signing: { id: "rsa", privateKey: Redacted.make(rsa.toString()) } }
      ]
      for (const keys of unusable) {
        assert.strictEqual((yield* Effect.flip(at(storage, writeBackup(keys))))._tag, "BackupKeyInvalid")
      }
      assert.deepStrictEqual(yield* collect(storage.list()), [])
      const manifest = yield* at(storage, writeBackup({ signing }))
      const broken = [{ id: trusted[0]!.id, publicKey: "no key" }]
      const report = yield* at(storage, BackupVerification.verify(manifest.id, { keys: { trusted: broken } }))
      assert.deepStrictEqual(report.faults.map(({ _tag }) => _tag), ["BackupKeyInvalid"])
    }))

  it.effect("takes kinds in their order only", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const error = yield* Effect.flip(at(
        storage,
        Effect.scoped(Effect.gen(function*() {
          const writer = yield* BackupWriter.make({ incarnation: INCARNATION })
          yield* writer.write("states", otherRows.states)
          yield* writer.write("streams", otherRows.streams)
        }))
      ))
      assert.strictEqual(error._tag, "InvalidInput")
      assert.deepStrictEqual(yield* collect(storage.list()), [])
    }))

  it.effect("goes on only from a backup of the same history that is there", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const full = yield* at(storage, writeBackup({ to: 5 }))
      const foreign = yield* Effect.flip(
        at(storage, writeBackup({ from: 6, to: 7, parent: full, incarnation: "another" }))
      )
      assert.strictEqual(foreign._tag, "BackupChainBroken")
      const elsewhere = yield* makePlace
      const missing = yield* Effect.flip(at(elsewhere, writeBackup({ from: 6, to: 7, parent: full })))
      assert.strictEqual(missing._tag, "BackupChainBroken")
      const gap = yield* Effect.flip(at(storage, writeBackup({ from: 7, to: 8, parent: full })))
      assert.strictEqual(gap._tag, "InvalidInput")
    }))

  it.effect("leaves nothing when its scope closes, by failure or by interruption, before it is finished", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const halfway = (end: Effect.Effect<never, string>) =>
        at(
          storage,
          Effect.scoped(Effect.gen(function*() {
            const writer = yield* BackupWriter.make({ incarnation: INCARNATION, segmentBytes: 64 * 1024 })
            yield* writer.write("events", eventRows(1, 3_000))
            return yield* end
          }))
        )
      yield* Effect.exit(halfway(Effect.fail("stop")))
      assert.deepStrictEqual(yield* collect(storage.list()), [])
      yield* Effect.exit(halfway(Effect.interrupt))
      assert.deepStrictEqual(yield* collect(storage.list()), [])
      const kept = yield* at(storage, writeBackup())
      yield* Effect.exit(halfway(Effect.fail("stop")))
      assert.deepStrictEqual((yield* at(storage, BackupVerification.verify(kept.id))).faults, [])
    }))

  it.effect("whatever step of the storage fails, there is a sound backup or none, and the next run cleans up", () =>
    Effect.gen(function*() {
      const failAt = (
        storage: BackupStorage["Service"],
        step: number,
        when: "before" | "after"
      ): BackupStorage["Service"] => {
        let count = 0
        const failure = new BackupStorageError({
          operation: "put",
          location: "",
          name: "",
          reason: "Failed",
          detail: "cut"
        })
        // from then on nothing works, as after a kill
        const guard = <A>(effect: Effect.Effect<A, BackupStorageError>): Effect.Effect<A, BackupStorageError> =>
          Effect.suspend(() => {
            const now = count++
            if (now < step) return effect
            return now === step && when === "after"
              ? Effect.andThen(effect, Effect.fail(failure))
              : Effect.fail(failure)
          })
        return {
          ...storage,
          put: (name, bytes) => guard(storage.put(name, bytes)),
          stat: (name) => guard(storage.stat(name)),
          remove: (name) => guard(storage.remove(name)),
          get: (name, range) => Stream.unwrap(guard(Effect.succeed(storage.get(name, range)))),
          list: (prefix) => Stream.unwrap(guard(Effect.succeed(storage.list(prefix))))
        }
      }
      let finished = 0
      for (const when of ["before", "after"] as const) {
        for (let step = 0; step < 10; step++) {
          const storage = yield* makePlace
          const options = { to: 500, segmentBytes: 64 * 1024, withOthers: false }
          const exit = yield* Effect.exit(at(failAt(storage, step, when), writeBackup(options)))
          const { backups, faults, incomplete } = yield* at(storage, BackupCatalog.list())
          assert.deepStrictEqual(faults, [])
          if (Exit.isSuccess(exit)) assert.strictEqual(backups.length, 1)
          for (const { id } of backups) {
            finished++
            assert.isTrue((yield* at(storage, BackupVerification.verify(id))).isSound)
          }
          assert.isAtMost(backups.length + incomplete.length, 1)
          const removed = yield* at(storage, BackupCatalog.removeIncomplete({ idleMillis: 0 }))
          assert.deepStrictEqual(removed.map(({ id }) => id), incomplete.map(({ id }) => id))
          const next = yield* at(storage, writeBackup(options))
          assert.isTrue((yield* at(storage, BackupVerification.verify(next.id))).isSound)
          assert.strictEqual((yield* filesOf(storage)).size, (backups.length + 1) * (next.segments.length + 1))
        }
      }
      assert.isAbove(finished, 0)
    }))

  it.effect("does not finish when a segment is gone or cut", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const lossy: BackupStorage["Service"] = {
        ...storage,
        put: (name, bytes) => name.endsWith("000000000002.esb") ? Effect.void : storage.put(name, bytes)
      }
      const error = yield* Effect.flip(at(lossy, writeBackup({ to: 1_500, segmentBytes: 64 * 1024 })))
      assert.strictEqual(error._tag, "BackupStorageError")
      assert.deepStrictEqual(yield* collect(storage.list()), [])
    }))

  it.effect("takes an answer that was lost on the way for what it was: stored", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      // the first request arrives, its answer does not, and the driver sends it again
      const retrying: BackupStorage["Service"] = {
        ...storage,
        put: (name, bytes) => Effect.andThen(storage.put(name, bytes), storage.put(name, bytes))
      }
      const manifest = yield* at(retrying, writeBackup())
      assert.isTrue((yield* at(storage, BackupVerification.verify(manifest.id))).isSound)
    }))
})
