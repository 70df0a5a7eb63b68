import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { layerUrl } from "../../src/runtime/index.ts"
import { LogTransfer } from "../../src/store/index.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { codeOf, filled, flip, lines, setUp } from "./backupPlaceSetUp.ts"
import { parseLines, type Ran, runCli } from "./harness.ts"

const listed = (ran: Ran) =>
  JSON.parse(ran.out).backups as ReadonlyArray<{ readonly id: string; readonly kind: string }>

describe("backup create", () => {
  it.live("backs the store up, then only what is new, and says when nothing is", () =>
    Effect.gen(function*() {
      const { add, backup } = yield* filled
      const full = JSON.parse((yield* backup("create", "--json")).out)
      expect(full).toMatchObject({ created: true, kind: "full", until: 60, encryption: null, leftOut: [] })
      expect(JSON.parse((yield* backup("create", "--incremental", "--json")).out)).toMatchObject({
        created: false,
        id: full.id
      })
      yield* add(5, 60)
      const { code, err, out } = yield* backup("create", "--incremental")
      expect([code, out]).toStrictEqual([0, expect.stringMatching(/ incremental +61 to 65 +5 /)])
      expect(err).toMatch(/^5 events \(/)
      expect((yield* backup("verify")).code).toBe(0)
      expect(listed(yield* backup("list", "--json")).map(({ kind }) => kind)).toStrictEqual(["full", "incremental"])
    }))

  it.live("prints the lines of the log as export does, byte for byte", () =>
    Effect.gen(function*() {
      const { backup, cli } = yield* filled
      yield* backup("create", "-q")
      expect((yield* backup("cat")).out).toBe((yield* cli(["export"])).out)
    }))

  it.live("encrypts, signs, compresses and copies as the flags say", () =>
    Effect.gen(function*() {
      const { backup, cli, root } = yield* filled
      const key = join(root, "shop-2026.key")
      writeFileSync(key, "ab".repeat(32), { mode: 0o600 })
      const second = join(root, "second")
      const ran = yield* backup("create", "--key-file", key, "--compress", "gzip:9", "--copy-to", second, "--json")
      expect(JSON.parse(ran.out)).toMatchObject({
        encryption: "shop-2026",
        compression: { codec: "gzip", level: 9 },
        signedBy: null
      })
      expect((yield* cli(["backup", "verify", "--dest", second, "--key-file", key])).code).toBe(0)
      expect(ran.out + ran.err).not.toContain("abab")
      writeFileSync(join(root, "no.pem"), "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----", {
        mode: 0o600
      })
      const refused = yield* backup("create", "--sign-with", join(root, "no.pem"), "--json")
      expect([refused.code, codeOf(refused), refused.err.includes("s3cret")]).toStrictEqual([65, "ES-2002", false])
    }))

  it.live.each(["zstd:23", "zstd:0", "gzip:10", "brotli", "none:1", "zstd:", "zstd:3;rm"])(
    "refuses the compression %s",
    (codec) =>
      Effect.gen(function*() {
        const { backup, dest } = yield* filled
        expect((yield* backup("create", "--compress", codec)).code).toBe(64)
        expect(readdirSync(dest)).toStrictEqual([])
      })
  )

  it.live("says that there is nothing to go on from, or only of another history", () =>
    Effect.gen(function*() {
      const { backup, write } = yield* filled
      const none = yield* backup("create", "--incremental", "--json")
      expect([none.code, codeOf(none)]).toStrictEqual([3, "ES-2017"])
      yield* write({ to: 5 })
      const other = yield* backup("create", "--incremental", "--json")
      expect([other.code, codeOf(other)]).toStrictEqual([4, "ES-2030"])
    }))
})

describe("backup restore", () => {
  it.live("shows its plan, asks where it can, and restores into an empty store only", () =>
    Effect.gen(function*() {
      const { backup, cli } = yield* filled
      const { id } = JSON.parse((yield* backup("create", "--json")).out)
      const live = yield* backup("restore", "--yes", "--json")
      expect([live.code, codeOf(live), JSON.parse(live.err).error.details.why]).toStrictEqual([
        4,
        "ES-2034",
        expect.stringContaining("60 events")
      ])
      expect((yield* backup("restore", "--yes", "--dry-run")).code).toBe(4)

      const unasked = yield* backup("restore", "--url", "memory:")
      expect([unasked.code, unasked.out]).toStrictEqual([6, ""])
      expect(unasked.err).toMatch(/\nevents +60, up to position 60\n/)
      const dry = yield* backup("restore", "--url", "memory:", "--dry-run", "--json")
      expect(JSON.parse(dry.out)).toMatchObject({ id, backups: [id], position: 60, dryRun: true })

      const done = JSON.parse((yield* backup("restore", id, "--url", "memory:", "--yes", "--json")).out)
      expect(done).toMatchObject({ id, position: 60, written: 60, rowsLeftOut: 0 })
      expect((yield* cli(["maint", "stats", "--json"])).out).toContain("\"events\":60")
    }))

  it.live("restores the beginning up to a position or a time, and knows what the backup does not hold", () =>
    Effect.gen(function*() {
      const { backup, cli } = yield* filled
      yield* backup("create", "-q")
      const restore = (...args: ReadonlyArray<string>) =>
        backup("restore", "--url", "memory:", "--yes", "--json", ...args)
      expect(JSON.parse((yield* restore("--to-position", "17")).out)).toMatchObject({ position: 17 })
      const { recordedAt } = JSON.parse((yield* cli(["event", "get", "60", "--json"])).out)
      expect(JSON.parse((yield* restore("--to-time", recordedAt)).out)).toMatchObject({ position: 60 })
      for (const point of [["--to-position", "61"], ["--to-time", "1970-01-01"], ["--to-time", "2999-01-01"]]) {
        const ran = yield* restore(...point)
        expect([ran.code, codeOf(ran), ran.out]).toStrictEqual([3, "ES-2032", ""])
      }
      expect((yield* restore("--to-position", "1", "--to-time", "2026-01-01")).code).toBe(64)
      expect((yield* restore("--to-time", "yesterday")).code).toBe(64)
      expect((yield* restore("--to-position", "-1")).code).toBe(64)
    }))

  it.live("says of which history the newest backup is where there are several", () =>
    Effect.gen(function*() {
      const { backup, write } = yield* filled
      yield* write({ to: 5 })
      expect((yield* backup("describe")).err).toBe("")
      const { id, incarnation } = JSON.parse((yield* backup("create", "--json")).out)
      expect((yield* backup("restore", "--url", "memory:", "--dry-run")).err).toContain(
        `backups of 2 histories are there: the newest, ${id}, is of ${incarnation}\n`
      )
      expect((yield* backup("describe", id)).err).toBe("")
    }))

  it.live("names in its plan the backup whose settings are nearest to the point", () =>
    Effect.gen(function*() {
      const { add, backup } = yield* filled
      const full = JSON.parse((yield* backup("create", "--json")).out)
      yield* add(5, 60)
      const { id } = JSON.parse((yield* backup("create", "--incremental", "--json")).out)
      const plan = (...args: ReadonlyArray<string>) =>
        Effect.map(backup("restore", "--url", "memory:", "--dry-run", ...args), ({ err }) => err)
      expect(yield* plan("--to-position", "60")).toMatch(
        new RegExp(`^backup +${id}\nnearest +${full.id}, begun .*\nreads +1 backups `)
      )
      expect(yield* plan()).toMatch(new RegExp(`^backup +${id}, begun .*\nreads +2 backups `))
    }))

  it.live("appends a selection under a prefix beside what is there, once", () =>
    Effect.gen(function*() {
      const { backup, cli } = yield* filled
      const { id } = JSON.parse((yield* backup("create", "--json")).out)
      const args = ["--stream", "account-3", "--type", "MoneyDeposited", "--stream-prefix", "restored-"]
      const unasked = yield* backup("restore", ...args)
      expect([unasked.code, unasked.err]).toStrictEqual([6, expect.stringMatching(/\nunder +restored-…\n/)])
      expect(JSON.parse((yield* backup("restore", ...args, "--dry-run", "--json")).out)).toMatchObject({
        id,
        dryRun: true,
        streams: ["account-3"],
        types: ["MoneyDeposited"],
        streamPrefix: "restored-",
        position: 60,
        read: 60,
        toAppend: 6,
        present: 0,
        conflicting: 0
      })
      expect((yield* backup("restore", ...args, "--dry-run")).out).toBe(
        "6 events would be appended, 0 are there already\n"
      )

      const { appended } = JSON.parse((yield* backup("restore", ...args, "--yes", "--json")).out)
      const restored = parseLines((yield* cli(["export", "--stream", "restored-account-3"])).out)
      const original = parseLines((yield* cli(["export", "--stream", "account-3", "--type", "MoneyDeposited"])).out)
      expect(appended).toBe(original.length)
      expect(restored.map(({ data }) => data)).toStrictEqual(original.map(({ data }) => data))
      expect(JSON.parse((yield* backup("restore", ...args, "--yes", "--json")).out)).toMatchObject({
        appended: 0,
        present: appended
      })
      expect((yield* backup("restore", ...args, "--dry-run")).out).toBe(
        "0 events would be appended, 6 are there already\n"
      )
      expect((yield* backup("restore", "--stream-prefix", "$bad", "--yes", "--json")).code).toBe(65)
    }))

  it.live("leaves the target empty and usable when the backup is damaged", () =>
    Effect.gen(function*() {
      const { backup, dest, root } = yield* filled
      const { id } = JSON.parse((yield* backup("create", "--json")).out)
      flip(join(dest, `${id}.000000000001.esb`), 400)
      const url = `pglite:${join(root, "target")}`
      const ran = yield* runCli(["backup", "restore", "--dest", dest, "--url", url, "--yes", "--json"])
      expect([ran.code, codeOf(ran)]).toStrictEqual([65, "ES-2010"])
      expect(JSON.parse((yield* runCli(["maint", "stats", "--json", "--url", url])).out)).toMatchObject({ events: 0 })
    }))

  it.live("has nothing to abandon where nothing was broken off", () =>
    Effect.gen(function*() {
      const { backup, cli } = yield* filled
      expect((yield* backup("restore", "--abandon")).code).toBe(6)
      // no backup is read for that
      expect((yield* cli(["backup", "restore", "--abandon", "--yes"])).code).toBe(0)
      expect((yield* cli(["backup", "restore", "--yes"])).code).toBe(64)
      expect(JSON.parse((yield* backup("restore", "--abandon", "--yes", "--json")).out)).toStrictEqual({
        abandoned: false
      })
    }))
})

describe("backup schedule", () => {
  it.effect("backs up at its times, full and incremental, prunes, and tells of each", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 10, 21, 12))
      const { add, backup, dest } = yield* filled
      const fiber = yield* Effect.forkChild(
        backup("schedule", "--cron", "0 3 * * *", "--full-every", "2", "--keep-last", "2", "-o", "ndjson")
      )
      const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
      const state = Effect.try(() => {
        const file = readdirSync(dest).findLast((name) => name.startsWith("schedule-backup-"))
        return JSON.parse(readFileSync(join(dest, file ?? ""), "utf8")) as { readonly done: number | null }
      })
      // a file can be replaced between the two reads
      const until = Effect.fnUntraced(function*(isDone: (done: number | null) => boolean) {
        while (!(yield* Effect.match(state, { onSuccess: ({ done }) => isDone(done), onFailure: () => false }))) {
          yield* settle
        }
      })
      yield* until(() => true)
      for (let day = 1; day <= 4; day++) {
        yield* TestClock.adjust("1 day")
        yield* until((done) => done === Date.UTC(2026, 10, 21 + day, 3))
        yield* add(3, 100 * day)
      }
      expect(listed(yield* backup("list", "--json")).map(({ kind }) => kind)).toStrictEqual(["full", "incremental"])
      yield* Fiber.interrupt(fiber)
    }))

  it.live("prints its next times in its time zone, and refuses what is no schedule", () =>
    Effect.gen(function*() {
      const { backup, dest } = yield* filled
      const dry = yield* backup(
        "schedule",
        "--cron",
        "30 2 * * *",
        "--time-zone",
        "Europe/Berlin",
        "--dry-run",
        "--json"
      )
      const { due } = JSON.parse(dry.out) as { readonly due: ReadonlyArray<string> }
      expect(due).toHaveLength(5)
      const hours = due.map((each) =>
        DateTime.formatIsoZoned(DateTime.setZoneNamedUnsafe(DateTime.makeUnsafe(each), "Europe/Berlin")).slice(11, 16)
      )
      expect(new Set(hours)).toStrictEqual(new Set(["02:30"]))
      for (
        const wrong of [["--cron", "nonsense"], ["--cron", "0 3 30 2 *"], [
          "--cron",
          "* * * * *",
          "--time-zone",
          "Mars"
        ]]
      ) {
        expect(yield* backup("schedule", ...wrong)).toMatchObject({ code: 64, out: "" })
      }
      for (const name of ["../x", "", "-x", "x".repeat(65)]) {
        expect((yield* backup("schedule", "--cron", "* * * * *", "--dry-run", `--name=${name}`)).code).toBe(64)
      }
      expect(readdirSync(dest)).toStrictEqual([])
    }))
})

for (const { admin, label } of servers) {
  describe(`backup and promote on ${label}`, () => {
    it.live("move a store to PGlite and back, and through a backup, without a difference", () =>
      Effect.gen(function*() {
        const { dest, root } = yield* setUp
        const url = yield* makeDatabase(admin)
        const embedded = `pglite:${join(root, "embedded")}`
        yield* runCli(["import", "-", "-q", "--url", url], { stdin: lines(500) })
        const exported = (yield* runCli(["export", "--url", url])).out

        const dry = yield* runCli(["promote", "--from", url, "--to", embedded, "--dry-run", "--json"])
        expect(JSON.parse(dry.out)).toStrictEqual({ events: 500, goesOnAfter: 0, dryRun: true })
        const moved = yield* runCli(["promote", "--from", url, "--to", embedded, "--json"])
        expect([moved.code, JSON.parse(moved.out)]).toMatchObject([0, { position: 500, written: 500 }])
        expect((yield* runCli(["export", "--url", embedded])).out).toBe(exported)
        const again = yield* runCli(["promote", "--from", url, "--to", embedded, "--json"])
        expect([again.code, codeOf(again)]).toStrictEqual([4, "ES-2034"])
        expect(codeOf(yield* runCli(["promote", "--from", url, "--to", url, "--json"]))).toBe("ES-1801")
        expect((yield* runCli(["promote", "--from", embedded, "--to", embedded])).code).toBe(64)

        expect((yield* runCli(["backup", "create", "--dest", dest, "--url", embedded])).code).toBe(0)
        const target = ["--url", url, "--schema", "restored"]
        const restored = yield* runCli(["backup", "restore", "--dest", dest, ...target, "--yes", "--json"])
        expect([restored.code, JSON.parse(restored.out)]).toMatchObject([0, { position: 500 }])
        expect((yield* runCli(["export", ...target])).out).toBe(exported)
        expect((yield* runCli(["maint", "verify", ...target])).code).toBe(0)
      }))

    it.live("go on with a restore that was broken off, or give it up; nothing is read of it before", () =>
      Effect.gen(function*() {
        const { backup, dest, layer } = yield* filled
        const { incarnation } = JSON.parse((yield* backup("create", "--json")).out)
        const rows = yield* Effect.provide(LogTransfer.use((from) => from.readEvents({ after: 0, until: 20 })), layer)
        const brokenOff = Effect.gen(function*() {
          const url = yield* makeDatabase(admin)
          yield* LogTransfer.use((to) => to.restore({ source: incarnation, until: 60 })).pipe(
            Effect.flatMap((session) => session.writeEvents(rows)),
            Effect.scoped,
            Effect.provide(layerUrl(url, { migrate: true }))
          )
          return url
        })
        const on = (url: string) => (...args: ReadonlyArray<string>) => runCli([...args, "--url", url, "--json"])
        const url = yield* brokenOff
        const first = on(url)
        expect(codeOf(yield* first("export"))).toBe("ES-1210")
        const restore = ["backup", "restore", "--dest", dest]
        expect(JSON.parse((yield* first(...restore, "--dry-run")).out)).toMatchObject({ goesOnAfter: 20 })
        expect((yield* runCli([...restore, "--dry-run", "--url", url])).out).toBe("40 events would be restored\n")
        expect((yield* runCli(["promote", "--from", "memory:", "--to", url, "--dry-run"])).err).toBe(
          "the target has a restore of something else, which was broken off: that is cleared first\n"
        )
        expect(JSON.parse((yield* first(...restore, "--yes")).out)).toMatchObject({ position: 60, written: 40 })
        expect(JSON.parse((yield* first("maint", "stats")).out)).toMatchObject({ events: 60 })

        const second = on(yield* brokenOff)
        expect(JSON.parse((yield* second(...restore, "--abandon", "--yes")).out)).toStrictEqual({ abandoned: true })
        expect(JSON.parse((yield* second("maint", "stats")).out)).toMatchObject({ events: 0 })
      }))
  })
}
