/**
 * Loads in a closed loop: so many callers, each waits for its answer before it
 * goes on.
 */
import { performance, type RecordableHistogram } from "node:perf_hooks"
import { readCpu } from "./cpu.ts"
import type { Run } from "./protocol.ts"
import { latencies, nanos, summarize } from "./summary.ts"

/**
 * Shape of a closed loop.
 */
export interface ClosedLoad {
  readonly concurrency: number
  readonly warmUpSeconds: number
  readonly seconds: number
}

/**
 * Calls in a closed loop and measures it. `call` is told which caller it is
 * for, from 0. Calls that begin in the warm-up do not count.
 */
export const measureClosedLoop = async (
  call: (caller: number) => Promise<void>,
  load: ClosedLoad & { readonly eventsPerOperation: number },
  serverPid: number | null
): Promise<Run> => {
  await closedLoop(call, load.concurrency, load.warmUpSeconds)
  const before = readCpu(serverPid)
  const started = performance.now()
  const { errors, histogram } = await closedLoop(call, load.concurrency, load.seconds)
  const seconds = (performance.now() - started) / 1_000
  const operations = histogram.count
  const events = operations * load.eventsPerOperation
  return summarize({ before, serverPid, seconds, operations, events, errors, histogram })
}

// internal

const closedLoop = async (
  call: (caller: number) => Promise<void>,
  concurrency: number,
  seconds: number
): Promise<{ readonly histogram: RecordableHistogram; readonly errors: number }> => {
  const histogram = latencies()
  let errors = 0
  const end = performance.now() + seconds * 1_000
  const callInTurn = async (caller: number): Promise<void> => {
    for (let started = performance.now(); started < end; started = performance.now()) {
      try {
        await call(caller)
        histogram.record(nanos(performance.now() - started))
      } catch (error) {
        if (errors++ === 0) process.stderr.write(`  first error: ${String(error)}\n`)
        if (errors > ERRORS_MAX) throw error
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, (_, caller) => callInTurn(caller)))
  return { histogram, errors }
}

/** A store that fails more often in one run is not measured. */
const ERRORS_MAX = 1_000
