import { PgClient } from "@effect/sql-pg"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { StoreOpener } from "../../src/cli/StoreOpener.ts"
import { layerMemory } from "../../src/runtime/EventStoreLayer.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { ndjson, parseLines, runCli, type RunOptions } from "./harness.ts"

const account = fileURLToPath(new URL("./programs/account.ts", import.meta.url))

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))

const lines = ndjson(
  { stream: "account-1", type: "AccountOpened", data: { owner: "ann" }, tags: ["owner:ann"] },
  { stream: "account-2", type: "MoneyDeposited", data: { cents: 125 } },
  { stream: "account-1", type: "MoneyDeposited", data: { amount: 3 }, version: 2 }
)

const unreadable = ndjson({ stream: "account-2", type: "MoneyDeposited", data: { cents: "s3cret" } })

/** A command line on stores in memory, one for each URL. */
const makeCli = Effect.gen(function*() {
  const stores = new Map<string, Layer.Layer<Layer.Success<typeof layerMemory>>>()
  for (const url of ["from", "to", "other"]) {
    stores.set(url, Layer.succeedContext(yield* Layer.build(Layer.fresh(layerMemory))))
  }
  const open = ({ url }: { readonly url: Redacted.Redacted }) => Effect.succeed(stores.get(Redacted.value(url))!)
  const opener = { store: open, admin: open }
  const cli = (args: ReadonlyArray<string>, options?: RunOptions) =>
    Effect.provideService(runCli(args, options), StoreOpener, opener)
  const fill = (url: string, stdin: string) => cli(["import", "-", "-q", "--url", url], { stdin })
  const copy = (...args: ReadonlyArray<string>) => cli(["migrate", "copy", "--from", "from", "--to", "to", ...args])
  const exported = (url: string) => Effect.map(cli(["export", "--url", url]), ({ out }) => parseLines(out))
  return { cli, copy, exported, fill }
})

describe("migrate copy", () => {
  it.effect("sums up for people and for machines, and adds nothing the second time", () =>
    Effect.gen(function*() {
      const { copy, exported, fill } = yield* makeCli
      yield* fill("from", lines)
      const first = yield* copy("--events", account)
      expect([first.code, first.err]).toStrictEqual([0, ""])
      expect(first.out).toMatch(/^read +3 events in .+\ncopied +3\npresent +0\nleft out +0\nup to +position 3/)
      expect(first.out).toMatch(/\nMoneyDeposited +v1 +v3 +1\nMoneyDeposited +v2 +v3 +1\n$/)
      const second = yield* copy("--events", account, "--json")
      expect(JSON.parse(second.out)).toStrictEqual({
        read: 3,
        copied: 0,
        present: 3,
        leftOut: 0,
        position: 3,
        versions: [
          { type: "AccountOpened", from: 1, to: 1, events: 1 },
          { type: "MoneyDeposited", from: 1, to: 3, events: 1 },
          { type: "MoneyDeposited", from: 2, to: 3, events: 1 }
        ],
        digest: expect.stringMatching(/^[0-9a-f]{64}$/)
      })
      const [source, target] = [yield* exported("from"), yield* exported("to")]
      for (const key of ["position", "stream", "revision", "id", "type", "tags", "metadata", "recordedAt"]) {
        expect(target.map((line) => line[key])).toStrictEqual(source.map((line) => line[key]))
      }
      expect(target.map(({ data }) => data)).toStrictEqual([
        { owner: "ann" },
        { amount: 1.25, currency: "EUR" },
        { amount: 3, currency: "EUR" }
      ])
    }))

  it.effect("copies everything as it is stored without event types", () =>
    Effect.gen(function*() {
      const { copy, exported, fill } = yield* makeCli
      yield* fill("from", lines + unreadable)
      expect((yield* copy()).code).toBe(0)
      expect((yield* exported("to")).map(({ version }) => version)).toStrictEqual([1, 1, 2, 1])
    }))

  it.effect("names on a dry run what cannot be copied, and writes nothing", () =>
    Effect.gen(function*() {
      const { copy, exported, fill } = yield* makeCli
      yield* fill("from", lines + unreadable)
      const { code, err, out } = yield* copy("--events", account, "--dry-run", "--json")
      expect(code).toBe(65)
      expect(JSON.parse(err)).toMatchObject({ error: { code: "ES-1804" } })
      expect(JSON.parse(out)).toMatchObject({
        copied: 3,
        failed: 1,
        failures: [{ type: "MoneyDeposited", version: 1, streamId: "account-2", revision: 1, path: "data.cents" }]
      })
      const table = yield* copy("--events", account, "--dry-run")
      expect(table.out).toContain("dry run: nothing was written")
      expect(table.out).toMatch(/\nMoneyDeposited +1 {2}account-2 +1 {2}data\.cents {2}\S/)
      expect(table.out + table.err + out + err).not.toContain("s3cret")
      expect(yield* exported("to")).toStrictEqual([])
      expect((yield* copy("--events", account, "--dry-run", "--stream-prefix", "account-1")).code).toBe(0)
    }))

  it.effect("stops with 65 at an event that cannot be copied", () =>
    Effect.gen(function*() {
      const { copy, exported, fill } = yield* makeCli
      yield* fill("from", lines + unreadable + lines)
      const { code, err, out } = yield* copy("--events", account, "--json")
      expect([code, out]).toStrictEqual([65, ""])
      expect(JSON.parse(err)).toMatchObject({
        error: { code: "ES-1804", details: { position: 4, streamId: "account-2", revision: 1, path: "data.cents" } }
      })
      expect(yield* exported("to")).toHaveLength(3)
    }))

  it.effect("exits with 4 when the target holds something else, and with 64 when it is the source", () =>
    Effect.gen(function*() {
      const { cli, copy, exported, fill } = yield* makeCli
      yield* fill("from", lines)
      yield* fill("to", ndjson({ stream: "other-1", type: "Noted", data: {} }))
      expect(yield* copy()).toMatchObject({ code: 4, out: "", err: expect.stringContaining("ES-1803") })
      expect(yield* copy("--dry-run")).toMatchObject({ code: 4, out: "" })
      expect(yield* copy("--no-resume")).toMatchObject({ code: 4, out: "", err: expect.stringContaining("ES-1802") })
      expect(yield* exported("to")).toHaveLength(1)
      const same = yield* cli(["migrate", "copy", "--from", "from", "--to", "from"])
      expect(same).toMatchObject({ code: 64, out: "", err: expect.stringContaining("ES-1801") })
    }))

  it.effect("leaves out or keeps what the event types do not know, when it is told to", () =>
    Effect.gen(function*() {
      const { cli, copy, exported, fill } = yield* makeCli
      yield* fill("from", lines + ndjson({ stream: "note", type: "NoteTaken", data: 1 }))
      expect((yield* copy("--events", account)).code).toBe(65)
      expect(JSON.parse((yield* copy("--events", account, "--unknown", "skip", "--json")).out)).toMatchObject({
        read: 4,
        leftOut: 1,
        present: 3
      })
      const kept = ["migrate", "copy", "--from", "from", "--to", "other", "--events", account, "--unknown", "keep"]
      expect((yield* cli(kept)).code).toBe(0)
      expect(yield* exported("other")).toHaveLength(4)
    }))

  it.effect.each(
    [
      ["a source is missing", ["--to", "memory:"], 64],
      ["a URL is none", ["--from", "nonsense:", "--to", "pglite:"], 64],
      ["the source is not there", ["--from", "pglite:/nowhere/at/all", "--to", "memory:"], 3],
      ["both are one directory", ["--from", "pglite:x", "--to", "pglite:./y/../x"], 64],
      ["the module is not there", ["--from", "memory:", "--to", "pglite:", "--events", "/nowhere.ts"], 3],
      ["a policy needs event types", ["--from", "memory:", "--to", "pglite:", "--unknown", "skip"], 64],
      ["a schema is none", ["--from", "memory:", "--to", "pglite:", "--to-schema", ""], 64]
    ] as const
  )("says what to do when %s", ([, args, expected]) =>
    Effect.gen(function*() {
      const { code, err, out } = yield* runCli(["migrate", "copy", ...args])
      expect([code, out]).toStrictEqual([expected, ""])
      expect(err).toMatch(/^error ES-1\d{3}: .+\n {2}why: .+\n {2}fix: .+\n$/)
    }))
})

describe("a copy to a server that is stopped", () => {
  const COUNT = 3_000
  const [server] = servers

  it.live.each([["SIGINT"], ["SIGKILL"]] as const)(
    "by %s goes on where it was, and the target is the image of the source",
    ([signal]) =>
      Effect.gen(function*() {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-copy-"))),
          (path) => Effect.sync(() => rmSync(path, { recursive: true }))
        )
        const to = yield* makeDatabase(server!.admin)
        const from = `pglite:${join(directory, "store")}`
        const file = join(directory, "in.ndjson")
        writeFileSync(
          file,
          ndjson(...Array.from({ length: COUNT }, (_, n) => ({
            stream: `account-${n * n % 41}`,
            type: "MoneyDeposited",
            data: { cents: n }
          })))
        )
        expect((yield* runCli(["import", file, "-q", "--url", from])).code).toBe(0)
        const copy = ["migrate", "copy", "--from", from, "--to", to, "--events", account]

        // one event at a time, so that it is met on its way
        const { child, ended } = yield* start([...copy, "--batch", "1"])
        const reached = yield* waitFor(eventsIn(to), (events) => events > 50)
        child.kill(signal)
        const stopped = yield* Effect.promise(() => ended)
        expect(reached).toBeLessThan(COUNT)
        if (signal === "SIGINT") {
          expect(stopped).toMatchObject({ code: 130, out: "" })
          expect(stopped.err).toContain("run the same command again")
        } else expect(stopped.signal).toBe("SIGKILL")

        const rest = yield* runCli([...copy, "--json"])
        expect([rest.code, rest.err]).toStrictEqual([0, ""])
        const { copied, digest, present } = JSON.parse(rest.out)
        expect(present).toBeGreaterThan(50)
        expect(copied).toBe(COUNT - present)
        const target = parseLines((yield* runCli(["export", "--url", to])).out)
        expect(target.map(({ data }) => data)).toStrictEqual(
          Array.from({ length: COUNT }, (_, n) => ({ amount: n / 100, currency: "EUR" }))
        )
        const again = JSON.parse((yield* runCli([...copy, "--json"])).out)
        expect(again).toMatchObject({ copied: 0, present: COUNT, digest })
      })
  )
})

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

const start = (args: ReadonlyArray<string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [main, ...args], {
          env: { PATH: process.env["PATH"] },
          stdio: ["ignore", "pipe", "pipe"]
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child: ChildProcess) => {
      let out = ""
      let err = ""
      child.stdout!.setEncoding("utf8").on("data", (text: string) => (out += text))
      child.stderr!.setEncoding("utf8").on("data", (text: string) => (err += text))
      const ended = once(child, "close").then(([code, signal]) => ({ code, signal, out, err }) as Ended)
      return { child, ended }
    }
  )

/** 0 as long as there is no schema. */
const eventsIn = (url: string) =>
  Effect.scoped(Effect.gen(function*() {
    const sql = yield* PgClient.make({ url: Redacted.make(url), maxConnections: 1 })
    const [row] = yield* sql.unsafe<{ readonly n: number }>("SELECT count(*)::int AS n FROM event_store.events")
    return row?.n ?? 0
  })).pipe(Effect.catch(() => Effect.succeed(0)), Effect.provide(Reactivity.layer))
