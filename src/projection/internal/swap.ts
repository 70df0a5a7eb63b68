import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import {
  type BuildKey,
  CheckpointStore,
  isOfHistory,
  type Lease,
  type LeaseLost,
  type ProjectionRecord
} from "../../store/CheckpointStore.ts"
import { EventStore } from "../../store/EventStore.ts"
import { FENCE } from "../../store/InlineAppender.ts"
import type { Projection } from "../Projection.ts"
import { LeaseHeld, ProjectionInvalid, type RunError } from "../ProjectionError.ts"
import { promoteStatements } from "./setUp.ts"

/** What a swap may answer. */
export type SwapError = RunError | LeaseHeld | LeaseLost

/** A projection that is bound to a build. */
export type Bound<R = unknown> = Projection<R> & BuildKey

/**
 * Makes a build live, once it has seen as much of the log as what is live, and
 * tells whose places it took.
 *
 * **Details**
 *
 * First between two commits of the runner of what is live. When that one is
 * faster every time, it is kept from committing for the moment that is needed.
 */
export const swapIn = <E, R>(
  bound: Bound,
  keepMillis: number,
  catchUp: Effect.Effect<unknown, E, R>
): Effect.Effect<ReadonlyArray<BuildKey>, E | SwapError, R | CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const replaced = yield* findReplaced(bound)
    // inline appends leave it alone too
    const owner = FENCE + uuidV7Unsafe()
    const once = Effect.andThen(catchUp, makeLive(bound, keepMillis, owner, replaced))
    for (let attempt = 0; attempt < GENTLE_ATTEMPTS; attempt++) {
      if (yield* once) return distinct(replaced)
    }
    const leases = yield* Effect.forEach(replaced, (record) => steal(record, owner))
    const wasMade = yield* Effect.onExit(
      once,
      () => Effect.forEach(leases.flat(), (lease) => Effect.ignore(checkpoints.release(lease)))
    )
    if (wasMade) return distinct(replaced)
    const { name, version } = bound
    return yield* new LeaseHeld({ name, version, status: "running", owner: undefined })
  })

/** How long what was live is kept, unless somebody says otherwise. */
export const KEEP_OLD = Duration.hours(24)

/** Whether a projection needs nothing but the store to be run: a storage of its own may need more. */
export const isPure = (projection: Projection<unknown>): projection is Projection => projection.target._tag !== "Custom"

/** Name, version and build. */
export const toBuildKey = ({ build, name, version }: BuildKey): BuildKey => ({ name, version, build })

// internal

/** How often a swap is tried before the runner of what is live has to wait for it. */
const GENTLE_ATTEMPTS = 3

/** How long the lease of a swap lasts: it is given back at its end. */
const SWAP_LEASE_MILLIS = 10_000

/** How long a swap waits for those who read a view right now: others wait behind it. */
const VIEW_WAIT = "250ms"

/** Attempts to get hold of the views, and pauses between them: about a minute of both. */
const VIEW_PAUSES = Schedule.spaced("250 millis").pipe(Schedule.upTo({ times: 120 }))

/** The database could not get the lock in time, or chose this transaction to end a deadlock. */
const BUSY = new Set(["55P03", "40P01"])

const ALL = ["running", "halted", "paused"] as const

/** The slices of the builds whose places the build takes. */
const findReplaced = ({ build, name, version }: BuildKey) =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const builds = yield* checkpoints.listBuilds(name)
    const replaced = builds.filter((other) =>
      (other.version !== version || other.build !== build) &&
      (other.isLive || (other.status === "current" && other.version === version))
    )
    const slices = yield* Effect.forEach(replaced, (key) => checkpoints.findSlices(toBuildKey(key)))
    return slices.flat()
  })

const distinct = (records: ReadonlyArray<ProjectionRecord>): ReadonlyArray<BuildKey> =>
  records.filter(({ slice }) => slice === 0).map(toBuildKey)

/** Takes the lease of a slice away from its runner, unless it stands still by itself. */
const steal = (
  { build, definition, name, slice, status, version }: ProjectionRecord,
  owner: string
): Effect.Effect<ReadonlyArray<Lease>, RunError, CheckpointStore> =>
  status !== "running" ? Effect.succeed([]) : Effect.map(
    CheckpointStore.use((store) =>
      store.acquire({
        name,
        version,
        build,
        slice,
        definition,
        owner,
        leaseMillis: SWAP_LEASE_MILLIS,
        statuses: ["running"],
        evenWhenChanged: true,
        evenWhenHeld: true
      })
    ),
    (answer) => answer._tag === "Acquired" ? [answer.lease] : []
  )

/** Whether the build is live now: not when what is live has seen more. */
const makeLive = (
  bound: Bound,
  keepMillis: number,
  owner: string,
  replaced: ReadonlyArray<ProjectionRecord>
): Effect.Effect<boolean, SwapError, CheckpointStore | EventStore> =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const { build, definition, name, target, version } = bound
    const head = yield* EventStore.use((store) => store.head)
    // what is of another history has nothing that its readers could miss
    const notBehind = replaced.every(({ checkpoint }) => isOfHistory(checkpoint, head))
    const answer = yield* checkpoints.acquire({
      name,
      version,
      build,
      definition,
      owner,
      leaseMillis: SWAP_LEASE_MILLIS,
      statuses: ALL,
      evenWhenHeld: true
    })
    if (answer._tag === "Held") {
      return yield* new LeaseHeld({ name, version, status: answer.record.status, owner: answer.record.owner })
    }
    const { lease, record: { checkpoint: { count, digest, position } } } = answer
    const statements = target._tag !== "Table" ? [] : [
      { text: `SET LOCAL lock_timeout = '${VIEW_WAIT}'`, parameters: [] },
      ...promoteStatements(target)
    ]
    const change = { at: { count, digest, position }, statements, keepMillis, notBehind }
    return yield* Effect.retry(Effect.as(checkpoints.makeLive(lease, change), true), {
      while: (error) => error._tag === "StatementFailed" && BUSY.has(error.code),
      schedule: VIEW_PAUSES
    }).pipe(
      Effect.catchTags({
        BuildBehind: () => Effect.succeed(false),
        StatementFailed: ({ code, detail }) =>
          Effect.fail(new ProjectionInvalid({ name, problems: [`promote: ${detail} (${code})`] }))
      }),
      Effect.onExit(() => Effect.ignore(checkpoints.release(lease)))
    )
  })
