/**
 * Backups as the role `event_store_backup` of `sql/privileges.sql` makes them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { BackupCatalog, BackupService, BackupStorage, BackupVerification, StoreMove } from "../../src/backup/index.ts"
import { layerMemory, layerPostgres } from "../../src/runtime/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { LogTransfer } from "../../src/store/LogTransfer.ts"
import { SnapshotStore } from "../../src/store/SnapshotStore.ts"
import { StoreAdmin } from "../../src/store/StoreAdmin.ts"
import { assertStorageError, openSql, runAll, withUser } from "../postgres/fixtures.ts"
import { fillStore, viewOf } from "../store/transfers.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { at, makePlace } from "./fixtures.ts"
import { type AnyStore, memory } from "./stores.ts"

const OWNER = /permission denied.*: a restore takes the rights of the schema's owner$/

for (const server of servers) {
  /** A store with roles, and what opens it as the owner, or as a login that has one of the roles only. */
  const withRoles = Effect.gen(function*() {
    const url = yield* makeDatabase(server.admin)
    const openAs = (user: string, migrate: boolean) =>
      Effect.map(
        Layer.build(Layer.fresh(layerPostgres({ url: user, migrate, maxConnections: 4 }))),
        (context): AnyStore => ({
          context,
          store: Context.get(context, EventStore),
          transfer: Context.get(context, LogTransfer),
          checkpoints: Context.get(context, CheckpointStore),
          snapshots: Context.get(context, SnapshotStore),
          admin: Context.get(context, StoreAdmin)
        })
      )
    const owner = yield* openAs(url, true)
    yield* owner.admin.schemaApply({ roles: true })
    const sql = yield* openSql(url)
    const login = Effect.fnUntraced(function*(role: string) {
      const name = `t_${randomUUID().replaceAll("-", "")}`
      yield* Effect.acquireRelease(
        runAll(sql, [`CREATE ROLE ${name} LOGIN PASSWORD 'secret'`, `GRANT ${role} TO ${name}`]),
        () => Effect.orDie(runAll(sql, [`DROP OWNED BY ${name} CASCADE`, `DROP ROLE ${name}`]))
      )
      return yield* openAs(withUser(url, name, "secret"), false)
    })
    return { owner, login }
  })

  const serviceOf = ({ store, transfer }: Pick<AnyStore, "store" | "transfer">, place: BackupStorage["Service"]) =>
    Effect.map(
      Layer.build(BackupService.layer.pipe(
        Layer.provide(Layer.mergeAll(
          Layer.succeed(BackupStorage, place),
          Layer.succeed(EventStore, store),
          Layer.succeed(LogTransfer, transfer)
        ))
      )),
      (context) => Context.get(context, BackupService)
    )

  describe(`the role event_store_backup (${server.label})`, () => {
    it.live("makes and proves backups, of all that there is, and needs nothing else", () =>
      Effect.gen(function*() {
        const { login, owner } = yield* withRoles
        const place = yield* makePlace
        yield* fillStore(owner)
        const reader = yield* login("event_store_backup")
        const backups = yield* serviceOf(reader, place)
        const first = yield* backups.create()
        assert.deepInclude(first as object, { _tag: "Created", leftOut: [] })
        yield* owner.store.append({ streamId: "more-1", expected: "any", events: [{ type: "More", data: 1 }] })
        const second = yield* backups.create({ kind: "incremental" })
        if (second._tag !== "Created") return assert.fail("unchanged")
        assert.deepInclude(second.manifest.counts as object, {
          events: 1,
          streams: 3,
          snapshots: 2,
          states: 3,
          parked: 1
        })
        assert.strictEqual((yield* backups.create())._tag, "Unchanged")
        assert.deepStrictEqual(
          (yield* at(place, BackupCatalog.chainOf(second.manifest.id))).map(({ kind }) => kind),
          ["full", "incremental"]
        )
        assert.isTrue((yield* at(place, BackupVerification.verify(second.manifest.id))).isSound)
        assert.strictEqual((yield* backups.drill({ scratch: layerMemory })).position, 61)
        assert.deepStrictEqual(yield* viewOf(reader.transfer), yield* viewOf(owner.transfer))
        assert.deepInclude((yield* reader.transfer.describe) as object, { position: 61, restoring: undefined })
      }))

    it.live("may not append, restore, abandon a restore, or be moved into, and is told what it lacks", () =>
      Effect.gen(function*() {
        const { login, owner } = yield* withRoles
        const place = yield* makePlace
        const source = yield* memory.open
        yield* source.store.append({ streamId: "a-1", expected: "any", events: [{ type: "Happened", data: 1 }] })
        yield* (yield* serviceOf(source, place)).create()
        for (const role of ["event_store_backup", "event_store_reader", "event_store_writer"]) {
          const target = yield* login(role)
          const backups = yield* serviceOf(target, place)
          const refusals = [backups.restore(), StoreMove.promote({ from: source.transfer, to: target.transfer })]
          for (const refused of refusals) {
            const { reason } = yield* assertStorageError(refused as Effect.Effect<unknown, unknown>, "Refused", OWNER)
            assert.deepInclude(reason as object, { code: "42501" })
          }
          if (role === "event_store_writer") continue
          yield* assertStorageError(backups.abandonRestore, "Refused", OWNER)
          yield* assertStorageError(backups.append(), "Refused", /permission denied.*event_store_writer appends/)
          yield* assertStorageError(
            target.store.append({ streamId: "a-1", expected: "any", events: [{ type: "Happened", data: 1 }] }),
            "Refused",
            /permission denied.*event_store_writer appends/
          )
        }
        assert.deepInclude((yield* owner.transfer.describe) as object, { isEmpty: true, restoring: undefined })
      }))
  })
}
