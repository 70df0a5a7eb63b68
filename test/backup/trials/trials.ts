/**
 * Trials of backups: processes make, restore, move, copy and prune them, a fault
 * happens at a random moment, and what is there afterwards is whole or says that
 * it is not.
 */
import { Cause, Effect, Exit } from "effect"
import type { Server } from "../../support/postgres.ts"
import { FAULTS, type Size } from "./faults.ts"
import { makeGround } from "./ground.ts"

/**
 * A kind of fault.
 */
export type Variant = keyof typeof FAULTS

/**
 * All kinds of faults.
 */
export const VARIANTS = Object.keys(FAULTS) as unknown as readonly [Variant, ...ReadonlyArray<Variant>]

/**
 * How a trial went.
 */
export interface Trial {
  readonly variant: Variant
  readonly seed: number
  /** How often the fault happened. */
  readonly faults: number
  /** How often it came too late. */
  readonly missed: number
  /** What was found afterwards, and how often. */
  readonly found: Readonly<Record<string, number>>
  /** Longest that a process worked that was not stopped, in milliseconds. */
  readonly slowestMs: number
  readonly tookMs: number
  /** Empty when nothing is wrong. */
  readonly wrong: ReadonlyArray<string>
}

/**
 * Runs one trial. A seed repeats the choices, not the moments at which the
 * machine does what.
 */
export const runTrial = (variant: Variant, seed: number, server: Server, size: Size = FULL): Effect.Effect<Trial> =>
  Effect.scoped(Effect.gen(function*() {
    const startedMs = performance.now()
    const ground = yield* makeGround(seed, server)
    const exit = yield* Effect.exit(Effect.scoped(FAULTS[variant](ground, size)))
    if (Exit.isFailure(exit)) ground.wrong.push(Cause.pretty(exit.cause))
    return {
      variant,
      seed,
      ...ground.tally,
      tookMs: Math.round(performance.now() - startedMs),
      wrong: [...new Set(ground.wrong)]
    }
  }))

// internal

const FULL: Size = { events: 12_000, faults: 3 }
