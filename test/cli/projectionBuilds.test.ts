import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { parseLines } from "./harness.ts"
import { config, makeFilled, type Store, stores, without } from "./projectionStores.ts"

const suite = (storage: string, store: Store, hasTables: boolean) =>
  describe(`builds, rows and replays of event-store (${storage})`, () => {
    it.live("rebuilds beside what is live, swaps, goes back, gives up and cleans up", () =>
      Effect.gen(function*() {
        const { cli, json } = yield* makeFilled(store)
        yield* cli(["projection", "run", "total", "--once", ...config])
        const rebuild = ["projection", "rebuild", "total"]
        const buildOf = Effect.map(json(["projection", "status", "total", ...config]), ({ projections }) =>
          projections.map((each: Record<string, unknown>) => [each["build"], each["buildStatus"], each["isLive"]]))
        expect((yield* cli([...rebuild, "--dry-run", ...config])).out).toMatch(
          /^would build beside what is live, and swap total, .* live now: version 1, build 1, .*nothing was written\n$/
        )
        expect(yield* json([...rebuild, "--blue-green", ...config])).toMatchObject({
          projections: [{
            name: "total",
            version: 1,
            build: 2,
            position: 4,
            events: 3,
            replaced: [{ version: 1, build: 1 }]
          }]
        })
        expect(yield* buildOf).toStrictEqual([[1, "kept", false], [2, "current", true]])
        expect((yield* json(["projection", "show", "total"])).state).toStrictEqual({ cents: 850, sales: 3 })
        expect(yield* json([...rebuild, "--rollback", ...config])).toMatchObject({ projections: [{ build: 1 }] })

        expect(yield* json([...rebuild, "--no-swap", ...config])).toMatchObject({
          projections: [{ build: 3, replaced: [] }]
        })
        expect(yield* cli([...rebuild, "--cancel", ...without])).toMatchObject({ code: 6, out: "" })
        expect(yield* json([...rebuild, "--cancel", "--dry-run", ...without])).toMatchObject({
          projections: [{ name: "total", removed: 1, isDryRun: true }]
        })
        expect(yield* json([...rebuild, "--cancel", "--yes", ...without])).toMatchObject({
          projections: [{ name: "total", removed: 1 }]
        })
        expect(yield* json([...rebuild, "--cancel", ...without])).toMatchObject({ projections: [{ removed: 0 }] })
        // a version that is not live yet
        yield* json(["projection", "rebuild", "countries", "--no-swap", ...config])
        expect(yield* json(["projection", "rebuild", "countries", "--cancel", "--yes", ...without])).toMatchObject({
          projections: [{ name: "countries", versions: [2], removed: 1 }]
        })
        expect(yield* cli(["projection", "rebuild", "nobody", "--cancel", "--yes"])).toMatchObject({ code: 3, out: "" })
        yield* json([...rebuild, "--no-swap", ...config])
        expect(yield* json([...rebuild, "--swap", "--keep-old", "1s", ...config])).toMatchObject({
          projections: [{ replaced: [{ version: 1, build: 1 }] }]
        })
        expect((yield* cli([...rebuild, "--drop-retired", "--dry-run", ...without])).out).toMatch(
          /^(total, version 1, build \d: would be removed\n)*$/
        )
        expect((yield* cli([...rebuild, "--drop-retired", ...without])).code).toBe(0)

        expect(yield* cli([...rebuild, "--in-place", ...config])).toMatchObject({ code: 6, out: "" })
        expect(yield* json([...rebuild, "--in-place", "--yes", ...config])).toMatchObject({
          projections: [{ events: 3 }]
        })
        expect((yield* json(["projection", "show", "total"])).state).toStrictEqual({ cents: 850, sales: 3 })
      }))

    it.live("compares what is live with what was built beside it, and exits with 2 when they differ", () =>
      Effect.gen(function*() {
        const { cli, json } = yield* makeFilled(store)
        yield* cli(["projection", "run", "total", "countries", "--once", ...config])
        expect(yield* cli(["projection", "diff", "total", ...config])).toMatchObject({ code: 3, out: "" })
        yield* json(["projection", "rebuild", "total", "--no-swap", ...config])
        const same = yield* json(["projection", "diff", "total", ...config])
        expect(same).toMatchObject({
          isSame: true,
          isSamePosition: true,
          parts: [{ name: "states", same: 1, changed: 0 }]
        })

        yield* cli(["projection", "rebuild", "total", "--cancel", "--yes"])
        yield* json(["event", "replay", "--into", "projection:total", "--to", "1", ...config, "-q"])
        const { code, err, out } = yield* cli(["projection", "diff", "total", ...config, "--json"])
        expect(code).toBe(2)
        expect(JSON.parse(err).error).toMatchObject({ code: "ES-1928", details: { isSamePosition: false } })
        expect(JSON.parse(out)).toMatchObject({
          isSame: false,
          before: { position: 4, events: 3 },
          after: { position: 1, events: 1 },
          parts: [{ changed: 1, samples: [{ columns: ["cents", "sales"] }] }]
        })
        const table = yield* cli(["projection", "diff", "total", ...config])
        expect(table.out).toMatch(/^before +total, version 1, build 1: 3 events[^]*\nstates +0 +1 +0 +0\n/)
        const other = yield* cli(["projection", "diff", "total", "countries", "--samples", "0", ...config])
        expect(other.code).toBe(2)
        expect(yield* cli(["projection", "diff", "receipts", "total", ...config])).toMatchObject({ code: 64, out: "" })
      }))

    it.live("replays a part of the log to standard output, a projection, a handler, a reactor and another store", () =>
      Effect.gen(function*() {
        const { cli, json } = yield* makeFilled(store)
        expect(yield* json(["event", "replay", "--type", "Sold", "--dry-run"])).toMatchObject({
          events: 3,
          streams: 2,
          types: { Sold: 3 },
          first: { position: 1 },
          last: { position: 3 }
        })
        const plan = yield* cli(["event", "replay", "--dry-run"])
        expect(plan.out).toMatch(/^events +4 \(dry run[^]*\nTYPE +EVENTS\nSold +3\nTaskFailed +1\n$/)
        const printed = yield* cli([
          "event",
          "replay",
          "--from",
          "2",
          "--to",
          "3",
          "-o",
          "ndjson",
          "--speed",
          "100000/s"
        ])
        expect(parseLines(printed.out).map(({ position }) => position)).toStrictEqual([2, 3])
        expect(printed.err).toBe("2 events, up to position 3\n")
        const marked = ["event", "replay", "--checkpoint", "printed", "-o", "ndjson", "-q"]
        expect(parseLines((yield* cli(marked)).out).length).toBe(4)
        expect(yield* cli(marked)).toMatchObject({ code: 0, out: "" })
        const another = yield* cli([...marked, "--to", "2"])
        expect([another.code, another.err]).toStrictEqual([64, expect.stringContaining("take another name")])
        expect((yield* cli(["projection", "list"])).out).not.toContain("printed")
        expect((yield* cli(["projection", "status", "replay:printed"])).code).toBe(0)

        const handler = fileURLToPath(new URL("programs/handler.ts", import.meta.url))
        const { seen }: { readonly seen: Array<number> } = yield* Effect.promise(() => import(handler))
        seen.length = 0
        expect(yield* json(["event", "replay", "--into", `handler:${handler}`, "--category", "shop"])).toMatchObject({
          events: 3
        })
        expect(seen).toStrictEqual([1, 2, 3])
        yield* cli(["event", "append", "s-1", "Broken"])
        const broken = yield* cli(["event", "replay", "--into", `handler:${handler}`, "--from", "4", "--json"])
        expect([broken.code, broken.out]).toStrictEqual([1, ""])
        expect(broken.err).toContain("the handler broke")

        const copied = yield* json(["event", "replay", "--into", "memory:", "--stream-prefix", "copy-"])
        expect(copied).toStrictEqual({ events: 5, after: 0, position: 5 })
        const reactor = ["event", "replay", "--into", "reactor:receipts", ...config]
        expect(yield* cli(reactor)).toMatchObject({ code: 64, out: "", err: expect.stringContaining("ES-1919") })
        expect(yield* json([...reactor, "--force"])).toMatchObject({ events: 5 })
        const projected = yield* json(["event", "replay", "--into", "projection:total", "--from", "2", ...config, "-q"])
        expect(projected).toMatchObject({ name: "total", version: 1, events: 2, build: expect.any(Number) })
        const state = yield* json([
          "projection",
          "show",
          "total",
          "--projection-version",
          "1",
          "--build",
          String(projected.build)
        ])
        expect(state.state).toStrictEqual({ cents: 350, sales: 2 })
        const kept = ["event", "replay", "--into", "projection:total", "--from", "2", "--checkpoint", "kept", ...config]
        expect(yield* json([...kept, "--dry-run"])).toMatchObject({ events: 2, types: { Sold: 2 } })
        const first = yield* json([...kept, "-q"])
        expect(first).toMatchObject({ events: 2, position: 5 })
        expect(first.build).not.toBe(projected.build)
        expect(yield* json([...kept, "-q"])).toStrictEqual(first)
        expect(yield* cli([...kept, "--to", "3"])).toMatchObject({ code: 64, out: "" })

        const refused: ReadonlyArray<readonly [number, ReadonlyArray<string>]> = [
          [64, ["--into", "nonsense"]],
          [64, ["--into", "projection:receipts"]],
          [64, ["--into", "-", "--stream-prefix", "x"]],
          [64, ["--speed", "fast"]],
          [64, ["--speed", "0x"]],
          [64, ["--from", "0"]],
          [3, ["--into", "projection:\u001b[2J"]],
          [3, ["--into", "handler:no/such.ts"]],
          [65, ["--into", `handler:${fileURLToPath(new URL("programs/noTypes.ts", import.meta.url))}`]]
        ]
        for (const [code, args] of refused) {
          const ran = yield* cli(["event", "replay", ...args, ...config])
          expect([args, ran.code, ran.out]).toStrictEqual([args, code, ""])
          expect(ran.err).not.toContain("\u001b")
        }
      }))

    if (hasTables) {
      it.live("shows rows of tables without code, as JSON of the database", () =>
        Effect.gen(function*() {
          const { cli, json } = yield* makeFilled(store)
          yield* cli(["projection", "run", "revenue", "--once", ...config])
          expect(yield* json(["projection", "show", "revenue", "revenue", ...without])).toStrictEqual({
            name: "revenue",
            version: 1,
            position: 4,
            table: "revenue",
            rows: [
              { country: "DE", cents: 600, at: expect.stringMatching(/^\d{4}-/), detail: { first: 1 }, odd: "$1.50" },
              { country: "FR", cents: 250, at: expect.any(String), detail: { first: 2 }, odd: "$1.50" }
            ]
          })
          expect(Object.keys((yield* json(["projection", "show", "revenue", ...without])).tables)).toStrictEqual([
            "revenue",
            "sales"
          ])
          const lines = yield* cli(["projection", "show", "revenue", "sales", "-o", "ndjson", "-n", "2", ...without])
          expect(parseLines(lines.out)).toStrictEqual([{ position: 1 }, { position: 2 }])
          const table = yield* cli(["projection", "show", "revenue", "-n", "1", ...without])
          expect(table.out).toMatch(/^revenue\nCOUNTRY +CENTS .*\nDE +600 .*\n\nsales\nPOSITION\n +1\n$/)
          expect(table.err).toContain("there are more rows in sales")
          expect(yield* cli(["projection", "show", "revenue", "none", ...without])).toMatchObject({ code: 3, out: "" })
          expect(yield* cli(["projection", "show", "revenue", "--after", "x"])).toMatchObject({ code: 64, out: "" })
          const plan = yield* cli(["projection", "reset", "revenue", "--dry-run", ...config])
          expect(plan.out).toContain("its tables public.revenue_v1, public.sales_v1")
          expect((yield* cli(["projection", "rebuild", "revenue", ...config])).code).toBe(0)
          expect((yield* json(["projection", "show", "revenue", "revenue", ...without])).rows.length).toBe(2)
        }))
    }
  })

for (const [storage, store, hasTables] of stores) suite(storage, store, hasTables)
