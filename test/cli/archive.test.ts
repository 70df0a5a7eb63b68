import { NodeServices } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, FileSystem, Layer, Option, Redacted } from "effect"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { BackupArchive, layerDirectory } from "../../src/backup/index.ts"
import { openHost } from "../../src/cli/internal/projectionHost.ts"
import { ownLibrary } from "../../src/cli/internal/projectionLibrary.ts"
import { layer as outLayer } from "../../src/cli/Out.ts"
import type { Settings } from "../../src/cli/Settings.ts"
import { layerMemory, layerPostgres } from "../../src/runtime/index.ts"
import { LogTransfer } from "../../src/store/LogTransfer.ts"
import { monthlyRows, plant } from "../backup/archives.ts"
import { makeDatabase, type ServerAddress } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { codeOf, flip } from "./backupPlaceSetUp.ts"
import { makeCliOn, parseLines, type Ran, runCli } from "./harness.ts"

const ROWS = monthlyRows()

const SETTINGS: Omit<Settings, "url"> = {
  schema: "event_store",
  output: "json",
  quiet: true,
  verbose: false,
  progress: false,
  color: "never",
  local: false,
  yes: true,
  config: undefined,
  origins: { url: "default", schema: "default" }
}

const [server] = servers as readonly [ServerAddress, ...Array<ServerAddress>]

const scratch = FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped({ prefix: "archive-" })).pipe(
  Effect.provide(NodeServices.layer)
)

/** A store in memory with three old months, which reads its archive from `dest`. */
const filled = Effect.gen(function*() {
  const dest = join(yield* scratch, "place")
  const archive = BackupArchive.layer().pipe(Layer.provide(layerDirectory(dest)))
  const { cli, layer } = yield* makeCliOn(Layer.provide(Layer.fresh(layerMemory), archive))
  yield* plant({ transfer: Context.get(yield* Layer.build(layer), LogTransfer) }, ROWS)
  const inPlace = (command: string, ...args: ReadonlyArray<string>): Effect.Effect<Ran> =>
    cli(["archive", command, "--dest", dest, ...args])
  return { cli, dest, inPlace }
})

describe("archive", () => {
  it.live("moves months after the plan was confirmed, shows and proves them, and brings them back", () =>
    Effect.gen(function*() {
      const { cli, dest, inPlace } = yield* filled
      const exported = (yield* cli(["export"])).out
      const dry = yield* inPlace("move", "--before", "2026-03-01", "--dry-run")
      expect([dry.code, dry.out]).toStrictEqual([
        0,
        expect.stringMatching(/2026-01 +20 +1 to 20 .*\n2026-02 +20 +21 to 40 /)
      ])
      const asked = yield* inPlace("move", "--before", "2026-03-01", "--json")
      expect([asked.code, codeOf(asked), asked.err]).toStrictEqual([
        6,
        "ES-1401",
        expect.stringContaining(`data and metadata of 40 events would be moved to ${dest}`)
      ])
      expect(JSON.parse((yield* cli(["archive", "status", "--json"])).out)).toMatchObject({
        until: 0,
        entries: [],
        months: [{ month: "2026-01" }, { month: "2026-02" }, { month: "2026-03" }]
      })
      const moved = yield* inPlace("move", "--before", "2026-03-01", "--yes")
      expect([moved.code, moved.out]).toStrictEqual([
        0,
        expect.stringMatching(/archived +2 months in .*\nfreed +[\d.,]+ (B|KiB).*\nbackup +\d{8}T\d{6}Z-[0-9a-f]{16}\n/)
      ])
      expect(moved.err).toContain(`EVENT_STORE_ARCHIVE=${dest}`)
      expect((yield* cli(["export"])).out).toBe(exported)
      expect((yield* cli(["archive", "status"])).out).toMatch(
        /2026-01 .* freed +\d{8}T.*\n.*\n2026-03 .* not archived\n/
      )
      expect((yield* inPlace("verify")).out).toBe("40 archived events are as they should be\n")
      const none = yield* inPlace("move", "--before", "2026-03-01", "--yes")
      expect([none.code, none.out]).toStrictEqual([0, "no month is old enough that is not archived\n"])

      const pruned = yield* cli(["backup", "prune", "--dest", dest, "--keep-last", "1", "--dry-run"])
      expect(pruned.out).toMatch(/keep +last, archive/)
      const segment = readdirSync(dest).find((name) => name.endsWith(".esb"))!
      flip(join(dest, segment), 300)
      const damaged = yield* inPlace("verify", "--json")
      expect([damaged.code, codeOf(damaged)]).toStrictEqual([2, "ES-2043"])
      expect(JSON.parse(damaged.out)).toMatchObject({
        isSound: false,
        faults: [{ month: "2026-01", fault: "BackupCorrupt" }, { month: "2026-02" }]
      })
      flip(join(dest, segment), 300)
      expect((yield* inPlace("bring-back", "--from", "2026-02", "--dry-run")).out).toBe(
        "20 events of 1 months would be brought back; nothing was written\n"
      )
      const back = JSON.parse((yield* inPlace("bring-back", "--release", "--json")).out)
      expect(back).toMatchObject({ months: ["2026-02", "2026-01"], events: 40, released: [segment.slice(0, 33)] })
      expect((yield* cli(["export"])).out).toBe(exported)
    }))

  it.live("refuses what makes no sense", () =>
    Effect.gen(function*() {
      const { cli, inPlace } = yield* filled
      const refused = Effect.fnUntraced(function*(ran: Effect.Effect<Ran>) {
        const { code, err } = yield* ran
        return [code, err]
      })
      expect(yield* refused(inPlace("move"))).toStrictEqual([64, expect.stringContaining("--before and --older-than")])
      expect(yield* refused(inPlace("move", "--before", "2026-03-01", "--older-than", "1d"))).toStrictEqual([
        64,
        expect.stringContaining("--before and --older-than exclude each other")
      ])
      expect(yield* refused(cli(["archive", "verify"]))).toStrictEqual([
        64,
        expect.stringContaining("no place is named")
      ])
      expect(yield* refused(inPlace("bring-back", "--from", "2026-13"))).toStrictEqual([
        64,
        expect.stringContaining("a month such as 2026-01")
      ])
    }))

  it.live("commands that read find the archive by flag, environment and configuration, and say so without one", () =>
    Effect.gen(function*() {
      const root = yield* scratch
      const dest = join(root, "place")
      const url = yield* makeDatabase(server.admin)
      const context = yield* Layer.build(Layer.fresh(layerPostgres({ url })))
      yield* plant({ transfer: Context.get(context, LogTransfer) }, ROWS)
      const store = ["--url", url]
      const without = [...store, "--config", "none"]
      const moved = yield* runCli([
        "archive",
        "move",
        "--before",
        "2026-04-01",
        "--dest",
        dest,
        "--yes",
        "-q",
        ...without
      ])
      expect([moved.code, moved.err]).toStrictEqual([0, ""])
      const absent = yield* runCli(["event", "get", "1", "--json", ...without])
      expect([absent.code, codeOf(absent)]).toStrictEqual([1, "ES-1211"])
      const byFlag = yield* runCli(["event", "get", "1", "--json", "--archive", dest, ...without])
      expect(JSON.parse(byFlag.out)).toMatchObject({ id: ROWS[0]!.id, data: JSON.parse(ROWS[0]!.data) })
      const byEnvironment = yield* Effect.provideService(
        runCli(["stream", "inspect", "order-0", "-o", "ndjson", ...without]),
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnvRecord({ EVENT_STORE_ARCHIVE: dest })
      )
      expect(parseLines(byEnvironment.out)).toHaveLength(9)
      const config = join(root, "event-store.config.json")
      writeFileSync(config, JSON.stringify({ archive: { dest: "place" } }))
      const byConfig = yield* runCli(["export", "--type", "OrderShipped", "--config", config, ...store])
      expect(parseLines(byConfig.out)).toHaveLength(20)
      const library = { ...(yield* ownLibrary), isOwn: false }
      const ofTheirs = (archive: string | undefined) =>
        Effect.scoped(Effect.gen(function*() {
          const host = yield* openHost({ ...SETTINGS, url: Redacted.make(url), archive }, {
            library,
            services: undefined
          })
          return yield* host.run(host.store.findEvent(ROWS[0]!.id))
        })).pipe(Effect.provide(Layer.merge(NodeServices.layer, outLayer)))
      expect(Option.getOrThrow(yield* ofTheirs(dest)).data).toStrictEqual(JSON.parse(ROWS[0]!.data))
      expect((yield* Effect.flip(ofTheirs(undefined))).message).toContain("open the store with its archive")

      const nowhere = yield* runCli(["event", "get", "1", "--json", "--archive", join(root, "nowhere"), ...without])
      expect([codeOf(nowhere), nowhere.err]).toStrictEqual([
        "ES-1211",
        expect.stringContaining("nowhere does not exist")
      ])
      writeFileSync(config, JSON.stringify({ archive: { place: "place", trust: "x" } }))
      const faulty = yield* runCli(["archive", "verify", "--json", "--config", config, ...store])
      expect([codeOf(faulty), faulty.err]).toStrictEqual(["ES-1709", expect.stringContaining("archive.dest")])
    }))
})
