/**
 * Where the stores under test keep their data.
 */
import { PgClient } from "@effect/sql-pg"
import { ManagedRuntime, Redacted } from "effect"
import { closeSync, fdatasyncSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { findSystem } from "../test/support/binaries.ts"
import { startServer, withDatabase } from "../test/support/postgres.ts"
import { findPostmaster } from "./cpu.ts"

/**
 * A place for databases.
 */
export interface Target {
  readonly kind: "postgres" | "pglite" | "memory"
  /** Process id of the server where its CPU time can be counted. */
  readonly serverPid: number | null
  readonly settings: Settings
  /** What a flush of the disk below takes, median, in microseconds; `null` where that disk is not known. */
  readonly fdatasyncMicros: number | null
  /** Makes an empty database and returns its URL. */
  readonly create: (name: string) => Promise<string>
  readonly drop: (name: string) => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * What of a server's settings matters for the numbers; `null` without a server.
 */
export interface Settings {
  readonly server: string
  readonly fsync: string | null
  readonly synchronous_commit: string | null
  readonly full_page_writes: string | null
  readonly shared_buffers: string | null
  readonly max_wal_size: string | null
}

/**
 * Opens what `--url` names; without it, starts a durable server of its own: npm's, or the machine's of that version.
 */
export const openTarget = async (url: string | undefined, major: number | undefined): Promise<Target> => {
  if (url === undefined) return await openOwnServer(major)
  if (url === "memory:") return memoryTarget
  if (url.startsWith("pglite:") && url.length > "pglite:".length) return pgliteTarget(url.slice("pglite:".length))
  if (/^postgres(ql)?:\/\//.test(url)) return await openServer(url, undefined)
  throw new Error(`--url must be postgres://..., pglite:DIR or memory:, got ${url}`)
}

// internal

const NO_SERVER = {
  fsync: null,
  synchronous_commit: null,
  full_page_writes: null,
  shared_buffers: null,
  max_wal_size: null
}

const memoryTarget: Target = {
  kind: "memory",
  serverPid: null,
  settings: { server: "none (memory)", ...NO_SERVER },
  fdatasyncMicros: null,
  create: async () => "memory:",
  drop: async () => {},
  close: async () => {}
}

const pgliteTarget = (directory: string): Target => {
  const home = (name: string) => path.join(directory, name)
  return {
    kind: "pglite",
    serverPid: null,
    settings: { server: "none (PGlite, in the client's process)", ...NO_SERVER },
    fdatasyncMicros: measureFlush(directory),
    create: async (name) => {
      rmSync(home(name), { recursive: true, force: true })
      return `pglite:${home(name)}`
    },
    drop: async (name) => rmSync(home(name), { recursive: true, force: true }),
    close: async () => {}
  }
}

/**
 * An acknowledged commit is on disk; no checkpoint falls into a short run; a
 * pool of 64 for each of several stores fits.
 */
const OWN_SETTINGS = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  shared_buffers: "512MB",
  max_wal_size: "4GB",
  checkpoint_timeout: "15min",
  max_connections: "300"
}

const openOwnServer = async (major: number | undefined): Promise<Target> => {
  const binaries = major === undefined ? undefined : findSystem().find((found) => found.major === major)
  if (major !== undefined && binaries === undefined) throw new Error(`the machine has no PostgreSQL ${major}`)
  const server = await startServer({ durable: true, settings: OWN_SETTINGS, ...(binaries && { binaries }) })
  try {
    const target = await openServer(server.admin, server.pid())
    const close = async () => {
      await target.close()
      await server.stop()
    }
    return { ...target, fdatasyncMicros: measureFlush(os.tmpdir()), close }
  } catch (error) {
    await server.stop()
    throw error
  }
}

const openServer = async (url: string, knownPid: number | undefined): Promise<Target> => {
  const runtime = ManagedRuntime.make(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))
  const query = <Row extends object>(text: string): Promise<ReadonlyArray<Row>> =>
    runtime.runPromise(PgClient.PgClient.use((sql) => sql.unsafe<Row>(text)))
  const [settings] = await query<Settings>(SETTINGS_QUERY)
  const [backend] = await query<{ readonly pid: number }>("SELECT pg_backend_pid() AS pid")
  if (settings === undefined || backend === undefined) throw new Error("the server did not tell its settings")
  return {
    kind: "postgres",
    serverPid: knownPid ?? (isLocal(url) ? findPostmaster(backend.pid) : null),
    settings,
    fdatasyncMicros: null,
    create: async (name) => {
      await query(`DROP DATABASE IF EXISTS ${quoted(name)}`)
      await query(`CREATE DATABASE ${quoted(name)} TEMPLATE template0`)
      return withDatabase(url, name)
    },
    drop: async (name) => {
      await query(`DROP DATABASE IF EXISTS ${quoted(name)} WITH (FORCE)`)
    },
    close: () => runtime.dispose()
  }
}

const SETTINGS_QUERY = `SELECT 'PostgreSQL ' || current_setting('server_version') AS server, ${
  ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size"]
    .map((name) => `current_setting('${name}') AS ${name}`)
    .join(", ")
}`

const isLocal = (url: string): boolean =>
  process.platform === "linux" && ["127.0.0.1", "localhost", "[::1]", ""].includes(new URL(url).hostname)

const quoted = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

/** What a commit waits for: 8 kB written over, then flushed. */
const measureFlush = (directory: string): number => {
  mkdirSync(directory, { recursive: true })
  const file = path.join(directory, `event-store-bench-${process.pid}.flush`)
  const descriptor = openSync(file, "w")
  const page = Buffer.alloc(8_192, 1)
  try {
    const micros = Array.from({ length: FLUSHES }, () => {
      writeSync(descriptor, page, 0, page.length, 0)
      const started = performance.now()
      fdatasyncSync(descriptor)
      return (performance.now() - started) * 1_000
    })
    return Math.round(micros.sort((a, b) => a - b)[FLUSHES / 2] ?? 0)
  } finally {
    closeSync(descriptor)
    rmSync(file, { force: true })
  }
}

const FLUSHES = 200
