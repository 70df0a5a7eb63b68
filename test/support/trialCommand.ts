/**
 * The command of trials: reads `--trials`, `--seed` and `--variants`, runs the
 * variants in turn, each with a seed of its own, prints a line a trial to
 * standard error and a summary as JSON to standard output, and exits with 1
 * when something is wrong.
 */
import { Effect, type Scope } from "effect"
import { parseArgs } from "node:util"

/** What a command of trials is made of. */
export interface TrialCommand<Variant extends string, Server, Trial extends { readonly wrong: ReadonlyArray<string> }> {
  readonly name: string
  readonly variants: readonly [Variant, ...ReadonlyArray<Variant>]
  /** How many trials there are when it is not said. */
  readonly trialsDefault: number
  /** Starts what the trials of these variants share. */
  readonly serve: (variants: ReadonlyArray<Variant>) => Effect.Effect<Server, never, Scope.Scope>
  readonly run: (variant: Variant, seed: number, server: Server) => Effect.Effect<Trial>
  readonly describe: (trial: Trial) => string
  readonly summarise: (trials: ReadonlyArray<Trial>) => unknown
}

/** Runs a command of trials with the arguments of this process. */
export const runTrialCommand = async <
  Variant extends string,
  Server,
  Trial extends { readonly wrong: ReadonlyArray<string> }
>(command: TrialCommand<Variant, Server, Trial>): Promise<void> => {
  const options = parseOptions(command, process.argv.slice(2))
  if (typeof options === "string") {
    process.stderr.write(`${command.name}: ${options}\n`)
    process.exitCode = 64
    return
  }
  const trials = await Effect.runPromise(runAll(command, options))
  process.stdout.write(`${JSON.stringify(command.summarise(trials))}\n`)
  process.exitCode = trials.some(({ wrong }) => wrong.length > 0) ? 1 : 0
}

// internal

interface Options<Variant> {
  readonly trials: number
  readonly seed: number
  readonly variants: ReadonlyArray<Variant>
}

/** Reads the arguments, or says what is wrong with them. */
const parseOptions = <Variant extends string>(
  { trialsDefault, variants: known }: {
    readonly trialsDefault: number
    readonly variants: readonly [Variant, ...ReadonlyArray<Variant>]
  },
  args: ReadonlyArray<string>
): Options<Variant> | string => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      trials: { type: "string", default: String(trialsDefault) },
      seed: { type: "string", default: "1" },
      variants: { type: "string", default: known.join(",") }
    }
  })
  const names = values.variants.split(",")
  const variants = known.filter((variant) => names.includes(variant))
  const [trials, seed] = [Number(values.trials), Number(values.seed)]
  if (variants.length < names.length) return `--variants takes some of ${known.join(",")}`
  if (!Number.isInteger(trials) || trials < 1) return "--trials takes a whole number from 1"
  if (!Number.isInteger(seed) || seed < 0) return "--seed takes a whole number from 0"
  return { trials, seed, variants }
}

const runAll = <Variant extends string, Server, Trial extends { readonly wrong: ReadonlyArray<string> }>(
  { describe, run, serve, variants: [first] }: TrialCommand<Variant, Server, Trial>,
  { seed, trials, variants }: Options<Variant>
): Effect.Effect<ReadonlyArray<Trial>> =>
  Effect.scoped(Effect.gen(function*() {
    const server = yield* serve(variants)
    const done: Array<Trial> = []
    while (done.length < trials) {
      const variant = variants[done.length % variants.length] ?? first
      done.push(yield* run(variant, seed + done.length, server))
      process.stderr.write(`${done.length}/${trials} ${done.slice(-1).map(describe).join("")}\n`)
    }
    return done
  }))
