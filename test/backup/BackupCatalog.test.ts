import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { BackupCatalog } from "../../src/backup/index.ts"
import { pruneBackups } from "../../src/backup/internal/pruneBackups.ts"
import { at, collect, eventRows, filesOf, makePlace, placeOf, signingKeys, writeBackup } from "./fixtures.ts"

describe("BackupCatalog", () => {
  it.live("lists what is there; what cannot be read hides nothing, and what is not ours is left alone", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const full = yield* at(storage, writeBackup({ to: 5 }))
      const child = yield* at(storage, writeBackup({ events: eventRows(6, 9), parent: full }))
      const lost = yield* at(storage, writeBackup({ to: 3 }))
      const broken = yield* at(storage, writeBackup({ to: 2 }))
      yield* storage.put("README.txt", Buffer.from("by hand"))
      const files = new Map(yield* filesOf(storage))
      files.delete(`${lost.id}.manifest.json`)
      files.set(`${broken.id}.manifest.json`, Buffer.from("{}"))
      const place = yield* placeOf(files)
      const list = yield* at(place, BackupCatalog.list())
      assert.deepStrictEqual(list.backups.map(({ id }) => id).sort(), [full.id, child.id].sort())
      assert.deepStrictEqual(list.faults.map(({ fault, id }) => [id, fault._tag]), [[broken.id, "BackupCorrupt"]])
      assert.deepStrictEqual(list.incomplete.map(({ files, id }) => [id, files]), [[lost.id, lost.segments.length]])
      assert.deepStrictEqual(yield* at(place, BackupCatalog.describe(child.id)), child)
      assert.deepStrictEqual((yield* at(place, BackupCatalog.chainOf(child.id))).map(({ id }) => id), [
        full.id,
        child.id
      ])
      const { trusted } = signingKeys()
      const untrusted = yield* at(place, BackupCatalog.list({ trusted }))
      assert.deepStrictEqual(untrusted.backups, [])
      assert.strictEqual(untrusted.faults.length, 3)
    }))

  it.effect("the newest is the one that reaches furthest, though its clock was set back; a damaged one stops a prune", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      yield* TestClock.setTime(Date.UTC(2026, 10, 21))
      const full = yield* at(storage, writeBackup({ to: 5 }))
      yield* TestClock.setTime(Date.UTC(2026, 9, 1))
      const child = yield* at(storage, writeBackup({ events: eventRows(6, 9), parent: full }))
      yield* TestClock.setTime(Date.UTC(2026, 10, 22))
      const list = yield* at(storage, BackupCatalog.list())
      assert.deepStrictEqual(list.backups.map(({ id }) => id), [full.id, child.id])
      const policy = { keepLast: 1 }
      const pruned = yield* at(storage, pruneBackups(policy, {}))
      assert.deepStrictEqual(pruned.removed, [])

      const damaged = new Map(yield* filesOf(storage))
      damaged.set(`${child.id}.manifest.json`, Buffer.from("{}"))
      const place = yield* placeOf(damaged)
      for (const options of [{}, { dryRun: true }, { keys: { trusted: signingKeys().trusted } }]) {
        const refused = yield* Effect.flip(at(place, pruneBackups(policy, options)))
        assert.include(["BackupCorrupt", "BackupSignatureInvalid"], refused._tag)
      }
      assert.deepStrictEqual([...(yield* filesOf(place)).keys()].sort(), [...damaged.keys()].sort())
    }))

  it.live("removes a backup that nothing goes on from, and no other", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const full = yield* at(storage, writeBackup({ to: 5 }))
      const child = yield* at(storage, writeBackup({ events: eventRows(6, 9), parent: full }))
      const other = yield* at(storage, writeBackup({ to: 5 }))
      const refused = yield* Effect.flip(at(storage, BackupCatalog.remove(full.id)))
      assert.deepStrictEqual([refused._tag, "children" in refused && refused.children], ["BackupInUse", [child.id]])
      yield* at(storage, BackupCatalog.remove(child.id))
      yield* at(storage, BackupCatalog.remove(full.id))
      yield* at(storage, BackupCatalog.remove(full.id))
      const names = (yield* collect(storage.list())).map(({ name }) => name)
      assert.isTrue(names.every((name) => name.startsWith(other.id)))
      assert.strictEqual(names.length, other.segments.length + 1)
    }))

  it.live("leaves segments alone to which somebody may still write", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const manifest = yield* at(storage, writeBackup({ to: 5 }))
      yield* storage.remove(`${manifest.id}.manifest.json`)
      assert.deepStrictEqual(yield* at(storage, BackupCatalog.removeIncomplete()), [])
      assert.isAbove((yield* collect(storage.list())).length, 0)
      const removed = yield* at(storage, BackupCatalog.removeIncomplete({ idleMillis: 0 }))
      assert.deepStrictEqual(removed.map(({ id }) => id), [manifest.id])
      assert.deepStrictEqual(yield* collect(storage.list()), [])
    }))
})
