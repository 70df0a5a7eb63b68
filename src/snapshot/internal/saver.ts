import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { StreamId } from "../../event/StreamId.ts"
import type { SnapshotStore, StoredSnapshot } from "../../store/SnapshotStore.ts"
import type { SnapshotCodec, StateNotSerializable, TakenState } from "../SnapshotCodec.ts"
import type { CostMeter } from "./costs.ts"
import type { Health } from "./health.ts"
import type { Tally } from "./tally.ts"

/** Saves snapshots beside the commands that led to them. */
export interface Saver<State> {
  /** Says that a state is to be saved; the newest one of a stream counts. */
  readonly offer: (taken: TakenState<State>) => void
  /** Forgets what waits for a stream. */
  readonly withdraw: (streamId: StreamId) => void
  /** Whether nothing waits and nothing is being saved. */
  readonly isIdle: () => boolean
}

export interface SaverOptions<State> {
  readonly kind: string
  readonly store: SnapshotStore["Service"]
  readonly codec: SnapshotCodec<State>
  readonly keepLast: number
  readonly concurrency: number
  readonly meter: CostMeter
  readonly tally: Tally
  readonly health: Health
  /** Whether the store said that it has no snapshot of a stream; asked once, before the first is saved. */
  readonly takeNews: (streamId: StreamId) => boolean
  readonly onSaved: (snapshot: StoredSnapshot) => void
  readonly onRefused: (refusal: StateNotSerializable) => Effect.Effect<void>
}

/** Closing the scope saves what waits, for a moment. */
export const makeSaver = <State>(options: SaverOptions<State>): Effect.Effect<Saver<State>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const queue = yield* Queue.make<StreamId, Cause.Done>({ capacity: WAITING_MAX, strategy: "dropping" })
    const waiting = new Map<StreamId, TakenState<State>>()
    const pause = { failures: 0, until: 0 }
    let running = 0

    const takeNext = Effect.flatMap(Queue.take(queue), (streamId) => {
      const taken = waiting.get(streamId)
      waiting.delete(streamId)
      return taken === undefined ? Effect.void : Effect.ensuring(
        Effect.suspend(() => {
          running++
          return saveOne(options, clock, taken, pause)
        }),
        Effect.sync(() => running--)
      )
    })
    const worker = Effect.forever(takeNext, { disableYield: true }).pipe(Effect.catchTag("Done", () => Effect.void))
    const workers = yield* Effect.forEach(
      Array.from({ length: options.concurrency }),
      () => Effect.forkScoped(worker)
    )
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        Queue.end(queue),
        Effect.timeoutOption(Effect.interruptible(Fiber.awaitAll(workers)), CLOSE_TIMEOUT)
      )
    )

    return {
      offer: (taken) => {
        const before = waiting.get(taken.streamId)
        if (before !== undefined) {
          if (before.revision < taken.revision) waiting.set(taken.streamId, taken)
        } else if (clock.currentTimeMillisUnsafe() >= pause.until && Queue.offerUnsafe(queue, taken.streamId)) {
          waiting.set(taken.streamId, taken)
        } else {
          options.tally.note("dropped")
        }
      },
      withdraw: (streamId) => void waiting.delete(streamId),
      isIdle: () => waiting.size === 0 && running === 0
    }
  })

// internal

/** Most streams whose snapshot waits; each holds its state in memory. */
const WAITING_MAX = 256

/** How long the end of the scope waits for what is not saved yet. */
const CLOSE_TIMEOUT = "5 seconds"

/** How long a store that failed is left alone: 1 s, then twice as long each time, at most a minute. */
const PAUSE_MILLIS = 1_000
const PAUSE_MILLIS_MAX = 60_000

interface Pause {
  failures: number
  until: number
}

const saveOne = <State>(
  { codec, health, keepLast, kind, meter, onRefused, onSaved, store, takeNews, tally }: SaverOptions<State>,
  clock: Clock.Clock,
  taken: TakenState<State>,
  pause: Pause
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const startedAt = clock.currentTimeNanosUnsafe()
    const snapshot = yield* codec.encode(taken)
    const isFirst = takeNews(taken.streamId)
    yield* store.save(snapshot)
    if (!isFirst) {
      yield* store.prune({ streamId: taken.streamId, kind, fingerprint: codec.fingerprint, keepLast })
    }
    meter.save(Number(clock.currentTimeNanosUnsafe() - startedAt) / 1e6)
    pause.failures = 0
    onSaved(snapshot)
    tally.note("saved")
  }).pipe(
    Effect.catchTag("StateNotSerializable", onRefused),
    Effect.catchCause((cause) => {
      pause.until = clock.currentTimeMillisUnsafe() + Math.min(PAUSE_MILLIS_MAX, PAUSE_MILLIS * 2 ** pause.failures++)
      return health.failed(cause)
    })
  )
