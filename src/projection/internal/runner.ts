import * as Clock from "effect/Clock"
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import {
  CheckpointStore,
  type Lease,
  type ProjectionRecord,
  type ProjectionStatus
} from "../../store/CheckpointStore.ts"
import { EventStore } from "../../store/EventStore.ts"
import { StorageError, Unavailable } from "../../store/EventStoreError.ts"
import * as VersionRegistry from "../../version/VersionRegistry.ts"
import type { Projection } from "../Projection.ts"
import { LeaseHeld, ProjectionInvalid } from "../ProjectionError.ts"
import type { RunnerOptions } from "../RunnerOptions.ts"
import { type Leader, makeLeader } from "./leader.ts"
import { targetFaults } from "./setUp.ts"

/** A projection, ready to be run on a storage. */
export interface Runner {
  readonly projection: Projection
  readonly registry: Leader["registry"]
  readonly store: EventStore["Service"]
  readonly checkpoints: CheckpointStore["Service"]
  readonly owner: string
  readonly leaseMillis: number
  readonly statementMillis: number
  readonly commitMillis: number
  readonly retry: Leader["retry"]
  readonly batchEvents: number
  readonly batchBytes: number
}

/** Checks a projection and its options. */
export const makeRunner = Effect.fnUntraced(function*(projection: Projection, options: RunnerOptions) {
  const { name, target } = projection
  const checkpoints = yield* CheckpointStore
  const { batchBytes = 4 * 1024 * 1024, batchEvents = 1_000 } = options
  const problems = [
    ...(projection.events.length === 0 ? ["events: name at least one type"] : []),
    ...(target._tag === "Table" ? targetFaults(target) : []),
    ...(target._tag === "Table" && !checkpoints.hasTables
      ? ["this storage has no tables: use PostgreSQL or PGlite"]
      : []),
    ...(Number.isInteger(batchEvents) && batchEvents >= 1 && batchEvents <= 10_000
      ? []
      : ["batchEvents: expected a whole number from 1 to 10,000"]),
    ...(batchBytes >= 1 ? [] : ["batchBytes: expected a number of bytes"])
  ]
  if (problems.length > 0) return yield* new ProjectionInvalid({ name, problems })
  const runner: Runner = {
    projection,
    registry: yield* VersionRegistry.make(projection.events),
    store: yield* EventStore,
    checkpoints,
    owner: options.owner ?? uuidV7Unsafe(),
    leaseMillis: Duration.toMillis(Duration.fromInputUnsafe(options.lease ?? "1500 millis")),
    statementMillis: Duration.toMillis(Duration.fromInputUnsafe(options.statementTimeout ?? "30 seconds")),
    commitMillis: Duration.toMillis(Duration.fromInputUnsafe(options.commitTimeout ?? "2 minutes")),
    retry: options.retry ?? DEFAULT_RETRY,
    batchEvents,
    batchBytes
  }
  return runner
})

/** Asks for the lease. */
export const claim = (runner: Runner, statuses: ReadonlyArray<ProjectionStatus>, evenWhenChanged: boolean) => {
  const { checkpoints, leaseMillis, owner, projection: { definition, name, version } } = runner
  return inTime(
    "acquireLease",
    checkpoints.acquire({ name, version, definition, owner, leaseMillis, statuses, evenWhenChanged })
  )
}

/** Begins to lead. */
export const lead = (
  { checkpoints, commitMillis, projection, registry, retry, statementMillis }: Runner,
  lease: Lease,
  record: ProjectionRecord
) => makeLeader({ projection, registry, checkpoints, lease, record, retry, statementMillis, commitMillis })

/** Gives the lease back at the end, whatever it is. */
export const whileLeased = <A, E, R>(
  { checkpoints }: Runner,
  lease: Lease,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.onExit(self, () => Effect.ignore(Effect.timeoutOption(checkpoints.release(lease), RELEASE)))

/**
 * Does something with the lease: pauses a projection that another runner has,
 * and lets it go on afterwards.
 */
export const withLease = <A, E, R>(
  projection: Projection,
  options: RunnerOptions & { readonly evenWhenChanged?: boolean | undefined },
  use: (runner: Runner, lease: Lease, record: ProjectionRecord) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    const runner = yield* makeRunner(projection, options)
    const answer = yield* claimAnyway(runner, options)
    if (answer._tag === "Acquired") {
      return yield* whileLeased(runner, answer.lease, use(runner, answer.lease, answer.record))
    }
    const { checkpoints } = runner
    const { owner, status } = answer.record
    const wait = Effect.gen(function*() {
      const until = (yield* Clock.currentTimeMillis) + LEASES * runner.leaseMillis
      while (true) {
        const again = yield* claimAnyway(runner, options)
        if (again._tag === "Acquired") {
          return again
        }
        if ((yield* Clock.currentTimeMillis) >= until) {
          return yield* new LeaseHeld({ name: projection.name, version: projection.version, status, owner })
        }
        yield* Effect.sleep(STAND_BY)
      }
    })
    if (status === "running") yield* checkpoints.setStatus(projection, "paused")
    return yield* Effect.flatMap(
      wait,
      ({ lease, record }) => whileLeased(runner, lease, use(runner, lease, record))
    ).pipe(
      Effect.onExit(() =>
        status === "running" ? Effect.ignore(checkpoints.setStatus(projection, "running")) : Effect.void
      )
    )
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

/** Pause between two looks of a runner that stands by. */
export const STAND_BY = Duration.millis(250)

/** How long one waits for the lease of another, in leases: a runner notices a pause in a third of one. */
export const LEASES = 3

// internal

/** How long the storage may take for what is no commit. */
const ANSWER = Duration.seconds(10)

/** A lease that could not be given back runs out. */
const RELEASE = Duration.seconds(1)

const DEFAULT_RETRY = Schedule.exponential("100 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 3 }))

const claimAnyway = (
  runner: Runner,
  options: { readonly evenWhenChanged?: boolean | undefined }
) => claim(runner, ["running", "halted", "paused"], options.evenWhenChanged === true)
