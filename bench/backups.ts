/**
 * Backups: what they take, and what they cost those who append meanwhile.
 */
import { measureBulk, megabytes, watchMemory } from "./bulk.ts"
import { startWorker } from "./host.ts"
import { type AppendLoad, measureAppends } from "./measure.ts"
import type { BackupRequest, BesideRequest, Run } from "./protocol.ts"
import { round } from "./summary.ts"
import { OURS, required, type Session, variants } from "./variant.ts"

/**
 * Makes, verifies or restores a backup once. The memory is the most that this process ever had, next to what it had
 * when all was open.
 */
export const measureBackup = async (
  session: Session,
  { directory, events, file, operation }: BackupRequest,
  serverPid: number | null
): Promise<Run> => {
  const work = await required(session.openBackup, "openBackup")(operation, directory, file)
  try {
    globalThis.gc?.()
    const watch = watchMemory()
    const sampler = setInterval(() => watch.sample(Infinity), SAMPLE_MS)
    const run = await measureBulk(work.run, serverPid).finally(() => clearInterval(sampler))
    if (run.events !== events) throw new Error(`${operation}: ${run.events} of ${events} events`)
    const { heapPeakMb, rssBeforeMb } = watch.result()
    const rssPeakMb = megabytes(process.resourceUsage().maxRSS * 1_024)
    const sizes = await work.figures()
    const cpuSeconds = round((run.clientCpuMicrosPerOp * run.operations) / 1e6, 3)
    return {
      ...run,
      ...(work.isOutside === true
        ? {}
        : { memory: { rssBeforeMb, rssPeakMb, rssGrowthMb: round(rssPeakMb - rssBeforeMb, 1), heapPeakMb } }),
      backup: {
        ...sizes,
        eventsPerMinute: Math.round(run.eventsPerSecond * 60),
        cpuSeconds,
        ...(sizes.plainMb === undefined ? {} : {
          plainMbPerSecond: round(sizes.plainMb / run.seconds, 1),
          plainMbPerCpuSecond: round(sizes.plainMb / cpuSeconds, 1)
        })
      }
    }
  } finally {
    await work.close()
  }
}

/**
 * Appends in a closed loop, while the store is backed up again and again: by nobody, by another process, or by this
 * one.
 */
export const measureBeside = async (
  session: Session,
  { directory, load, who }: BesideRequest,
  url: string,
  serverPid: number | null
): Promise<Run> => {
  const appends: AppendLoad = { ...load, operation: "plain", eventsPerCall: 1 }
  // the backup begins before the first append that counts, and ends after the last one
  const seconds = load.warmUpSeconds + load.seconds + 1
  switch (who) {
    case "nobody":
      return await measureAppends(session, appends, serverPid)
    case "self": {
      const backups = required(session.backUpFor, "backUpFor")(seconds, directory)
      return withBackups(await measureAppends(session, appends, serverPid), await backups, seconds)
    }
    case "other": {
      const variant = variants.find(({ name }) => name === OURS)
      if (variant === undefined) throw new Error("there is no variant of ours")
      const other = startWorker(variant, null)
      try {
        await other.ask({ _tag: "open", url, connections: 1 })
        const backups = other.ask({ _tag: "backUpFor", seconds, directory })
        const run = await measureAppends(session, appends, serverPid)
        return withBackups(run, (await backups)?.events ?? 0, seconds)
      } finally {
        await other.ask({ _tag: "close" }).catch(() => {})
        await other.stop()
      }
    }
  }
}

// internal

/** Between two looks at the memory, in milliseconds. */
const SAMPLE_MS = 20

const withBackups = (run: Run, events: number, seconds: number): Run => {
  if (events === 0) throw new Error("nothing was backed up meanwhile")
  return { ...run, backup: { eventsPerMinute: Math.round((events / seconds) * 60) } }
}
