/**
 * Runs a case: all its lanes in turns, round after round.
 */
import { startWorker, type Worker } from "./host.ts"
import type { Options } from "./options.ts"
import type { BackupFigures, FillRequest, Request, Run } from "./protocol.ts"
import { type Failure, type Result, summarizeRuns } from "./report.ts"
import type { Target } from "./target.ts"
import { OURS, type VariantInfo } from "./variant.ts"
import type { Case, Lane } from "./workloads.ts"

/**
 * What one case gave.
 */
export interface Outcome {
  readonly results: ReadonlyArray<Result>
  readonly failures: ReadonlyArray<Failure>
}

/**
 * Measures a case. A lane that fails is left out from there on; the others go
 * on. Throws only when `signal` says so, between two runs.
 */
export const runCase = async (
  one: Case,
  options: Options,
  target: Target,
  signal: AbortSignal,
  progress: (text: string) => void
): Promise<Outcome> => {
  const failures: Array<Failure> = []
  const runs = new Map<Lane, Array<Run>>(one.lanes.map((lane) => [lane, []]))
  const stalls = new Map<string, Stall>()
  const fail = (lane: Lane, error: unknown) => {
    runs.delete(lane)
    const message = error instanceof Error ? error.message : String(error)
    failures.push({ workload: lane.workload, variant: lane.name, message })
    progress(`  ${lane.workload} ${lane.name}: FAILED: ${message}`)
  }
  try {
    for (let round = -one.discardedRuns; round < options.rounds; round++) {
      for (const lane of rotated([...runs.keys()], round + one.discardedRuns)) {
        signal.throwIfAborted()
        try {
          const stall = stalls.get(lane.variant.name) ?? await openStall(one, lane.variant, target, progress)
          stalls.set(lane.variant.name, stall)
          const run = await stall.run(lane)
          progress(`  ${describe(lane, run)}${round < 0 ? " (not kept)" : ""}`)
          if (round >= 0) runs.get(lane)?.push(run)
        } catch (error) {
          fail(lane, error)
        }
      }
    }
  } finally {
    for (const stall of stalls.values()) await stall.close()
  }
  const results = [...runs].flatMap(([lane, kept]) =>
    kept.length === 0
      ? []
      : [summarizeRuns(
        { workload: lane.workload, variant: lane.name, concurrency: one.concurrency },
        target,
        kept
      )]
  )
  return { results, failures }
}

// internal

/** A variant's place in a case: its process and its database. */
interface Stall {
  readonly run: (lane: Lane) => Promise<Run>
  readonly close: () => Promise<void>
}

const openStall = async (
  one: Case,
  variant: VariantInfo,
  target: Target,
  progress: (text: string) => void
): Promise<Stall> => {
  const name = `event_store_bench_${process.pid}_${variant.name.replaceAll("-", "_")}`
  const desk = makeDesk(variant, target, connectionsOf(one))
  const prepare = async () => {
    await desk.moveTo(await target.create(name))
    if (one.fill === undefined) return
    progress(`  ${variant.name}: writing ${describeFill(one.fill)}`)
    await desk.ask(one.fill)
    await desk.rest()
  }
  const close = async () => {
    await desk.leave()
    await target.drop(name)
  }
  try {
    await prepare()
  } catch (error) {
    await close()
    throw error
  }
  let hasRun = false
  return {
    run: async (lane) => {
      if (hasRun && one.database === "round") await prepare()
      if (one.freshProcess && target.kind !== "memory") await desk.restart()
      hasRun = true
      const run = await desk.ask(lane.request)
      await desk.rest()
      if (run === undefined) throw new Error(`no result of ${lane.request._tag}`)
      return withCountOff(one, lane, run)
    },
    close
  }
}

const describeFill = (fill: FillRequest): string =>
  fill._tag === "fillShop" ? fill.file : fill._tag === "fillState" ? `${fill.bytes} bytes` : `${fill.events} events`

/** A variant's process and the store that is open in it. */
interface Desk {
  /** Sets an empty database up, and uses it from here on. */
  readonly moveTo: (url: string) => Promise<void>
  /** Opens the store if need be, and has something done. */
  readonly ask: (request: Request) => Promise<Run | undefined>
  /** Closes the store, so that its connections do not disturb the next variant. */
  readonly rest: () => Promise<void>
  /** Goes on in a new process. */
  readonly restart: () => Promise<void>
  readonly leave: () => Promise<void>
}

const makeDesk = (variant: VariantInfo, target: Target, connections: number): Desk => {
  let worker = startWorker(variant, target.serverPid)
  let url = ""
  let isOpen = false
  const closeStore = async () => {
    if (isOpen) await worker.ask({ _tag: "close" })
    isOpen = false
  }
  return {
    moveTo: async (next) => {
      await closeStore()
      url = next
      await worker.ask({ _tag: "setup", url })
    },
    ask: async (request) => {
      if (!isOpen) await worker.ask({ _tag: "open", url, connections })
      isOpen = true
      return await worker.ask(request)
    },
    // a store in the memory of its process, or slow to open, stays open
    rest: async () => {
      if (target.kind === "postgres") await closeStore()
    },
    restart: async () => {
      await closeStore()
      await worker.stop()
      worker = startWorker(variant, target.serverPid)
    },
    leave: () => closeQuietly(worker, closeStore)
  }
}

/** Compares what a reader gave with what is stored. Where a peer is off it is told; ours must not be. */
const withCountOff = (one: Case, lane: Lane, run: Run): Run => {
  const isOurs = lane.variant.name === OURS
  const { _tag } = lane.request
  // a peer's projection may be stopped before it is through
  const isRead = _tag === "readAll" || _tag === "readMemory" || (_tag === "project" && isOurs)
  const stored = isRead && one.fill?._tag === "fill" ? one.fill.events : run.events
  const countOff = run.events - stored
  if (run.reads !== undefined && run.reads.failed + run.reads.wrong > 0) {
    throw new Error(`of ${run.reads.count} reads ${run.reads.failed} failed and ${run.reads.wrong} saw half a model`)
  }
  if (countOff === 0) return run
  if (isOurs) throw new Error(`read ${run.events} events where ${stored} are`)
  return { ...run, countOff }
}

/** A process that failed or hangs is ended all the same. */
const closeQuietly = async (worker: Worker, closeStore: () => Promise<void>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_MS)
  })
  await Promise.race([closeStore().catch(() => {}), deadline])
  clearTimeout(timer)
  await worker.stop()
}

/** How long a store may take to close, in milliseconds. */
const CLOSE_MS = 10_000

/** As many connections as appenders; eight at least, which is how many fill a store. */
const connectionsOf = (one: Case): number => one.fill === undefined ? one.concurrency : Math.max(8, one.concurrency)

/** Each round begins with another lane, so that none always follows the same one. */
const rotated = <A>(items: ReadonlyArray<A>, by: number): ReadonlyArray<A> =>
  items.length === 0 ? items : [...items.slice(by % items.length), ...items.slice(0, by % items.length)]

const describeBackup = (figures: BackupFigures = {}): ReadonlyArray<string> => {
  const { eventsPerMinute, fileMb, plainMbPerCpuSecond, plainMbPerSecond, smallerThanExportPercent } = figures
  return [
    eventsPerMinute === undefined ? "" : `${eventsPerMinute} events/min backed up`,
    plainMbPerSecond === undefined ? "" : `${plainMbPerSecond} MB/s, ${plainMbPerCpuSecond} MB a CPU second`,
    fileMb === undefined ? "" : `${fileMb} MB`,
    smallerThanExportPercent === undefined
      ? ""
      : `${smallerThanExportPercent} % smaller than the export, ${figures.smallerThanSourcePercent} % than the file`
  ]
}

const describe = (lane: Lane, run: Run): string => {
  const parts = [
    `${lane.workload} ${lane.name}:`,
    `${run.opsPerSecond.toFixed(0)} ops/s,`,
    run.p50Ms === null ? "" : `p50 ${run.p50Ms} ms, p99 ${run.p99Ms} ms,`,
    `client ${run.clientCpuMicrosPerOp} us/op, server ${run.serverCpuMicrosPerOp ?? "-"} us/op`,
    run.memory === undefined ? "" : `RSS +${run.memory.rssGrowthMb} to ${run.memory.rssPeakMb} MB`,
    run.reads === undefined ? "" : `${run.seconds} s, ${run.reads.count} reads, ${run.reads.failed} FAILED,`,
    run.reads === undefined ? "" : `${run.reads.wrong} WRONG`,
    ...describeBackup(run.backup),
    run.countOff === undefined ? "" : `EVENTS OFF BY ${run.countOff}`,
    run.errors === 0 ? "" : `${run.errors} ERRORS`
  ]
  return parts.filter((part) => part !== "").join(" ")
}
