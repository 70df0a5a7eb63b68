/**
 * Runs a task whenever it is due, in one of the processes that watch.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { InvalidInput } from "../event/InvalidInput.ts"
import type { BackupStorageError } from "./BackupError.ts"
import { BackupStorage } from "./BackupStorage.ts"
import { readRecord, SCHEDULE_NAME, type ScheduleState, writeRecord } from "./internal/scheduleLease.ts"

/**
 * When a task is due.
 *
 * @category models
 * @since 0.1.0
 */
export interface DueTimes {
  /** Five fields, or six with seconds: `0 3 * * *` is three at night. */
  readonly cron: string
  /** In which the fields are meant, `Europe/Berlin` say; `UTC` when absent. */
  readonly timeZone?: string | undefined
}

/**
 * Options of {@link run}.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupScheduleOptions<A, E, R, R2 = never> extends DueTimes {
  /** 1 to 64 lower-case letters, digits and dashes. Processes that share it share the work. */
  readonly name: string
  /** Begins up to so many milliseconds after the due time, at random; 0 when absent. */
  readonly jitterMillis?: number | undefined
  /** What becomes of due times at which nobody watched; `"runOnce"` when absent: the last of them is made up for. */
  readonly missed?: "skip" | "runOnce" | undefined
  /** How long a process that died holds others up, in milliseconds; 60,000 when absent, at least 1,000. */
  readonly leaseMillis?: number | undefined
  /** What is done. It may happen twice for one due time: after a process that did it died before it said so. */
  readonly task: (due: DateTime.Utc) => Effect.Effect<A, E, R>
  /** Told what became of every due time. */
  readonly onRun?: ((run: ScheduledRun<A, E>) => Effect.Effect<void, never, R2>) | undefined
}

/**
 * What became of a due time in this process.
 *
 * **Details**
 *
 * - `Succeeded`, `Failed`: this process ran the task. One that failed is tried
 *   by the other processes that watch, and by this one at the next due time.
 * - `Elsewhere`: another process has done it, or was still at it when the next
 *   due time came.
 * - `Missed`: nobody watched then, and the policy is to skip.
 * - `Overtaken`: another process took over, because this one could not say in
 *   time that it is alive; the task was interrupted.
 *
 * @category models
 * @since 0.1.0
 */
export type ScheduledRun<A, E> =
  | { readonly _tag: "Succeeded"; readonly due: DateTime.Utc; readonly elapsedMillis: number; readonly value: A }
  | {
    readonly _tag: "Failed"
    readonly due: DateTime.Utc
    readonly elapsedMillis: number
    readonly cause: Cause.Cause<E | BackupStorageError>
  }
  | { readonly _tag: "Elsewhere" | "Missed" | "Overtaken"; readonly due: DateTime.Utc }

/**
 * Runs the task at its due times until it is interrupted.
 *
 * **Details**
 *
 * Of several processes that share a place of backups and a name, one runs the
 * task; when it dies, another one takes over after `leaseMillis`. What they
 * agree by are small files in that place, `schedule-NAME-….json`, so they need
 * no other service, and know after a restart what was missed. A task that is
 * still running when the next due time comes is not started again: several due
 * times that passed are one run, of the last.
 *
 * A task that fails does not end the schedule. The place of backups that cannot
 * be reached fails the run, not the schedule, except at its begin.
 *
 * **Gotchas**
 *
 * Leases are judged by the clocks of the processes. When those differ by more
 * than `leaseMillis`, the task can run twice at a time; for backups that is two
 * backups.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fn("BackupSchedule.run")(function*<A, E, R, R2 = never>(
  options: BackupScheduleOptions<A, E, R, R2>
): Effect.fn.Return<never, InvalidInput | BackupStorageError, R | R2 | BackupStorage> {
  const cron = yield* Effect.fromResult(parse(options))
  yield* Effect.fromResult(check(options))
  const { jitterMillis = 0, missed = "runOnce", name, onRun } = options
  const runner: Runner = {
    storage: yield* BackupStorage,
    name,
    cron,
    owner: yield* newOwner,
    leaseMillis: options.leaseMillis ?? LEASE_MILLIS
  }

  let handled = yield* watchedSince(runner)
  while (true) {
    yield* sleepUntil(Cron.next(cron, handled).getTime(), jitterMillis)
    const nowMillis = yield* Clock.currentTimeMillis
    const due = lastDue(cron, nowMillis)
    const isMissed = nowMillis - due > jitterMillis + GRACE_MILLIS
    const outcome: ScheduledRun<A, E> = isMissed && missed === "skip"
      ? { _tag: "Missed", due: DateTime.makeUnsafe(due) }
      : yield* runDue(runner, due, options.task)
    if (onRun !== undefined) yield* onRun(outcome)
    handled = due
  }
})

/**
 * Computes the next due times after a moment.
 *
 * @category getters
 * @since 0.1.0
 */
export const upcoming = (
  times: DueTimes,
  after: DateTime.Utc,
  count: number
): Result.Result<ReadonlyArray<DateTime.Utc>, InvalidInput> =>
  Result.map(parse(times), (cron) => {
    const found: Array<DateTime.Utc> = []
    let last: Date = DateTime.toDate(after)
    while (found.length < count) {
      last = Cron.next(cron, last)
      found.push(DateTime.makeUnsafe(last.getTime()))
    }
    return found
  })

// internal

/** 60 seconds. */
const LEASE_MILLIS = 60_000

const LEASE_MILLIS_MIN = 1_000

/** How late a due time may be noticed without being missed: five minutes. */
const GRACE_MILLIS = 5 * 60_000

/** Longest sleep: a clock that is set, or a machine that slept, is noticed within ten minutes. */
const SLEEP_MILLIS_MAX = 10 * 60_000

interface Runner {
  readonly storage: BackupStorage["Service"]
  readonly name: string
  readonly cron: Cron.Cron
  readonly owner: string
  readonly leaseMillis: number
}

const parse = ({ cron, timeZone = "UTC" }: DueTimes): Result.Result<Cron.Cron, InvalidInput> => {
  const parsed = Cron.parse(cron, timeZone)
  if (Result.isFailure(parsed)) {
    return invalid("InvalidTime", parsed.failure.message.includes("zone") ? "timeZone" : "cron", parsed.failure.message)
  }
  return Result.try({
    try: () => {
      Cron.next(parsed.success, 0)
      return parsed.success
    },
    catch: () => new InvalidInput({ reason: "InvalidTime", path: "cron", detail: "there is no such day" })
  })
}

const check = (
  { jitterMillis = 0, leaseMillis = LEASE_MILLIS, name }: {
    readonly name: string
    readonly jitterMillis?: number | undefined
    readonly leaseMillis?: number | undefined
  }
): Result.Result<void, InvalidInput> => {
  if (!SCHEDULE_NAME.test(name)) {
    return invalid("InvalidIdentifier", "name", "expected 1 to 64 lower-case letters, digits and dashes")
  }
  if (!Number.isSafeInteger(jitterMillis) || jitterMillis < 0) {
    return invalid("InvalidLimit", "jitterMillis", "expected a whole number from 0")
  }
  return Number.isSafeInteger(leaseMillis) && leaseMillis >= LEASE_MILLIS_MIN
    ? Result.void
    : invalid("InvalidLimit", "leaseMillis", `expected a whole number from ${LEASE_MILLIS_MIN}`)
}

const invalid = (reason: InvalidInput["reason"], path: string, detail: string) =>
  Result.fail(new InvalidInput({ reason, path, detail }))

const newOwner = Effect.sync(() => crypto.randomUUID())

/** The newest due time that is not after `now`. */
const lastDue = (cron: Cron.Cron, nowMillis: number): number => Cron.prev(cron, nowMillis + 1).getTime()

/** Up to when all due times are settled; writes down from when on somebody watches. */
const watchedSince = Effect.fnUntraced(function*({ name, storage }: Runner) {
  const { generation, state } = yield* readRecord(storage, name)
  if (state !== undefined) return state.done ?? state.since
  const since = yield* Clock.currentTimeMillis
  yield* writeRecord(storage, name, generation, { since, done: null, owner: "", expiresAt: 0 })
  return since
})

const sleepUntil = Effect.fnUntraced(function*(dueMillis: number, jitterMillis: number) {
  let nowMillis = yield* Clock.currentTimeMillis
  // what is late already begins at once: its time is over
  if (nowMillis > dueMillis + jitterMillis) return
  const begin = dueMillis + (jitterMillis === 0 ? 0 : yield* Random.nextIntBetween(0, jitterMillis + 1))
  while (nowMillis < begin) {
    yield* Effect.sleep(Math.min(begin - nowMillis, SLEEP_MILLIS_MAX))
    nowMillis = yield* Clock.currentTimeMillis
  }
})

const runDue = Effect.fnUntraced(function*<A, E, R>(
  runner: Runner,
  dueMillis: number,
  task: (due: DateTime.Utc) => Effect.Effect<A, E, R>
): Effect.fn.Return<ScheduledRun<A, E>, never, R> {
  const due = DateTime.makeUnsafe(dueMillis)
  const startedMillis = yield* Clock.currentTimeMillis
  const exit = yield* Effect.exit(Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const lease = yield* claim(runner, dueMillis, restore)
      if (lease === undefined) return ELSEWHERE
      const exit = yield* Effect.exit(restore(underLease(runner, lease, task(due))))
      yield* giveBack(runner, lease, isDone(exit) ? dueMillis : lease.state.done)
      return yield* exit
    })
  ))
  if (Exit.isFailure(exit)) {
    return {
      _tag: "Failed",
      due,
      elapsedMillis: (yield* Clock.currentTimeMillis) - startedMillis,
      cause: exit.cause
    }
  }
  if (exit.value._tag !== "Done") return { _tag: exit.value._tag, due }
  return {
    _tag: "Succeeded",
    due,
    elapsedMillis: (yield* Clock.currentTimeMillis) - startedMillis,
    value: exit.value.value
  }
})

type Attempt<A> = { readonly _tag: "Done"; readonly value: A } | { readonly _tag: "Elsewhere" | "Overtaken" }

const ELSEWHERE = { _tag: "Elsewhere" } as const
const OVERTAKEN = { _tag: "Overtaken" } as const

const isDone = (exit: Exit.Exit<Attempt<unknown>, unknown>): boolean =>
  Exit.isSuccess(exit) && exit.value._tag === "Done"

/** What this process holds; renewed as time goes on. */
interface Lease {
  generation: number
  state: ScheduleState
}

/** Waits for its turn; `undefined` when another process has done it, or is still at it when the next time comes. */
const claim = Effect.fnUntraced(function*(
  { cron, leaseMillis, name, owner, storage }: Runner,
  dueMillis: number,
  restore: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.fn.Return<Lease | undefined, BackupStorageError> {
  const giveUp = Cron.next(cron, dueMillis).getTime()
  let failures = 0
  while (true) {
    const { generation, state } = yield* restore(patiently(readRecord(storage, name)))
    const nowMillis = yield* Clock.currentTimeMillis
    if (state !== undefined && state.done !== null && state.done >= dueMillis) return undefined
    const leftMillis = (state?.expiresAt ?? 0) - nowMillis
    // ours: it was written, and only the answer was lost
    if (state?.owner === owner && leftMillis > 0) return { generation, state }
    if (leftMillis <= 0 || leftMillis > LEASES_MAX * leaseMillis) {
      const next: ScheduleState = {
        since: state?.since ?? nowMillis,
        done: state?.done ?? null,
        owner,
        expiresAt: nowMillis + leaseMillis
      }
      const isOurs = yield* Effect.catchIf(
        writeRecord(storage, name, generation, next),
        ({ isRetryable }) => isRetryable && failures++ < RETRIES,
        () => Effect.as(restore(Effect.sleep(leaseMillis / 3)), false)
      )
      if (isOurs) return { generation: generation + 1, state: next }
    } else {
      const waitMillis = Math.min(leftMillis, leaseMillis / 3)
      if (nowMillis + waitMillis >= giveUp) return undefined
      yield* restore(Effect.sleep(waitMillis))
    }
  }
})

/** A lease that lasts longer was written by a clock that was wrong. */
const LEASES_MAX = 10

/** How often a place that is out of reach for a moment is asked again. */
const RETRIES = 5

const patiently = <A>(self: Effect.Effect<A, BackupStorageError>) =>
  Effect.retry(self, {
    while: ({ isRetryable }) => isRetryable,
    schedule: Schedule.exponential("1 second"),
    times: RETRIES
  })

const underLease = <A, E, R>(
  runner: Runner,
  lease: Lease,
  task: Effect.Effect<A, E, R>
): Effect.Effect<Attempt<A>, E, R> =>
  Effect.raceFirst(
    Effect.map(task, (value): Attempt<A> => ({ _tag: "Done", value })),
    Effect.as(renew(runner, lease), OVERTAKEN)
  )

/** Renews the lease three times in its span; ends when it is lost. */
const renew = Effect.fnUntraced(function*({ leaseMillis, name, storage }: Runner, lease: Lease) {
  while (true) {
    yield* Effect.sleep(leaseMillis / 3)
    const nowMillis = yield* Clock.currentTimeMillis
    const next = { ...lease.state, expiresAt: nowMillis + leaseMillis }
    const written = yield* Effect.uninterruptible(
      Effect.tap(Effect.result(writeRecord(storage, name, lease.generation, next)), (result) =>
        Effect.sync(() => {
          if (Result.isFailure(result) || !result.success) return
          lease.generation++
          lease.state = next
        }))
    )
    if (Result.isSuccess(written) ? !written.success : nowMillis >= lease.state.expiresAt) return
  }
})

/** Never fails: a lease that cannot be given back runs out. */
const giveBack = ({ name, storage }: Runner, { generation, state }: Lease, done: number | null) =>
  writeRecord(storage, name, generation, { ...state, done, expiresAt: 0 }).pipe(
    patiently,
    Effect.catch((error) => Effect.logWarning(`schedule ${name}: ${error.message}`)),
    Effect.asVoid
  )
