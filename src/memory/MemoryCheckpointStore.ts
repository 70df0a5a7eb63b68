/**
 * Checkpoints of projections in the memory of the process.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { START } from "../event/Revision.ts"
import { fromCheckpointStorage } from "../store/CheckpointStorage.ts"
import {
  BuildBehind,
  type BuildKey,
  BuildMissing,
  BuildsExhausted,
  CheckpointStore,
  type FailureReport,
  HistoryChanged,
  historyChanged,
  isOfHistory,
  judgeClaim,
  type Lease,
  type LeaseAnswer,
  type LeaseClaim,
  LeaseLost,
  leaseLost,
  type MakeLive,
  type ProjectionCommit,
  type ProjectionKey,
  type ProjectionRecord
} from "../store/CheckpointStore.ts"
import { EMPTY_DIGEST } from "../store/EventDigest.ts"
import { EventStore, type LogHead } from "../store/EventStore.ts"
import { Refused, StorageError } from "../store/EventStoreError.ts"
import { ReadModelStore, type ReadSource } from "../store/ReadModelStore.ts"
import { type Builds, makeBuilds } from "./internal/builds.ts"
import { type Entry, makeAttendance, makeDigests, makeReads } from "./internal/checkpointReads.ts"
import { makeFeeds } from "./internal/feeds.ts"
import { MemoryProjections } from "./internal/parts.ts"
import { restoreRows, toRows } from "./internal/projectionRows.ts"
import { makeReadModels } from "./internal/readModels.ts"
import { compareNames } from "./internal/streams.ts"

/**
 * Layer that keeps the checkpoints and the states of a log's projections in
 * memory, and reads them; they are gone when the layer is closed. Has no tables.
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
export const layer: Layer.Layer<CheckpointStore | ReadModelStore | MemoryProjections, never, EventStore> = Layer
  .effectContext(
    Effect.map(EventStore, (log) => {
      const entries = new Entries()
      const readModels = makeReadModels((source) => slicesToRead(entries, source), entries.feeds)
      return Context.make(CheckpointStore, fromCheckpointStorage(make(log, entries))).pipe(
        Context.add(ReadModelStore, readModels),
        Context.add(MemoryProjections, {
          isEmpty: () => entries.size === 0 && entries.builds.list(undefined, 0).length === 0,
          rows: () => toRows(entries.builds, (key) => slicesOf(entries, key)),
          restore: (rows) => restoreRows(entries.builds, (key, entry) => entries.set(keyOf(key), entry), rows)
        })
      )
    })
  )

// internal

/** The slices of all builds, and which builds there are. */
class Entries extends Map<string, Entry> {
  readonly builds = makeBuilds()
  readonly feeds = makeFeeds()
}

/** Every change is one synchronous step after the head of the log was asked for, so nothing comes between. */
function make(log: EventStore["Service"], entries: Entries): CheckpointStore["Service"] {
  const { builds } = entries
  const holder = (lease: Lease) => holderOf(entries, lease)
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
        ([head, now]): ReturnType<CheckpointStore["Service"]["acquire"]> => {
          const exact = builds.resolveOrRegister(claim, now)
          return exact instanceof BuildMissing
            ? Effect.fail(exact)
            : acquire(entries, { ...claim, build: exact.build }, head, now)
        }
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
      const others = slicesOf(entries, lease).filter(({ record }) => record.slice !== lease.slice)
      const fault = resetFault(others, work) ? leaseLost(lease) : commitTo(entry, lease, work, head, now)
      if (fault !== undefined) return yield* Effect.fail(fault)
      entries.feeds.record(entry.states, work)
      commitToOthers(entries, others, entry.record, work)
    }),
    reportFailure: (lease, report) =>
      withLease(lease, (entry, now) => {
        entry.record = withFailure(entry.record, report, now)
      }),
    ...makeOperations(entries),
    ...makeBuildOperations(log, entries),
    makeLive: makeBuildLive(log, entries),
    ...makeAttendance((key) => slicesOf(entries, key)),
    ...makeReads((key) => slicesOf(entries, key)),
    ...makeDigests(log)
  }
}

const makeBuildLive = (log: EventStore["Service"], entries: Entries): CheckpointStore["Service"]["makeLive"] =>
  Effect.fnUntraced(function*(lease, change) {
    const head = yield* log.head
    const now = yield* Clock.currentTimeMillis
    const entry = holderOf(entries, lease)
    if (entry instanceof LeaseLost) return yield* entry
    if (change.statements.length > 0) return yield* noTables
    const { build, name, version } = lease
    if (change.notBehind && isBehind(entries, lease)) return yield* new BuildBehind({ name, version, build })
    const fault = commitTo(entry, lease, { from: change.at.position, to: change.at }, head, now)
    if (fault !== undefined) return yield* Effect.fail(fault)
    makeLive(entries, { name, version, build }, change, now)
  })

/** The slice that a lease is for, while it is the newest. */
const holderOf = (entries: Entries, lease: Lease): Entry | LeaseLost => {
  const entry = slicesOf(entries, lease)[lease.slice]
  return entry?.record.epoch === lease.epoch ? entry : leaseLost(lease)
}

const makeOperations = (
  entries: Entries
): Pick<CheckpointStore["Service"], "find" | "findSlices" | "list" | "setStatus"> => {
  const entryOf = (key: ProjectionKey) => slicesOf(entries, key)[key.slice ?? 0]
  return {
    find: (key) => Effect.sync(() => Option.map(Option.fromUndefinedOr(entryOf(key)), describe)),
    findSlices: (key) => Effect.sync(() => slicesOf(entries, key).map(describe)),
    list: Effect.sync(() =>
      Array.from(entries.values(), describe).sort((a, b) =>
        compareNames(a.name, b.name) || a.version - b.version || a.build - b.build || a.slice - b.slice
      )
    ),
    setStatus: (key, status) =>
      Effect.sync(() => {
        const wanted = slicesOf(entries, key).filter(({ record }) =>
          key.slice === undefined || record.slice === key.slice
        )
        for (const entry of wanted) entry.record = { ...entry.record, status }
        return wanted.length > 0
      })
  }
}

const makeBuildOperations = (
  log: EventStore["Service"],
  entries: Entries
): Pick<CheckpointStore["Service"], "findLive" | "addBuild" | "listBuilds" | "removeBuild" | "compareTables"> => {
  const { builds } = entries
  return {
    findLive: (name) => Effect.sync(() => Option.fromUndefinedOr(builds.findLive(name))),
    addBuild: (version) =>
      // the log says so when it is being restored
      Effect.flatMap(Effect.andThen(log.head, Clock.currentTimeMillis), (now) => {
        const made = builds.add(version, now)
        return made instanceof BuildsExhausted ? Effect.fail(made) : Effect.succeed(made)
      }),
    compareTables: () => Effect.fail(noTables),
    listBuilds: (name) => Effect.map(Clock.currentTimeMillis, (now) => builds.list(name, now)),
    removeBuild: (key, { onlyIdle = false } = {}) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const mine = slicesOf(entries, key)
        const isLeased = mine.some(({ record: { leasedUntil, owner } }) =>
          owner !== undefined && (leasedUntil?.epochMilliseconds ?? 0) > now
        )
        const newest = Math.max(0, ...mine.map(({ record }) => record.epoch))
        const hindrance = builds.remove(key, onlyIdle && isLeased, newest)
        if (hindrance !== undefined) return hindrance
        for (const { record } of mine) entries.delete(keyOf(record))
        return "removed"
      })
  }
}

/** Whether what a build is to replace has seen more of the log. */
const isBehind = (entries: Entries, key: BuildKey): boolean => {
  const positions = (of: BuildKey) => slicesOf(entries, of).map(({ record }) => record.checkpoint.position)
  const reached = Math.min(...positions(key))
  return entries.builds.replacedBy(key).some((replaced) => positions(replaced).some((position) => position > reached))
}

/** Ends the leases of those whose places the build takes. */
const makeLive = (entries: Entries, key: BuildKey, live: MakeLive, nowMillis: number): void => {
  for (const replaced of entries.builds.replacedBy(key)) {
    for (const entry of slicesOf(entries, replaced)) {
      const { epoch } = entry.record
      entry.record = { ...entry.record, epoch: epoch + 1, owner: undefined, leasedUntil: undefined, isLive: false }
    }
  }
  for (const entry of slicesOf(entries, key)) entry.record = { ...entry.record, isLive: true }
  entries.builds.makeLive(key, live, nowMillis)
}

const keyOf = ({ build, name, slice, version }: BuildKey & { readonly slice: number }): string =>
  `${version} ${build} ${slice} ${name}`

/** The slices of a projection in their order, whichever one the key names. */
const slicesOf = (entries: Entries, key: ProjectionKey): ReadonlyArray<Entry> => {
  const exact = entries.builds.resolve(key)
  if (exact === undefined) return []
  const found: Array<Entry> = []
  for (let slice = 0;; slice++) {
    const entry = entries.get(keyOf({ ...exact, slice }))
    if (entry === undefined) return found
    found.push(entry)
  }
}

/** The slices of the build that readers of a version see; of the live one when none is named. */
const slicesToRead = (entries: Entries, { name, version }: ReadSource): ReadonlyArray<Entry> => {
  const wanted = version ?? entries.builds.findLive(name)
  return wanted === undefined ? [] : slicesOf(entries, { name, version: wanted })
}

const describe = ({ parked, record }: Entry): ProjectionRecord => ({ ...record, parked: parked.size })

const withFailure = (
  record: ProjectionRecord,
  { halt, message, position }: FailureReport,
  nowMillis: number
): ProjectionRecord => {
  const lastAt = DateTime.makeUnsafe(nowMillis)
  const { failure, status } = record
  return {
    ...record,
    status: halt ? "halted" : status,
    failure: { count: (failure?.count ?? 0) + 1, firstAt: failure?.firstAt ?? lastAt, lastAt, message, position }
  }
}

const noTables = new StorageError({
  operation: "commitProjection",
  reason: new Refused({ detail: "this storage runs no SQL statements" })
})

const acquire = (
  entries: Entries,
  claim: LeaseClaim & BuildKey,
  head: LogHead,
  nowMillis: number
): Effect.Effect<LeaseAnswer, Exclude<ReturnType<typeof judgeClaim>, string>> => {
  const { slice = 0, slices = 1 } = claim
  const states = slicesOf(entries, claim)[0]?.states ?? new Map<string, string>()
  for (let index = 0; index < slices; index++) {
    const key = { ...claim, slice: index }
    if (!entries.has(keyOf(key))) entries.set(keyOf(key), newEntry(key, entries.builds, states, head, nowMillis))
  }
  const entry = entries.get(keyOf({ ...claim, slice }))
  // the contract has checked that the slice is one of them
  if (entry === undefined) return Effect.die(`no slice ${slice}`)
  const verdict = judgeClaim(entry.record, claim, head, nowMillis)
  if (verdict === "held") return Effect.succeed({ _tag: "Held", record: describe(entry) })
  if (verdict instanceof HistoryChanged) {
    const { checkpoint: { position }, status } = entry.record
    const halt = status === "running"
    entry.record = withFailure(entry.record, { message: verdict.message, position, halt }, nowMillis)
  }
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
  const lease = {
    name,
    version,
    build: claim.build,
    slice,
    owner,
    epoch: epoch + 1,
    leaseMillis,
    incarnation: head.incarnation
  }
  return Effect.succeed({ _tag: "Acquired", lease, record: describe(entry) })
}

const newEntry = (
  { build, definition, name, slice, version }: LeaseClaim & BuildKey & { readonly slice: number },
  builds: Builds,
  states: Map<string, string>,
  head: LogHead,
  nowMillis: number
): Entry => ({
  record: {
    name,
    version,
    build,
    slice,
    isLive: builds.isLive({ name, version, build }),
    definition,
    checkpoint: { position: START, incarnation: head.incarnation, ...EMPTY_DIGEST },
    status: "running",
    isSetUp: false,
    start: START,
    owner: undefined,
    epoch: builds.firstEpoch({ name, version, build }),
    leasedUntil: undefined,
    parked: 0,
    failure: undefined,
    updatedAt: DateTime.makeUnsafe(nowMillis)
  },
  states,
  times: new Map(),
  parked: new Map()
})

/** Whether a lease that a reset relies on is not the newest any more. */
const resetFault = (others: ReadonlyArray<Entry>, { reset }: ProjectionCommit): boolean =>
  reset?.leases?.some(({ epoch, slice }) =>
    !others.some(({ record }) => record.slice === slice && record.epoch === epoch)
  ) === true

/** What a commit of one slice means for the others: the tables are there, or all begin anew. */
const commitToOthers = (
  entries: Entries,
  others: ReadonlyArray<Entry>,
  { checkpoint, definition, isSetUp, updatedAt }: ProjectionRecord,
  { reset, setUp = false }: ProjectionCommit
): void => {
  for (const other of others) {
    if (reset === undefined) {
      if (setUp) other.record = { ...other.record, isSetUp }
      continue
    }
    if (reset.leases?.some(({ slice }) => slice === other.record.slice) !== true) continue
    other.parked.clear()
    if (other.record.slice >= (reset.slices ?? 1)) entries.delete(keyOf(other.record))
    other.record = {
      ...other.record,
      checkpoint,
      definition,
      isSetUp,
      updatedAt,
      failure: undefined,
      epoch: other.record.epoch + 1,
      owner: undefined,
      leasedUntil: undefined
    }
  }
}

const commitTo = (
  entry: Entry,
  lease: Lease,
  { from, park = [], reset, setUp = false, start, states = new Map(), stateTimes = new Map(), to, unpark = [] }:
    ProjectionCommit,
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
    entry.times.clear()
    entry.parked.clear()
  }
  for (const [key, state] of states) {
    if (state === undefined) entry.states.delete(key)
    else entry.states.set(key, state)
    if (state === undefined) entry.times.delete(key)
  }
  for (const [key, time] of stateTimes) entry.times.set(key, time)
  for (const event of park) {
    entry.parked.set(event.position, { ...event, parkedAt: entry.parked.get(event.position)?.parkedAt ?? now })
  }
  for (const position of unpark) entry.parked.delete(position)
  entry.record = {
    ...entry.record,
    checkpoint: { ...to, incarnation },
    start: start ?? entry.record.start,
    isSetUp: setUp || (reset === undefined && isSetUp),
    definition: reset?.definition ?? definition,
    failure: reset === undefined ? failure : undefined,
    leasedUntil: DateTime.makeUnsafe(nowMillis + lease.leaseMillis),
    updatedAt: now
  }
  return undefined
}
