import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { layerMemory } from "../../src/runtime/index.ts"
import { CheckpointStore } from "../../src/store/index.ts"
import { codeOf, filled, flip, setUp } from "./backupPlaceSetUp.ts"
import { ndjson } from "./harness.ts"
import { config, makeFilled, sale } from "./projectionStores.ts"

describe("backup drill", () => {
  it.live.each(["memory", "pglite"])(
    "restores into a scratch store on %s, compares, and leaves nothing behind",
    (scratch) =>
      Effect.gen(function*() {
        const { backup, dest } = yield* filled
        const { id } = JSON.parse((yield* backup("create", "--json")).out)
        const files = readdirSync(dest)
        const ran = yield* backup("drill", "--scratch", scratch, "--json")
        expect([ran.code, JSON.parse(ran.out)]).toMatchObject([0, { id, position: 60, isSound: true, problems: [] }])
        expect(readdirSync(dest)).toStrictEqual(files)
        expect((yield* backup("drill", id, "--scratch", "memory")).out).toMatch(
          /\ncompared +60 events, row by row: equal\n/
        )
      })
  )

  it.live("fails on a damaged backup", () =>
    Effect.gen(function*() {
      const { backup, dest } = yield* filled
      const { id } = JSON.parse((yield* backup("create", "--json")).out)
      flip(join(dest, `${id}.000000000001.esb`), 400)
      expect(codeOf(yield* backup("drill", "--scratch", "memory", "--json"))).toBe("ES-2010")
    }))
})

describe("backup drill of projections", () => {
  /** A store of sales with projections of the user's and a built-in one, backed up where they are behind it. */
  const sold = Effect.gen(function*() {
    const { root } = yield* setUp
    const { cli, layer } = yield* makeFilled(layerMemory)
    const place = ["--dest", join(root, "sold")]
    for (const name of ["total", "countries", "event-type-counts"]) {
      yield* cli(["projection", "run", name, "--once", "-q", ...config])
    }
    yield* cli(["import", "-", "-q"], { stdin: ndjson(sale("FR", 7), sale("NL", 1)) })
    const drill = (...args: ReadonlyArray<string>) => cli(["backup", "drill", ...place, ...args])
    const create = cli(["backup", "create", ...place, "--json"])
    return { cli, create, drill, layer }
  })

  it.live.each(["memory", "pglite"])(
    "builds what is named anew on %s and compares it where the backup has it",
    (kind) =>
      Effect.gen(function*() {
        const { create, drill } = yield* sold
        yield* create
        const ran = yield* drill(
          "--projection",
          "total",
          "--projection",
          "countries",
          "--projection",
          "event-type-counts",
          "--scratch",
          kind,
          "--json",
          ...config
        )
        expect([ran.code, ran.err]).toStrictEqual([0, ""])
        const { isSound, projections, skipped } = JSON.parse(ran.out)
        expect([isSound, skipped]).toStrictEqual([true, []])
        const stored = { outcome: "equal", position: 4, parked: 0, changed: 0, onlyInBackup: 0, onlyAnew: 0, keys: [] }
        expect(projections).toMatchObject([
          { name: "total", isComplete: true, position: 6, events: 5, stored: { ...stored, same: 1 } },
          { name: "countries", isComplete: true, position: 6, events: 5, stored: { ...stored, same: 2 } },
          { name: "event-type-counts", isComplete: true, position: 6, events: 6, stored: { ...stored, same: 2 } }
        ])
      })
  )

  it.live("builds all that can be built, tables too, and says what is left out", () =>
    Effect.gen(function*() {
      const { create, drill } = yield* sold
      yield* create
      const all = yield* drill("--all-projections", "--json", ...config)
      const { projections, skipped } = JSON.parse(all.out)
      expect([all.code, projections.map(({ name }: { readonly name: string }) => name)]).toStrictEqual([
        0,
        ["revenue", "total", "countries", "event-type-counts", "stream-activity", "errors", "category-statistics"]
      ])
      expect(projections[0]).toMatchObject({ isComplete: true, stored: { outcome: "not in the backup" } })
      expect(skipped).toMatchObject([{ name: "receipts" }])
      expect(all.err).toContain("not built anew: receipts: it is a reactor")
      const table = (yield* drill("--projection", "total", "--scratch", "memory", ...config)).out
      expect(table).toMatch(/\ntotal +1 +5 +0 +yes +equal: 1 at position 4\n/)
    }))

  it.live("exits with 2 and names the keys where the backup holds something else", () =>
    Effect.gen(function*() {
      const { create, drill, layer } = yield* sold
      yield* Effect.provide(
        CheckpointStore.use((store) =>
          Effect.gen(function*() {
            const [record] = yield* store.findSlices({ name: "event-type-counts", version: 1 })
            const { checkpoint, definition, name, version } = record!
            const claim = { name, version, definition, owner: "x", leaseMillis: 60_000, statuses: ["running"] } as const
            const answer = yield* store.acquire(claim)
            if (answer._tag === "Held") return expect.fail("held")
            const states = new Map([["Sold", undefined], ["nobody", JSON.stringify({ events: 1 })]])
            yield* store.commit(answer.lease, { from: checkpoint.position, to: checkpoint, states })
          })
        ),
        layer
      )
      yield* create
      const ran = yield* drill("--projection", "event-type-counts", "--scratch", "memory", "--json", ...config)
      expect([ran.code, codeOf(ran)]).toStrictEqual([2, "ES-2024"])
      expect(JSON.parse(ran.out)).toMatchObject({
        isSound: false,
        projections: [{
          isSound: false,
          isComplete: true,
          stored: {
            outcome: "differs",
            onlyInBackup: 1,
            onlyAnew: 1,
            same: 1,
            keys: ["{\"key\":\"Sold\"}", "{\"key\":\"nobody\"}"]
          }
        }]
      })
      const table = yield* drill("--projection", "event-type-counts", "--scratch", "memory", ...config)
      expect(table.out).toContain("differs: event-type-counts {\"key\":\"Sold\"}\n")
    }))

  it.live("says of one that cannot be applied why, and goes on with the others", () =>
    Effect.gen(function*() {
      const { cli, create, drill } = yield* sold
      yield* cli(["import", "-", "-q"], { stdin: ndjson({ stream: "shop-DE", type: "Sold", data: { country: 1 } }) })
      yield* create
      const names = ["--projection", "countries", "--projection", "errors"]
      const ran = yield* drill(...names, "--scratch", "memory", "--json", "-q", ...config)
      expect([ran.code, codeOf(ran)]).toStrictEqual([2, "ES-2024"])
      expect(JSON.parse(ran.out).projections).toMatchObject([
        { name: "countries", isSound: false, error: { code: "ES-1914" } },
        { name: "errors", isSound: true }
      ])
    }))

  it.live("refuses what would have effects elsewhere, what nobody knows, and flags that make no sense", () =>
    Effect.gen(function*() {
      const { drill } = yield* sold
      const codes = [
        [["--projection", "receipts", ...config], "ES-2025", 64],
        [["--projection", "revenue", "--scratch", "memory", ...config], "ES-2025", 64],
        [["--projection", "totale", ...config], "ES-1901", 3],
        [["--projection", "total", "--all-projections", ...config], "ES-1002", 64],
        [["--module", "x.ts"], "ES-1002", 64]
      ] as const
      for (const [args, code, exit] of codes) {
        const ran = yield* drill(...args, "--json")
        expect([args, codeOf(ran), ran.code]).toStrictEqual([args, code, exit])
      }
    }))
})
