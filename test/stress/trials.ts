/**
 * Kill trials: processes write and follow, something is killed at a random
 * moment, what is left finishes, and nothing may be wrong afterwards.
 */
import { PgClient } from "@effect/sql-pg"
import { Cause, Duration, Effect, Exit, Redacted, Schedule, type Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeRandom, type Random } from "../checker/random.ts"
import { makeDatabase, type Server } from "../support/postgres.ts"
import { waitFor } from "../support/waitFor.ts"
import { type Running, start } from "./processes.ts"
import { FILTER_NAMES } from "./requests.ts"
import { type Verdict, verify } from "./verify.ts"
import type { WorkerSettings } from "./worker.ts"

/**
 * What is killed: a process that writes, the server's process of an append, the
 * whole server, or the process that holds an embedded store.
 */
export type Variant = "writer" | "backend" | "postmaster" | "pglite"

/** All variants. */
export const VARIANTS: ReadonlyArray<Variant> = ["writer", "backend", "postmaster", "pglite"]

/**
 * How a trial went.
 */
export interface Trial {
  readonly variant: Variant
  readonly seed: number
  readonly kills: number
  readonly tookMs: number
  /** Empty when nothing is wrong. */
  readonly wrong: ReadonlyArray<string>
  /** Absent when the trial did not come to its end. */
  readonly verdict?: Verdict
  /** Directory with the histories, kept when something is wrong. */
  readonly evidence?: string
}

/**
 * Runs one trial. A seed repeats the choices, not the moments at which the
 * machine does what.
 *
 * **Details**
 *
 * The server is one that may be killed; `pglite` needs none. The log is judged
 * too when a process stopped before its time.
 */
export const runTrial = (
  variant: Variant,
  seed: number,
  server: Server | undefined
): Effect.Effect<Trial> =>
  Effect.gen(function*() {
    const directory = mkdtempSync(join(tmpdir(), "event-store-trial-"))
    const startedMs = performance.now()
    const run: Run = { random: makeRandom(seed), directory, lives: [], kills: 0 }
    const { played, verdict } = yield* Effect.scoped(Effect.gen(function*() {
      const url = yield* makePlace(run, variant, server)
      const played = yield* Effect.exit(Effect.scoped(play(run, variant, server, url)))
      return { played, verdict: yield* Effect.exit(judge(run, url)) }
    }))
    const wrong = [
      ...(Exit.isSuccess(played) ? [] : [Cause.pretty(played.cause)]),
      ...(Exit.isSuccess(verdict) ? wrongsOf(verdict.value) : [Cause.pretty(verdict.cause)])
    ]
    if (wrong.length === 0) rmSync(directory, { recursive: true, force: true })
    return {
      variant,
      seed,
      kills: run.kills,
      tookMs: Math.round(performance.now() - startedMs),
      wrong,
      ...(Exit.isSuccess(verdict) ? { verdict: verdict.value } : {}),
      ...(wrong.length === 0 ? {} : { evidence: directory })
    }
  })

/**
 * Every broken promise of a verdict, in a line each.
 */
export const wrongsOf = ({ faults, violations }: Verdict): ReadonlyArray<string> => [
  ...violations.map(({ invariant, message }) => `${invariant}: ${message}`),
  ...faults.map((fault) => `log: ${fault}`)
]

// internal

interface Run {
  readonly random: Random
  readonly directory: string
  /** Every start of a process, and the file of what it did. */
  readonly lives: Array<{ readonly name: string; readonly file: string }>
  kills: number
}

const makePlace = (run: Run, variant: Variant, server: Server | undefined): Effect.Effect<string, never, Scope.Scope> =>
  variant === "pglite"
    ? Effect.succeed(`pglite:${join(run.directory, "store")}`)
    : server === undefined
    ? Effect.die(new Error(`${variant} needs a server`))
    : Effect.orDie(makeDatabase(server.admin))

const play = (run: Run, variant: Variant, server: Server | undefined, url: string) =>
  server === undefined || variant === "pglite"
    ? killEmbedded(run, url)
    : killOnServer(run, faults[variant], server, url)

const judge = ({ directory, lives }: Run, url: string): Effect.Effect<Verdict> =>
  verify({
    url,
    // a process that was killed in its first moments has none
    files: lives.map(({ file }) => file).filter(existsSync),
    workers: [...new Set(lives.map(({ name }) => name))],
    file: join(directory, "verifier.ndjson")
  })

/** Operations of a process that was started again: enough to meet all others. */
const OPERATIONS_AFTER = 40

const launch = (
  run: Run,
  name: string,
  url: string,
  operations: number
): Effect.Effect<Running, never, Scope.Scope> => {
  const { random } = run
  const earlier = run.lives.filter((life) => life.name === name).map(({ file }) => file)
  const file = join(run.directory, `${name}-${earlier.length}.ndjson`)
  run.lives.push({ name, file })
  const settings: WorkerSettings = {
    url,
    name,
    file,
    operations,
    seed: random.int(2 ** 31),
    earlier: earlier.filter(existsSync),
    // more than 8 appends at a time are another statement than fewer
    concurrency: random.pick([1, 4, 16]) ?? 1,
    followers: FILTER_NAMES.filter((filter) => filter === "all" || random.chance(0.3))
  }
  return Effect.tap(start("writer", settings), ({ order }) => order("begin"))
}

const isBounded = ({ settings }: Running): boolean => settings.operations <= OPERATIONS_AFTER

const sleep = (random: Random, boundMs: number) => Effect.sleep(Duration.millis(random.int(boundMs)))

/** Lets all processes come to their end. */
const conclude = (running: ReadonlyArray<Running>): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const process of running) yield* process.reported("idle")
    for (const process of running.slice(0, 1)) yield* process.order("end")
    for (const process of running) yield* process.reported("done")
  })

const killOnServer = (run: Run, fault: Fault, server: Server, url: string) =>
  Effect.gen(function*() {
    const { random } = run
    const writers = yield* Effect.all([
      launch(run, "a", url, Number.MAX_SAFE_INTEGER),
      launch(run, "b", url, Number.MAX_SAFE_INTEGER)
    ])
    // now and then before the store is open, or while its schema is made
    if (!random.chance(0.1)) { for (const writer of writers) yield* writer.reported("open") }
    yield* sleep(random, 500)
    const left = yield* fault({ run, server, url, writers })
    // those that were started again meet the others at work
    for (const writer of left.filter(isBounded)) yield* writer.reported("idle")
    for (const writer of left) yield* writer.order("finish")
    yield* conclude(left)
  })

type Fault = (at: {
  readonly run: Run
  readonly server: Server
  readonly url: string
  readonly writers: ReadonlyArray<Running>
}) => Effect.Effect<ReadonlyArray<Running>, never, Scope.Scope>

/** What each variant does to the writers; gives those that run afterwards. */
const faults: Readonly<Record<Exclude<Variant, "pglite">, Fault>> = {
  writer: ({ run, url, writers }) => killWriters(run, url, writers),
  backend: ({ run, server, url, writers }) =>
    Effect.gen(function*() {
      for (let left = 1 + run.random.int(2); left > 0; left--) {
        yield* killBackend(run, server, url)
        yield* sleep(run.random, 300)
      }
      return writers
    }),
  postmaster: ({ run, server, url, writers }) =>
    Effect.gen(function*() {
      yield* Effect.promise(server.kill9)
      run.kills++
      // sometimes the machine as a whole, as it were
      const left = run.random.chance(0.3) ? yield* killWriters(run, url, writers) : writers
      yield* Effect.promise(server.start)
      yield* sleep(run.random, 200)
      return left
    })
}

const killWriters = (run: Run, url: string, writers: ReadonlyArray<Running>) =>
  Effect.forEach(
    writers,
    (writer, i) =>
      i > 0 && run.random.chance(0.6) ? Effect.succeed(writer) : Effect.gen(function*() {
        yield* writer.kill
        run.kills++
        return yield* launch(run, writer.settings.name, url, OPERATIONS_AFTER)
      })
  )

/**
 * Ends a session that appends: as an operator does, or by a kill of its
 * process, after which the server restarts all of them.
 */
const killBackend = (run: Run, server: Server, url: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { random } = run
    const appending = appendingSessions(server.admin, new URL(url).pathname.slice(1))
    const pid = random.pick(yield* waitFor(appending, (pids) => pids.length > 0))
    if (pid === undefined) return
    const isEnded = random.chance(0.3)
      ? yield* asAdmin(server.admin, (sql) => Effect.as(sql`SELECT pg_terminate_backend(${pid})`, true))
      : kill9(pid)
    if (isEnded) run.kills++
  }).pipe(Effect.orDie)

const appendingSessions = (admin: string, database: string) =>
  asAdmin(admin, (sql) =>
    Effect.map(
      sql<{ pid: number }>`
        SELECT pid FROM pg_stat_activity
        WHERE datname = ${database} AND query LIKE '%append\\_%' ORDER BY state, pid`,
      (rows) => rows.map(({ pid }) => pid)
    ))

/** The server may go down for the kill before, or still recover from it. */
const asAdmin = <A, E>(admin: string, use: (sql: PgClient.PgClient) => Effect.Effect<A, E>) =>
  PgClient.make({ url: Redacted.make(admin), maxConnections: 1 }).pipe(
    Effect.flatMap(use),
    Effect.scoped,
    Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 500 }),
    Effect.provide(Reactivity.layer)
  )

/** False when it had ended by itself. */
const kill9 = (pid: number): boolean => {
  try {
    return process.kill(pid, "SIGKILL")
  } catch {
    return false
  }
}

/** Kills the only process again and again, in its first moments too, and lets another one go on. */
const killEmbedded = (run: Run, url: string) =>
  Effect.gen(function*() {
    const { random } = run
    for (let left = random.chance(0.3) ? 2 : 1; left > 0; left--) {
      const writer = yield* launch(run, "a", url, Number.MAX_SAFE_INTEGER)
      if (random.chance(0.3)) {
        yield* sleep(random, 2_500)
      } else {
        yield* writer.reported("open")
        yield* sleep(random, 500)
      }
      yield* writer.kill
      run.kills++
    }
    yield* conclude([yield* launch(run, "a", url, OPERATIONS_AFTER)])
  })
