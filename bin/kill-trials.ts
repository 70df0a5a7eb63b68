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
import { parseArgs } from "node:util"
import { runTrial, type Trial, type Variant, VARIANTS } from "../test/stress/trials.ts"
import { scopedServer, type Server } from "../test/support/postgres.ts"

interface Options {
  readonly trials: number
  readonly seed: number
  readonly variants: ReadonlyArray<Variant>
}

/** Reads the arguments, or says what is wrong with them. */
const parseOptions = (args: ReadonlyArray<string>): Options | string => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      trials: { type: "string", default: "100" },
      seed: { type: "string", default: "1" },
      variants: { type: "string", default: VARIANTS.join(",") }
    }
  })
  const names = values.variants.split(",")
  const variants = VARIANTS.filter((variant) => names.includes(variant))
  const [trials, seed] = [Number(values.trials), Number(values.seed)]
  if (variants.length < names.length) return `--variants takes some of ${VARIANTS.join(",")}`
  if (!Number.isInteger(trials) || trials < 1) return "--trials takes a whole number from 1"
  if (!Number.isInteger(seed) || seed < 0) return "--seed takes a whole number from 0"
  return { trials, seed, variants }
}

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

/** A server is started for the variants that need one. */
const runAll = ({ seed, trials, variants }: Options): Effect.Effect<ReadonlyArray<Trial>> =>
  Effect.scoped(Effect.gen(function*() {
    const isServed = variants.some((variant) => variant !== "pglite")
    const server: Server | undefined = isServed ? yield* scopedServer({ durable: true }) : undefined
    const done: Array<Trial> = []
    while (done.length < trials) {
      const variant = variants[done.length % variants.length] ?? "writer"
      done.push(yield* runTrial(variant, seed + done.length, server))
      process.stderr.write(`${done.length}/${trials} ${done.slice(-1).map(describe).join("")}\n`)
    }
    return done
  }))

const options = parseOptions(process.argv.slice(2))
if (typeof options === "string") {
  process.stderr.write(`kill-trials: ${options}\n`)
  process.exitCode = 64
} else {
  const trials = await Effect.runPromise(runAll(options))
  process.stdout.write(`${JSON.stringify(summarise(trials))}\n`)
  process.exitCode = trials.some(({ wrong }) => wrong.length > 0) ? 1 : 0
}
