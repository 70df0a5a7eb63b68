/**
 * Many appends on their way at a time, in an order that the log keeps.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { EncodedEvent } from "../event/EncodedEvent.ts"

/**
 * Starts appends one after the other, without waiting for the one before, as
 * far as their weights fit into a capacity together.
 *
 * **Details**
 *
 * Appends of one process are recorded in the order in which they start, so the
 * log keeps the order of `submit`. After a failure nothing more is started, and
 * every call fails with it.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendPipeline<E> {
  /** Returns when the append has started. */
  readonly submit: (weight: number, append: Effect.Effect<void, E>) => Effect.Effect<void, E>
  /** Returns when nothing is on its way any more. */
  readonly settle: Effect.Effect<void, E>
}

/**
 * Makes an {@link AppendPipeline}; the end of the scope interrupts what is on its way.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E>(capacity: number): Effect.Effect<AppendPipeline<E>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const permits = yield* Semaphore.make(capacity)
    let failure: Cause.Cause<E> | undefined
    const check = Effect.suspend(() => failure === undefined ? Effect.void : Effect.failCause(failure))
    return {
      submit: Effect.fnUntraced(function*(wanted: number, append: Effect.Effect<void, E>) {
        const weight = Math.min(capacity, wanted)
        yield* Semaphore.take(permits, weight)
        yield* check
        yield* append.pipe(
          Effect.onExit((exit) => {
            if (Exit.isFailure(exit)) failure ??= exit.cause
            return Semaphore.release(permits, weight)
          }),
          Effect.forkIn(scope, { startImmediately: true })
        )
      }),
      settle: Effect.andThen(check, Semaphore.withPermits(permits, capacity)(check))
    }
  })

/**
 * An event on its way into a stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface Item {
  readonly streamId: string
  readonly encoded: Pick<EncodedEvent, "sizeBytes">
}

/**
 * Consecutive events of one stream, for one append.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run<A extends Item> {
  readonly streamId: string
  readonly items: ReadonlyArray<A>
  /** Bytes of JSON. */
  readonly sizeBytes: number
}

/**
 * Cuts events into runs of at most `eventsMax` events, 1,000 events and 4 MiB.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toRuns = <A extends Item>(items: ReadonlyArray<A>, eventsMax: number): ReadonlyArray<Run<A>> => {
  const limit = Math.min(eventsMax, RUN_EVENTS_MAX)
  const runs: Array<Run<A>> = []
  let run: Array<A> = []
  let sizeBytes = 0
  for (const item of items) {
    const first = run[0]
    const fits = first !== undefined && item.streamId === first.streamId && run.length < limit &&
      sizeBytes + item.encoded.sizeBytes <= RUN_SIZE_BYTES_MAX
    if (!fits) {
      if (first !== undefined) runs.push({ streamId: first.streamId, items: run, sizeBytes })
      run = []
      sizeBytes = 0
    }
    run.push(item)
    sizeBytes += item.encoded.sizeBytes
  }
  const first = run[0]
  if (first !== undefined) runs.push({ streamId: first.streamId, items: run, sizeBytes })
  return runs
}

/**
 * How many permits a run takes: one an event, or one for every 16 KiB if that is more.
 *
 * @category getters
 * @since 0.1.0
 */
export const weightOf = ({ items, sizeBytes }: Run<Item>): number =>
  Math.max(items.length, Math.ceil(sizeBytes / PERMIT_SIZE_BYTES))

// internal

/** Bytes of JSON that one permit stands for, so that big events do not fill the memory. */
const PERMIT_SIZE_BYTES = 16 * 1024

/** Most events of one append: larger ones only make the others wait. */
const RUN_EVENTS_MAX = 1_000

/** Most bytes of one append; an append holds at most 16 MiB. */
const RUN_SIZE_BYTES_MAX = 4 * 1024 * 1024
