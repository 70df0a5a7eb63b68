/**
 * The processes of a trial as the one who starts them sees them.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { waitFor } from "../../support/waitFor.ts"
import type { WorkerReport, WorkerSettings } from "./worker.ts"

/**
 * How a process ended.
 */
export type End =
  | { readonly _tag: "Killed" }
  /** It did not end in time. */
  | { readonly _tag: "Hung" }
  | Extract<WorkerReport, { readonly _tag: "Broken" | "Done" | "Failed" }>

/**
 * A process that works.
 */
export interface Worker {
  readonly reports: ReadonlyArray<WorkerReport>
  readonly isOver: () => boolean
  /** Waits until its stores are open, or it is over. */
  readonly begun: Effect.Effect<void>
  /** Sends SIGKILL and waits until nothing is left of it. */
  readonly kill: Effect.Effect<void>
  /** Waits until it is over. */
  readonly end: Effect.Effect<End>
}

/**
 * Starts a process, by way of a command that starts it where it is to be; it is
 * killed when the scope closes.
 */
export const startWorker = (
  settings: WorkerSettings,
  inside: ReadonlyArray<string> = []
): Effect.Effect<Worker, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => launch(settings, inside)), ({ kill }) => kill)

// internal

/** Against hanging, in milliseconds; a busy machine takes some seconds. */
const DEADLINE_MS = 120_000

const launch = (settings: WorkerSettings, inside: ReadonlyArray<string>): Worker => {
  const file = fileURLToPath(new URL("../programs/trial.ts", import.meta.url))
  const [command = process.execPath, ...args] = [...inside, process.execPath, file, JSON.stringify(settings)]
  const child = spawn(command, args, {
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const reports: Array<WorkerReport> = []
  let errors = ""
  createInterface({ input: child.stdout }).on("line", (line) => reports.push(JSON.parse(line)))
  child.stderr.on("data", (data) => {
    errors += String(data)
  })
  const over = (deadlineMs: number) =>
    waitFor(Effect.sync(() => isOver(child)), (is) => is, { deadlineMs }).pipe(
      Effect.catchDefect(() => Effect.succeed(false))
    )
  return {
    reports,
    isOver: () => isOver(child),
    begun: Effect.asVoid(
      waitFor(Effect.sync(() => reports.length > 0 || isOver(child)), (is) => is, { deadlineMs: DEADLINE_MS })
    ),
    kill: Effect.suspend(() => {
      child.kill("SIGKILL")
      return Effect.asVoid(over(DEADLINE_MS))
    }),
    end: Effect.map(over(DEADLINE_MS), (is): End => {
      if (!is) return { _tag: "Hung" }
      if (child.signalCode === "SIGKILL") return { _tag: "Killed" }
      const last = reports.at(-1)
      return last?._tag === "Done" || last?._tag === "Failed" || last?._tag === "Broken"
        ? last
        : { _tag: "Broken", text: `it ended with ${child.exitCode ?? child.signalCode}: ${errors.slice(-2_000)}` }
    })
  }
}

/** Half of what the start of a process costs is the same for all: compiled modules are kept here. */
const COMPILED = fileURLToPath(new URL("../../../node_modules/.cache/event-store-trials", import.meta.url))

const isOver = (child: ChildProcess): boolean =>
  (child.exitCode !== null || child.signalCode !== null) && child.stdout?.readableEnded !== false
