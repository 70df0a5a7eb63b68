/**
 * How far something long has come, on standard error.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { count, duration } from "./Text.ts"

/**
 * How far it has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProgressState {
  /** Things done, for people to read. */
  readonly done: number
  /** From 0 to 1; `undefined` when the end is not known. */
  readonly fraction: number | undefined
  /** What is done now that has no number, in place of the rate. */
  readonly doing?: string | undefined
}

/**
 * Draws progress.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  readonly update: (state: ProgressState) => Effect.Effect<void>
  /** Takes the drawn line away. */
  readonly clear: Effect.Effect<void>
  /** Milliseconds since the start. */
  readonly elapsedMs: Effect.Effect<number>
}

/**
 * Makes a {@link Progress}: a line that is drawn over on a terminal, and one
 * line every 5 seconds elsewhere.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeProgress = Effect.fnUntraced(function*(
  noun: string,
  settings: Pick<Settings, "progress" | "quiet">
): Effect.fn.Return<Progress, never, Out> {
  const out = yield* Out
  const startedMs = yield* Clock.currentTimeMillis
  const isShown = settings.progress && !settings.quiet
  let shownMs = startedMs
  let isDrawn = false

  const clear = Effect.suspend(() => {
    if (!isDrawn) return Effect.void
    isDrawn = false
    return out.note(CLEAR_LINE)
  })

  return {
    update: (state) =>
      isShown
        ? Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
          if (nowMs - shownMs < (out.isNoteTerminal ? REDRAW_MS : LINE_MS)) return Effect.void
          shownMs = nowMs
          const text = describe(noun, state, nowMs - startedMs)
          isDrawn = out.isNoteTerminal
          return out.note(out.isNoteTerminal ? `${CLEAR_LINE}${text}` : `${text}\n`)
        })
        : Effect.void,
    clear,
    elapsedMs: Effect.map(Clock.currentTimeMillis, (nowMs) => nowMs - startedMs)
  }
})

// internal

const REDRAW_MS = 100
const LINE_MS = 5_000
const CLEAR_LINE = "\r\u001b[K"

const describe = (noun: string, { doing, done, fraction }: ProgressState, elapsedMs: number): string => {
  if (doing !== undefined) return `${count(done)} ${noun}, ${doing} (${duration(elapsedMs)})`
  const rate = elapsedMs === 0 ? 0 : Math.round(done / elapsedMs * 1000)
  const start = `${count(done)} ${noun}, ${count(rate)}/s`
  return fraction === undefined || fraction <= 0
    ? start
    : `${start}, ${Math.floor(fraction * 100)} %, ${duration(elapsedMs * (1 - fraction) / fraction)} left`
}
