import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Position } from "../../event/Revision.ts"
import { type HistoryChanged, historyChanged } from "../../store/CheckpointStore.ts"
import type { ReadError } from "../../store/EventStoreError.ts"
import type { Seat } from "./feed.ts"
import { type Handoff, makeHandoff, type Part } from "./handoff.ts"
import { type ApplyError, applyEvents, type Leader, settle } from "./leader.ts"
import { makeReporter } from "./progress.ts"
import type { Runner } from "./runner.ts"
import type { Divider } from "./slices.ts"

/**
 * Applies what comes after the checkpoint, up to a position, or for ever. One
 * batch is read and decoded while the one before it is applied and committed.
 */
export const follow = <R>(
  runner: Runner<R>,
  leader: Leader<R>,
  seat: Seat,
  end: Position | undefined
): Effect.Effect<void, ApplyError | FollowError, R> =>
  Effect.suspend(() => {
    if (end !== undefined && leader.checkpoint.position >= end) return Effect.void
    const handoff = makeHandoff(runner.batchEvents, runner.batchBytes)
    return Effect.raceFirst(
      Effect.andThen(readParts(runner, leader, seat, handoff, end), Effect.never),
      applyParts(runner, leader, handoff, end)
    )
  })

/** What reading can answer. */
export type FollowError = Exclude<ReadError, { readonly _tag: "PositionAheadOfLog" }> | HistoryChanged

// internal

/** How long a follower without matching events waits before it moves its checkpoint past the others. */
const IDLE_MS = 2_000

const readParts = Effect.fnUntraced(function*<R>(
  { divide, store }: Runner<R>,
  leader: Leader<R>,
  seat: Seat,
  handoff: Handoff,
  end: Position | undefined
) {
  const belongs = divide === undefined ? undefined : ofSlice(divide, leader.lease.slice)
  let after = leader.checkpoint.position
  while (true) {
    const page = yield* inHistory(leader, seat.read(after, end))
    const events = belongs === undefined ? page.events : page.events.filter(belongs)
    const bytes = belongs === undefined ? page.bytes : page.bytes * events.length / Math.max(1, page.events.length)
    // whoever got to the end has looked at everything up to it
    const position = page.isEnd && end !== undefined ? end : page.position
    yield* handoff.put({ events, position, isEnd: page.isEnd, bytes })
    if (page.isEnd && end !== undefined) return
    if (page.isEnd) yield* store.awaitGrowth(position)
    after = position
  }
})

const ofSlice = (divide: Divider, slice: number) => (event: Parameters<Divider>[0]): boolean => divide(event) === slice

const inHistory = (
  { checkpoint, lease, projection, store }: Leader<unknown>,
  read: Effect.Effect<Part, ReadError>
): Effect.Effect<Part, FollowError> =>
  Effect.catchTag(read, "PositionAheadOfLog", () =>
    Effect.flatMap(store.head, (head) =>
      Effect.fail(
        historyChanged(projection, { incarnation: lease.incarnation, position: checkpoint.position }, head)
      )))

const applyParts = Effect.fnUntraced(function*<R>(
  runner: Runner<R>,
  leader: Leader<R>,
  handoff: Handoff,
  end: Position | undefined
) {
  const report = makeReporter(runner, leader, end)
  const { target } = leader.projection
  const idleMillis = Math.min(IDLE_MS, target._tag === "State" ? target.save?.millis ?? IDLE_MS : IDLE_MS)
  let movedMillis = yield* Clock.currentTimeMillis
  let lookedAt = leader.checkpoint.position
  while (true) {
    // a checkpoint that waits to be moved, or written, is looked at again when nothing comes
    const isBehind = lookedAt > leader.written.position
    const part: Part | undefined = isBehind
      ? Option.getOrUndefined(yield* Effect.timeoutOption(handoff.take, Duration.millis(idleMillis)))
      : yield* handoff.take
    if (part !== undefined) lookedAt = part.position
    const isDone = end !== undefined && part?.isEnd === true
    const now = yield* Clock.currentTimeMillis
    // what led to nothing moves the checkpoint now and then
    if (isDone || (part?.events.length ?? 0) > 0 || now - movedMillis >= idleMillis) {
      yield* applyEvents(leader, part?.events ?? [], lookedAt)
      movedMillis = now
    }
    yield* report(part?.events.length ?? 0, isDone || part?.isEnd === true)
    if (isDone) return yield* settle(leader)
  }
})
