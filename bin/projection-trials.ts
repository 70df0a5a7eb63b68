/**
 * Lets faults happen to processes that run projections, at random moments, and
 * looks for anything that a projection promises and did not keep.
 *
 *   npm run projection-trials -- [--trials 210] [--seed 1] [--variants kill,stop,…]
 *
 * Prints a line a trial to standard error and a summary as JSON to standard
 * output; exits 1 when something is wrong. A failing trial is run alone by the
 * line that it prints.
 */
import { runTrial, type Trial, VARIANTS } from "../test/projection/trials/trials.ts"
import { scopedServer } from "../test/support/postgres.ts"
import { runTrialCommand } from "../test/support/trialCommand.ts"

/** In milliseconds: how long a projection may stand still after its process was killed, 99 times of 100. */
const FAILOVER_BAR_MS = 2_000

const describe = ({ events, failoversMs, faults, looks, restarts, seed, tookMs, variant, wrong }: Trial): string =>
  [
    `${variant} seed ${seed}: ${wrong.length === 0 ? "ok" : "WRONG"}, ${faults} faults, ${looks} looks, ${events} events`,
    restarts === 0 ? "" : `, ${restarts} restarts`,
    failoversMs.length === 0 ? "" : `, failover ${failoversMs.join(", ")} ms`,
    `, ${(tookMs / 1_000).toFixed(1)} s`,
    ...wrong.slice(0, 10).map((line) => `\n  ${line.slice(0, 1_000)}`),
    ...(wrong.length === 0
      ? []
      : [`\n  again: npm run projection-trials -- --trials 1 --seed ${seed} --variants ${variant}`])
  ].join("")

const percentile = (sorted: ReadonlyArray<number>, percent: number): number | null =>
  sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? null

const summarise = (trials: ReadonlyArray<Trial>) => {
  const failovers = trials.flatMap(({ failoversMs }) => failoversMs).sort((a, b) => a - b)
  const sum = (of: ReadonlyArray<Trial>, f: (trial: Trial) => number) => of.reduce((total, trial) => total + f(trial), 0)
  return {
    trials: trials.length,
    wrong: trials.filter(({ wrong }) => wrong.length > 0).map(({ seed, variant, wrong }) => ({ variant, seed, wrong })),
    failover: {
      count: failovers.length,
      p50Ms: percentile(failovers, 50),
      p99Ms: percentile(failovers, 99),
      maxMs: failovers.at(-1) ?? null,
      barMs: FAILOVER_BAR_MS,
      isWithinBar: (percentile(failovers, 99) ?? 0) <= FAILOVER_BAR_MS
    },
    rssMbMax: Math.max(0, ...trials.map(({ rssMb }) => rssMb)),
    variants: Object.fromEntries(
      [...Map.groupBy(trials, ({ variant }) => variant)].map(([variant, of]) => [variant, {
        trials: of.length,
        seeds: of.map(({ seed }) => seed),
        faults: sum(of, ({ faults }) => faults),
        restarts: sum(of, ({ restarts }) => restarts),
        looks: sum(of, ({ looks }) => looks),
        events: sum(of, ({ events }) => events),
        tookMs: sum(of, ({ tookMs }) => tookMs)
      }])
    )
  }
}

await runTrialCommand({
  name: "projection-trials",
  variants: VARIANTS,
  trialsDefault: 15 * VARIANTS.length,
  serve: () => scopedServer(),
  run: runTrial,
  describe,
  summarise
})
