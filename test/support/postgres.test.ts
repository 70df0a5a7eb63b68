import { PgClient } from "@effect/sql-pg"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient } from "effect/sql"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { makeDatabase, scopedServer } from "./postgres.ts"
import { layerDatabase, servers } from "./servers.ts"
import { waitFor } from "./waitFor.ts"

for (const server of servers) {
  layer(layerDatabase(server, { applicationName: "suite" }))(`layer of a database (${server.label})`, (it) => {
    it.effect("its client is on a database that nobody else has", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const rows = yield* sql`
          SELECT current_setting('application_name') AS name, count(*)::int AS sessions
          FROM pg_stat_activity WHERE datname = current_database()`
        assert.deepStrictEqual(rows, [{ name: "suite", sessions: 1 }])
      }))
  })

  describe(`databases (${server.label})`, () => {
    it.effect("each is empty, has a name of its own, and is gone after its scope", () =>
      Effect.gen(function*() {
        const admin = yield* client(server.admin)
        const used = yield* Effect.scoped(Effect.gen(function*() {
          const urls = [yield* makeDatabase(server.admin), yield* makeDatabase(server.admin)]
          for (const url of urls) {
            const sql = yield* client(url)
            yield* sql`CREATE TABLE t (i int)`
          }
          return urls.map((url) => new URL(url).pathname.slice(1))
        }))

        assert.strictEqual(new Set(used).size, 2)
        assert.deepStrictEqual(yield* admin`SELECT datname FROM pg_database WHERE ${admin.in("datname", used)}`, [])
      }).pipe(Effect.provide(Reactivity.layer)))
  })
}

describe("servers of our own", () => {
  it.live("one that is killed and started again has what was committed", () =>
    Effect.gen(function*() {
      const server = yield* scopedServer({ durable: true, settings: { max_connections: "20" } })
      const insert = Effect.scoped(Effect.gen(function*() {
        const sql = yield* client(server.admin)
        yield* sql`CREATE TABLE t AS SELECT 1 AS i`
      }))
      yield* insert
      yield* Effect.promise(server.kill9)
      assert.strictEqual(server.pid(), 0)

      yield* Effect.promise(server.start)

      const sql = yield* client(server.admin)
      assert.deepStrictEqual(yield* sql`SELECT i FROM t`, [{ i: 1 }])
      assert.deepStrictEqual(
        yield* sql`SELECT current_setting('fsync') AS fsync, current_setting('max_connections') AS connections`,
        [{ fsync: "on", connections: "20" }]
      )
      assert.include(server.log(), "automatic recovery in progress")
    }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

  it.live("a starter that is killed leaves no process and no directory behind", () =>
    Effect.gen(function*() {
      const script = `
        import { startServer } from ${JSON.stringify(new URL("./postgres.ts", import.meta.url).href)}
        const server = await startServer()
        process.stdout.write(server.pid() + "\\n" + /listening on Unix socket "(.*)\\/.*"/.exec(server.log())[1] + "\\n")
        setInterval(() => {}, 1000)`
      const starter = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      let output = ""
      starter.stdout.on("data", (chunk) => {
        output += String(chunk)
      })
      const [pid, directory = ""] = yield* waitFor(Effect.sync(() => output.split("\n")), (lines) => lines.length > 2)
      assert.isTrue(isAlive(Number(pid)) && fs.existsSync(directory))

      starter.kill("SIGKILL")

      yield* waitFor(Effect.sync(() => isAlive(Number(pid)) || fs.existsSync(directory)), (isLeft) => !isLeft)
    }))
})

// internal

const client = (url: string) => PgClient.make({ url: Redacted.make(url), maxConnections: 1 })

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
