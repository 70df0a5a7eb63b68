import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import {
  CheckpointStore,
  type Lease,
  type LeaseClaim,
  type ProjectionRecord,
  type ProjectionStatus
} from "../../store/CheckpointStore.ts"
import { EventStore } from "../../store/EventStore.ts"
import { NO_WRITES, StorageError, Unavailable } from "../../store/EventStoreError.ts"
import { FENCE } from "../../store/InlineAppender.ts"
import { withBuild } from "../Projection.ts"
import { LeaseHeld, ProjectionInvalid } from "../ProjectionError.ts"
import type { Follower } from "../Reactor.ts"
import type { RunnerOptions } from "../RunnerOptions.ts"
import { followerFaults, millisOf, timeoutFaults } from "./faults.ts"
import { type Leader, makeLeader } from "./leader.ts"
import { makeDecoder } from "./prepare.ts"
import { targetFaults } from "./setUp.ts"
import { type Divider, makeDivider, sliceCount, slicesFaults } from "./slices.ts"

/** A projection, ready to be run on a storage. */
export interface Runner<out R = never> {
  readonly projection: Follower<R>
  readonly decode: Leader["decode"]
  readonly store: EventStore["Service"]
  readonly checkpoints: CheckpointStore["Service"]
  readonly owner: string
  readonly leaseMillis: number
  readonly statementMillis: number
  readonly commitMillis: number
  readonly retry: Leader["retry"]
  readonly batchEvents: number
  readonly batchBytes: number
  readonly slices: number
  /** `undefined` when it is not divided. */
  readonly divide: Divider | undefined
  readonly onProgress: RunnerOptions["onProgress"]
}

/** A lease, and how the slice stood when it was given. */
export interface Held {
  readonly lease: Lease
  readonly record: ProjectionRecord
}

/** Checks a projection and its options. */
export const makeRunner = Effect.fnUntraced(function*<R = never>(
  projection: Follower<R>,
  options: RunnerOptions
) {
  const { name, target } = projection
  const checkpoints = yield* CheckpointStore
  const { batchBytes = 4 * 1024 * 1024, batchEvents = BATCH_EVENTS[target._tag] } = options
  const leaseMillis = millisOf(options.lease ?? "1500 millis")
  const statementMillis = millisOf(options.statementTimeout ?? "30 seconds")
  const commitMillis = millisOf(options.commitTimeout ?? "2 minutes")
  const problems = [
    ...(projection.events.length === 0 ? ["events: name at least one type"] : []),
    ...(target._tag === "Table" ? targetFaults(target) : []),
    ...slicesFaults(projection),
    ...followerFaults(projection),
    ...(target._tag === "Table" && !checkpoints.hasTables
      ? ["this storage has no tables: use PostgreSQL or PGlite"]
      : []),
    ...(Number.isInteger(batchEvents) && batchEvents >= 1 && batchEvents <= 10_000
      ? []
      : ["batchEvents: expected a whole number from 1 to 10,000"]),
    ...(batchBytes >= 1 ? [] : ["batchBytes: expected a number of bytes"]),
    // its bounds are those of the storage
    ...(Number.isNaN(leaseMillis) ? ["lease: expected a duration"] : []),
    ...timeoutFaults("statementTimeout", statementMillis),
    ...timeoutFaults("commitTimeout", commitMillis)
  ]
  if (problems.length > 0) return yield* new ProjectionInvalid({ name, problems })
  const runner: Runner<R> = {
    projection,
    decode: yield* makeDecoder(projection.events),
    store: yield* EventStore,
    checkpoints,
    owner: options.owner ?? uuidV7Unsafe(),
    leaseMillis,
    statementMillis,
    commitMillis,
    retry: options.retry ?? DEFAULT_RETRY,
    batchEvents,
    batchBytes,
    slices: sliceCount(projection),
    divide: makeDivider(projection),
    onProgress: options.onProgress
  }
  return runner
})

/** Asks for the lease of a slice. */
export const claim = (
  runner: Runner<unknown>,
  slice: number,
  statuses: ReadonlyArray<ProjectionStatus>,
  even: Pick<LeaseClaim, "evenWhenChanged" | "evenWhenHeld"> = {}
) => {
  const { checkpoints, leaseMillis, owner, projection: { build, definition, name, version }, slices } = runner
  return inTime(
    "acquireLease",
    checkpoints.acquire({
      name,
      version,
      build,
      slice,
      // a slice beyond them is claimed to be removed
      slices: Math.max(slices, slice + 1),
      definition,
      owner,
      leaseMillis,
      statuses,
      ...even
    })
  )
}

/** Begins to lead the build that the lease is for. */
export const lead = <R>(
  { checkpoints, commitMillis, decode, projection, retry, statementMillis, store }: Runner<R>,
  lease: Lease,
  record: ProjectionRecord,
  waitMillis?: number
) =>
  makeLeader({
    projection: withBuild(projection, lease.build),
    decode,
    store,
    checkpoints,
    lease,
    record,
    retry,
    statementMillis,
    commitMillis,
    waitMillis
  })

/** Gives the lease back at the end, whatever it is. */
export const whileLeased = <A, E, R>(
  { checkpoints }: Runner<unknown>,
  lease: Lease,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.onExit(self, () => Effect.ignore(Effect.timeoutOption(checkpoints.release(lease), RELEASE)))

/** What {@link withLeases} may take, besides what a runner may. */
export type TakeOptions = RunnerOptions & { readonly evenWhenChanged?: boolean | undefined }

/**
 * Does something with the leases of all slices, in their order, and gives them
 * back. They are taken from whoever has them: what that one is about to commit
 * fails, and it stands by until they are free.
 */
export const withLeases = <A, E, R, F = never>(
  projection: Follower<F>,
  options: TakeOptions,
  use: (runner: Runner<F>, held: readonly [Held, ...Array<Held>]) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    // inline appends leave it alone too
    const runner = yield* makeRunner(projection, { owner: FENCE + uuidV7Unsafe(), ...options })
    const { checkpoints, leaseMillis, slices } = runner
    const { build, name, version } = projection
    const { evenWhenChanged } = options
    const take = Effect.fnUntraced(function*(slice: number) {
      const answer = yield* claim(runner, slice, ["running", "halted", "paused"], {
        evenWhenChanged,
        evenWhenHeld: true
      })
      if (answer._tag === "Acquired") return { lease: answer.lease, record: answer.record } satisfies Held
      const { owner, status } = answer.record
      return yield* new LeaseHeld({ name, version, status, owner })
    })
    const held: Array<Held> = []
    const first = yield* take(0)
    held.push(first)
    const giveBack = Effect.suspend(() =>
      Effect.forEach(
        held,
        ({ lease }) => Effect.ignore(Effect.timeoutOption(checkpoints.release(lease), RELEASE)),
        { concurrency: "unbounded", discard: true }
      )
    )
    const renew = Effect.suspend(() =>
      Effect.forEach(held, ({ lease }) => Effect.ignore(checkpoints.renew(lease)), { concurrency: 4, discard: true })
    )
    const work = Effect.gen(function*() {
      // of another definition there may be more slices
      const known = (yield* checkpoints.findSlices({ name, version, build: build ?? first.lease.build })).length
      for (let slice = 1; slice < Math.max(slices, known); slice++) held.push(yield* take(slice))
      return yield* use(runner, [first, ...held.slice(1)])
    })
    const renewal = Effect.forever(Effect.delay(renew, leaseMillis / 3))
    return yield* Effect.onExit(Effect.raceFirst(work, renewal), () => giveBack)
  })

/** Fails an operation of the storage that gives no answer. */
export const inTime = <A, E>(operation: string, self: Effect.Effect<A, E>): Effect.Effect<A, E | StorageError> =>
  Effect.timeoutOrElse(self, {
    duration: ANSWER,
    orElse: () =>
      Effect.fail(
        new StorageError({
          operation,
          reason: new Unavailable({ detail: `no answer within ${Duration.format(ANSWER)}` })
        })
      )
  })

/**
 * Whether a runner may wait for the storage: it is away, or takes no writes for a
 * while, after a failover or with a full disk.
 */
export const mayPass = (error: StorageError): boolean =>
  error.isRetryable || (error.reason._tag === "Refused" && NO_WRITES.has(error.reason.code ?? ""))

/** Pause between two looks of a runner that waits for a lease. */
export const STAND_BY = Duration.millis(150)

/** Pause before a storage that is away is asked again: 50 ms, doubled up to 2 s. */
export const backOffMillis = (failures: number): number => Math.min(2_000, 50 * 2 ** (failures - 1))

/** How long one waits for the lease of another, in leases: a runner notices a pause in a third of one. */
export const LEASES = 3

// internal

/**
 * Events of a commit. States are written once a batch; each statement of a table
 * costs more the more often its transaction has changed the row before (measured: PostgreSQL 18).
 */
const BATCH_EVENTS = { State: 4_000, Table: 500, Custom: 1_000, Reactor: 1_000 } as const

/** How long the storage may take for what is no commit. */
const ANSWER = Duration.seconds(10)

/** A lease that could not be given back runs out. */
const RELEASE = Duration.seconds(1)

const DEFAULT_RETRY = Schedule.exponential("100 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 3 }))
