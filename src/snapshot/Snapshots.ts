/**
 * Snapshots of the states of one kind: found on the way to a state, taken
 * behind the back of the commands.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { nameFault } from "../event/Name.ts"
import { Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"
import { SnapshotStore, type StoredSnapshot } from "../store/SnapshotStore.ts"
import { startCleanup } from "./internal/cleanup.ts"
import { type CostMeter, makeCostMeter } from "./internal/costs.ts"
import { demandsOf } from "./internal/demands.ts"
import { type Health, makeHealth } from "./internal/health.ts"
import { type Known, type Ledger, makeLedger, measure, noteStored } from "./internal/ledger.ts"
import { makeSaver, type Saver } from "./internal/saver.ts"
import { makeTally, type Tally } from "./internal/tally.ts"
import * as SnapshotCache from "./SnapshotCache.ts"
import * as SnapshotCodec from "./SnapshotCodec.ts"
import * as SnapshotStrategy from "./SnapshotStrategy.ts"

/**
 * Snapshots of the states of one kind.
 *
 * **Details**
 *
 * No operation fails, whatever the store does: a snapshot that is broken, does
 * not fit, or cannot be had in time is one that is not there. It is logged once
 * and counted, and the next save replaces it. The promise to the caller: a state
 * from here and the events after its revision, folded, are what all events are.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshots<State> {
  /** Finds the newest state of a stream that is at hand: in the cache, or else in the store. */
  readonly load: (streamId: StreamId) => Effect.Effect<Option.Option<LoadedState<State>>>

  /**
   * Returns the state of a stream at once if it is in the cache: `load` without
   * an `Effect`, for a path that is gone often.
   *
   * **Details**
   *
   * A state that is found counts as a load from the cache. One that is not
   * counts as nothing; `load` looks for it in the store.
   *
   * **Example**
   *
   * ```ts
   * const cached = snapshots.peek(streamId)
   * return cached === undefined ? Effect.flatMap(snapshots.load(streamId), readOn) : decideOn(cached)
   * ```
   */
  readonly peek: (streamId: StreamId) => LoadedState<State> | undefined

  /**
   * Hears of every load and of what was appended after it.
   *
   * **Details**
   *
   * Puts the state into the cache, asks the strategy, and has a snapshot that is
   * due saved in the background; takes microseconds and never waits.
   */
  readonly report: (report: LoadReport<State>) => Effect.Effect<void>

  /** Forgets and removes every snapshot of a stream of this kind: to be called when a stream was truncated. */
  readonly invalidate: (streamId: StreamId) => Effect.Effect<void>

  /** Says in words what the strategy decided after the last report of a stream, and why. */
  readonly explain: (streamId: StreamId) => Effect.Effect<string>

  /** Counts what has happened so far; the metrics are as new as what is returned. */
  readonly statistics: Effect.Effect<SnapshotsStatistics>
}

/**
 * A state that need not be folded from the beginning.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadedState<State> {
  readonly state: State
  /** Last revision that is in the state. */
  readonly revision: Revision
  /** First revision that is in the state: 0 unless the stream was truncated before. */
  readonly firstRevision: Revision
  /**
   * Whether it is from the cache: in one process it is then nearly always what
   * the stream is now, and an append that claims its revision finds out.
   */
  readonly isCached: boolean
}

/**
 * What a load found, and what it led to.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadReport<State> {
  readonly streamId: StreamId
  /** State after the last event of `revision`. */
  readonly state: State
  /** Last revision that is in the state. */
  readonly revision: Revision
  /** Revision of what `load` returned; -1 for none. */
  readonly snapshotRevision: Revision | -1
  /**
   * First revision that is in the state: that of the first event read, or what
   * `load` returned. When absent, as it is known from `load`, or else 0; then the
   * store never serves the snapshot of a truncated stream.
   */
  readonly firstRevision?: Revision | undefined
  /** Events that the load folded after the snapshot. */
  readonly eventsReplayed: number
  /** How long the load took, in milliseconds. */
  readonly loadMillis: number
  /** Events that were appended after it. */
  readonly appended: number
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotsOptions<State> extends SnapshotCodec.CodecOptions<State> {
  /** Name of what the state is for, such as the decider's: 1 to 512 bytes. */
  readonly kind: string
  readonly strategy: SnapshotStrategy.SnapshotStrategy
  readonly retention?: RetentionOptions | undefined
  /** A cache that is shared with others, or `false` for none; one of its own, with the bounds of `SnapshotCache`, when absent. */
  readonly cache?: SnapshotCache.SnapshotCache | SnapshotCache.CacheOptions | false | undefined
  /** Most snapshots that are being saved at the same time; 2 when absent. */
  readonly saves?: number | undefined
  /** How long the store may take to answer a load, before it counts as none; 1 second when absent. */
  readonly loadTimeout?: Duration.Input | undefined
}

/**
 * What is removed, and when.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetentionOptions {
  /** Snapshots of a stream that are kept; 1 when absent. */
  readonly keepLast?: number | undefined
  /** Age at which any snapshot is removed; never when absent. */
  readonly maxAge?: Duration.Input | undefined
  /** How long a fingerprint must not have been saved with, before all its snapshots are removed; 7 days when absent. */
  readonly retireAfter?: Duration.Input | undefined
  /** How often the cleanup runs, at least a second apart; an hour when absent, `Infinity` for never. */
  readonly cleanupEvery?: Duration.Input | undefined
}

/**
 * What has happened so far.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotsStatistics {
  readonly kind: string
  readonly fingerprint: string
  readonly cache: SnapshotCache.CacheStatistics | undefined
  readonly costs: SnapshotStrategy.Costs
  /** Loads that found the state in the cache, and that did not. */
  readonly cacheHits: number
  readonly cacheMisses: number
  /** Loads that found a snapshot in the store, and that found none. */
  readonly storeHits: number
  readonly storeMisses: number
  readonly broken: number
  readonly saved: number
  /** Snapshots that were due and not taken: too many waited, or the store had failed. */
  readonly dropped: number
  readonly notSerializable: number
  /** Loads and saves that the store failed. */
  readonly storeFailures: number
  /** Whether nothing waits to be saved. */
  readonly isIdle: boolean
}

/**
 * Represents options that no snapshots can be made with.
 *
 * @category errors
 * @since 0.1.0
 */
export class SnapshotsInvalid
  extends Schema.TaggedError<SnapshotsInvalid>("effect-event-store/snapshot/Snapshots/SnapshotsInvalid")(
    "SnapshotsInvalid",
    { kind: Schema.String, problems: Schema.Array(Schema.String) }
  )
{
  override get message(): string {
    return `Snapshots of ${JSON.stringify(this.kind)} cannot be made: ${this.problems.join("; ")}`
  }
}

/**
 * Makes the snapshots of one kind, over the snapshot store.
 *
 * **Details**
 *
 * While the scope is open, due snapshots are saved and old ones removed in the
 * background; its end saves what waits, for at most 5 seconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <State>(
  options: SnapshotsOptions<State>
): Effect.Effect<Snapshots<State>, SnapshotsInvalid, SnapshotStore | Scope.Scope> =>
  Effect.gen(function*() {
    const codec = SnapshotCodec.make(options)
    const problems = [...faults(options), ...(Result.isFailure(codec) ? codec.failure : [])]
    return Result.isFailure(codec) || problems.length > 0
      ? yield* new SnapshotsInvalid({ kind: String(options.kind), problems })
      : yield* makeSnapshots(options, codec.success)
  })

// internal

const SAVES = 2
const LOAD_TIMEOUT = Duration.seconds(1)
const KEEP_LAST = 1
const RETIRE_AFTER = Duration.days(7)
const CLEANUP_EVERY = Duration.hours(1)
const CLEANUP_EVERY_MILLIS_MIN = 1_000

/** Revision of the first event of a stream that nobody truncated. */
const FIRST = Revision.make(0)

const faults = (
  { kind, retention, saves = SAVES, strategy }: Omit<SnapshotsOptions<never>, "schema" | "serialization">
): ReadonlyArray<string> => {
  const kindFault = nameFault(kind)
  const { cleanupEvery = CLEANUP_EVERY, keepLast = KEEP_LAST } = retention ?? {}
  return [
    ...(kindFault === undefined ? [] : [`kind: ${kindFault}`]),
    ...SnapshotStrategy.faults(strategy).map((fault) => `strategy: ${fault}`),
    ...(Number.isInteger(keepLast) && keepLast >= 1 ? [] : ["retention.keepLast: expected a whole number, at least 1"]),
    ...(Duration.toMillis(Duration.fromInputUnsafe(cleanupEvery)) >= CLEANUP_EVERY_MILLIS_MIN
      ? []
      : ["retention.cleanupEvery: expected at least a second"]),
    ...(Number.isInteger(saves) && saves >= 1 ? [] : ["saves: expected a whole number, at least 1"])
  ]
}

const toCache = (
  cache: SnapshotsOptions<never>["cache"] = {}
): Effect.Effect<SnapshotCache.SnapshotCache | undefined> =>
  cache === false ? Effect.succeed(undefined) : isShared(cache) ? Effect.succeed(cache) : SnapshotCache.make(cache)

const isShared = (cache: SnapshotsOptions<never>["cache"] = {}): cache is SnapshotCache.SnapshotCache =>
  cache !== false && "get" in cache

/** A shared cache holds states of several kinds; their fingerprints tell them apart, of which 64 bits are plenty. */
const toCacheKey = (
  cache: SnapshotsOptions<never>["cache"],
  fingerprint: string
): (streamId: StreamId) => string => {
  const prefix = fingerprint.slice(0, 16)
  return isShared(cache) ? (streamId) => prefix + streamId : (streamId) => streamId
}

/** What the operations share. */
interface Parts<State> {
  readonly options: SnapshotsOptions<State>
  readonly codec: SnapshotCodec.SnapshotCodec<State>
  readonly store: SnapshotStore["Service"]
  readonly clock: Clock.Clock
  readonly ledger: Ledger
  readonly meter: CostMeter
  readonly tally: Tally
  readonly health: Health
}

const makeSnapshots = Effect.fnUntraced(function*<State>(
  options: SnapshotsOptions<State>,
  codec: SnapshotCodec.SnapshotCodec<State>
): Effect.fn.Return<Snapshots<State>, never, SnapshotStore | Scope.Scope> {
  const { kind, strategy } = options
  const { fingerprint } = codec
  const cache = yield* toCache(options.cache)
  const ledger = makeLedger(cache, toCacheKey(options.cache, fingerprint))
  const meter = makeCostMeter()
  // its scope ends after the saver's: what that saves at the end is counted
  const tally = yield* makeTally(kind)
  const parts: Parts<State> = {
    options,
    codec,
    ledger,
    meter,
    tally,
    store: yield* SnapshotStore,
    clock: yield* Clock.Clock,
    health: makeHealth(kind, tally)
  }
  const saver = yield* startSaver(parts)
  yield* startRetention(parts)
  return {
    load: load(parts, cache !== undefined),
    peek: (streamId) => {
      const found = ledger.peek(streamId)
      return found === undefined ? undefined : hit(parts, found)
    },
    report: report(parts, saver),
    invalidate: invalidate(parts, saver),
    explain: (streamId) =>
      Effect.sync(() => {
        const observation = ledger.find(streamId)?.observation
        return `${SnapshotStrategy.describe(strategy)}; ${
          observation === undefined ? "nothing was reported yet" : SnapshotStrategy.explain(strategy, observation)
        }`
      }),
    statistics: Effect.map(tally.publish, () => ({
      kind,
      fingerprint,
      cache: cache?.statistics(),
      costs: meter.current(),
      ...tally.counts,
      isIdle: saver.isIdle()
    }))
  }
})

const startSaver = <State>({ clock, codec, health, ledger, meter, options, store, tally }: Parts<State>) =>
  makeSaver({
    kind: options.kind,
    store,
    codec,
    meter,
    tally,
    health,
    keepLast: options.retention?.keepLast ?? KEEP_LAST,
    concurrency: options.saves ?? SAVES,
    takeNews: (streamId) => {
      const known = ledger.find(streamId)
      if (known?.isNew !== true) return false
      // the save may fail and yet have kept it
      known.isNew = false
      return true
    },
    onSaved: (snapshot) => noteStored(ledger.know(snapshot.streamId, snapshot.revision), snapshot),
    onRefused: (refusal) =>
      Effect.suspend(() => {
        // the strategy counts on from here: trying again after every event would cost much and bring nothing
        const known = ledger.know(refusal.streamId, refusal.revision)
        known.storedRevision = refusal.revision
        known.storedAt = clock.currentTimeMillisUnsafe()
        known.isBroken = false
        tally.note("notSerializable")
        return tally.counts.notSerializable === 1 ? Effect.logWarning(refusal.message) : Effect.void
      })
  })

const startRetention = <State>({ codec, options: { kind, retention = {} }, store }: Parts<State>) =>
  startCleanup({
    kind,
    store,
    fingerprint: codec.fingerprint,
    maxAge: Duration.fromInputUnsafe(retention.maxAge ?? Duration.infinity),
    retireAfter: Duration.fromInputUnsafe(retention.retireAfter ?? RETIRE_AFTER),
    every: Duration.fromInputUnsafe(retention.cleanupEvery ?? CLEANUP_EVERY)
  })

const load = <State>(parts: Parts<State>, isCached: boolean): Snapshots<State>["load"] => {
  const { ledger, meter, tally } = parts
  const stored = loadStored(parts)
  return (streamId) =>
    Effect.suspend(() => {
      const found = ledger.get(streamId)
      if (found !== undefined) return Effect.succeed(Option.some(hit(parts, found)))
      meter.miss()
      if (isCached) tally.note("cacheMisses")
      return stored(streamId)
    })
}

/** Whatever is in the cache under a kind's fingerprint is a state of that kind. */
const hit = <State>(
  { tally }: Parts<State>,
  { firstRevision, revision, state }: SnapshotCache.CachedState
): LoadedState<State> => {
  tally.note("cacheHits")
  return { state: state as State, revision, firstRevision, isCached: true }
}

const loadStored = <State>(parts: Parts<State>): Snapshots<State>["load"] => {
  const { codec, health, ledger, options: { kind, loadTimeout = LOAD_TIMEOUT }, store, tally } = parts
  const miss = Effect.sync((): Option.Option<LoadedState<State>> => {
    tally.note("storeMisses")
    return Option.none()
  })
  const decode = (snapshot: StoredSnapshot) =>
    Effect.matchEffect(codec.decode(snapshot), {
      onSuccess: (state) =>
        Effect.sync(() => {
          tally.note("storeHits")
          return Option.some(accept(parts, snapshot, state))
        }),
      onFailure: (fault) =>
        Effect.suspend(() => {
          const known = ledger.know(snapshot.streamId, -1)
          const isNews = !known.isBroken
          known.isBroken = true
          tally.note("broken")
          return Effect.andThen(isNews ? Effect.logWarning(fault.message) : Effect.void, miss)
        })
    })
  return (streamId) =>
    store.load({ streamId, kind, fingerprint: codec.fingerprint }).pipe(
      Effect.timeout(loadTimeout),
      Effect.tap(() => health.answered),
      Effect.flatMap(Option.match({
        onNone: () => {
          const known = ledger.know(streamId, -1)
          known.isNew = known.storedRevision < 0
          return miss
        },
        onSome: decode
      })),
      Effect.catchCause((cause) => Effect.andThen(health.failed(cause), miss))
    )
}

const accept = <State>(
  { ledger }: Parts<State>,
  snapshot: StoredSnapshot,
  state: State
): LoadedState<State> => {
  const { firstRevision, revision, streamId } = snapshot
  const known = ledger.know(streamId, revision)
  noteStored(known, snapshot)
  known.firstRevision = firstRevision
  measure(known, state, revision)
  ledger.put(streamId, known, state, revision)
  return { state, revision, firstRevision, isCached: false }
}

/** Runs once a command: what is not asked for is not made. */
const report = <State>(
  { clock, ledger, meter, options: { strategy } }: Parts<State>,
  saver: Saver<State>
): Snapshots<State>["report"] => {
  const demands = demandsOf(strategy)
  const observe = (known: Known, revision: Revision, loadMillis: number) => {
    const { storedAt, storedRevision } = known
    const observation = known.observation ??= { ...NOTHING_OBSERVED }
    observation.eventsSince = revision - storedRevision
    observation.sinceMillis = demands.time && storedAt !== undefined
      ? clock.currentTimeMillisUnsafe() - storedAt
      : undefined
    observation.stateBytes = known.stateBytes
    observation.loadMillis = loadMillis
    if (demands.costs) observation.costs = meter.current()
    return observation
  }
  return (report) =>
    Effect.sync(() => {
      const { loadMillis, revision, snapshotRevision, state, streamId } = report
      meter.load(report.eventsReplayed, loadMillis, report.appended)
      const known = ledger.know(streamId, snapshotRevision)
      const firstRevision = report.firstRevision ?? (snapshotRevision < 0 ? FIRST : known.firstRevision)
      known.firstRevision = firstRevision
      measure(known, state, revision)
      ledger.put(streamId, known, state, revision)
      if (SnapshotStrategy.isDue(strategy, observe(known, revision, loadMillis)) || known.isBroken) {
        const takenAt = DateTime.makeUnsafe(clock.currentTimeMillisUnsafe())
        saver.offer({ streamId, state, revision, firstRevision, loadMillis, takenAt })
      }
    })
}

/** Overwritten by every report, as far as the strategy asks for it. */
const NOTHING_OBSERVED: SnapshotStrategy.Observation = {
  eventsSince: 0,
  sinceMillis: undefined,
  stateBytes: 0,
  loadMillis: 0,
  costs: { replayMillisPerEvent: 0, saveMillis: 0, loadsPerEvent: 0 }
}

const invalidate = <State>(
  { health, ledger, options: { kind }, store }: Parts<State>,
  saver: Saver<State>
): Snapshots<State>["invalidate"] =>
(streamId) =>
  Effect.suspend(() => {
    ledger.forget(streamId)
    saver.withdraw(streamId)
    return Effect.catchCause(Effect.asVoid(store.remove({ streamId, kind })), health.failed)
  })
