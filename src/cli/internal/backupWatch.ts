/**
 * Draws how far work on backups has come.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { TransferProgress } from "../../backup/TransferProgress.ts"
import type { Out } from "../Out.ts"
import { makeProgress, type ProgressState } from "../Progress.ts"
import type { Settings } from "../Settings.ts"

/**
 * Says how far work has come, and with what: each noun is a part of the work,
 * with a rate of its own. It is drawn a few times a second.
 *
 * @category models
 * @since 0.1.0
 */
export type SetProgress = (state: ProgressState, noun: string) => void

/**
 * Runs work and draws how far it has come meanwhile; nothing is left on the
 * terminal afterwards.
 *
 * @category running
 * @since 0.1.0
 */
export const watching = <A, E, R>(
  settings: Settings,
  work: (set: SetProgress) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Out> =>
  Effect.gen(function*() {
    let latest: { readonly state: ProgressState; readonly noun: string } | undefined
    let noun = ""
    let progress = yield* makeProgress(noun, settings)
    const look = Effect.gen(function*() {
      if (latest === undefined) return
      if (latest.noun !== noun) {
        yield* progress.clear
        noun = latest.noun
        progress = yield* makeProgress(noun, settings)
      }
      yield* progress.update(latest.state)
    })
    const drawing = yield* Effect.forkChild(Effect.forever(Effect.andThen(look, Effect.sleep(LOOK_MILLIS))))
    return yield* work((state, noun) => {
      latest = { state, noun }
    }).pipe(
      Effect.ensuring(Effect.andThen(Fiber.interrupt(drawing), Effect.suspend(() => progress.clear)))
    )
  })

/**
 * Draws what the service of backups tells of its progress.
 *
 * @category converting
 * @since 0.1.0
 */
export const onTransfer =
  (set: SetProgress, verb: string) => ({ events, eventsTotal, phase, position }: TransferProgress): void =>
    phase === "rest"
      ? set({ done: position, fraction: undefined, doing: "finishing" }, `events ${verb}`)
      : set(
        { done: events, fraction: events / Math.max(eventsTotal, 1) },
        `events ${phase === "verify" ? "compared" : verb}`
      )

/**
 * Bytes as a number of whole MiB, which progress counts.
 *
 * @category converting
 * @since 0.1.0
 */
export const toMebibytes = (bytes: number): number => Math.floor(bytes / (1024 * 1024))

// internal

/** Pause between two looks. */
const LOOK_MILLIS = 250
