/**
 * Things that are done once, and the memory that they need.
 */
import { performance } from "node:perf_hooks"
import { readCpu } from "./cpu.ts"
import type { MemoryGrowth, Run } from "./protocol.ts"
import { round, summarize } from "./summary.ts"

/**
 * Does something once; what it returns is how many events that were.
 */
export const measureBulk = async (run: () => Promise<number>, serverPid: number | null): Promise<Run> => {
  const before = readCpu(serverPid)
  const started = performance.now()
  const events = await run()
  const seconds = (performance.now() - started) / 1_000
  return summarize({ before, serverPid, seconds, operations: events, events, errors: 0, histogram: undefined })
}

/**
 * Watches the memory of this process, looking at it every few thousand events.
 */
export const watchMemory = () => {
  const rssBefore = process.memoryUsage.rss()
  let rssPeak = rssBefore
  let heapPeak = 0
  let unsampled = 0
  const look = () => {
    const { heapUsed, rss } = process.memoryUsage()
    rssPeak = Math.max(rssPeak, rss)
    heapPeak = Math.max(heapPeak, heapUsed)
  }
  return {
    sample: (count: number): void => {
      unsampled += count
      if (unsampled < EVENTS_PER_SAMPLE) return
      unsampled = 0
      look()
    },
    result: (): MemoryGrowth => {
      look()
      return {
        rssBeforeMb: megabytes(rssBefore),
        rssPeakMb: megabytes(rssPeak),
        rssGrowthMb: megabytes(rssPeak - rssBefore),
        heapPeakMb: megabytes(heapPeak)
      }
    }
  }
}

/**
 * Megabytes of 10^6 bytes, to the tenth.
 */
export const megabytes = (bytes: number): number => round(bytes / 1e6, 1)

// internal

/** Looking at the memory costs about as much as reading a few events. */
const EVENTS_PER_SAMPLE = 5_000
