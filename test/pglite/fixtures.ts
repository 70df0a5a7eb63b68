/**
 * Directories and processes for the tests of the embedded PostgreSQL.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { layer, type PgliteOptions } from "../../src/pglite/index.ts"
import { waitFor } from "../support/waitFor.ts"

/** An empty directory that goes with the scope. */
export const someDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-pglite-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Runs an effect against an embedded PostgreSQL that is opened for it, and closed after it. */
export const withPglite = (options: PgliteOptions) => Effect.provide(layer(options), { local: true })

/** A program of `programs/` that runs on its own. */
export interface Program {
  readonly process: ChildProcess
  /** What it has printed so far, line by line. */
  readonly lines: ReadonlyArray<string>
  readonly line: (isReached: (line: string) => boolean) => Effect.Effect<string>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Kills it, and waits until nothing is left of it. */
  readonly end: Effect.Effect<void>
}

/** Starts `programs/<name>.ts`; the scope ends it. */
export const startProgram = (
  name: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = fileURLToPath(new URL(`./programs/${name}.ts`, import.meta.url))
      const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "inherit"] })
      const lines: Array<string> = []
      createInterface({ input: child.stdout }).on("line", (line) => lines.push(line))
      const kill = (signal: NodeJS.Signals) => Effect.sync(() => void child.kill(signal))
      const ended = waitFor(Effect.sync(() => child.exitCode ?? child.signalCode), (state) => state !== null)
      return {
        process: child,
        lines,
        line: (isReached: (line: string) => boolean) =>
          Effect.map(waitFor(Effect.sync(() => lines.find(isReached)), (line) => line !== undefined), (line) =>
            line ?? ""),
        kill,
        end: Effect.asVoid(Effect.andThen(kill("SIGKILL"), ended))
      }
    }),
    (program) =>
      program.end
  )
