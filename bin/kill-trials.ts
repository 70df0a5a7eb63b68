/**
 * Kills writers, server processes, servers and embedded stores at random
 * moments, and looks for anything that a store promises and did not keep.
 *
 *   npm run kill-trials -- [--trials 100] [--seed 1] [--variants writer,backend,postmaster,pglite]
 *
 * Prints a line a trial to standard error and a summary as JSON to standard
 * output; exits 1 when something is wrong. A failing trial is run alone by the
 * line that it prints.
 */
import { Effect } from "effect"
import { runTrial, type Trial, VARIANTS } from "../test/stress/trials.ts"
import { scopedServer } from "../test/support/postgres.ts"
import { runTrialCommand } from "../test/support/trialCommand.ts"

const describe = ({ evidence, kills, seed, tookMs, variant, verdict, wrong }: Trial): string => {
  const counts = verdict === undefined
    ? "did not end"
    : `${verdict.appends} appends, ${verdict.acknowledged} acknowledged, ` +
      `${verdict.doubtful} in doubt (${verdict.doubtfulRecorded} recorded), ` +
      `${verdict.events} events, ${verdict.deliveries} deliveries`
  const state = wrong.length === 0 ? "ok" : "WRONG"
  return [
    `${variant} seed ${seed}: ${state}, ${kills} kills, ${counts}, ${(tookMs / 1_000).toFixed(1)} s`,
    ...wrong.slice(0, 10).map((line) => `  ${line.slice(0, 500)}`),
    ...(wrong.length === 0 ? [] : [
      `  histories: ${evidence ?? ""}`,
      `  again: npm run kill-trials -- --trials 1 --seed ${seed} --variants ${variant}`
    ])
  ].join("\n")
}

const summarise = (trials: ReadonlyArray<Trial>) => ({
  trials: trials.length,
  wrong: trials.filter(({ wrong }) => wrong.length > 0)
    .map(({ evidence, seed, variant, wrong }) => ({ variant, seed, wrong, evidence })),
  variants: Object.fromEntries(
    [...Map.groupBy(trials, ({ variant }) => variant)].map(([variant, of]) => {
      const sum = (f: (trial: Trial) => number | undefined) => of.reduce((total, trial) => total + (f(trial) ?? 0), 0)
      return [variant, {
        trials: of.length,
        seeds: of.map(({ seed }) => seed),
        kills: sum(({ kills }) => kills),
        appends: sum(({ verdict }) => verdict?.appends),
        acknowledged: sum(({ verdict }) => verdict?.acknowledged),
        doubtful: sum(({ verdict }) => verdict?.doubtful),
        doubtfulRecorded: sum(({ verdict }) => verdict?.doubtfulRecorded),
        events: sum(({ verdict }) => verdict?.events),
        deliveries: sum(({ verdict }) => verdict?.deliveries),
        tookMs: sum(({ tookMs }) => tookMs)
      }]
    })
  )
})

await runTrialCommand({
  name: "kill-trials",
  variants: VARIANTS,
  trialsDefault: 100,
  // a server is started for the variants that need one
  serve: (variants) =>
    variants.some((variant) => variant !== "pglite")
      ? scopedServer({ durable: true })
      : Effect.succeed(undefined),
  run: runTrial,
  describe,
  summarise
})
