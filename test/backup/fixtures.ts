import { Effect, Redacted, Stream } from "effect"
import { generateKeyPairSync } from "node:crypto"
import { type BackupManifest, BackupStorage, BackupWriter, layerMemory } from "../../src/backup/index.ts"
import type {
  CheckpointRow,
  EventRow,
  ParkedRow,
  SnapshotRow,
  StateRow,
  StreamRow,
  TransferKind,
  TransferRows
} from "../../src/store/index.ts"

export const INCARNATION = "0b9f6e52-6a6c-4d0e-9b55-0f2c7d3c8a11"

/** 2026-11-21T12:00:00.000000Z. */
export const NOON = 1_795_262_400_000_000

/** A small generator of numbers from 0 to 1: the same for the same seed. */
export const makeRandom = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

export const idOf = (position: number): string => {
  const random = makeRandom(position * 7_919)
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join("")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Events `from` to `to` (inclusive) of one log: the same for the same positions. */
export const eventRows = (from: number, to: number, streams = 7): ReadonlyArray<EventRow> =>
  Array.from({ length: to - from + 1 }, (_, index) => {
    const position = from + index
    return {
      position,
      streamId: `order-${(position - 1) % streams}`,
      revision: Math.floor((position - 1) / streams),
      id: idOf(position),
      type: position % 3 === 0 ? "OrderShipped" : "OrderPlaced",
      version: 1 + position % 2,
      data: JSON.stringify({ position, text: `text ${position % 10}`, customer: idOf(position % 5) }),
      metadata: position % 4 === 0 ? "" : JSON.stringify({ correlationId: idOf(position % 11) }),
      tags: position % 5 === 0 ? [`customer:${position % 5}`, "größe:🦊"] : [],
      recordedAt: NOON + position * 1_500_000 + position % 997
    }
  })

const streamRow: StreamRow = {
  streamId: "order-1",
  revision: 9,
  truncateBefore: 3,
  isTombstoned: false,
  metadata: "{\"owner\":\"Ada\"}"
}
const snapshotRow: SnapshotRow = {
  streamId: "order-1",
  kind: "order",
  fingerprint: "f".repeat(64),
  revision: 8,
  firstRevision: 3,
  serialization: "json",
  compression: "zstd",
  plainBytes: 123,
  bytes: new Uint8Array([0, 1, 2, 255]),
  digest: new Uint8Array(32).fill(7),
  takenAt: NOON + 5,
  loadMillis: 1.25
}
const checkpointRow: CheckpointRow = {
  projection: "orders",
  version: 2,
  build: 1,
  slice: 0,
  buildStatus: "current",
  isLive: true,
  builtAt: NOON + 4,
  retiredAt: undefined,
  keepUntil: undefined,
  definition: "state of [OrderPlaced]",
  status: "running",
  isSetUp: false,
  start: 0,
  position: 9,
  incarnation: INCARNATION,
  events: 9,
  digest: "0123456789abcdef",
  epoch: 4,
  failures: 0,
  firstFailedAt: undefined,
  lastFailedAt: undefined,
  failedPosition: undefined,
  failure: undefined,
  updatedAt: NOON + 6
}
const stateRow: StateRow = {
  projection: "orders",
  version: 2,
  build: 1,
  key: "schlüssel 🦊",
  state: "{\"n\":1}",
  changedAt: undefined
}
const parkedRow: ParkedRow = {
  projection: "orders",
  version: 2,
  build: 1,
  slice: 0,
  position: 4,
  key: "order-3",
  id: idOf(4),
  type: "OrderPlaced",
  streamId: "order-3",
  revision: 0,
  attempts: 3,
  reason: "it threw",
  parkedAt: -1
}

/** One row, or two, of every kind but events. */
export const otherRows: { readonly [K in Exclude<TransferKind, "events">]: ReadonlyArray<TransferRows[K]> } = {
  streams: [streamRow, { ...streamRow, streamId: "order-2", isTombstoned: true, truncateBefore: 0, metadata: "{}" }],
  snapshots: [snapshotRow, { ...snapshotRow, revision: 9, bytes: new Uint8Array(), loadMillis: 0 }],
  checkpoints: [
    checkpointRow,
    {
      ...checkpointRow,
      version: 3,
      build: 2,
      slice: 5,
      buildStatus: "kept",
      isLive: false,
      retiredAt: NOON + 7,
      keepUntil: NOON + 8,
      status: "halted",
      failures: 2,
      firstFailedAt: NOON,
      lastFailedAt: NOON + 1,
      failedPosition: 7,
      failure: "it threw"
    }
  ],
  states: [stateRow, { ...stateRow, key: "", changedAt: NOON }],
  parked: [parkedRow]
}

export const OTHER_KINDS = ["streams", "snapshots", "checkpoints", "states", "parked"] as const

export const encryptionKey = (byte = 1, id = "key-1") => ({ id, key: Redacted.make(new Uint8Array(32).fill(byte)) })

export const signingKeys = (id = "signer-1") => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  return {
    signing: { id, privateKey: Redacted.make(privateKey.export({ type: "pkcs8", format: "pem" }).toString()) },
    trusted: [{ id, publicKey: publicKey.export({ type: "spki", format: "pem" }).toString() }]
  }
}

export interface WriteOptions extends Partial<BackupWriter.BackupWriterOptions> {
  readonly from?: number
  readonly to?: number
  readonly withOthers?: boolean
  readonly events?: ReadonlyArray<EventRow>
  readonly others?: typeof otherRows
}

/** Writes one backup of the log of `eventRows`. */
export const writeBackup = (
  { events, from = 1, others = otherRows, to = 40, withOthers = true, ...options }: WriteOptions = {}
): Effect.Effect<BackupManifest, BackupWriter.BackupWriteError, BackupStorage> =>
  Effect.scoped(Effect.gen(function*() {
    const writer = yield* BackupWriter.make({ incarnation: INCARNATION, ...options })
    yield* writer.write("events", events ?? eventRows(from, to))
    if (withOthers) {
      for (const kind of OTHER_KINDS) yield* writer.write(kind, others[kind] as never)
    }
    return yield* writer.finish
  }))

export const collect = <A, E, R>(stream: Stream.Stream<A, E, R>): Effect.Effect<ReadonlyArray<A>, E, R> =>
  Stream.runCollect(stream)

/** All files of a place, by name. */
export const filesOf = (storage: BackupStorage["Service"]) =>
  Effect.flatMap(
    collect(storage.list()),
    (files) =>
      Effect.map(
        Effect.forEach(
          files,
          ({ name }) => Effect.map(collect(storage.get(name)), (pieces) => [name, Buffer.concat(pieces)] as const)
        ),
        (entries) => new Map(entries)
      )
  )

/** A new place in memory that holds these files. */
export const placeOf = (files: Iterable<readonly [string, Uint8Array]>) =>
  Effect.gen(function*() {
    const storage = yield* makePlace
    for (const [name, bytes] of files) yield* storage.put(name, bytes)
    return storage
  })

/** A new place in memory. */
export const makePlace: Effect.Effect<BackupStorage["Service"]> = Effect.provide(
  BackupStorage.use((storage) => Effect.succeed(storage)),
  layerMemory,
  { local: true }
)

export const at = <A, E, R>(
  storage: BackupStorage["Service"],
  effect: Effect.Effect<A, E, R | BackupStorage>
): Effect.Effect<A, E, Exclude<R, BackupStorage>> =>
  Effect.provideService(effect, BackupStorage, storage) as Effect.Effect<A, E, Exclude<R, BackupStorage>>
