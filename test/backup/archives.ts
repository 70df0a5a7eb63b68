/**
 * Stores with months of long ago, and what the tests of the archive do with them.
 */
import { Context, DateTime, Effect, Layer, type Scope, Stream } from "effect"
import type { BackupArchiveOptions } from "../../src/backup/BackupArchive.ts"
import { ArchiveService, BackupArchive, BackupService, BackupStorage } from "../../src/backup/index.ts"
import { EventArchive } from "../../src/store/EventArchive.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { LogArchive } from "../../src/store/LogArchive.ts"
import { type EventRow, LogTransfer } from "../../src/store/LogTransfer.ts"
import { digestOf } from "../store/transfers.ts"
import { eventRows, INCARNATION } from "./fixtures.ts"
import type { AnyStore, StoreKind } from "./stores.ts"

export type Place = BackupStorage["Service"]

/** The first day of a month of 2026. */
export const monthBegins = (month: number) => DateTime.makeUnsafe({ year: 2026, month, day: 1 })

/** 20 events a month from January to March 2026, texts that no parser would write, and data that is `null`. */
export const monthlyRows = (months = 3): ReadonlyArray<EventRow> =>
  eventRows(1, 20 * months).map((row) => ({
    ...row,
    version: 1,
    data: row.position % 6 === 0
      ? "null"
      : row.position % 7 === 0
      ? `{ "b":1.50,  "a" : 1e2, "text":"ä\\u0041🦊" }`
      : row.data,
    recordedAt: Date.UTC(2026, Math.floor((row.position - 1) / 20), 5) * 1000 + row.position * 1_000_003
  }))

/** Puts events into an empty store as they are. */
export const plant = ({ transfer }: Pick<AnyStore, "transfer">, rows: ReadonlyArray<EventRow>) =>
  Effect.scoped(Effect.gen(function*() {
    const session = yield* transfer.restore({ source: INCARNATION, until: rows.length })
    yield* session.writeEvents(rows)
    yield* session.finish({ digest: digestOf(rows), rest: () => Effect.void })
  }))

/** A store, and its side of the archive. */
export interface ArchivedStore extends AnyStore {
  readonly archive: LogArchive["Service"]
}

/** Opens a store that reads what is archived from nowhere. */
export const openBare = (kind: StoreKind): Effect.Effect<ArchivedStore, unknown, Scope.Scope> =>
  Effect.map(kind.open, (store) => ({ ...store, archive: Context.get(store.context, LogArchive) }))

/** Opens a store that reads what is archived from a place. */
export const openWith = (kind: StoreKind, place: Place, options?: BackupArchiveOptions) =>
  Effect.flatMap(archiveOf(place, options), (archive) => Effect.provideService(openBare(kind), EventArchive, archive))

/** What reads archived events from a place. */
export const archiveOf = (place: Place, options?: BackupArchiveOptions) =>
  Effect.map(
    Layer.build(Layer.fresh(BackupArchive.layer(options)).pipe(Layer.provide(Layer.succeed(BackupStorage, place)))),
    (context) => Context.get(context, EventArchive)
  )

/** The services of a store and a place. */
export const servicesOf = (
  store: ArchivedStore,
  place: Place
): Effect.Effect<
  { readonly archive: ArchiveService["Service"]; readonly backups: BackupService["Service"] },
  never,
  Scope.Scope
> =>
  Effect.map(
    Layer.build(
      Layer.merge(ArchiveService.layer, BackupService.layer).pipe(
        Layer.provide(Layer.succeed(BackupStorage, place)),
        Layer.provide(Layer.succeed(EventStore, store.store)),
        Layer.provide(Layer.succeed(LogArchive, store.archive)),
        Layer.provide(Layer.succeed(LogTransfer, store.transfer))
      )
    ),
    (context) => ({ archive: Context.get(context, ArchiveService), backups: Context.get(context, BackupService) })
  )

/** Puts other bytes in the place of a file. */
export const replaceFile = (place: Place, name: string, bytes: Uint8Array) =>
  Effect.andThen(place.remove(name), place.put(name, bytes))

/** The rows as the store itself has them. */
export const storedRows = ({ archive }: ArchivedStore, until: number) => archive.readStored({ after: 0, until })

/** Everything that can be read of a store, in every way that reads data. */
export const readEverything = ({ store, transfer }: AnyStore) =>
  Effect.gen(function*() {
    const { position } = yield* store.head
    const all = yield* Stream.runCollect(store.readAll())
    const filters = [
      { types: ["OrderShipped"] },
      { tags: ["größe:🦊"] },
      { categories: ["order"] },
      { streamIds: ["order-2", "order-5"] },
      { recordedFrom: monthBegins(2), recordedBefore: monthBegins(3) },
      { query: [{ types: ["OrderPlaced"], tags: ["customer:0"] }, { types: ["Nothing"] }] }
    ]
    return {
      all,
      backwards: yield* Stream.runCollect(store.readAll({ direction: "backwards", limit: position - 3 })),
      middle: yield* Stream.runCollect(store.readAll({ after: 17 as never, until: 33 as never })),
      page: yield* store.readPage({ after: 38 as never, limit: 4 }),
      filtered: yield* Effect.forEach(filters, (filter) => Stream.runCollect(store.readAll({ filter }))),
      streams: yield* Effect.forEach(
        ["order-0", "order-3"],
        (streamId) =>
          Effect.all([
            Stream.runCollect(store.readStream(streamId)),
            Stream.runCollect(store.readStream(streamId, { direction: "backwards", limit: 7 }))
          ])
      ),
      found: yield* Effect.forEach([0, 5, 30, all.length - 1], (index) => store.findEvent(all[index]!.id)),
      followed: yield* Stream.runCollect(Stream.take(store.subscribe(), position)),
      followedSome: yield* Stream.runCollect(
        Stream.take(store.subscribe({ filter: { types: ["OrderShipped"] } }), 15)
      ),
      rows: yield* transfer.readEvents({ after: 0, until: position }),
      viewed: yield* Effect.scoped(
        Effect.flatMap(transfer.view, (view) => view.readEvents({ after: 0, until: position }))
      )
    }
  })
