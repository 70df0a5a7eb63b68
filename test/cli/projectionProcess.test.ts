import { Effect, Exit, Scope } from "effect"
import { build } from "esbuild"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { ndjson, parseLines } from "./harness.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

const children: Array<ChildProcess> = []

afterAll(() => {
  for (const child of children) child.kill("SIGKILL")
})

let url = ""

const start = (main: string, cwd: string, args: ReadonlyArray<string>) => {
  const env = { PATH: process.env["PATH"], HOME: cwd, EVENT_STORE_URL: url }
  const child = spawn(process.execPath, [main, ...args], { cwd, env })
  children.push(child)
  const said = { out: "", err: "" }
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.out += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.err += text))
  child.stdin.on("error", () => undefined)
  return { child, said, ended: once(child, "close").then(([code]): Ended => ({ code, ...said })) }
}

const run = (main: string, cwd: string, args: ReadonlyArray<string>, stdin = ""): Promise<Ended> => {
  const { child, ended } = start(main, cwd, args)
  child.stdin.end(stdin)
  return ended
}

const sales = (count: number) =>
  ndjson(...Array.from({ length: count }, (_, n) => ({
    stream: `shop-${n % 7}`,
    type: "Sold",
    data: { country: n % 2 === 0 ? "DE" : "FR", cents: n }
  })))

/** A project of a user: its configuration finds this library by its name, and Effect beside it. */
const config = `import { Effect, Layer, Context, Schema } from "effect"
import { EventType } from "effect-event-store/event"
import { Projection, Reactor } from "effect-event-store/projection"
import { defineConfig } from "effect-event-store/runtime/StoreConfig"
import { appendFileSync } from "node:fs"

const Sold = EventType.make("Sold", { country: Schema.String, cents: Schema.Int })

class Printer extends Context.Service<Printer, { readonly print: (text: string) => Effect.Effect<void> }>()("Printer") {}

export default defineConfig({
  url: "pglite:not-taken",
  projections: [
    Projection.state({
      name: "cents",
      events: [Sold],
      state: Schema.Struct({ cents: Schema.Int }),
      initial: { cents: 0 },
      key: ({ data }) => data.country,
      on: { Sold: (state, { data }) => ({ cents: state.cents + data.cents }) }
    }),
    Projection.table({
      name: "revenue",
      events: [Sold],
      tables: { revenue: "country text PRIMARY KEY, cents bigint NOT NULL" },
      on: {
        Sold: ({ data }, { revenue }) => Projection.sql\`INSERT INTO \${revenue} AS r
          VALUES (\${data.country}, \${data.cents}::bigint) ON CONFLICT (country) DO UPDATE SET cents = r.cents + excluded.cents\`
      }
    }),
    Projection.state({
      name: "broken",
      events: "all",
      state: Schema.Int,
      initial: 0,
      on: (count: number): number => { throw new RangeError("never") }
    })
  ],
  reactors: [
    Reactor.make({
      name: "receipts",
      events: [Sold],
      from: "start",
      concurrency: 10,
      react: ({ data }) => Printer.use((printer) => printer.print(data.country))
    })
  ],
  services: Layer.succeed(Printer, { print: (text) => Effect.sync(() => appendFileSync("printed", text + "\\n")) })
})
`

/** Makes a folder in which `effect-event-store` is this checkout's source. */
const makeProject = (parent: string): string => {
  const project = mkdtempSync(parent)
  const library = join(project, "node_modules/effect-event-store")
  mkdirSync(library, { recursive: true })
  symlinkSync(join(root, "src"), join(library, "src"))
  const rooms = Object.fromEntries(["event", "projection"].map((room) => [`./${room}`, `./src/${room}/index.ts`]))
  writeFileSync(
    join(library, "package.json"),
    JSON.stringify({ name: "effect-event-store", type: "module", exports: { ...rooms, "./*": "./src/*.ts" } })
  )
  // a package of its own: within that of the checkout the name would mean what was built last
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "project", type: "module" }))
  writeFileSync(join(project, "event-store.config.ts"), config)
  return project
}

describe.each(["the source", "the bundle, which has a copy of effect of its own"])("projections by %s", (what) => {
  let project = ""
  let bundle = ""
  let main = join(root, "src/cli/main.ts")
  const scope = Scope.makeUnsafe()
  beforeAll(async () => {
    url = await Effect.runPromise(Effect.provideService(makeDatabase(servers[0]!.admin), Scope.Scope, scope))
    // inside of the checkout, so that the project finds `effect`
    project = makeProject(join(root, ".cli-project-"))
    if (what === "the source") return
    bundle = mkdtempSync(join(root, ".cli-bundle-"))
    await build({
      absWorkingDir: root,
      entryPoints: { main: "src/cli/main.ts" },
      outdir: join(bundle, "cli"),
      bundle: true,
      splitting: true,
      keepNames: true,
      format: "esm",
      platform: "node",
      target: "node24",
      external: ["@electric-sql/pglite"]
    })
    main = join(bundle, "cli/main.js")
  }, 60_000)
  afterAll(async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    for (const folder of [project, bundle]) if (folder !== "") rmSync(folder, { recursive: true, force: true })
  })

  it("run with the copy that they were made with, and their services", { timeout: 60_000 }, async () => {
    expect((await run(main, project, ["import", "-"], sales(100))).code).toBe(0)
    const ran = await run(main, project, [
      "projection",
      "run",
      "cents",
      "revenue",
      "receipts",
      "errors",
      "--once",
      "--json"
    ])
    expect([ran.err, ran.code]).toStrictEqual(["", 0])
    expect(JSON.parse(ran.out).projections.map((each: Record<string, unknown>) => [each["name"], each["newEvents"]]))
      .toStrictEqual([["cents", 100], ["revenue", 100], ["receipts", 100], ["errors", 100]])
    const shown = await run(main, project, ["projection", "show", "revenue", "-o", "ndjson"])
    expect(parseLines(shown.out)).toStrictEqual([{ country: "DE", cents: 2450 }, { country: "FR", cents: 2500 }])
    const verified = await run(main, project, ["projection", "verify"])
    expect([verified.code, verified.err]).toStrictEqual([0, ""])
    const rebuilt = await run(main, project, ["projection", "rebuild", "revenue", "--json"])
    expect([rebuilt.code, rebuilt.err]).toStrictEqual([0, ""])
    const diff = await run(main, project, ["projection", "diff", "revenue", "--json"])
    expect(JSON.parse(diff.out)).toMatchObject({ isSame: true, parts: [{ name: "revenue", same: 2 }] })
  })

  it("are built anew in the drill of a backup, and compared", { timeout: 120_000 }, async () => {
    const place = ["--dest", join(project, "backups")]
    expect((await run(main, project, ["backup", "create", ...place, "-q"])).code).toBe(0)
    const names = ["cents", "revenue", "broken"].flatMap((name) => ["--projection", name])
    const drilled = await run(main, project, ["backup", "drill", ...place, ...names, "--json"])
    expect(drilled.code).toBe(2)
    expect(drilled.err).toContain("ES-2024")
    expect(JSON.parse(drilled.out).projections).toMatchObject([
      { name: "cents", isSound: true, events: 100, stored: { outcome: "equal", position: 100, same: 2 } },
      { name: "revenue", isSound: true, events: 100, stored: { outcome: "not in the backup" } },
      { name: "broken", isSound: false, error: { code: "ES-1914" } }
    ])
    const memory = await run(main, project, [
      "backup",
      "drill",
      ...place,
      "--scratch",
      "memory",
      "--projection",
      "cents"
    ])
    expect(memory.code).toBe(what === "the source" ? 0 : 64)
  })

  it("fail with the same words and exit codes", { timeout: 60_000 }, async () => {
    const broken = await run(main, project, ["projection", "run", "broken", "--once", "--json"])
    expect([broken.code, broken.out]).toStrictEqual([1, ""])
    expect(broken.err).toContain("ES-1914")
    expect(broken.err).toContain("it threw RangeError")
    const reset = await run(main, project, ["projection", "reset", "receipts", "--yes"])
    expect([reset.code, reset.out]).toStrictEqual([64, ""])
    const missing = await run(main, project, ["projection", "run", "cents", "--once", "--url", "pglite:none"])
    expect([missing.code, missing.out]).toStrictEqual([3, ""])
    expect(missing.err).toContain("ES-1303")
  })

  it.each([["SIGINT", 130], ["SIGTERM", 143]] as const)(
    "are stopped by %s: the lease is given back, and it is said how to go on",
    { timeout: 60_000 },
    async (signal, expected) => {
      const printed = join(project, "printed")
      const before = readFileSync(printed, "utf8").length
      const names = ["cents", "receipts"]
      await run(main, project, ["import", "-", "--namespace", signal], sales(20))
      const { child, ended, said } = start(main, project, ["projection", "run", ...names])
      // it leads and reacts
      await Effect.runPromise(
        waitFor(Effect.sync(() => readFileSync(printed, "utf8").length), (length) => length >= before + 20 * 3)
      )
      expect(said.err).toBe("runs cents, receipts; an interrupt stops it\n")
      child.kill(signal)
      const { code, err, out } = await ended
      expect([code, out]).toStrictEqual([expected, ""])
      expect(err).toMatch(
        /receipts, version 1, has come to position \d+\nto go on where it stopped: event-store projection run cents receipts\n$/
      )
      const status = await run(main, project, ["projection", "status", ...names, "--json"])
      const stopped = { state: "stopped", isLed: false, owner: null }
      expect(JSON.parse(status.out)).toMatchObject({ projections: [stopped, stopped] })
      expect((await run(main, project, ["projection", "run", ...names, "--once"])).code).toBe(0)
    }
  )
})

describe("a project without effect-event-store", () => {
  it("is told what its projections need", { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "event-store-alone-"))
    const main = join(root, "src/cli/main.ts")
    try {
      // looks like a projection, and was made with nobody knows what
      writeFileSync(
        join(folder, "event-store.config.mjs"),
        "class Node {}\nexport default { projections: [{ _tag: \"Projection\", name: \"p\", version: 1, events: \"all\", " +
          "filter: {}, definition: \"\", target: { _tag: \"State\", json: { ast: new Node() } } }] }\n"
      )
      const { code, err, out } = await run(main, folder, ["projection", "run", "p", "--once"])
      expect([code, out]).toStrictEqual([65, ""])
      expect(err).toContain("ES-1704")
      expect(err).toContain("install effect-event-store")
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
