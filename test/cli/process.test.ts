import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ndjson, parseLines } from "./harness.ts"

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url))

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
}

let directory = ""
const children: Array<ChildProcess> = []

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "event-store-process-"))
})

afterAll(() => {
  for (const child of children) child.kill("SIGKILL")
  rmSync(directory, { recursive: true, force: true })
})

const start = (args: ReadonlyArray<string>, url = "memory:"): Started => {
  const child = spawn(process.execPath, [main, ...args], {
    cwd: directory,
    env: { PATH: process.env["PATH"], HOME: directory, EVENT_STORE_URL: url }
  })
  children.push(child)
  let out = ""
  let err = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text))
  child.stdin.on("error", () => undefined)
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, out, err }) as Ended)
  return { child, ended }
}

const runToEnd = (args: ReadonlyArray<string>, url?: string, stdin = ""): Promise<Ended> => {
  const { child, ended } = start(args, url)
  child.stdin!.end(stdin)
  return ended
}

const lines = (count: number, start = 0): string =>
  ndjson(...Array.from({ length: count }, (_, n) => ({
    stream: `account-${(start + n) % 97}`,
    type: "MoneyDeposited",
    data: { amount: start + n, note: "x".repeat(60) }
  })))

/** Resolves when the child has taken all of the text out of our hands. */
const feed = async (child: ChildProcess, text: string): Promise<void> => {
  if (!child.stdin!.write(text)) await once(child.stdin!, "drain")
}

const amounts = (text: string) => parseLines(text).map(({ data }) => (data as { readonly amount: number }).amount)

describe("the process", () => {
  it("has the version of the package", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
    for (const flag of ["--version", "-v"]) {
      expect(await runToEnd([flag])).toMatchObject({ code: 0, out: `event-store ${version}\n`, err: "" })
    }
  })

  it("exits with 0 and its data on standard output", async () => {
    const { code, out } = await runToEnd(["import", "-", "--json"], "memory:", lines(10))
    expect([code, JSON.parse(out).appended]).toStrictEqual([0, 10])
  })

  it.each([
    [3, ["maint", "stats"], "pglite:not-there"],
    [5, ["maint", "stats"], "closed"],
    [6, ["stream", "tombstone", "account-1"], "pglite:kept"],
    [64, ["import"], "memory:"],
    [64, ["maint", "stats"], "nonsense:"],
    [65, ["import", "-"], "memory:"]
  ])("exits with %i and nothing on standard output: %s on %s", async (expected, args, url) => {
    if (url === "pglite:kept") await runToEnd(["event", "append", "account-1", "T"], url)
    const { code, err, out } = await runToEnd(args, url === "closed" ? await closedPort() : url, "nonsense\n")
    expect([code, out]).toStrictEqual([expected, ""])
    expect(err).toMatch(/^error ES-1\d{3}: .+\n {2}why: .+\n {2}fix: .+\n$/)
  })

  it("exits with 0 in silence when the reader of its output goes away", async () => {
    const url = "pglite:piped"
    await runToEnd(["import", "-"], url, lines(3_000))
    const { child, ended } = start(["export"], url)
    await once(child.stdout!, "data")
    child.stdout!.destroy()
    expect(await ended).toMatchObject({ code: 0, err: "" })
  })

  it.each([["SIGINT", 130], ["SIGTERM", 143]] as const)(
    "that is told to stop by %s exits with %i and says where to resume",
    async (signal, expected) => {
      const url = "pglite:tailed"
      await runToEnd(["import", "-"], url, lines(5))
      const { child, ended } = start(["stream", "tail", "--from-position", "0"], url)
      await once(child.stdout!, "data")
      // while it has the directory open, nobody else does
      expect(await runToEnd(["maint", "stats"], url)).toMatchObject({ code: 5, out: "" })
      child.kill(signal)
      const { code, err, out } = await ended
      expect([code, out.split("\n").length - 1]).toStrictEqual([expected, 5])
      expect(err).toBe("to resume: --from-position 5\n")
    }
  )
})

describe("an import that is stopped", () => {
  const COUNT = 12_000

  it.each([["SIGINT", "pglite:interrupted"], ["SIGKILL", "pglite:killed"]] as const)(
    "by %s has kept what was acknowledged, and the next one goes on in the order of the lines",
    async (signal, url) => {
      const { child, ended } = start(["import", "-", "--batch", "100"], url)
      await feed(child, lines(COUNT / 2))
      child.kill(signal)
      const stopped = await ended
      const exported = await runToEnd(["export"], url)
      const kept = amounts(exported.out)
      if (signal === "SIGINT") {
        expect(stopped).toMatchObject({ code: 130, out: "" })
        expect(stopped.err).toContain("run the same command again")
        const told = Number(/at least ([\d,]+) events/.exec(stopped.err)?.[1]?.replace(",", ""))
        expect(told).toBeGreaterThan(0)
        expect(kept.length).toBeGreaterThanOrEqual(told)
      } else expect(stopped.signal).toBe("SIGKILL")
      expect(kept.length).toBeGreaterThan(0)
      expect(kept).toStrictEqual(kept.map((_, index) => index))

      const { code, out } = await runToEnd(["import", "-", "--json"], url, lines(COUNT))
      expect(code).toBe(0)
      expect(JSON.parse(out)).toMatchObject({ read: COUNT, appended: COUNT - kept.length, skipped: kept.length })
      const whole = await runToEnd(["export"], url)
      expect(amounts(whole.out)).toStrictEqual(Array.from({ length: COUNT }, (_, index) => index))
    }
  )
})

/** A URL of a port at which nobody listens. */
const closedPort = async (): Promise<string> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { readonly port: number }
  server.close()
  await once(server, "close")
  return `postgres://nobody@127.0.0.1:${port}/none`
}
