/**
 * Whole stores through backups: a log is imported into every storage, backed up there, and restored into every
 * storage, and moved to every other one. What is there afterwards is compared with what was there before.
 */
import { Context, DateTime, Effect, Exit, Layer, Schema, type Scope, Stream } from "effect"
import { createHash } from "node:crypto"
import { BackupLines, BackupService, BackupStorage, BackupVerification, StoreMove } from "../../src/backup/index.ts"
import { exportEvents } from "../../src/cli/Export.ts"
import { importEvents } from "../../src/cli/Import.ts"
import type { Revision } from "../../src/event/Revision.ts"
import { StreamId } from "../../src/event/StreamId.ts"
import { Projection, ProjectionRunner } from "../../src/projection/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import {
  type EventRow,
  LogTransfer,
  type LogView,
  type OtherKind,
  TRANSFER_KINDS
} from "../../src/store/LogTransfer.ts"
import { type AnyStore, memory, type StoreKind } from "./anyStore.ts"

/** What goes round, and where. */
export interface RoundTripOptions {
  /** Lines of an export, or of any NDJSON that `event-store import` takes. */
  readonly lines: Buffer
  /** From each of these into each of these. */
  readonly kinds: ReadonlyArray<StoreKind>
  /** Which moves without a backup between are made. */
  readonly moves: (from: StoreKind, to: StoreKind) => boolean
  /** Makes an empty place for backups, which goes with the scope. */
  readonly place: Effect.Effect<BackupStorage["Service"], unknown, Scope.Scope>
  readonly progress?: ((text: string) => void) | undefined
}

/** One way from one storage to another. */
export interface RoundTrip {
  readonly from: string
  readonly to: string
  readonly via: "backup" | "promote"
  readonly events: number
  /** Of the restore or the move alone. */
  readonly seconds: number
  /** What is not what it was; nothing when all is well. */
  readonly differs: ReadonlyArray<string>
}

/** What a store in one storage held, and what went from there. */
export interface RoundTripsOf {
  readonly from: string
  readonly before: StoreDigests
  readonly importSeconds: number
  readonly createSeconds: number
  readonly plainBytes: number
  readonly fileBytes: number
  readonly trips: ReadonlyArray<RoundTrip>
}

/** What is in a store, in hashes. */
export interface StoreDigests {
  readonly events: number
  /** SHA-256 of its export, byte for byte. */
  readonly exported: string
  /** SHA-256 of its rows: all that is stored of an event, the microseconds too. */
  readonly rows: string
  /** Of what stands beside the events: how many rows, their SHA-256, and that with times in whole milliseconds. */
  readonly beside: { readonly [K in OtherKind]: RowsDigest }
}

/** How many rows, and which. */
export interface RowsDigest {
  readonly count: number
  readonly exact: string
  /** A store in memory keeps the times of what stands beside the events in milliseconds. */
  readonly millis: string
}

/** Sends the lines from one storage to all. */
export const roundTripsFrom = (
  kind: StoreKind,
  options: RoundTripOptions
): Effect.Effect<RoundTripsOf, unknown> =>
  Effect.scoped(Effect.gen(function*() {
    const say = (text: string) => options.progress?.(`${kind.label}: ${text}`)
    const from = yield* kind.open
    const [importSeconds] = yield* timed(fillStore(from, options.lines))
    const before = yield* digestsOf(from)
    say(`${before.events} events imported in ${importSeconds} s, export ${before.exported}`)

    const place = yield* options.place
    const [createSeconds, backup] = yield* timed(backUp(from, place))
    const faults = yield* proveBackup(backup.id, place, before)
    say(`backup of ${backup.fileBytes} bytes in ${createSeconds} s${faults.map((fault) => `, ${fault}`).join("")}`)

    const restored = yield* Effect.forEach(options.kinds, (to) =>
      Effect.gen(function*() {
        const trip = yield* arrive(kind, to, before, (store) =>
          Effect.flatMap(serviceOf(store, place), (service) => service.restore()))
        const done = { ...trip, via: "backup" as const, differs: [...faults, ...trip.differs] }
        say(describe(done))
        return done
      }))
    const moved = yield* Effect.forEach(
      options.kinds.filter((to) => options.moves(kind, to)),
      (to) =>
        Effect.gen(function*() {
          const trip = yield* arrive(kind, to, before, (store) =>
            StoreMove.promote({ from: from.transfer, to: store.transfer }))
          const done = { ...trip, via: "promote" as const }
          say(describe(done))
          return done
        })
    )

    // the source goes on last: what it makes of the rest is what all the others have to have made
    const projected = yield* goOn(from)
    const trips = [...restored, ...moved].map(({ projected: found, ...trip }): RoundTrip => ({
      ...trip,
      differs: [...trip.differs, ...(found === projected ? [] : ["what the projection made of the rest"])]
    }))
    const { fileBytes, plainBytes } = backup
    return { from: kind.label, before, importSeconds, createSeconds, plainBytes, fileBytes, trips }
  }))

// internal

/** Brings a store into an empty one, and compares. A failure is a difference, too. */
const arrive = (
  from: StoreKind,
  to: StoreKind,
  before: StoreDigests,
  bring: (store: AnyStore) => Effect.Effect<unknown, unknown, Scope.Scope>
): Effect.Effect<Omit<RoundTrip, "via"> & { readonly projected: string }, unknown> =>
  Effect.scoped(Effect.gen(function*() {
    const store = yield* to.open
    const [seconds, outcome] = yield* timed(Effect.exit(bring(store)))
    const way = { from: from.label, to: to.label, seconds }
    if (Exit.isFailure(outcome)) return { ...way, events: 0, projected: "", differs: [String(outcome.cause)] }
    const after = yield* digestsOf(store)
    const faults = yield* store.admin.verifyLog
    const differs = [
      ...compare(before, after, from === memory || to === memory ? "millis" : "exact"),
      ...faults.map((fault) => `the log is not sound: ${JSON.stringify(fault)}`)
    ]
    return { ...way, events: after.events, projected: yield* goOn(store), differs }
  }))

const compare = (
  before: StoreDigests,
  after: StoreDigests,
  times: "exact" | "millis"
): ReadonlyArray<string> => [
  ...(after.events === before.events ? [] : [`${after.events} of ${before.events} events`]),
  ...(after.exported === before.exported ? [] : ["the export"]),
  ...(after.rows === before.rows ? [] : ["the rows of events"]),
  ...OTHER_KINDS.filter((kind) => after.beside[kind][times] !== before.beside[kind][times])
]

/** Has the projection see the rest of the log, and says what it has made of all of it. */
const goOn = (store: AnyStore): Effect.Effect<string, unknown> =>
  Effect.gen(function*() {
    const { count, digest } = yield* ProjectionRunner.runOnce(lengths)
    const states = yield* Effect.scoped(Effect.flatMap(store.transfer.view, (view) => hashBeside(view, "states")))
    return `${count} ${digest} ${states.exact}`
  }).pipe(Effect.provideContext(store.context))

const describe = ({ differs, seconds, to, via }: Pick<RoundTrip, "differs" | "seconds" | "to" | "via">): string =>
  `${via} to ${to} in ${seconds} s: ${differs.length === 0 ? "the same" : `DIFFERS: ${differs.join("; ")}`}`

const backUp = Effect.fnUntraced(function*(store: AnyStore, place: BackupStorage["Service"]) {
  const outcome = yield* (yield* serviceOf(store, place)).create()
  if (outcome._tag !== "Created") return yield* Effect.die(new Error("nothing was backed up"))
  const { id, segments } = outcome.manifest
  return {
    id,
    plainBytes: segments.reduce((sum, { plainBytes }) => sum + plainBytes, 0),
    fileBytes: segments.reduce((sum, { fileBytes }) => sum + fileBytes, 0)
  }
})

/** The service of a store and a place. */
const serviceOf = (store: AnyStore, place: BackupStorage["Service"]) =>
  Effect.map(
    Layer.build(BackupService.layer.pipe(
      Layer.provide(Layer.succeed(BackupStorage, place)),
      Layer.provide(Layer.succeed(EventStore, store.store)),
      Layer.provide(Layer.succeed(LogTransfer, store.transfer))
    )),
    (context) => Context.get(context, BackupService)
  )

/** The backup is sound, and its lines are those of the export. A damaged one says so, and the restores have to. */
const proveBackup = (
  id: string,
  place: BackupStorage["Service"],
  before: StoreDigests
): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.gen(function*() {
    const { faults, isSound } = yield* BackupVerification.verify(id)
    if (!isSound) return faults.map((fault) => `the backup is not sound: ${fault.message}`)
    const { sha256 } = yield* hashLines(BackupLines.cat(id))
    return sha256 === before.exported ? [] : ["the lines of the backup"]
  }).pipe(Effect.provideService(BackupStorage, place))

/** What the projection makes of the log: a state a stream. */
const lengths = Projection.state({
  name: "lengths",
  version: 1,
  events: "all",
  state: Schema.Struct({ events: Schema.Int, last: Schema.String }),
  initial: { events: 0, last: "" },
  key: ({ streamId }) => streamId,
  on: ({ events }, { type }) => ({ events: events + 1, last: type })
})

/**
 * Imports the lines, and puts something of every kind beside them: states of a projection that has seen nine of ten
 * events, snapshots, and settings of streams.
 */
const fillStore = (store: AnyStore, lines: Buffer) =>
  Effect.gen(function*() {
    const middle = lines.indexOf("\n", Math.floor(lines.length * 0.9)) + 1
    yield* importEvents(pieces(lines.subarray(0, middle)))
    yield* ProjectionRunner.runOnce(lengths)
    yield* importEvents(pieces(lines.subarray(middle)))
    const streams = yield* firstStreams
    for (const [index, { revision, streamId }] of streams.entries()) {
      yield* store.snapshots.save(snapshotOf(streamId, revision, index))
      if (index % 3 === 0) yield* store.store.setStreamMetadata(streamId, { index, owner: "Größe 🦊", none: null })
      if (index % 7 === 1 && revision > 1) yield* store.store.truncateBefore(streamId, 1)
      if (index % 11 === 5) yield* store.store.tombstone(streamId)
    }
  }).pipe(Effect.provideContext(store.context))

/** Streams beside whose events something is kept. */
const STREAMS = 60

/** The streams with which the log begins, with their last revision. */
const firstStreams = Effect.gen(function*() {
  const store = yield* EventStore
  const ids = new Set<string>()
  yield* store.readAll().pipe(
    Stream.takeWhile(() => ids.size < STREAMS),
    Stream.runForEach(({ streamId }) => Effect.sync(() => ids.add(streamId)))
  )
  return yield* Effect.forEach(
    ids,
    (id) =>
      Effect.map(Effect.flatMap(store.describeStream(id), Effect.fromOption), ({ revision }) => ({
        streamId: StreamId.make(id),
        revision
      }))
  )
})

const snapshotOf = (streamId: StreamId, revision: Revision, index: number) => ({
  streamId,
  kind: "length",
  fingerprint: "a1".repeat(32),
  revision,
  firstRevision: 0 as Revision,
  serialization: "json" as const,
  compression: "none" as const,
  bytes: Buffer.from(`{"events":${revision + 1}}`),
  plainBytes: 11 + String(revision + 1).length,
  digest: createHash("sha256").update(`${streamId} ${revision}`).digest(),
  takenAt: DateTime.makeUnsafe(1_795_262_400_000 + index),
  loadMillis: index / 8
})

/** A file as it comes from a disk. */
const pieces = (bytes: Buffer): Stream.Stream<Uint8Array> =>
  Stream.fromIterable(
    Array.from({ length: Math.ceil(bytes.length / PIECE_BYTES) }, (_, index) =>
      bytes.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES))
  )

const PIECE_BYTES = 1024 * 1024

const OTHER_KINDS = TRANSFER_KINDS.filter((kind) => kind !== "events")

const digestsOf = (store: AnyStore): Effect.Effect<StoreDigests, unknown> =>
  Effect.gen(function*() {
    const exported = yield* hashLines(exportEvents())
    return yield* Effect.scoped(Effect.gen(function*() {
      const view = yield* store.transfer.view
      const rows = yield* hashRows(view)
      const beside = yield* Effect.forEach(OTHER_KINDS, (kind) =>
        Effect.map(hashBeside(view, kind), (digest) => [kind, digest] as const))
      return {
        events: view.position,
        exported: exported.sha256,
        rows,
        beside: Object.fromEntries(beside) as unknown as StoreDigests["beside"]
      }
    }))
  }).pipe(Effect.provideContext(store.context))

const hashLines = <E, R>(lines: Stream.Stream<string, E, R>) =>
  Effect.gen(function*() {
    const hash = createHash("sha256")
    yield* Stream.runForEach(lines, (text) => Effect.sync(() => void hash.update(text)))
    return { sha256: hash.digest("hex") }
  })

const hashRows = (view: LogView) =>
  Effect.gen(function*() {
    const hash = createHash("sha256")
    let last: EventRow | undefined
    for (let after = 0; after < view.position; after = last?.position ?? view.position) {
      const rows: ReadonlyArray<EventRow> = yield* view.readEvents({
        after,
        until: view.position,
        recordedAt: last?.recordedAt
      })
      last = rows.at(-1)
      for (const row of rows) hash.update(`${JSON.stringify(sorted(row))}\n`)
    }
    return hash.digest("hex")
  })

/** Rows in an order of their own, without what a restore has to change. */
const hashBeside = (view: LogView, kind: OtherKind) =>
  Effect.map(Stream.runCollect(view.rows(kind)), (found): RowsDigest => {
    const rows = found.map((row) => ({ ...row, ...changed(row, view.incarnation) }))
    const hash = (each: (row: object) => object) =>
      createHash("sha256").update(rows.map((row) => JSON.stringify(sorted(each(row)))).sort().join("\n")).digest("hex")
    return { count: rows.length, exact: hash((row) => row), millis: hash(inMillis) }
  })

const inMillis = (row: object): object =>
  Object.fromEntries(
    Object.entries(row).map(([key, value]) =>
      /(At|Until)$/.test(key) && typeof value === "number" ? [key, Math.floor(value / 1_000)] : [key, value]
    )
  )

/** The checkpoints are carried over to the new history, and the next lease is newer than all before. */
const changed = (row: object, incarnation: string): object =>
  "epoch" in row && "incarnation" in row
    ? { epoch: undefined, incarnation: row.incarnation === incarnation ? "its own" : row.incarnation }
    : {}

const sorted = (row: object): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(row).sort(([a], [b]) => a < b ? -1 : 1).map(([key, value]) =>
    [key, value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value] as const
  )

/** In seconds, to the hundredth. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [number, A], E, R> =>
  Effect.suspend(() => {
    const started = performance.now()
    return Effect.map(effect, (value) => [Math.round((performance.now() - started) / 10) / 100, value] as const)
  })
