/**
 * The parent's side of a variant's process.
 */
import { type ChildProcess, fork } from "node:child_process"
import type { Request, Response, Run } from "./protocol.ts"
import type { VariantInfo } from "./variant.ts"

/**
 * A running process of one variant.
 */
export interface Worker {
  readonly name: string
  /** Does one thing; rejects when the variant fails or the process ends. */
  readonly ask: (request: Request) => Promise<Run | undefined>
  readonly stop: () => Promise<void>
}

/**
 * Starts the process of a variant. `serverPid` is the server whose CPU time is
 * counted.
 */
export const startWorker = (variant: VariantInfo, serverPid: number | null): Worker => {
  const child = fork(new URL("./worker.ts", import.meta.url), [`./${variant.module}`, String(serverPid ?? "-")], {
    execArgv: ["--expose-gc", "--no-warnings"],
    // what a peer prints is no result
    stdio: ["ignore", "ignore", "inherit", "ipc"]
  })
  return {
    name: variant.name,
    ask: (request) => exchange(child, variant.name, request),
    stop: () => stop(child)
  }
}

// internal

const exchange = (child: ChildProcess, name: string, request: Request): Promise<Run | undefined> =>
  new Promise((resolve, reject) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      reject(new Error(`${name}: its process has ended`))
      return
    }
    const onMessage = (response: Response) => {
      child.off("exit", onExit)
      if (response._tag === "done") resolve(response.run)
      else reject(new Error(`${name}: ${request._tag} failed: ${response.message}`))
    }
    const onExit = (code: number | null, signal: NodeJS.Signals | null) => {
      child.off("message", onMessage)
      reject(new Error(`${name}: its process ended (${signal ?? code}) during ${request._tag}`))
    }
    child.once("message", onMessage)
    child.once("exit", onExit)
    child.send(request)
  })

const stop = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve()
      return
    }
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS)
    child.once("exit", () => {
      clearTimeout(timer)
      resolve()
    })
    if (child.connected) child.disconnect()
    else child.kill("SIGKILL")
  })

/** How long a process may take to end by itself, in milliseconds. */
const STOP_MS = 5_000
