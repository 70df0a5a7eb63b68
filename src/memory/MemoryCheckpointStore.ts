/**
 * Checkpoints of projections in the memory of the process.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type Position, START } from "../event/Revision.ts"
import { fromCheckpointStorage } from "../store/CheckpointStorage.ts"
import {
  CheckpointStore,
  type HistoryChanged,
  historyChanged,
  isOfHistory,
  judgeClaim,
  type Lease,
  type LeaseAnswer,
  type LeaseClaim,
  LeaseLost,
  leaseLost,
  type ParkedEvent,
  type ProjectionCommit,
  type ProjectionKey,
  type ProjectionRecord
} from "../store/CheckpointStore.ts"
import { addEvents, EMPTY_DIGEST } from "../store/EventDigest.ts"
import { EventStore, type LogHead } from "../store/EventStore.ts"
import { Refused, StorageError } from "../store/EventStoreError.ts"
import { compareNames } from "./internal/streams.ts"

/**
 * Layer that keeps the checkpoints and the states of a log's projections in
 * memory; they are gone when the layer is closed. Has no tables.
 *
 * **Example**
 *
 * ```ts
 * program.pipe(Effect.provide(Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer)))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<CheckpointStore, never, EventStore> = Layer.effect(
  CheckpointStore,
  Effect.map(EventStore, (log) => fromCheckpointStorage(make(log)))
)

// internal

const PAGE_SIZE = 100

interface Entry {
  record: ProjectionRecord
  readonly states: Map<string, string>
  readonly parked: Map<Position, ParkedEvent>
}

/** Every change is one synchronous step after the head of the log was asked for, so nothing comes between. */
function make(log: EventStore["Service"]): CheckpointStore["Service"] {
  const entries = new Map<string, Entry>()
  const entryOf = (key: ProjectionKey) => entries.get(keyOf(key))
  const holder = (lease: Lease): Entry | LeaseLost => {
    const entry = entryOf(lease)
    return entry?.record.epoch === lease.epoch ? entry : leaseLost(lease)
  }
  const withLease = <A>(lease: Lease, use: (entry: Entry, nowMillis: number) => A) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const entry = holder(lease)
      return entry instanceof LeaseLost ? Effect.fail(entry) : Effect.succeed(use(entry, now))
    })
  return {
    hasTables: false,
    acquire: (claim) =>
      Effect.flatMap(
        Effect.all([log.head, Clock.currentTimeMillis]),
        ([head, now]) => acquire(entries, claim, head, now)
      ),
    renew: (lease) =>
      withLease(lease, (entry, now) => {
        entry.record = { ...entry.record, leasedUntil: DateTime.makeUnsafe(now + lease.leaseMillis) }
        return describe(entry)
      }),
    release: (lease) =>
      Effect.sync(() => {
        const entry = holder(lease)
        if (entry instanceof LeaseLost) return
        entry.record = { ...entry.record, owner: undefined, leasedUntil: undefined }
      }),
    commit: Effect.fnUntraced(function*(lease, work) {
      const head = yield* log.head
      const now = yield* Clock.currentTimeMillis
      const entry = holder(lease)
      if (entry instanceof LeaseLost) return yield* entry
      if (work.statements !== undefined && work.statements.length > 0) return yield* noTables
      const fault = commitTo(entry, lease, work, head, now)
      if (fault !== undefined) return yield* Effect.fail(fault)
    }),
    reportFailure: (lease, { halt, message, position }) =>
      withLease(lease, (entry, now) => {
        const lastAt = DateTime.makeUnsafe(now)
        const { failure, status } = entry.record
        entry.record = {
          ...entry.record,
          status: halt ? "halted" : status,
          failure: { count: (failure?.count ?? 0) + 1, firstAt: failure?.firstAt ?? lastAt, lastAt, message, position }
        }
      }),
    ...makeOperations(entries),
    ...makeReads(entryOf),
    digestLog: digestLog(log)
  }
}

const makeOperations = (
  entries: ReadonlyMap<string, Entry>
): Pick<CheckpointStore["Service"], "find" | "list" | "setStatus"> => {
  const entryOf = (key: ProjectionKey) => entries.get(keyOf(key))
  return {
    find: (key) => Effect.sync(() => Option.map(Option.fromUndefinedOr(entryOf(key)), describe)),
    list: Effect.sync(() =>
      Array.from(entries.values(), describe).sort((a, b) => compareNames(a.name, b.name) || a.version - b.version)
    ),
    setStatus: (key, status) =>
      Effect.sync(() => {
        const entry = entryOf(key)
        if (entry !== undefined) entry.record = { ...entry.record, status }
        return entry !== undefined
      })
  }
}

const digestLog = (log: EventStore["Service"]): CheckpointStore["Service"]["digestLog"] => ({ filter, until }) =>
  Effect.gen(function*() {
    let digest = EMPTY_DIGEST
    if (until === START) return digest
    yield* Stream.runForEachArray(log.readAll({ until, filter }), (events) =>
      Effect.sync(() => {
        digest = addEvents(digest, events)
      }))
    return digest
  }).pipe(
    // a read from the start is never ahead of the log
    Effect.catchTag("PositionAheadOfLog", (fault) => Effect.die(fault))
  )

const makeReads = (
  entryOf: (key: ProjectionKey) => Entry | undefined
): Pick<CheckpointStore["Service"], "loadStates" | "listStates" | "listParked"> => ({
  loadStates: (key, keys) =>
    Effect.sync(() => {
      const states = entryOf(key)?.states
      return new Map(keys.flatMap((name) => {
        const state = states?.get(name)
        return state === undefined ? [] : [[name, state] as const]
      }))
    }),
  listStates: (key, { after, limit = PAGE_SIZE } = {}) =>
    Effect.sync(() =>
      Array.from(entryOf(key)?.states ?? [], ([name, state]) => ({ key: name, state }))
        .filter(({ key: name }) => after === undefined || compareNames(name, after) > 0)
        .sort((a, b) => compareNames(a.key, b.key))
        .slice(0, limit)
    ),
  listParked: (projection, { after = 0, key, limit = PAGE_SIZE } = {}) =>
    Effect.sync(() =>
      Array.from(entryOf(projection)?.parked.values() ?? [])
        .filter((event) => event.position > after && (key === undefined || event.key === key))
        .sort((a, b) => a.position - b.position)
        .slice(0, limit)
    )
})

const keyOf = ({ name, version }: ProjectionKey): string => `${version} ${name}`

const describe = ({ parked, record }: Entry): ProjectionRecord => ({ ...record, parked: parked.size })

const noTables = new StorageError({
  operation: "commitProjection",
  reason: new Refused({ detail: "this storage runs no SQL statements" })
})

const acquire = (
  entries: Map<string, Entry>,
  claim: LeaseClaim,
  head: LogHead,
  nowMillis: number
): Effect.Effect<LeaseAnswer, Exclude<ReturnType<typeof judgeClaim>, string>> => {
  const entry = entries.get(keyOf(claim)) ?? newEntry(claim, head, nowMillis)
  entries.set(keyOf(claim), entry)
  const verdict = judgeClaim(entry.record, claim, head, nowMillis)
  if (verdict === "held") return Effect.succeed({ _tag: "Held", record: describe(entry) })
  if (verdict !== "free") return Effect.fail(verdict)
  const { checkpoint, epoch, status } = entry.record
  const { leaseMillis, name, owner, version } = claim
  entry.record = {
    ...entry.record,
    epoch: epoch + 1,
    owner,
    leasedUntil: DateTime.makeUnsafe(nowMillis + leaseMillis),
    status: status === "halted" ? "running" : status,
    checkpoint: checkpoint.position === START ? { ...checkpoint, incarnation: head.incarnation } : checkpoint
  }
  const lease = { name, version, owner, epoch: epoch + 1, leaseMillis, incarnation: head.incarnation }
  return Effect.succeed({ _tag: "Acquired", lease, record: describe(entry) })
}

const newEntry = ({ definition, name, version }: LeaseClaim, head: LogHead, nowMillis: number): Entry => ({
  record: {
    name,
    version,
    definition,
    checkpoint: { position: START, incarnation: head.incarnation, ...EMPTY_DIGEST },
    status: "running",
    isSetUp: false,
    owner: undefined,
    epoch: 0,
    leasedUntil: undefined,
    parked: 0,
    failure: undefined,
    updatedAt: DateTime.makeUnsafe(nowMillis)
  },
  states: new Map(),
  parked: new Map()
})

const commitTo = (
  entry: Entry,
  lease: Lease,
  { from, park = [], reset, setUp = false, states = new Map(), to, unpark = [] }: ProjectionCommit,
  head: LogHead,
  nowMillis: number
): LeaseLost | HistoryChanged | undefined => {
  const { checkpoint, definition, failure, isSetUp } = entry.record
  if (checkpoint.position !== from) return leaseLost(lease)
  const incarnation = reset === undefined ? checkpoint.incarnation : head.incarnation
  const reached = { position: to.position, incarnation }
  if (!isOfHistory(reached, head)) return historyChanged(lease, reached, head)
  const now = DateTime.makeUnsafe(nowMillis)
  if (reset !== undefined) {
    entry.states.clear()
    entry.parked.clear()
  }
  for (const [key, state] of states) {
    if (state === undefined) entry.states.delete(key)
    else entry.states.set(key, state)
  }
  for (const event of park) entry.parked.set(event.position, { ...event, parkedAt: now })
  for (const position of unpark) entry.parked.delete(position)
  entry.record = {
    ...entry.record,
    checkpoint: { ...to, incarnation },
    isSetUp: setUp || (reset === undefined && isSetUp),
    definition: reset?.definition ?? definition,
    failure: reset === undefined ? failure : undefined,
    leasedUntil: DateTime.makeUnsafe(nowMillis + lease.leaseMillis),
    updatedAt: now
  }
  return undefined
}
