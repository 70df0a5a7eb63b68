import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { zstdCompressSync } from "node:zlib"
import { main } from "../../bin/example.ts"

const bin = fileURLToPath(new URL("../../bin/example.ts", import.meta.url))

/** Runs the command in this process, and collects what it prints. */
const run = (...args: ReadonlyArray<string>) => {
  const out: Array<string> = []
  const err: Array<string> = []
  const console = {
    ...globalThis.console,
    log: (text: string) => out.push(text),
    error: (text: string) => err.push(text)
  }
  return main(args).pipe(
    Effect.map((code) => ({ code, out: out.join("\n"), err: err.join("\n") })),
    Effect.provideService(Console.Console, console as unknown as Console.Console),
    Effect.provide(NodeServices.layer)
  )
}

/** A directory that is gone with the test. */
const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-examples-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

describe("the command of the examples", () => {
  it.live("prints the totals of the loan sample as one line, and leaves no store behind", () =>
    Effect.gen(function*() {
      const scratch = yield* directory
      const { status, stderr, stdout } = spawnSync(process.execPath, [bin, "loan", "-o", "json"], {
        encoding: "utf8",
        env: { ...process.env, TMPDIR: scratch }
      })
      assert.strictEqual(stderr, "")
      assert.strictEqual(stdout, "{\"submitted\":200,\"approved\":38,\"declined\":116,\"cancelled\":46}\n")
      assert.strictEqual(status, 0)
      assert.deepStrictEqual(readdirSync(scratch), [])
    }).pipe(Effect.scoped))

  it.live("reports on the loan sample in words", () =>
    Effect.gen(function*() {
      const { code, out } = yield* run("loan", "--url", "memory:")
      assert.strictEqual(code, 0)
      assert.include(out, "Replayed   4,459 events of 200 applications")
      assert.include(out, "4,440 of 4,459 events (99.57 %)")
      assert.match(out, /15 {2}CompleteWork +the task is not going on +loan-173709 at 10/)
      assert.match(out, /82 {2}accepted +41\.00 %/)
      assert.match(out, /38 {2}approved +14\.3 days +44\.8 days +70\.9 days/)
      assert.include(
        out,
        "loan-funnel saw 1,074 events, loan-throughput saw 400 events: those of the log, each one once"
      )
    }))

  it.live("prints the totals and the sale of the shop sample as one line", () =>
    Effect.gen(function*() {
      const { code, err, out } = yield* run("shop", "-o", "json", "--url", "memory:")
      const { sale, ...totals } = JSON.parse(out)
      assert.deepStrictEqual([code, err], [0, ""])
      assert.deepStrictEqual(totals, { orders: 84, lines: 1_898, pieces: 18_369, totalPence: 3_743_626 })
      assert.strictEqual(sale.oversold, 0)
    }))

  it.live("reports on the shop sample in words", () =>
    Effect.gen(function*() {
      const { code, out } = yield* run("shop", "--url", "memory:")
      assert.strictEqual(code, 0)
      assert.include(out, "Orders     84 with 1,898 lines, 18,369 pieces for GBP 37,436")
      assert.match(out, /^Oversold {3}0$/m)
    }))

  it.live("prints the read models of the retail sample as one line", () =>
    Effect.gen(function*() {
      const { code, err, out } = yield* run("retail", "-o", "json", "--url", "pglite:")
      assert.deepStrictEqual([code, err, out.includes("\n")], [0, "", false])
      const { best, customers, revenue, stock } = JSON.parse(out)
      assert.deepStrictEqual([revenue.orders, revenue.lines, revenue.soldMills], [84, 1_898, 37_436_260])
      assert.deepStrictEqual([stock.items, stock.sold, customers.customers], [1_008, 18_369, 70])
      assert.strictEqual(best.days[0].sold, "33293.550")
    }))

  it.live("reports on the read models of the retail sample in words, from an embedded store of its own", () =>
    Effect.gen(function*() {
      const { code, out } = yield* run("retail")
      assert.strictEqual(code, 0)
      assert.include(out, "84 orders and 5 credit notes of 7 countries: sold GBP 37436.260, returned GBP 202.930")
      assert.match(out, /2010-12-01 {2}Norway +1 orders +1919\.140/)
      assert.match(out, /17021 +600 sold +-600 in all/)
      assert.match(out, /customer-16029 +2 orders +3702\.120/)
      assert.include(out, "retail-revenue saw 1,999 events")
    }))

  it.live("keeps the store that a URL names", () =>
    Effect.gen(function*() {
      const store = join(yield* directory, "store")
      mkdirSync(store)
      yield* run("loan", "--url", `pglite:${store}`)
      const { out } = yield* run("loan", "--url", `pglite:${store}`)
      assert.include(out, "Imported   0 events from loan-sample.ndjson (4,459 were there already)")
    }).pipe(Effect.scoped))

  it.live("answers arguments that make no sense with its usage and 64", () =>
    Effect.gen(function*() {
      const wrong = [
        [],
        ["bank"],
        ["toString"],
        ["loan", "a", "b"],
        ["loan", "-o", "xml"],
        ["loan", "--no-such-flag"],
        [
          "loan",
          "--url"
        ]
      ]
      for (const args of wrong) {
        const { code, err, out } = yield* run(...args)
        assert.deepStrictEqual([code, out], [64, ""], args.join(" "))
        assert.match(err, /^error: .+\n\nUsage: npm run -s example -- loan\|shop\|retail \[FILE\]/)
      }
      const help = yield* run("--help")
      assert.strictEqual(help.code, 0)
      assert.match(help.out, /^Usage: /)
    }))

  it.live("says what failed, why, and what to do", () =>
    Effect.gen(function*() {
      const folder = yield* directory
      const file = (name: string, content: string | Uint8Array) => {
        writeFileSync(join(folder, name), content)
        return join(folder, name)
      }
      const line = (type: string) => JSON.stringify({ stream: "loan-1", type, data: {} })
      const cut = zstdCompressSync("{}").subarray(0, -1)
      const cases = [
        [3, "there is no such file", ["loan", join(folder, "missing.ndjson")]],
        [65, "the file holds nothing for this example", ["shop", file("empty.ndjson", "")]],
        [65, "the file has a line that cannot be imported", ["shop", file("damaged.ndjson", "{\"stream\":")]],
        [65, "the file cannot be decompressed", ["loan", file("cut.zst", cut)]],
        [65, "the file cannot be decompressed", ["shop", file("cut", cut)]],
        [65, "the store holds an event that the example cannot read", [
          "loan",
          file("other.ndjson", line("CartFilled"))
        ]],
        [65, "the store holds an event that the example cannot read", [
          "retail",
          file("broken.ndjson", line("ItemAdded").replace("loan-1", "order-1")),
          "--url",
          "pglite:"
        ]],
        [65, "the file holds nothing for this example", ["retail", file("none.ndjson", ""), "--url", "pglite:"]],
        [64, "the store cannot hold what this example makes", ["retail", "--url", "memory:"]],
        [64, "the store's URL is not one", ["loan", "--url", "mysql://there"]]
      ] as const
      for (const [code, what, args] of cases) {
        const ended = yield* run(
          ...args,
          ...(args.some((arg) => arg === "--url")
            ? []
            : ["--url", "memory:"]),
          "-o",
          "json"
        )
        assert.deepStrictEqual([ended.code, ended.out], [code, ""], ended.err)
        assert.match(ended.err, /^error: .+\n {2}why: .+\n {2}fix: .+$/)
        assert.include(ended.err, what)
      }
    }).pipe(Effect.scoped))
})
