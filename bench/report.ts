/**
 * The document that a benchmark leaves.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { Options } from "./options.ts"
import type { BackupFigures, LiveReads, MemoryGrowth, Percentiles, Run } from "./protocol.ts"
import type { Target } from "./target.ts"

/**
 * One variant on one case: medians over its runs, and the runs.
 */
export interface Result {
  readonly workload: string
  readonly variant: string
  readonly concurrency: number
  readonly opsPerSecond: number
  readonly eventsPerSecond: number
  readonly p50Ms: number | null
  readonly p95Ms: number | null
  readonly p99Ms: number | null
  /** Client and server; `null` where the server's is not known. */
  readonly cpuMicrosPerOp: number | null
  readonly clientCpuMicrosPerOp: number
  readonly serverCpuMicrosPerOp: number | null
  /** Failed calls of all runs. */
  readonly errors: number
  readonly memory?: MemoryGrowth
  /** Events that a read gave, less those that are stored, of the run that was off most. */
  readonly countOff?: number
  /** Subscriptions and read models: from the call of `append` to where it is seen. */
  readonly fromCall?: Percentiles
  /** Rebuilds only: of all runs. */
  readonly reads?: LiveReads
  /** Backups only. */
  readonly backup?: BackupFigures
  readonly runs: ReadonlyArray<Run>
}

/**
 * A variant that could not be measured on a case.
 */
export interface Failure {
  readonly workload: string
  readonly variant: string
  readonly message: string
}

/**
 * What was measured, and on what.
 */
export interface Report {
  readonly format: 1
  readonly workload: string
  readonly startedAt: string
  readonly machine: Readonly<Record<string, string | number>>
  readonly versions: Readonly<Record<string, string>>
  readonly commit: string
  readonly settings: Readonly<Record<string, string | number | null>>
  readonly results: ReadonlyArray<Result>
  readonly failures: ReadonlyArray<Failure>
}

/**
 * Takes the medians of runs; there is at least one.
 */
export const summarizeRuns = (
  name: Pick<Result, "workload" | "variant" | "concurrency">,
  target: Target,
  runs: ReadonlyArray<Run>
): Result => {
  const [first] = runs
  const countOff = runs.reduce(
    (most, run) => Math.abs(run.countOff ?? 0) > Math.abs(most) ? run.countOff ?? 0 : most,
    0
  )
  const client = medianOf(runs, (run) => run.clientCpuMicrosPerOp) ?? 0
  const server = medianOf(runs, (run) => run.serverCpuMicrosPerOp)
  const total = medianOf(
    runs,
    (run) => run.serverCpuMicrosPerOp === null ? null : run.clientCpuMicrosPerOp + run.serverCpuMicrosPerOp
  )
  return {
    ...name,
    opsPerSecond: medianOf(runs, (run) => run.opsPerSecond) ?? 0,
    eventsPerSecond: medianOf(runs, (run) => run.eventsPerSecond) ?? 0,
    p50Ms: medianOf(runs, (run) => run.p50Ms),
    p95Ms: medianOf(runs, (run) => run.p95Ms),
    p99Ms: medianOf(runs, (run) => run.p99Ms),
    cpuMicrosPerOp: target.kind === "postgres" ? total : client,
    clientCpuMicrosPerOp: client,
    serverCpuMicrosPerOp: server,
    errors: runs.reduce((sum, run) => sum + run.errors, 0),
    ...(first?.memory === undefined ? {} : { memory: medianMemory(runs) }),
    ...(countOff === 0 ? {} : { countOff }),
    ...(first?.fromCall === undefined ? {} : { fromCall: medianFromCall(runs) }),
    ...(first?.reads === undefined ? {} : { reads: sumReads(runs) }),
    ...(first?.backup === undefined ? {} : { backup: medianBackup(runs, first.backup) }),
    runs
  }
}

/**
 * Puts a report together.
 */
export const makeReport = (
  options: Options,
  target: Target,
  startedAt: Date,
  results: ReadonlyArray<Result>,
  failures: ReadonlyArray<Failure>
): Report => ({
  format: 1,
  workload: options.workload,
  startedAt: startedAt.toISOString(),
  machine: {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryGb: Number((os.totalmem() / 1e9).toFixed(1)),
    os: `${os.type()} ${os.release()} ${os.arch()}`,
    loadAverageAtStart: LOAD_AT_START
  },
  versions: versions(options, target),
  commit: commit(),
  settings: {
    target: target.kind,
    ...target.settings,
    fdatasyncMicros: target.fdatasyncMicros,
    rounds: options.rounds,
    seconds: options.seconds,
    warmUpSeconds: options.warmUpSeconds
  },
  results,
  failures
})

/**
 * Stores a report and returns the file, or `undefined` when none was wanted.
 */
export const storeReport = (report: Report, out: string | undefined): string | undefined => {
  if (out === "-") return undefined
  const day = report.startedAt.slice(0, 10)
  const file = out ?? path.join(RESULTS, `${day}-${report.workload}-${report.commit}.json`)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`)
  return file
}

/**
 * Writes results as a table, with the ratio to the first variant of each case.
 */
export const formatTable = (results: ReadonlyArray<Result>): string => {
  const rows = results.map((result) => {
    const first = results.find((other) =>
      other.workload === result.workload && other.concurrency === result.concurrency
    )
    const ratio = first === undefined || result.opsPerSecond === 0 ? 0 : first.opsPerSecond / result.opsPerSecond
    return [
      `${result.workload}@${result.concurrency}`,
      result.variant,
      result.opsPerSecond.toFixed(0),
      result.eventsPerSecond.toFixed(0),
      cell(result.p50Ms, 2),
      cell(result.p99Ms, 2),
      cell(result.clientCpuMicrosPerOp, 1),
      cell(result.serverCpuMicrosPerOp, 1),
      first === result ? "1" : ratio.toFixed(2),
      String(result.errors),
      String(result.countOff ?? 0)
    ]
  })
  const table = [HEADINGS, ...rows]
  const widths = HEADINGS.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  return table
    .map((row) =>
      row.map((text, column) => column < 2 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0))
        .join("  ").trimEnd()
    )
    .join("\n")
}

// internal

/** Of the last minute, before this process added to it. */
const LOAD_AT_START = Number((os.loadavg()[0] ?? 0).toFixed(2))

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const RESULTS = path.join(ROOT, "bench", "results")

const HEADINGS = [
  "case",
  "variant",
  "ops/s",
  "events/s",
  "p50 ms",
  "p99 ms",
  "client us/op",
  "server us/op",
  "first is x",
  "errors",
  "count off"
]

const cell = (value: number | null, digits: number): string => value === null ? "-" : value.toFixed(digits)

const medianOf = (runs: ReadonlyArray<Run>, value: (run: Run) => number | null): number | null => {
  const values = runs.map(value).filter((number) => number !== null).sort((a, b) => a - b)
  const upper = values[Math.floor(values.length / 2)]
  const lower = values[Math.floor((values.length - 1) / 2)]
  return upper === undefined || lower === undefined ? null : Number(((upper + lower) / 2).toFixed(3))
}

const medianMemory = (runs: ReadonlyArray<Run>): MemoryGrowth => {
  const of = (key: keyof MemoryGrowth) => medianOf(runs, (run) => run.memory?.[key] ?? null) ?? 0
  return {
    rssBeforeMb: of("rssBeforeMb"),
    rssPeakMb: of("rssPeakMb"),
    rssGrowthMb: of("rssGrowthMb"),
    heapPeakMb: of("heapPeakMb")
  }
}

const medianBackup = (runs: ReadonlyArray<Run>, first: BackupFigures): BackupFigures =>
  Object.fromEntries(
    (Object.keys(first) as ReadonlyArray<keyof BackupFigures>).map((key) => [
      key,
      medianOf(runs, ({ backup }) => backup?.[key] ?? null) ?? 0
    ])
  )

const medianFromCall = (runs: ReadonlyArray<Run>): Percentiles => {
  const of = (key: keyof Percentiles) => medianOf(runs, (run) => run.fromCall?.[key] ?? null)
  return { p50Ms: of("p50Ms"), p95Ms: of("p95Ms"), p99Ms: of("p99Ms"), maxMs: of("maxMs") }
}

const sumReads = (runs: ReadonlyArray<Run>): LiveReads =>
  runs.flatMap(({ reads }) => reads === undefined ? [] : [reads]).reduce((sum, reads) => ({
    count: sum.count + reads.count,
    failed: sum.failed + reads.failed,
    wrong: sum.wrong + reads.wrong,
    slowestMs: Math.max(sum.slowestMs, reads.slowestMs)
  }))

const versions = (options: Options, target: Target): Readonly<Record<string, string>> => {
  const ours = ["effect", "@effect/sql-pg", ...(target.kind === "pglite" ? ["@electric-sql/pglite"] : [])]
  const peers = [...new Set(options.variants.flatMap(({ packages }) => packages))]
  return Object.fromEntries([
    ["node", process.versions.node],
    ["effect-event-store", versionIn(ROOT)],
    ...ours.map((name) => [name, versionIn(path.join(ROOT, "node_modules", name))]),
    ...peers.map((name) => [name, versionIn(path.join(ROOT, "bench", "peers", "node_modules", name))])
  ])
}

const versionIn = (directory: string): string => {
  const file = path.join(directory, "package.json")
  if (!existsSync(file)) return "not installed"
  const manifest: { readonly version?: string } = JSON.parse(readFileSync(file, "utf8"))
  return manifest.version ?? "unknown"
}

/** The commit that was measured, marked when files differ from it. */
const commit = (): string => {
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", ["--no-optional-locks", ...args], { cwd: ROOT, encoding: "utf8", stdio: "pipe" }).trim()
  try {
    const hash = git("rev-parse", "--short", "HEAD")
    return git("status", "--porcelain", "--", ".", ":!bench/results") === "" ? hash : `${hash}-dirty`
  } catch {
    return "uncommitted"
  }
}
