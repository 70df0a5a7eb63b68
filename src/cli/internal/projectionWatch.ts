/**
 * Draws how far projections have come.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ProjectionProgress } from "../../projection/RunnerOptions.ts"
import type { Progress } from "../Progress.ts"
import type { ProjectionHost } from "./projectionHost.ts"

/**
 * What a run is watched with.
 *
 * @category models
 * @since 0.1.0
 */
export interface Watch {
  /** For the runner: an effect of its own copy. */
  readonly onProgress: (progress: ProjectionProgress) => Effect.Effect<void>
  /** Draws it, for ever. */
  readonly draw: Effect.Effect<never>
}

/**
 * Makes a watch for all projections, and all slices, of a run.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWatch = ({ library }: Pick<ProjectionHost, "library">, progress: Progress): Watch => {
  const first = new Map<string, number>()
  const latest = new Map<string, ProjectionProgress>()
  let drawn = -1
  const look = Effect.suspend(() => {
    const all = [...latest]
    const total = (of: (each: ProjectionProgress, from: number) => number) =>
      all.reduce((sum, [key, each]) => sum + of(each, first.get(key) ?? 0), 0)
    const done = total(({ events }) => events)
    if (done === drawn) return Effect.void
    drawn = done
    const wanted = total(({ head }, from) => head - from)
    return progress.update({
      done,
      fraction: wanted > 0 ? total(({ position }, from) => position - from) / wanted : undefined
    })
  })
  return {
    onProgress: (report) =>
      library.Effect.sync(() => {
        const key = `${report.build} ${report.slice} ${report.version} ${report.name}`
        if (!first.has(key)) first.set(key, report.position - Math.min(report.position, report.events))
        latest.set(key, report)
      }),
    draw: Effect.forever(Effect.andThen(look, Effect.sleep(LOOK_MILLIS)))
  }
}

// internal

/** Pause between two drawings. */
const LOOK_MILLIS = 250
