import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { execFile } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { findConfigFile, loadConfigFile } from "../../src/cli/internal/configFile.ts"
import { makeCli, type Ran, runCli } from "./harness.ts"

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))

const makeDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-config-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A directory with files in it. */
const withFiles = (files: Readonly<Record<string, string>>) =>
  Effect.map(makeDirectory, (directory) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
    return { directory, path: (name: string) => join(directory, name) }
  })

const inEnvironment = (env: Record<string, string>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env))

/** What doctor says of where its settings come from. */
const originsOf = ({ out }: Ran): string => /^OK +configuration: (.*)$/m.exec(out)?.[1] ?? out

describe("the configuration file", () => {
  it.effect("is found upward from where the command runs, TypeScript first", () =>
    Effect.gen(function*() {
      const { directory, path } = yield* withFiles({ "event-store.config.json": "{}" })
      const below = path("a/b/c")
      mkdirSync(below, { recursive: true })
      expect(findConfigFile(below).path).toBe(path("event-store.config.json"))
      for (const ending of ["mjs", "js", "mts", "ts"]) {
        writeFileSync(path(`event-store.config.${ending}`), "")
        expect(findConfigFile(below).path).toBe(path(`event-store.config.${ending}`))
      }
      writeFileSync(path("a/event-store.config.json"), "{}")
      expect(findConfigFile(below).path).toBe(path("a/event-store.config.json"))
      expect(findConfigFile(directory).path).toBe(path("event-store.config.ts"))
    }))

  it.effect("is passed over where anybody could have put it, for it is code that would be run", () =>
    Effect.gen(function*() {
      const { path } = yield* withFiles({ "event-store.config.json": "{}" })
      mkdirSync(path("a/b"), { recursive: true })
      writeFileSync(path("a/event-store.config.mjs"), "throw new Error('run')")
      chmodSync(path("a"), 0o777)
      expect(findConfigFile(path("a/b"))).toStrictEqual({
        path: path("event-store.config.json"),
        unsafe: path("a/event-store.config.mjs")
      })
    }))

  it.effect("gives way to the environment, which gives way to a flag", () =>
    Effect.gen(function*() {
      const { path } = yield* withFiles({
        "event-store.config.json": JSON.stringify({ url: "memory:", schema: "configured" })
      })
      const config = ["--config", path("event-store.config.json")]
      const doctor = ["doctor", ...config]
      expect(originsOf(yield* runCli(doctor).pipe(inEnvironment({})))).toBe(
        `${path("event-store.config.json")}; url by configuration, schema by configuration`
      )
      expect(originsOf(yield* runCli([...doctor, "--url", "memory:"]).pipe(inEnvironment({})))).toContain(
        "url by flag or environment, schema by configuration"
      )
      const env = inEnvironment({ EVENT_STORE_URL: "memory:", EVENT_STORE_SCHEMA: "elsewhere" })
      expect(originsOf(yield* runCli(doctor).pipe(env))).toContain("url by flag or environment, schema by flag")
      const sql = (args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
        runCli(["schema", "sql", ...config, ...args]).pipe(inEnvironment({ EVENT_STORE_URL: "pglite:", ...env }))
      expect((yield* sql([])).out).toContain("\"configured\".")
      expect((yield* sql([], { EVENT_STORE_SCHEMA: "from_env" })).out).toContain("\"from_env\".")
      const flagged = yield* sql(["--schema", "from_flag"], { EVENT_STORE_SCHEMA: "from_env" })
      expect(flagged.out).toContain("\"from_flag\".")
      expect(flagged.out).not.toContain("\"from_env\".")
      const none = runCli(["schema", "sql", "--config", "none"]).pipe(inEnvironment({ EVENT_STORE_URL: "pglite:" }))
      expect((yield* none).out).toContain("\"event_store\".")
    }))

  it.effect("names an embedded store by a path that is relative to the file", () =>
    Effect.gen(function*() {
      const { path } = yield* withFiles({ "c.json": JSON.stringify({ url: "pglite:data/store" }) })
      expect((yield* loadConfigFile(path("c.json"))).url).toBe(`pglite:${path("data/store")}`)
      for (const url of ["memory:", "pglite:", "pglite:/abs", "postgres://u:p@h/d", "nonsense"]) {
        writeFileSync(path("c.json"), JSON.stringify({ url }))
        expect((yield* loadConfigFile(path("c.json"))).url).toBe(url)
      }
    }))

  it.effect("is refused with what is wrong with it, never with what stands in it", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeCli
      const { path } = yield* withFiles({
        "key.json": JSON.stringify({ url: "memory:", projektions: [] }),
        "type.json": JSON.stringify({ url: 5, projections: {} }),
        "array.json": "[]",
        "broken.json": "{\"url\": \"postgres://user:secret@host/db\"",
        "throwing.mjs": "throw new Error('DATABASE_URL is missing')",
        "empty.mjs": "export const url = 'memory:'"
      })
      for (
        const [name, code, why] of [
          ["key.json", "ES-1709", "unknown key \"projektions\""],
          ["type.json", "ES-1709", "url: expected a text; projections: expected an array"],
          ["array.json", "ES-1709", "exports no configuration"],
          ["broken.json", "ES-1708", "it is not JSON"],
          ["throwing.mjs", "ES-1708", "DATABASE_URL is missing"],
          ["empty.mjs", "ES-1709", "exports no configuration"]
        ] as const
      ) {
        const ran = yield* cli(["stream", "list", "--config", path(name), "--json"])
        expect([name, ran.code, ran.out]).toStrictEqual([name, 65, ""])
        expect(JSON.parse(ran.err)).toMatchObject({ error: { code, details: { why: expect.stringContaining(why) } } })
        expect(ran.err).not.toContain("secret")
      }
      const missing = yield* cli(["stream", "list", "--config", path("none.ts")])
      expect([missing.code, missing.err]).toStrictEqual([3, expect.stringContaining("ES-1305")])
    }))

  it.effect("says which event types there are, where --events is left out", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeCli
      const { path } = yield* withFiles({ "event-store.config.json": "{}" })
      const config = fileURLToPath(new URL("programs/sales.config.ts", import.meta.url))
      const lock = path("lock.json")
      expect((yield* cli(["schema", "lock", "--out", lock, "--config", config])).code).toBe(0)
      expect(JSON.stringify(JSON.parse(readFileSync(lock, "utf8")))).toContain("Sold")
      expect((yield* cli(["schema", "check", "--lock", lock, "--ci", "--config", config])).code).toBe(0)
      for (const none of ["none", path("event-store.config.json")]) {
        const { code, err, out } = yield* cli(["schema", "check", "--lock", lock, "--config", none])
        expect([code, out]).toStrictEqual([64, ""])
        expect(err).toContain("--events FILE")
      }
    }))

  it.effect("is not run for help, nor where nothing of it is wanted", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeCli
      const { path } = yield* withFiles({ "c.mjs": "throw new Error('it was run')" })
      const config = ["--config", path("c.mjs")]
      expect(yield* cli(["help", "exit-codes", ...config])).toMatchObject({ code: 0, err: "" })
      expect(yield* cli(["stream", "list", "--help", ...config])).toMatchObject({ code: 0, err: "" })
      expect(yield* cli(["stream", "list", ...config, "--url", "memory:", "--schema", "s"])).toMatchObject({ code: 0 })
      expect(yield* cli(["stream", "list", ...config])).toMatchObject({ code: 65 })
    }))
})

describe("a process", () => {
  const run = (cwd: string, ...args: ReadonlyArray<string>) =>
    promisify(execFile)(process.execPath, [main, ...args], {
      cwd,
      env: { PATH: process.env["PATH"], HOME: cwd }
    }).then(({ stderr, stdout }) => ({ out: stdout, err: stderr }))

  it.live("takes the TypeScript configuration above its working directory", () =>
    Effect.gen(function*() {
      const { directory, path } = yield* withFiles({
        "event-store.config.ts":
          "const config: { readonly url: string } = { url: `pglite:${\"kept\"}` }\nexport default config\n"
      })
      mkdirSync(path("deep/er"), { recursive: true })
      yield* Effect.promise(() => run(directory, "event", "append", "account-1", "AccountOpened", "--data", "{}"))
      const { err, out } = yield* Effect.promise(() => run(path("deep/er"), "stream", "list", "--json"))
      expect([JSON.parse(out).streams.length, err]).toStrictEqual([1, ""])
    }))
})
