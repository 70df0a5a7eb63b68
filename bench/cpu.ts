/**
 * CPU time of this process and of a local server.
 */
import { readdirSync, readFileSync } from "node:fs"

/**
 * A reading of both clocks, in microseconds; `server` is `null` where it cannot
 * be read.
 */
export interface CpuReading {
  readonly client: number
  readonly server: number | null
}

/**
 * Reads the CPU time, user and system, that this process with those of its
 * children that ended, and the process tree of a server have used.
 *
 * **Details**
 *
 * `serverPid` is PostgreSQL's postmaster. Its living children count by the
 * scheduler's clock (nanoseconds); those that ended are in its own account
 * (hundredths of a second). Linux only.
 */
export const readCpu = (serverPid: number | null): CpuReading => {
  const { user, system } = process.cpuUsage()
  const ended = readStat(process.pid)?.endedChildrenTicks ?? 0
  return { client: user + system + ended * TICK_MICROS, server: serverPid === null ? null : readTree(serverPid) }
}

/**
 * Finds the postmaster above a backend, or `null` when that process is not on
 * this machine.
 */
export const findPostmaster = (backendPid: number): number | null => {
  const backend = readStat(backendPid)
  if (backend === undefined || backend.name !== "postgres") return null
  const postmaster = readStat(backend.parent)
  return postmaster?.name === "postgres" ? backend.parent : null
}

// internal

/** Linux counts in hundredths of a second in `/proc/<pid>/stat`, on every architecture that Node runs on. */
const TICK_MICROS = 10_000

const readTree = (postmaster: number): number | null => {
  const root = readStat(postmaster)
  if (root === undefined) return null
  let micros = runMicros(postmaster, root) + root.endedChildrenTicks * TICK_MICROS
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry)
    if (!Number.isInteger(pid)) continue
    const stat = readStat(pid)
    if (stat?.parent === postmaster) micros += runMicros(pid, stat)
  }
  return micros
}

interface Stat {
  readonly name: string
  readonly parent: number
  readonly ticks: number
  readonly endedChildrenTicks: number
}

const readStat = (pid: number): Stat | undefined => {
  const text = readOptional(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  // the name is in parentheses and may hold blanks: count from the last one
  const end = text.lastIndexOf(")")
  const fields = text.slice(end + 2).split(" ")
  return {
    name: text.slice(text.indexOf("(") + 1, end),
    parent: Number(fields[1]),
    ticks: Number(fields[11]) + Number(fields[12]),
    endedChildrenTicks: Number(fields[13]) + Number(fields[14])
  }
}

const runMicros = (pid: number, stat: Stat): number => {
  const nanos = Number(readOptional(`/proc/${pid}/schedstat`)?.split(" ")[0] ?? "0")
  return nanos > 0 ? nanos / 1_000 : stat.ticks * TICK_MICROS
}

const readOptional = (file: string): string | undefined => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return undefined
  }
}
