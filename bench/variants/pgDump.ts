/**
 * PostgreSQL's own way: `pg_dump -Fc` of the database in which this repository's store is, and `pg_restore`.
 */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { existsSync, rmSync, statSync } from "node:fs"
import * as path from "node:path"
import { findEmbedded, findSystem } from "../../test/support/binaries.ts"
import { withDatabase } from "../../test/support/postgres.ts"
import { round } from "../summary.ts"
import { type BackupWork, required, type Variant } from "../variant.ts"
import ours from "./ours.ts"
import { openSql } from "./oursProjections.ts"

const ask = (url: string, text: string): Promise<ReadonlyArray<Readonly<Record<string, unknown>>>> =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(openSql(url), (sql) => sql.unsafe(text))))

/** A dump is made by a program of the server's version or a later one. */
const programsFor = async (url: string): Promise<{ readonly dump: string; readonly restore: string }> => {
  const [row] = await ask(url, "SELECT current_setting('server_version_num')::int / 10000 AS major")
  const major = Number(row?.["major"])
  for (const found of [findEmbedded(), ...findSystem()]) {
    const dump = found === undefined ? "" : path.join(path.dirname(found.postgres), "pg_dump")
    const restore = path.join(path.dirname(dump), "pg_restore")
    if (found !== undefined && found.major >= major && existsSync(dump) && existsSync(restore)) return { dump, restore }
  }
  throw new Error(`there is no pg_dump for PostgreSQL ${major}: npm's has none; see --postgres`)
}

const execute = (program: string, args: ReadonlyArray<string>): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] })
    let said = ""
    child.stderr.on("data", (text) => {
      said += String(text)
    })
    child.once("error", reject)
    child.once("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`${path.basename(program)} ended with ${code}: ${said.slice(0, 500)}`)))
  })

/** The CPU time of a session belongs to the server when it has ended. */
const awaitGone = async (url: string, program: string): Promise<void> => {
  const [row] = await ask(
    url,
    `SELECT count(*)::int AS sessions FROM pg_stat_activity WHERE application_name = '${program}'`
  )
  if (row?.["sessions"] !== 0) await awaitGone(url, program)
}

const countEvents = async (url: string): Promise<number> => {
  const [row] = await ask(url, "SELECT count(*)::int AS events FROM event_store.events")
  return Number(row?.["events"])
}

const openDump = async (url: string, file: string): Promise<BackupWork> => {
  const { dump } = await programsFor(url)
  const events = await countEvents(url)
  return {
    isOutside: true,
    run: async () => {
      await execute(dump, ["-Fc", "-f", file, url])
      await awaitGone(url, "pg_dump")
      return events
    },
    figures: async () => ({ fileMb: round(statSync(file).size / 1e6, 3) }),
    close: async () => rmSync(file)
  }
}

const openRestore = async (url: string, file: string): Promise<BackupWork> => {
  const { dump, restore } = await programsFor(url)
  const events = await countEvents(url)
  const name = `event_store_bench_pg_restored_${process.pid}`
  await execute(dump, ["-Fc", "-f", file, url])
  await ask(url, `CREATE DATABASE ${name} TEMPLATE template0`)
  const target = withDatabase(url, name)
  return {
    isOutside: true,
    run: async () => {
      await execute(restore, ["-d", target, file])
      await awaitGone(url, "pg_restore")
      return events
    },
    figures: async () => {
      const restored = await countEvents(target)
      if (restored !== events) throw new Error(`pg_restore: ${restored} of ${events} events`)
      return { fileMb: round(statSync(file).size / 1e6, 3) }
    },
    close: async () => {
      rmSync(file)
      await ask(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    }
  }
}

const variant: Variant = {
  setup: ours.setup,
  open: async (url, connections) => {
    const session = await ours.open(url, connections)
    return {
      append: session.append,
      close: session.close,
      fillBackups: (file, events) => required(session.fillBackups, "fillBackups")(file, events, undefined),
      openBackup: (operation, directory) => {
        const file = path.join(directory, `pg-${process.pid}.dump`)
        return operation === "restore" ? openRestore(url, file) : openDump(url, file)
      }
    }
  }
}

export default variant
