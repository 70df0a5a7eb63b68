import { PgClient } from "@effect/sql-pg"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { ndjson, parseLines, runCli } from "./harness.ts"

const lines = ndjson(...Array.from({ length: 3_000 }, (_, n) => ({
  stream: `account-${(n * n) % 41}`,
  type: "MoneyDeposited",
  data: { n }
})))

/** A database of its own, and the command on it. */
const makeCli = (admin: string) =>
  Effect.map(makeDatabase(admin), (url) => ({
    url,
    cli: (args: ReadonlyArray<string>, stdin = "") => runCli([...args, "--url", url], { stdin })
  }))

const execute = (url: string, sql: string) =>
  Effect.scoped(
    Effect.flatMap(PgClient.make({ url: Redacted.make(url), maxConnections: 1 }), (client) => client.unsafe(sql))
  ).pipe(Effect.provide(Reactivity.layer))

for (const { admin, label } of servers) {
  describe(`the command on ${label}`, () => {
    it.live("applies the schema, says what it is, and exits with 2 when it differs", () =>
      Effect.gen(function*() {
        const { cli, url } = yield* makeCli(admin)
        expect((yield* cli(["schema", "status"])).out).toMatch(/0001_log +pending/)
        const missing = yield* cli(["maint", "stats", "--json"])
        expect([missing.code, JSON.parse(missing.err).error.code]).toStrictEqual([1, "ES-1204"])
        expect((yield* cli(["schema", "verify"])).code).toBe(2)
        expect((yield* cli(["schema", "apply", "--dry-run"])).out).toContain("would apply migration 0001_log")
        expect((yield* cli(["schema", "verify"])).code).toBe(2)

        expect(yield* cli(["schema", "apply"])).toMatchObject({ code: 0, out: expect.stringContaining("0001_log") })
        expect(yield* cli(["schema", "apply", "--json"])).toMatchObject({ code: 0, out: "{\"steps\":[]}\n" })
        expect(yield* cli(["schema", "verify", "--json"])).toMatchObject({
          code: 0,
          out: "{\"equal\":true,\"differences\":[]}\n"
        })
        expect(JSON.parse((yield* cli(["schema", "status", "--json"])).out)).toMatchObject({ isCurrent: true })
        expect((yield* cli(["doctor"])).code).toBe(0)

        yield* execute(url, "ALTER TABLE event_store.streams ADD COLUMN stray integer")
        const differs = yield* cli(["schema", "verify"])
        expect(differs.code).toBe(2)
        expect(differs.out).toContain("stray")
        expect(differs.err).toContain("ES-1601")
      }))

    it.live("imports into an empty database, in the order of the lines, and finds the log in order", () =>
      Effect.gen(function*() {
        const { cli } = yield* makeCli(admin)
        const first = yield* cli(["import", "-", "--json"], lines)
        expect(JSON.parse(first.out)).toMatchObject({ appended: 3_000, lastPosition: 3_000 })
        expect(JSON.parse((yield* cli(["import", "-", "--json"], lines)).out)).toMatchObject({ skipped: 3_000 })
        const exported = yield* cli(["export"])
        expect(parseLines(exported.out).map(({ data }) => data)).toStrictEqual(
          Array.from({ length: 3_000 }, (_, n) => ({ n }))
        )
        expect(yield* cli(["maint", "verify"])).toMatchObject({ code: 0, err: "" })
        expect(yield* cli(["maint", "index", "type"])).toMatchObject({ code: 0, err: "" })
        expect(yield* cli(["schema", "verify"])).toMatchObject({ code: 0, err: "" })
        const [head] = parseLines(
          (yield* cli(["stream", "list", "--sort", "events", "--desc", "-n", "1", "-o", "ndjson"])).out
        )
        expect(head).toMatchObject({ category: "account", isTombstoned: false })
      }))

    it.live("keeps stores in schemas of their own", () =>
      Effect.gen(function*() {
        const { cli } = yield* makeCli(admin)
        yield* cli(["import", "-", "--schema", "first"], lines)
        yield* cli(["event", "append", "account-1", "T", "--schema", "second"])
        expect(JSON.parse((yield* cli(["maint", "stats", "--schema", "first", "--json"])).out).events).toBe(3_000)
        expect(JSON.parse((yield* cli(["maint", "stats", "--schema", "second", "--json"])).out).events).toBe(1)
      }))

    it.live("exits with 5 when the server does not let it in", () =>
      Effect.gen(function*() {
        for (const wrong of [{ username: "nobody_at_all" }, { pathname: "/no_such_database" }, { port: "1" }]) {
          const url: URL = Object.assign(new URL(admin), wrong)
          for (const args of [["maint", "stats"], ["event", "append", "s-1", "T"], ["doctor"]]) {
            const { code, err, out } = yield* runCli([...args, "--url", url.href, "--json"])
            expect([wrong, args, code, out]).toStrictEqual([wrong, args, 5, ""])
            expect(JSON.parse(err).error.code).toMatch(/^ES-120[13]$/)
          }
        }
      }))
  })
}
