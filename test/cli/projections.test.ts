import { PgClient } from "@effect/sql-pg"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import { closest } from "../../src/cli/internal/projectionNames.ts"
import type { Position } from "../../src/event/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { parseLines } from "./harness.ts"
import { config, makeFilled, sale, type Store, stores, without } from "./projectionStores.ts"

const suite = (storage: string, store: Store, hasTables: boolean) =>
  describe(`event-store projection (${storage})`, () => {
    it.live("runs the built-in ones on any store without code, and shows what came of them", () =>
      Effect.gen(function*() {
        const { cli, json } = yield* makeFilled(store)
        const names = ["event-type-counts", "stream-activity", "errors", "category-statistics"]
        const before = yield* json(["projection", "list", ...without])
        expect(before.projections.map(({ code, name, state }: Record<string, unknown>) => [name, code, state]))
          .toStrictEqual(names.map((name) => [name, "built-in", "never ran"]))
        expect(before.projections[0]).toMatchObject({ head: 4, lagEvents: 4, position: 0, status: null })

        const ran = yield* json(["projection", "run", ...names, "--once", ...without])
        expect(ran.projections.map((each: Record<string, unknown>) => [each["position"], each["newEvents"]]))
          .toStrictEqual(names.map(() => [4, 4]))
        expect(yield* json(["projection", "show", "event-type-counts"])).toMatchObject({
          name: "event-type-counts",
          version: 1,
          position: 4,
          states: [
            { key: "Sold", state: { events: 3, firstPosition: 1, lastPosition: 3 } },
            { key: "TaskFailed", state: { events: 1 } }
          ]
        })
        expect(yield* json(["projection", "show", "stream-activity", "shop-DE"])).toMatchObject({
          key: "shop-DE",
          state: { events: 2, types: [{ name: "Sold", events: 2 }] }
        })
        const lines = parseLines((yield* cli(["projection", "show", "category-statistics", "-o", "ndjson"])).out)
        expect(lines.map(({ key }) => key)).toStrictEqual(["note", "shop"])
        expect(yield* json(["projection", "show", "errors"])).toMatchObject({
          states: [{ key: "TaskFailed" }],
          projectionFailures: []
        })
        const table = yield* cli(["projection", "show", "event-type-counts", ...without])
        expect(table).toMatchObject({ code: 0, err: "" })
        expect(table.out).toMatch(/^KEY +EVENTS +FIRST POSITION .*\nSold +3 +1 +3 .*\nTaskFailed +1 +4 +4 .*\n$/)
        const page = yield* cli(["projection", "show", "stream-activity", "-n", "1", "--after", "note"])
        expect(page.out).toMatch(/^KEY .*\nshop-DE .*\n$/)
        expect(page.err).toBe("there are more: add --after 'shop-DE', or -n\n")
        expect(yield* json(["projection", "verify"])).toMatchObject({
          projections: names.map((name) => ({ name, isComplete: true, seen: { events: 4 }, log: { events: 4 } }))
        })
      }))

    it.live("runs those of the configuration, with the services that they need, and knows them in list and status", () =>
      Effect.gen(function*() {
        const { cli, json } = yield* makeFilled(store)
        const ran = yield* cli(["projection", "run", "--all", "--once", ...config, "--json"])
        const rows: ReadonlyArray<Record<string, unknown>> = JSON.parse(ran.out).projections
        expect(rows.map(({ error, name, position }) => [name, position, error])).toStrictEqual([
          ["revenue", hasTables ? 4 : null, hasTables ? null : expect.objectContaining({ code: "ES-1915" })],
          ["total", 4, null],
          ["countries", 4, null],
          ["receipts", 4, null]
        ])
        expect(ran.code).toBe(hasTables ? 0 : 1)
        if (!hasTables) expect(ran.err).toContain("ES-1904")

        const listed = yield* json(["projection", "list", ...config])
        const of = (name: string) => listed.projections.find((each: Record<string, unknown>) => each["name"] === name)
        expect(of("total")).toMatchObject({
          code: "at hand",
          state: "stopped",
          isLive: true,
          position: 4,
          lagEvents: 0
        })
        expect(of("countries")).toMatchObject({ version: 2, slices: 3, slice: 0 })
        const sliced = yield* json(["projection", "list", "--slices", ...config])
        expect(sliced.projections.filter((each: Record<string, unknown>) => each["name"] === "countries").length).toBe(
          3
        )
        const status = yield* cli(["projection", "status", "total", "countries", ...config])
        expect(status.out).toMatch(/^projection +total\n[^]*\n\nprojection +countries\n[^]*slices +3\n/)

        expect(yield* json(["projection", "show", "total"])).toStrictEqual({
          name: "total",
          version: 1,
          position: 4,
          state: { cents: 850, sales: 3 }
        })
        expect((yield* cli(["projection", "show", "total"])).out).toBe("cents  850\nsales  3\n")
        expect((yield* json(["projection", "show", "countries"])).states).toStrictEqual([
          { key: "DE", state: 600 },
          { key: "FR", state: 250 }
        ])
        expect((yield* cli(["projection", "run", "receipts", "--once", ...config, "--json"])).code).toBe(0)
      }))

    it.live("says what it does not know, and what is near", () =>
      Effect.gen(function*() {
        const { cli } = yield* makeFilled(store)
        yield* cli(["projection", "run", "total", "--once", ...config])
        const failing: ReadonlyArray<readonly [number, string, ReadonlyArray<string>, string]> = [
          [3, "ES-1901", ["show", "event-type-count"], "did you mean event-type-counts?"],
          [3, "ES-1901", ["run", "totl", "--once", ...config], "did you mean total?"],
          [3, "ES-1901", ["status", "\u001b[31mred\u0007"], "nobody knows \\\\x1b[31mred\\\\x07"],
          [65, "ES-1107", ["pause", "x".repeat(2_000)], "512 bytes"],
          [3, "ES-1903", ["show", "errors"], "knows nothing of errors yet"],
          [3, "ES-1902", ["run", "total", "--once", ...without], "nothing here defines it"],
          [3, "ES-1902", ["verify", "total", ...without], "nothing here defines it"],
          [3, "ES-1902", ["rebuild", "total", ...without], "nothing here defines it"],
          [3, "ES-1902", ["reset", "total", "--yes", ...without], "nothing here defines it"],
          [3, "ES-1908", ["show", "total", "no-such-key"], "has no state no-such-key"],
          [3, "ES-1906", ["parked", "show", "total", "1"], "nothing at position 1"],
          [3, "ES-1301", ["run", "total", "--module", "no/such/file.ts"], "no/such/file.ts"],
          [64, "ES-1002", ["run", "--once", ...config], "name some"],
          [64, "ES-1002", ["run", "total", "--all", ...config], "leave out"],
          [64, "ES-1002", ["run", "--all", ...without], "built-in ones"],
          [64, "ES-1002", ["run", "total", "--projection-version", "7", ...config], "version 1"],
          [64, "ES-1002", ["rebuild", "total", "--swap", "--cancel", ...config], "exclude"],
          [64, "ES-1925", ["rebuild", "receipts", ...config], "is a reactor"],
          [
            65,
            "ES-1710",
            ["run", "total", "--module", fileURLToPath(new URL("programs/noTypes.ts", import.meta.url))],
            ""
          ],
          [65, "ES-1701", ["list", "--module", fileURLToPath(new URL("programs/throwing.ts", import.meta.url))], ""]
        ]
        for (const [code, name, args, why] of failing) {
          const ran = yield* cli(["projection", ...args, "--json"])
          expect([args, ran.code, ran.out]).toStrictEqual([args, code, ""])
          expect(JSON.parse(ran.err).error.code).toBe(name)
          expect(ran.err).toContain(why)
          const plain = yield* cli(["projection", ...args])
          expect(plain.code).toBe(code)
          expect(plain.err).toMatch(/^error ES-1\d{3}: .+\n {2}why: .+\n {2}fix: .+\n$/)
          expect(plain.err).not.toContain("\u001b")
        }
      }))

    it.live("pauses and resumes without code", () =>
      Effect.gen(function*() {
        const { cli, json } = yield* makeFilled(store)
        const run = ["projection", "run", "countries", "--once", ...config]
        yield* cli(run)
        expect(yield* json(["projection", "pause", "countries", ...without])).toStrictEqual({
          name: "countries",
          version: 2,
          status: "paused"
        })
        expect(yield* json(["projection", "list", "--slices", ...config])).toMatchObject({
          projections: expect.arrayContaining([
            expect.objectContaining({ name: "countries", slice: 2, state: "paused" })
          ])
        })
        const refused = yield* cli(run)
        expect([refused.code, refused.out]).toStrictEqual([4, ""])
        expect(refused.err).toContain("ES-1910")
        expect((yield* cli(["projection", "resume", "countries", ...without])).out).toContain("resumed")
        expect((yield* cli(run)).code).toBe(0)
      }))

    it.live("proves with exit code 2 that a projection has not seen what the log has", () =>
      Effect.gen(function*() {
        const { cli, layer } = yield* makeFilled(store)
        const forge = Effect.gen(function*() {
          const checkpoints = yield* CheckpointStore
          const definition = yield* Effect.map(
            Effect.promise(() => import("../../src/projection/BuiltIn.ts")),
            ({ errors }) => errors.definition
          )
          const claim = { name: "errors", version: 1, definition, owner: "forger", leaseMillis: 60_000 }
          const answer = yield* checkpoints.acquire({ ...claim, statuses: ["running"] })
          if (answer._tag !== "Acquired") return
          const to = { position: 3 as Position, count: 2, digest: "0123456789abcdef" }
          yield* checkpoints.commit(answer.lease, { from: 0 as Position, to })
          yield* checkpoints.release(answer.lease)
        })
        yield* Effect.provide(forge, layer)
        yield* cli(["projection", "run", "event-type-counts", "--once"])
        const { code, err, out } = yield* cli(["projection", "verify", "--json", ...without])
        expect(code).toBe(2)
        expect(JSON.parse(err)).toMatchObject({ error: { code: "ES-1905", details: { wrong: ["errors"] } } })
        expect(JSON.parse(out)).toMatchObject({
          projections: [
            { name: "event-type-counts", isComplete: true },
            { name: "errors", isComplete: false, seen: { events: 2 }, log: { events: 3 } }
          ]
        })
        expect((yield* cli(["projection", "verify"])).out).toMatch(/errors .*DIFFERS\n/)
        expect((yield* cli(["projection", "verify", "event-type-counts"])).code).toBe(0)
      }))

    it.live("lists, shows, replays and discards parked events", () =>
      Effect.gen(function*() {
        const { cli, json } = yield* makeFilled(store, [
          sale("DE", -5),
          sale("DE", 10),
          sale("FR", 20),
          sale("PL", -1, "\u202ekiosk-1")
        ])
        expect(yield* cli(["projection", "run", "total", "--once", ...config, "-q"])).toMatchObject({ code: 0 })
        const listed = yield* json(["projection", "parked", "list", "total", ...without])
        expect(listed).toMatchObject({ name: "total", version: 1, next: null })
        expect(listed.parked.map((each: Record<string, unknown>) => [each["position"], each["key"], each["attempts"]]))
          .toStrictEqual([[1, "shop-DE", expect.any(Number)], [2, "shop-DE", 0], [
            4,
            "\u202ekiosk-1",
            expect.any(Number)
          ]])
        const table = yield* cli(["projection", "parked", "list", "total", ...without])
        expect(table.out).toContain("RangeError")
        expect(table.out).not.toContain("\u202e")
        const paged = yield* cli(["projection", "parked", "list", "total", "-n", "1", "--after", "1", "-o", "ndjson"])
        expect(parseLines(paged.out).map(({ position }) => position)).toStrictEqual([2])
        expect(paged.err).toBe("there may be more: add --after 2\n")
        const keyed = yield* json(["projection", "parked", "list", "total", "--key", "\u202ekiosk-1"])
        expect(keyed.parked.length).toBe(1)
        expect(yield* json(["projection", "parked", "show", "total", "2", ...without])).toMatchObject({
          position: 2,
          attempts: 0,
          event: { stream: "shop-DE", data: { country: "DE", cents: 10 } }
        })
        expect((yield* json(["projection", "list", ...config])).projections)
          .toContainEqual(expect.objectContaining({ name: "total", parked: 3, failure: expect.anything() }))

        const replay = ["projection", "parked", "replay", "total", ...config]
        expect((yield* cli([...replay, "--dry-run"])).out).toBe(
          "would apply 3 parked events of total; nothing was written\n"
        )
        const failed = yield* cli([...replay, "--json"])
        expect([failed.code, JSON.parse(failed.out)]).toStrictEqual([1, { name: "total", applied: 0, remaining: 3 }])
        expect(failed.err).toContain("ES-1907")
        Reflect.set(globalThis, "negativePricesAllowed", true)
        const replayed = yield* Effect.ensuring(
          json([...replay, "--key", "shop-DE"]),
          Effect.sync(() => Reflect.deleteProperty(globalThis, "negativePricesAllowed"))
        )
        expect(replayed).toStrictEqual({ name: "total", applied: 2, remaining: 0 })
        expect((yield* json(["projection", "show", "total"])).state).toStrictEqual({ cents: 25, sales: 3 })

        const discard = ["projection", "parked", "discard", "total", ...config]
        expect((yield* cli([...discard, "--dry-run"])).out).toContain("would forget 1 parked events")
        const asked = yield* cli(discard)
        expect([asked.code, asked.out]).toStrictEqual([6, ""])
        expect(asked.err).toContain("add --yes")
        expect(yield* json([...discard, "--yes"])).toStrictEqual({ name: "total", discarded: 1 })
        expect((yield* cli(["projection", "parked", "list", "total"])).out).toBe("nothing is parked\n")
      }))

    it.live("resets after a question, and a reactor only when it is forced to", () =>
      Effect.gen(function*() {
        const { cli, json } = yield* makeFilled(store)
        yield* cli(["projection", "run", "total", "receipts", "--once", ...config])
        const reset = ["projection", "reset", "total", ...config]
        expect((yield* cli([...reset, "--dry-run"])).out).toMatch(
          /^would empty total, version 1: its states, .* 3 events; nothing/
        )
        expect(yield* cli(reset)).toMatchObject({ code: 6, out: "" })
        expect((yield* json(["projection", "show", "total"])).state.sales).toBe(3)
        expect(yield* json([...reset, "--yes"])).toStrictEqual({ name: "total", version: 1, position: 0 })
        expect((yield* json(["projection", "show", "total"])).states).toStrictEqual([])
        expect((yield* cli(["projection", "run", "total", "--once", ...config])).code).toBe(0)
        expect((yield* json(["projection", "show", "total"])).state.sales).toBe(3)
        const reactor = ["projection", "reset", "receipts", "--yes", ...config]
        expect(yield* cli(reactor)).toMatchObject({ code: 64, out: "", err: expect.stringContaining("ES-1919") })
        expect((yield* cli([...reactor, "--force"])).code).toBe(0)
      }))
  })

for (const [storage, store, hasTables] of stores) suite(storage, store, hasTables)

for (const [storage, store] of stores.filter(([, , hasTables]) => hasTables)) {
  describe(`event-store projection on another history (${storage})`, () => {
    it.live("tells in list and status that a projection is halted, and why, until it is reset", () =>
      Effect.gen(function*() {
        const { cli, json, layer } = yield* makeFilled(store)
        const run = ["projection", "run", "total", "--once", ...config]
        expect((yield* cli(run)).code).toBe(0)
        const services: Context.Context<never> = yield* Layer.build(layer)
        const sql = Context.get(services as Context.Context<PgClient.PgClient>, PgClient.PgClient)
        yield* sql`UPDATE event_store.head SET incarnation = gen_random_uuid()`
        const refused = yield* cli(run)
        expect([refused.code, refused.out]).toStrictEqual([1, ""])
        expect(refused.err).toContain("ES-1913")
        const { projections } = yield* json(["projection", "list", ...config])
        expect(projections.find((each: Record<string, unknown>) => each["name"] === "total")).toMatchObject({
          position: 4,
          state: "halted",
          status: "halted",
          failure: { count: 1, position: 4, message: expect.stringContaining("reset the projection") }
        })
        const { out } = yield* cli(["projection", "status", "total", ...config])
        expect(out).toMatch(/state +halted\n[^]*last error +The checkpoint of projection total/)
        expect((yield* cli(["projection", "reset", "total", "--yes", ...config])).code).toBe(0)
        expect((yield* cli(run)).code).toBe(0)
        const healed = yield* json(["projection", "status", "total", ...config])
        expect(healed.projections).toMatchObject([{ state: "stopped", position: 4, failure: null }])
      }))
  })
}

describe("a name that is near", () => {
  it("is one that differs in a few letters, whatever their case", () => {
    const names = ["event-type-counts", "errors", "revenue"]
    expect(closest("Event-Type-Count", names)).toBe("event-type-counts")
    expect(closest("eror", names)).toBe("errors")
    expect(closest("revenues-by-country", names)).toBeUndefined()
    expect(closest("", names)).toBeUndefined()
    expect(closest("anything", [])).toBeUndefined()
  })
})
