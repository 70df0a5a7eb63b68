import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { EventRow } from "../../store/LogTransfer.ts"
import type { OnProgress, TransferProgress } from "../TransferProgress.ts"

/** Counts what goes by, and tells it. */
export interface Meter {
  readonly count: (rows: ReadonlyArray<EventRow>) => Effect.Effect<void>
  /** Begins a phase with so many events. */
  readonly begin: (phase: TransferProgress["phase"], eventsTotal: number) => Effect.Effect<void>
  readonly elapsedMillis: Effect.Effect<number>
}

export const makeMeter = (onProgress: OnProgress | undefined): Effect.Effect<Meter> =>
  Effect.map(Clock.currentTimeMillis, (startedAt) => {
    let state = { phase: "events" as TransferProgress["phase"], events: 0, eventsTotal: 0, position: 0, bytes: 0 }
    let phaseAt = startedAt
    const tell = Effect.map(Clock.currentTimeMillis, (now) => {
      const millis = now - phaseAt
      const left = state.eventsTotal - state.events
      onProgress?.({
        ...state,
        elapsedMillis: now - startedAt,
        eventsPerSecond: millis === 0 ? 0 : Math.round(state.events * 1_000 / millis),
        remainingMillis: state.events === 0 || left < 0 ? undefined : Math.round(left * millis / state.events)
      })
    })
    return {
      elapsedMillis: Effect.map(Clock.currentTimeMillis, (now) => now - startedAt),
      begin: (phase, eventsTotal) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          state = { phase, events: 0, eventsTotal, position: state.position, bytes: 0 }
          phaseAt = now
          return onProgress === undefined ? Effect.void : tell
        }),
      count: (rows) =>
        Effect.suspend(() => {
          state.events += rows.length
          state.position = rows.at(-1)?.position ?? state.position
          for (const { data, metadata } of rows) state.bytes += data.length + metadata.length
          return onProgress === undefined ? Effect.void : tell
        })
    }
  })
