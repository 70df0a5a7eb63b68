/**
 * The benchmarks' command; see `README.md`.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HELP, type Options, parseOptions, UsageError } from "./options.ts"
import { type Failure, formatTable, makeReport, type Result, storeReport } from "./report.ts"
import { runCase } from "./run.ts"
import { openTarget } from "./target.ts"
import { casesOf } from "./workloads.ts"

const progress = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

const checkFiles = (options: Options): void => {
  const needsPeers = options.variants.some(({ packages }) => packages.length > 0)
  if (needsPeers && !existsSync(new URL("./peers/node_modules", import.meta.url))) {
    throw new UsageError("the peers are not installed: npm ci --prefix bench/peers")
  }
  if (options.file !== undefined && !existsSync(options.file)) throw new UsageError(`no file ${options.file}`)
}

/** Runs what is asked and returns the exit code: 1 when a variant failed. */
const bench = async (options: Options, interrupted: AbortSignal): Promise<number> => {
  const scratch = mkdtempSync(join(tmpdir(), "event-store-bench-"))
  try {
    return await benchIn(scratch, options, interrupted)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

const benchIn = async (scratch: string, options: Options, interrupted: AbortSignal): Promise<number> => {
  const cases = casesOf(options, scratch)
  if (cases.length === 0) throw new UsageError("no case is left: look at --cases and --only")
  const startedAt = new Date()
  const target = await openTarget(options.url, options.postgres)
  try {
    progress(`${target.settings.server}, ${options.rounds} rounds of ${options.seconds} s`)
    const results: Array<Result> = []
    const failures: Array<Failure> = []
    for (const one of cases) {
      progress(one.name)
      const outcome = await runCase(one, options, target, interrupted, progress)
      results.push(...outcome.results)
      failures.push(...outcome.failures)
    }
    const report = makeReport(options, target, startedAt, results, failures)
    const file = storeReport(report, options.out)
    progress(`\n${formatTable(results)}\n${file === undefined ? "" : `\nstored in ${file}`}`)
    process.stdout.write(`${JSON.stringify(report)}\n`)
    return failures.length === 0 ? 0 : 1
  } finally {
    await target.close()
  }
}

const main = async (): Promise<number> => {
  const interrupted = new AbortController()
  process.once("SIGINT", () => {
    progress("stopping after this run; once more to stop at once")
    process.once("SIGINT", () => process.exit(130))
    interrupted.abort()
  })
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options === undefined) {
      process.stdout.write(HELP)
      return 0
    }
    checkFiles(options)
    return await bench(options, interrupted.signal)
  } catch (error) {
    if (error instanceof UsageError) {
      progress(`bench: ${error.message}\n\nnpm run -s bench -- --help`)
      return 64
    }
    // the terminal's Ctrl-C reaches the server too, and what fails then is no news
    if (interrupted.signal.aborted) return 130
    throw error
  }
}

process.exitCode = await main()
