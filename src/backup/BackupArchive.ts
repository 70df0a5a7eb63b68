/**
 * Reads archived events from backups.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { LRUCache } from "lru-cache"
import type { Position } from "../event/Revision.ts"
import { type ArchivedEvent, EventArchive } from "../store/EventArchive.ts"
import { Archived, Unavailable } from "../store/EventStoreError.ts"
import type { ArchiveEntry, EventPayload } from "../store/LogArchive.ts"
import { BackupCorrupt, type BackupReadError } from "./BackupError.ts"
import type { BackupKeys } from "./BackupKeys.ts"
import type { SegmentEntry } from "./BackupManifest.ts"
import { BackupStorage } from "./BackupStorage.ts"
import { chainFault } from "./internal/archiveParts.ts"
import { loadChain, loadSegment, makeOpener, type Opener } from "./internal/chain.ts"
import { manifestFile, segmentFile } from "./internal/names.ts"
import { indexEvents, type SegmentEvents } from "./internal/segmentEvents.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupArchiveOptions {
  /** To read what is encrypted, and to refuse what is not signed by somebody who is trusted. */
  readonly keys?: BackupKeys | undefined
  /** Bytes of inflated segments that are kept, 64 MiB when absent. One that is larger is inflated for each page. */
  readonly cacheBytes?: number | undefined
}

/**
 * Layer by which a store reads its archived months from the backups of a place.
 *
 * **Details**
 *
 * Provide it to the layer of the store. Nothing is read before an archived event
 * is asked for. The manifests of a chain are read once; a segment is proved
 * whole before anything of it is given, and kept while there is room, so pages
 * side by side inflate it once.
 *
 * **Example**
 *
 * ```ts
 * layerPostgres({ url }).pipe(
 *   Layer.provide(BackupArchive.layer()),
 *   Layer.provide(layerDirectory("/var/backups/shop"))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: BackupArchiveOptions = {}): Layer.Layer<EventArchive, never, BackupStorage> =>
  Layer.effect(EventArchive, make(options))

// internal

const CACHE_BYTES_DEFAULT = 64 * 1024 * 1024

/** Segments that are loaded at a time. */
const LOADS = 4

/** A chain whose manifests are proved, and where its events stand. */
interface OpenChain {
  /** In the order of the log. */
  readonly segments: ReadonlyArray<Located>
}

interface Located {
  readonly opener: Opener
  readonly entry: SegmentEntry
}

const make = Effect.fnUntraced(function*({ cacheBytes = CACHE_BYTES_DEFAULT, keys = {} }: BackupArchiveOptions) {
  const storage = yield* BackupStorage
  const chains = new Map<string, OpenChain>()
  const opening = yield* Semaphore.make(1)
  const inflated = new LRUCache<string, SegmentEvents>({
    maxSize: Math.max(1, Math.floor(cacheBytes)),
    sizeCalculation: ({ bytes }) => Math.max(1, bytes)
  })
  // who wants the same segment waits for the one who loads it
  const loading = yield* Effect.all(Array.from({ length: LOADS }, () => Semaphore.make(1)))

  const openChain = (from: ArchiveEntry): Effect.Effect<OpenChain, BackupReadError> =>
    Effect.suspend(() => {
      const key = `${from.backupId} ${from.chain}`
      const known = chains.get(key)
      return known === undefined
        ? Effect.tap(proveChain(storage, keys, from), (chain) => Effect.sync(() => chains.set(key, chain)))
        : Effect.succeed(known)
    }).pipe(Semaphore.withPermit(opening))

  const load = ({ entry, opener }: Located): Effect.Effect<SegmentEvents, BackupReadError> => {
    const { id } = opener.manifest
    const name = segmentFile(id, entry.number)
    return Effect.suspend(() => {
      const known = inflated.get(name)
      return known !== undefined ? Effect.succeed(known) : loadSegment(storage, opener, entry).pipe(
        Effect.flatMap((plain) => Effect.fromResult(indexEvents(plain, { backupId: id, entry }))),
        Effect.tap((events) => Effect.sync(() => inflated.set(name, events)))
      )
    }).pipe(Semaphore.withPermit(loading[entry.number % LOADS] as Semaphore.Semaphore))
  }

  const readAll = Effect.fnUntraced(function*(
    from: ArchiveEntry,
    events: ReadonlyArray<ArchivedEvent>,
    reached: { position: number }
  ): Effect.fn.Return<ReadonlyArray<EventPayload>, BackupReadError> {
    const { segments } = yield* openChain(from)
    const payloads: Array<EventPayload> = []
    let current: { readonly located: Located; readonly events: SegmentEvents } | undefined
    for (const { id, position } of events) {
      reached.position = position
      if (current === undefined || !holds(current.located, position)) {
        const located = segments[findSegment(segments, position)]
        if (located === undefined || !holds(located, position)) {
          return yield* corrupt(manifestFile(from.backupId), position, "no segment of the chain has the event")
        }
        current = { located, events: yield* load(located) }
      }
      const row = yield* Effect.fromResult(current.events.read(position))
      if (row.id !== id) {
        const { entry, opener } = current.located
        const file = segmentFile(opener.manifest.id, entry.number)
        return yield* corrupt(file, position, `the event is ${row.id} there, and ${id} in the store`)
      }
      payloads.push({ data: row.data, metadata: row.metadata })
    }
    return payloads
  })

  return EventArchive.of({
    read: (from, events) =>
      Effect.suspend(() => {
        const reached = { position: events[0]?.position ?? from.until }
        return Effect.mapError(readAll(from, events, reached), (fault) => toReason(fault, from, reached.position))
      })
  })
})

const holds = ({ entry }: Located, position: number): boolean => entry.first <= position && position <= entry.last

/** The first segment that reaches a position. */
const findSegment = (segments: ReadonlyArray<Located>, position: number): number => {
  let low = 0
  let high = segments.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((segments[middle] as Located).entry.last < position) low = middle + 1
    else high = middle
  }
  return low
}

const proveChain = Effect.fnUntraced(function*(
  storage: BackupStorage["Service"],
  keys: BackupKeys,
  { backupId, chain: expected }: ArchiveEntry
): Effect.fn.Return<OpenChain, BackupReadError> {
  const chain = yield* loadChain(storage, backupId, keys)
  const fault = chainFault(backupId, chain.at(-1)?.chain, expected)
  if (fault !== undefined) return yield* fault
  const openers = yield* Effect.forEach(chain, (manifest) => makeOpener(manifest, keys))
  return {
    segments: openers.flatMap((opener) =>
      opener.manifest.segments.filter(({ kind }) => kind === "events").map((entry): Located => ({ opener, entry }))
    )
  }
})

const corrupt = (file: string, position: number, detail: string): BackupCorrupt =>
  new BackupCorrupt({ file, offset: undefined, length: undefined, position, detail })

const toReason = (fault: BackupReadError, { backupId, until }: ArchiveEntry, position: number) =>
  fault._tag === "BackupStorageError" && fault.isRetryable
    ? new Unavailable({ detail: fault.message, cause: fault })
    : new Archived({
      position: position as Position,
      backupId,
      until: until as Position,
      detail: `the event at position ${position} cannot be read from its archive: ${fault.message}`,
      cause: fault
    })
