/**
 * The processes of a trial as the one who starts them sees them.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { waitFor } from "../../support/waitFor.ts"
import type { RunnerSettings } from "./runner.ts"

/**
 * A process that runs projections.
 */
export interface RunnerProcess {
  readonly name: string
  readonly isOver: () => boolean
  readonly reports: ReadonlyArray<string>
  readonly signal: (signal: "SIGSTOP" | "SIGCONT") => void
  /** Sends SIGKILL and waits until nothing is left of it. */
  readonly kill: Effect.Effect<void>
  /** Tells it to stop, waits until it has, and says what was wrong with that. */
  readonly stop: Effect.Effect<ReadonlyArray<string>>
}

/**
 * Starts a process; it is killed when the scope closes.
 */
export const startRunner = (settings: RunnerSettings): Effect.Effect<RunnerProcess, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => launch(settings)), ({ kill }) => kill)

// internal

const launch = (settings: RunnerSettings): RunnerProcess => {
  const file = fileURLToPath(new URL("../programs/trial.ts", import.meta.url))
  const child = spawn(process.execPath, [file, JSON.stringify(settings)], { stdio: ["pipe", "pipe", "pipe"] })
  const reports: Array<string> = []
  let errors = ""
  createInterface({ input: child.stdout }).on("line", (line) => reports.push(line))
  child.stderr.on("data", (data) => {
    errors += String(data)
  })
  child.stdin.on("error", () => undefined)
  const over = () => waitFor(Effect.sync(() => isOver(child)), (is) => is)
  return {
    name: settings.name,
    isOver: () => isOver(child),
    reports,
    signal: (signal) => void child.kill(signal),
    kill: Effect.suspend(() => {
      child.kill("SIGKILL")
      return Effect.asVoid(over())
    }),
    stop: Effect.gen(function*() {
      if (isOver(child)) {
        return child.signalCode === "SIGKILL" || child.exitCode === 0
          ? []
          : [`${settings.name} ended by itself: ${reports.at(-1)} ${errors}`]
      }
      child.stdin.end()
      yield* over()
      return child.exitCode === 0 ? [] : [`${settings.name} did not stop: exit code ${child.exitCode} ${errors}`]
    })
  }
}

const isOver = (child: ChildProcess): boolean =>
  (child.exitCode !== null || child.signalCode !== null) && child.stdout?.readableEnded !== false
