/**
 * Kills processes that make, restore, move, copy and prune backups, their
 * sessions and their server, at random moments, and looks for anything that
 * backups promise and did not keep.
 *
 *   npm run backup-trials -- [--trials 140] [--seed 1] [--variants create,restore,…]
 *
 * Prints a line a trial to standard error and a summary as JSON to standard
 * output; exits 1 when something is wrong. A failing trial is run alone by the
 * line that it prints.
 */
import { runTrial, type Trial, VARIANTS } from "../test/backup/trials/trials.ts"
import { scopedServer } from "../test/support/postgres.ts"
import { runTrialCommand } from "../test/support/trialCommand.ts"

const describe = ({ faults, found, missed, seed, slowestMs, tookMs, variant, wrong }: Trial): string =>
  [
    `${variant} seed ${seed}: ${wrong.length === 0 ? "ok" : "WRONG"}, ${faults} faults, ${missed} too late, found `,
    Object.entries(found).map(([what, count]) => `${what}${count === 1 ? "" : ` ${count} times`}`).join(", "),
    `, slowest ${slowestMs} ms, ${(tookMs / 1_000).toFixed(1)} s`,
    ...wrong.slice(0, 10).map((line) => `\n  ${line.slice(0, 2_000)}`),
    ...(wrong.length === 0
      ? []
      : [`\n  again: npm run backup-trials -- --trials 1 --seed ${seed} --variants ${variant}`])
  ].join("")

const summarise = (trials: ReadonlyArray<Trial>) => ({
  trials: trials.length,
  wrong: trials.filter(({ wrong }) => wrong.length > 0).map(({ seed, variant, wrong }) => ({ variant, seed, wrong })),
  variants: Object.fromEntries(
    [...Map.groupBy(trials, ({ variant }) => variant)].map(([variant, of]) => {
      const sum = (f: (trial: Trial) => number) => of.reduce((total, trial) => total + f(trial), 0)
      const found: Record<string, number> = {}
      for (const [what, count] of of.flatMap((trial) => Object.entries(trial.found))) {
        found[what] = (found[what] ?? 0) + count
      }
      return [variant, {
        trials: of.length,
        seeds: of.map(({ seed }) => seed),
        faults: sum(({ faults }) => faults),
        missed: sum(({ missed }) => missed),
        found,
        slowestMs: Math.max(...of.map(({ slowestMs }) => slowestMs)),
        tookMs: sum(({ tookMs }) => tookMs)
      }]
    })
  )
})

await runTrialCommand({
  name: "backup-trials",
  variants: VARIANTS,
  trialsDefault: 20 * VARIANTS.length,
  serve: () => scopedServer(),
  run: runTrial,
  describe,
  summarise
})
