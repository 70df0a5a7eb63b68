/**
 * Trials of projections: processes run them while writers write, a fault happens
 * at random moments, and every model is the fold of the log up to its
 * checkpoint whenever somebody looks.
 */
import { Cause, Effect, Exit } from "effect"
import type { ServerAddress } from "../../support/postgres.ts"
import { FAULTS } from "./faults.ts"
import { conclude, makeGround } from "./ground.ts"

/**
 * A kind of fault.
 */
export type Variant = keyof typeof FAULTS

/**
 * All kinds of faults.
 */
export const VARIANTS = Object.keys(FAULTS) as ReadonlyArray<Variant>

/**
 * How a trial went.
 */
export interface Trial {
  readonly variant: Variant
  readonly seed: number
  /** How often the fault happened. */
  readonly faults: number
  /** How often models and log were compared. */
  readonly looks: number
  readonly events: number
  /** Runs that were ended and begun anew in one process. */
  readonly restarts: number
  /** From each kill of a process to the first event that another one applied, in milliseconds. */
  readonly failoversMs: ReadonlyArray<number>
  /** Most memory of a process that ran projections and was stopped in peace, in MiB. */
  readonly rssMb: number
  readonly tookMs: number
  /** Empty when nothing is wrong. */
  readonly wrong: ReadonlyArray<string>
}

/**
 * Runs one trial. A seed repeats the choices, not the moments at which the
 * machine does what.
 */
export const runTrial = (variant: Variant, seed: number, server: ServerAddress): Effect.Effect<Trial> =>
  Effect.scoped(Effect.gen(function*() {
    const startedMs = performance.now()
    const ground = yield* makeGround(seed, server)
    const exit = yield* Effect.exit(Effect.andThen(FAULTS[variant](ground), conclude(ground)))
    if (Exit.isFailure(exit)) ground.wrong.push(Cause.pretty(exit.cause))
    const { failovers, processes, tally, wrong } = ground
    const sizes = processes.flatMap(({ reports }) => reports)
      .flatMap((line) => line.startsWith("rss ") ? [Number(line.slice(4))] : [])
    return {
      variant,
      seed,
      ...tally,
      failoversMs: failovers.map((millis) => Math.round(millis)),
      rssMb: Math.max(0, ...sizes),
      tookMs: Math.round(performance.now() - startedMs),
      wrong: [...new Set(wrong)]
    }
  }))
