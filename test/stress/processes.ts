/**
 * Stress processes as the one who starts them sees them.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { waitFor } from "../support/waitFor.ts"
import type { Order, Report } from "./runWorker.ts"
import type { WorkerSettings } from "./worker.ts"

/**
 * A process that runs.
 */
export interface Running {
  readonly settings: WorkerSettings
  readonly order: (order: Order) => Effect.Effect<void>
  /** Waits until it has reported this, and dies when it stopped before. */
  readonly reported: (report: Report) => Effect.Effect<void>
  /** Sends SIGKILL and waits until nothing is left of it. */
  readonly kill: Effect.Effect<void>
}

/**
 * Starts a process; it is killed when the scope closes.
 */
export const start = (
  program: "writer" | "reader",
  settings: WorkerSettings
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => launch(program, settings)), ({ kill }) => kill)

// internal

/** Deadline against hanging, in milliseconds. */
const DEADLINE_MS = 90_000

const launch = (program: "writer" | "reader", settings: WorkerSettings): Running => {
  const file = fileURLToPath(new URL(`./${program}.ts`, import.meta.url))
  const child = spawn(process.execPath, [file, JSON.stringify(settings)], { stdio: ["pipe", "pipe", "pipe"] })
  const reports: Array<string> = []
  let errors = ""
  createInterface({ input: child.stdout }).on("line", (line) => reports.push(line))
  child.stderr.on("data", (data) => {
    errors += String(data)
  })
  // it may have ended, and then it takes no order
  child.stdin.on("error", () => undefined)
  const state = () => ({ name: settings.name, reports, isOver: isOver(child), errors: errors.slice(-2_000) })
  return {
    settings,
    order: (order) => Effect.sync(() => void child.stdin.write(`${order}\n`)),
    reported: (report) =>
      waitFor(Effect.sync(state), ({ isOver, reports }) => isOver || reports.includes(report), {
        deadlineMs: DEADLINE_MS
      }).pipe(
        Effect.flatMap((last) =>
          last.reports.includes(report)
            ? Effect.void
            : Effect.die(new Error(`${settings.name} stopped before "${report}": ${JSON.stringify(last)}`))
        )
      ),
    kill: Effect.suspend(() => {
      child.kill("SIGKILL")
      return Effect.asVoid(waitFor(Effect.sync(() => isOver(child)), (over) => over))
    })
  }
}

/** Whether it ended and all that it printed was read. */
const isOver = (child: ChildProcess): boolean =>
  (child.exitCode !== null || child.signalCode !== null) && child.stdout?.readableEnded !== false
