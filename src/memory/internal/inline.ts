/**
 * Appends that take followers along: judged, foreseen, applied and recorded in
 * one synchronous step.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { RecordedEvent } from "../../event/Event.ts"
import type { CheckpointStore, Lease, ProjectionCommit, ProjectionRecord } from "../../store/CheckpointStore.ts"
import { addEvents } from "../../store/EventDigest.ts"
import type { LogHead } from "../../store/EventStore.ts"
import { Refused, StorageError } from "../../store/EventStoreError.ts"
import {
  eventsFor,
  FENCE,
  FENCE_MILLIS,
  INLINE_GAP_EVENTS,
  inlineBehind,
  inlineFailed,
  type InlineFault,
  type InlineFollower,
  MISSED_ARCHIVED,
  standFault
} from "../../store/InlineAppender.ts"
import type { AppendRequest } from "../../store/Storage.ts"
import { type AppendRefusal, type AppendResults, foreseeAppend, judgeAppend, recordAppend } from "./append.ts"
import { headOf, type Log } from "./log.ts"
import { readLog } from "./read.ts"

/** Waits, for a while, for those who want nobody else to move a projection. */
export const awaitFences = (
  checkpoints: CheckpointStore["Service"],
  followers: ReadonlyArray<InlineFollower>
): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let leftMs: number = FENCE_MILLIS.wait; leftMs > 0; leftMs -= FENCE_MILLIS.look) {
      const now = yield* Clock.currentTimeMillis
      const found = yield* Effect.forEach(followers, ({ name, version }) =>
        Effect.option(checkpoints.find({ name, version })))
      if (
        !found.some((record) =>
          Option.exists(Option.flatten(record), (one) => isFenced(one, now))
        )
      ) return
      yield* Effect.sleep(FENCE_MILLIS.look)
    }
  })

/** Makes the append. The checkpoints are in the memory of this process too, so what is asked of them is answered at once. */
export const makeInline = (
  log: Log,
  checkpoints: CheckpointStore["Service"],
  followers: ReadonlyArray<InlineFollower>
) =>
(
  request: AppendRequest,
  now: number,
  context: Context.Context<never>
): Result.Result<AppendResults, AppendRefusal | StorageError> => {
  const judged = judgeAppend(log, request)
  if (Result.isFailure(judged)) return Result.fail(judged.failure)
  const original = judged.success
  const events = original === undefined ? foreseeAppend(log, request, now) : []
  const before: LogHead = { position: headOf(log), incarnation: log.incarnation }
  const run = Effect.runSyncExitWith(context)
  const commits: Array<Effect.Effect<void, unknown>> = []
  for (const follower of followers) {
    const commit = takeAlong(log, { checkpoints, run }, follower, before, events, now)
    if (Result.isFailure(commit)) return Result.fail(commit.failure)
    commits.push(commit.success)
  }
  const results = original ?? recordAppend(log, request, now)
  // judged already: what they could fail with cannot be
  for (const commit of commits) {
    const exit = run(commit)
    if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  }
  return Result.succeed(results)
}

// internal

/** Checkpoints that answer at once. */
interface Checkpoints {
  readonly checkpoints: CheckpointStore["Service"]
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Exit.Exit<A, E>
}

/** Says how a follower is brought to the end of the log, once the events are recorded. */
const takeAlong = (
  log: Log,
  { checkpoints, run }: Checkpoints,
  follower: InlineFollower,
  before: LogHead,
  events: ReadonlyArray<RecordedEvent>,
  now: number
): Result.Result<Effect.Effect<void, unknown>, StorageError> => {
  const { name, version } = follower
  const found = run(checkpoints.find({ name, version }))
  if (Exit.isFailure(found)) return Result.fail(elsewhere)
  const record = Option.getOrUndefined(found.value)
  const stand = record === undefined ? undefined : { ...record, isFenced: isFenced(record, now) }
  const fault = standFault(follower, stand, before)
  if (record === undefined || fault !== undefined) return Result.fail(fault ?? elsewhere)
  const { build, checkpoint } = record
  const missed = readGap(log, follower, checkpoint.position, before.position)
  if (missed.length > INLINE_GAP_EVENTS) {
    const why = `an append makes up for ${INLINE_GAP_EVENTS} events at most`
    return Result.fail(inlineBehind(follower, checkpoint.position, before, why))
  }
  if (missed.some(({ position }) => log.events[position - 1]?.data === undefined)) {
    return Result.fail(inlineBehind(follower, checkpoint.position, before, MISSED_ARCHIVED))
  }
  const all = [...missed, ...eventsFor(follower, events)]
  const toError = (fault: InlineFault): StorageError => {
    const event = all[fault.index ?? all.length - 1]
    return event === undefined ? elsewhere : inlineFailed(follower, event, fault)
  }
  const begun = follower.begin(all, build)
  if (Result.isFailure(begun)) return Result.fail(toError(begun.failure))
  const states = run(checkpoints.loadStates({ name, version, build }, begun.success.keys))
  if (Exit.isFailure(states)) return Result.fail(elsewhere)
  const effects = begun.success.finish(states.value)
  if (Result.isFailure(effects)) return Result.fail(toError(effects.failure))
  const to = { ...addEvents(checkpoint, all), position: before.position + events.length as typeof before.position }
  if (to.position === checkpoint.position) return Result.succeed(Effect.void)
  const { changes, states: changed } = effects.success
  return Result.succeed(commit(checkpoints, record, { from: checkpoint.position, to, states: changed, changes }))
}

const isFenced = ({ leasedUntil, owner }: ProjectionRecord, now: number): boolean =>
  owner?.startsWith(FENCE) === true && (leasedUntil?.epochMilliseconds ?? 0) > now

const readGap = (
  log: Log,
  { filter }: InlineFollower,
  after: number,
  until: number
): ReadonlyArray<RecordedEvent> =>
  after >= until ? [] : readLog(log, {
    direction: "forwards",
    after,
    until,
    filter,
    limit: INLINE_GAP_EVENTS + 1,
    timeBound: undefined
  }).events

/** Commits as whoever has the lease now, and leaves it to them. */
const commit = (checkpoints: CheckpointStore["Service"], record: ProjectionRecord, work: ProjectionCommit) =>
  Effect.clockWith((clock) => {
    const { build, checkpoint: { incarnation }, epoch, leasedUntil, name, owner = "", slice, version } = record
    const leaseMillis = Math.max(0, (leasedUntil?.epochMilliseconds ?? 0) - clock.currentTimeMillisUnsafe())
    const lease: Lease = { name, version, build, slice, owner, epoch, leaseMillis, incarnation }
    return checkpoints.commit(lease, work)
  })

const elsewhere = new StorageError({
  operation: "append",
  reason: new Refused({ detail: "the checkpoints are not in the memory of this process" })
})
