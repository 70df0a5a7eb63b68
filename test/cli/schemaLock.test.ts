import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { makeCli, ndjson, parseLines } from "./harness.ts"

const program = (name: string): string => fileURLToPath(new URL(`./programs/${name}.ts`, import.meta.url))

const account = program("account")

/** A command line, and a directory for its files. */
const prepared = Effect.gen(function*() {
  const { cli } = yield* makeCli
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-lock-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const lockFile = join(directory, "events.lock.json")
  const lock = (events: string, ...args: ReadonlyArray<string>) =>
    cli(["schema", "lock", "--events", events, "--out", lockFile, ...args])
  const check = (events: string, ...args: ReadonlyArray<string>) =>
    cli(["schema", "check", "--events", events, "--lock", lockFile, ...args])
  return { cli, directory, lockFile, lock, check }
})

/** Every version that the module knows, and a deposit that fits none. */
const stored = ndjson(
  { stream: "account-1", type: "AccountOpened", data: { owner: "ann" } },
  { stream: "account-1", type: "MoneyDeposited", data: { cents: 125 } },
  { stream: "account-1", type: "MoneyDeposited", data: { amount: 3 }, version: 2 },
  { stream: "account-2", type: "MoneyDeposited", data: { amount: 4, currency: "USD" }, version: 3 }
)

const broken = ndjson({ stream: "account-2", type: "MoneyDeposited", data: { cents: "many" } })

describe("schema lock", () => {
  it.effect("writes every version of every type, sorted, and the same text each time", () =>
    Effect.gen(function*() {
      const { directory, lock, lockFile } = yield* prepared
      expect(yield* lock(account, "--json")).toMatchObject({
        code: 0,
        out: `${JSON.stringify({ path: lockFile, types: 2, versions: 4, changed: 0 })}\n`
      })
      const text = readFileSync(lockFile, "utf8")
      expect(text.endsWith("}\n")).toBe(true)
      const { types } = JSON.parse(text) as {
        readonly types: ReadonlyArray<
          { readonly name: string; readonly shapes: ReadonlyArray<{ readonly version: number }> }
        >
      }
      expect(types.map(({ name, shapes }) => [name, shapes.map(({ version }) => version)])).toStrictEqual([
        ["AccountOpened", [1]],
        ["MoneyDeposited", [1, 2, 3]]
      ])
      expect((yield* lock(account)).out).toContain("2 types in 4 versions are locked")
      expect(readFileSync(lockFile, "utf8")).toBe(text)
      expect(readdirSync(directory)).toStrictEqual(["events.lock.json"])
    }))

  it.effect("keeps a lock that it would make forget a shape, unless it is told to", () =>
    Effect.gen(function*() {
      const { lock, lockFile } = yield* prepared
      yield* lock(account)
      const before = readFileSync(lockFile, "utf8")
      const refused = yield* lock(program("accountEdited"))
      expect(refused.code).toBe(2)
      expect(refused.out).toContain("AccountOpened, version 1, was edited in place")
      expect(refused.err).toContain("ES-1604")
      expect(readFileSync(lockFile, "utf8")).toBe(before)
      expect((yield* lock(program("accountEdited"), "--force")).code).toBe(0)
      expect(readFileSync(lockFile, "utf8")).not.toBe(before)
    }))

  it.effect("never writes over a file that is something else", () =>
    Effect.gen(function*() {
      const { lock, lockFile } = yield* prepared
      for (const text of ["not JSON", "{\"name\":\"package\"}", ""]) {
        writeFileSync(lockFile, text)
        for (const args of [[], ["--force"]]) {
          const { code, err, out } = yield* lock(account, ...args)
          expect([code, out]).toStrictEqual([65, ""])
          expect(err).toContain("ES-1705")
        }
        expect(readFileSync(lockFile, "utf8")).toBe(text)
      }
    }))
})

describe("schema check", () => {
  it.effect("exits with 0 when nothing differs, and with 2 for each version that was edited in place or removed", () =>
    Effect.gen(function*() {
      const { check, lock } = yield* prepared
      yield* lock(account)
      expect(yield* check(account)).toMatchObject({
        code: 0,
        out: "the event types are as they were locked\n",
        err: ""
      })
      expect((yield* check(account, "--json")).out).toBe("{\"equal\":true,\"differences\":[]}\n")
      const edited = yield* check(program("accountEdited"), "--json")
      expect(edited.code).toBe(2)
      const { differences, equal } = JSON.parse(edited.out) as {
        readonly equal: boolean
        readonly differences: ReadonlyArray<Record<string, unknown>>
      }
      expect(equal).toBe(false)
      expect(differences.map(({ _tag, breaking, type, version }) => [_tag, type, version, breaking])).toStrictEqual([
        ["New", "AccountClosed", 1, false],
        ["EditedInPlace", "AccountOpened", 1, true],
        ["Removed", "MoneyDeposited", 1, true],
        ["Removed", "MoneyDeposited", 2, true],
        ["Removed", "MoneyDeposited", 3, true]
      ])
      expect(JSON.parse(edited.err)).toMatchObject({ error: { code: "ES-1604", hint: expect.any(String) } })
      expect(parseLines((yield* check(program("accountEdited"), "-o", "ndjson")).out)).toHaveLength(5)
      expect((yield* check(program("accountEdited"))).out).toMatch(/^AccountClosed, version 1, is new: lock it\n/)
    }))

  it.effect("takes a version that is not locked yet, except with --ci", () =>
    Effect.gen(function*() {
      const { check, lock } = yield* prepared
      yield* lock(account)
      const wider = program("accountWider")
      expect((yield* check(wider)).code).toBe(0)
      const ci = yield* check(wider, "--ci")
      expect(ci.code).toBe(2)
      expect(ci.err).toContain("schema lock --events")
      yield* lock(wider)
      expect((yield* check(wider, "--ci")).code).toBe(0)
    }))

  it.effect("counts what is stored by type and version, and decodes all of it", () =>
    Effect.gen(function*() {
      const { check, cli, lock } = yield* prepared
      yield* lock(account)
      yield* cli(["import", "-", "-q"], { stdin: stored })
      const { code, out } = yield* check(account, "--db", "--json")
      expect(code).toBe(0)
      expect(JSON.parse(out).stored).toStrictEqual({
        events: 4,
        decoded: 4,
        failed: 0,
        versions: [
          { type: "AccountOpened", version: 1, events: 1, decoded: 1, failed: 0, state: "newest" },
          { type: "MoneyDeposited", version: 1, events: 1, decoded: 1, failed: 0, state: "deprecated" },
          { type: "MoneyDeposited", version: 2, events: 1, decoded: 1, failed: 0, state: "older" },
          { type: "MoneyDeposited", version: 3, events: 1, decoded: 1, failed: 0, state: "newest" }
        ],
        failures: []
      })
      expect((yield* check(account, "--db")).out).toMatch(/\nMoneyDeposited +1 +1 +1 +0 {2}deprecated\n/)
    }))

  it.effect("exits with 2 for an event that does not decode, and says where it is and why, without its data", () =>
    Effect.gen(function*() {
      const { check, cli, lock } = yield* prepared
      yield* lock(account)
      yield* cli(["import", "-", "-q"], {
        stdin: stored + broken + ndjson({ stream: "note", type: "NoteTaken", data: { secret: "s3cret" } })
      })
      const { code, err, out } = yield* check(account, "--db", "--json")
      expect(code).toBe(2)
      expect(JSON.parse(err)).toMatchObject({ error: { code: "ES-1605" } })
      expect(JSON.parse(out).stored).toMatchObject({ events: 6, decoded: 4, failed: 2 })
      expect(JSON.parse(out).stored.failures).toStrictEqual([
        {
          type: "MoneyDeposited",
          version: 1,
          streamId: "account-2",
          revision: 1,
          position: 5,
          path: "data.cents",
          error: "EventDataInvalid",
          reason: expect.any(String)
        },
        {
          type: "NoteTaken",
          version: 1,
          streamId: "note",
          revision: 0,
          position: 6,
          path: "type",
          error: "EventUnknown",
          reason: expect.any(String)
        }
      ])
      const table = yield* check(account, "--db")
      expect(table.out).toMatch(/\nMoneyDeposited +1 {2}account-2 +1 {2}data\.cents {2}\S/)
      expect(table.out + table.err).not.toMatch(/s3cret|many/)
      const skipping = yield* check(account, "--db", "--unknown", "skip", "--json")
      expect(JSON.parse(skipping.out).stored).toMatchObject({ events: 6, decoded: 4, failed: 1 })
    }))

  it.effect("decodes the same sample each time, with the first event of each version", () =>
    Effect.gen(function*() {
      const { check, cli, lock } = yield* prepared
      yield* lock(account)
      const many = Array.from({ length: 1_000 }, (_, n) => ({
        stream: `account-${n % 7}`,
        type: "MoneyDeposited",
        data: { amount: n },
        version: 2
      }))
      yield* cli(["import", "-", "-q"], { stdin: stored + ndjson(...many) })
      const [once, again] = [
        yield* check(account, "--db", "--sample", "100", "--json"),
        yield* check(account, "--db", "--sample", "100", "--json")
      ]
      expect(once).toStrictEqual(again)
      const { decoded, events, versions } = JSON.parse(once.out).stored
      expect(events).toBe(1_004)
      expect(decoded).toBeGreaterThanOrEqual(100)
      expect(decoded).toBeLessThanOrEqual(104)
      expect(versions.every((version: { readonly decoded: number }) => version.decoded > 0)).toBe(true)
      const all = yield* check(account, "--db", "--sample", "100000", "--json")
      expect(JSON.parse(all.out).stored.decoded).toBe(1_004)
    }))

  it.effect("samples every version of a log that was written in a rhythm", () =>
    Effect.gen(function*() {
      const { check, cli, lock } = yield* prepared
      yield* lock(account)
      const inTurns = Array.from({ length: 900 }, (_, n) => ({
        stream: "account-1",
        type: "MoneyDeposited",
        ...[
          { version: 1, data: { cents: n } },
          { version: 2, data: { amount: n } },
          { version: 3, data: { amount: n, currency: "EUR" } }
        ][n % 3]
      }))
      yield* cli(["import", "-", "-q"], { stdin: ndjson(...inTurns) })
      const { out } = yield* check(account, "--db", "--sample", "300", "--json")
      const decoded = JSON.parse(out).stored.versions.map((version: { readonly decoded: number }) => version.decoded)
      expect(decoded.filter((count: number) => count > 80)).toHaveLength(3)
    }))
})

describe("a module", () => {
  it.effect.each(
    [
      ["that is not there", "/nowhere/events.ts", 3, "ES-1301", "no such file"],
      ["that is a directory", tmpdir(), 65, "ES-1701", "cannot be loaded"],
      ["that throws", program("throwing"), 65, "ES-1701", "DATABASE_URL is missing"],
      ["without event types", program("noTypes"), 65, "ES-1702", "answer"],
      ["whose types contradict each other", program("contradicting"), 65, "ES-1703", "AccountOpened"]
    ] as const
  )("%s is refused, with what to do", ([, events, exitCode, errorCode, hint]) =>
    Effect.gen(function*() {
      const { check, directory, lock } = yield* prepared
      for (const run of [lock, check]) {
        const { code, err, out } = yield* run(events)
        expect([code, out]).toStrictEqual([exitCode, ""])
        expect(err).toContain(errorCode)
        expect(err).toContain(hint)
        expect(err).toMatch(/^error ES-1\d{3}: .+\n {2}why: .+\n {2}fix: .+\n$/)
      }
      expect(readdirSync(directory)).toStrictEqual([])
    }))

  it.effect("that cannot be read as TypeScript is refused, with the reason", () =>
    Effect.gen(function*() {
      const { directory, lock } = yield* prepared
      const path = join(directory, "events.ts")
      writeFileSync(path, "export const = 1\n")
      expect(yield* lock(path)).toMatchObject({ code: 65, out: "", err: expect.stringContaining("ES-1701") })
    }))

  it.effect("without a lock exits with 3 and says how to make one", () =>
    Effect.gen(function*() {
      const { check } = yield* prepared
      const { code, err, out } = yield* check(account)
      expect([code, out]).toStrictEqual([3, ""])
      expect(err).toContain("event-store schema lock --events")
    }))

  it.effect("is needed, and --sample needs --db", () =>
    Effect.gen(function*() {
      const { check, cli } = yield* prepared
      expect(yield* cli(["schema", "lock"])).toMatchObject({
        code: 64,
        out: "",
        err: expect.stringContaining("events")
      })
      expect(yield* check(account, "--sample", "5")).toMatchObject({ code: 64, out: "" })
      expect(yield* check(account, "--db", "--sample", "0")).toMatchObject({ code: 64, out: "" })
    }))
})
