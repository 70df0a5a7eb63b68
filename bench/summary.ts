/**
 * What a run came to.
 */
import { createHistogram, type RecordableHistogram } from "node:perf_hooks"
import { type CpuReading, readCpu } from "./cpu.ts"
import type { Percentiles, Run } from "./protocol.ts"

/**
 * A run that has just ended.
 */
export interface Measured {
  /** CPU time before its first operation. */
  readonly before: CpuReading
  readonly serverPid: number | null
  readonly seconds: number
  readonly operations: number
  readonly events: number
  readonly errors: number
  /** Latencies, where an operation has one of its own. */
  readonly histogram: RecordableHistogram | undefined
}

/**
 * Sums a run up; reads the CPU time once more.
 */
export const summarize = (measured: Measured): Run => {
  const { before, errors, events, histogram, operations, seconds } = measured
  const after = readCpu(measured.serverPid)
  const perOperation = (micros: number) => operations === 0 ? 0 : round(micros / operations, 3)
  return {
    operations,
    events,
    errors,
    seconds: round(seconds, 3),
    opsPerSecond: round(operations / seconds, 1),
    eventsPerSecond: round(events / seconds, 1),
    ...percentiles(histogram),
    clientCpuMicrosPerOp: perOperation(after.client - before.client),
    serverCpuMicrosPerOp: after.server === null || before.server === null
      ? null
      : perOperation(after.server - before.server)
  }
}

/**
 * Takes the percentiles of latencies; `null` without any.
 */
export const percentiles = (histogram: RecordableHistogram | undefined): Percentiles => {
  const at = (percent: number): number | null =>
    histogram === undefined || histogram.count === 0 ? null : round(histogram.percentile(percent) / 1e6, 3)
  return { p50Ms: at(50), p95Ms: at(95), p99Ms: at(99), maxMs: at(100) }
}

/**
 * Makes a histogram of latencies: nanoseconds, from one to a minute, to three digits.
 */
export const latencies = (): RecordableHistogram => createHistogram({ lowest: 1, highest: 60_000_000_000, figures: 3 })

/**
 * Milliseconds as such a histogram takes them.
 */
export const nanos = (millis: number): number => Math.max(1, Math.round(millis * 1e6))

/**
 * Leaves so many digits after the point.
 */
export const round = (value: number, digits: number): number => Number(value.toFixed(digits))
