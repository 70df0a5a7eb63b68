import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { existsSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { encryptionKey } from "../backup/fixtures.ts"
import { startS3Server, startS3ServerFor } from "../support/s3Server.ts"
import { chain, codeOf, flip, setUp } from "./backupPlaceSetUp.ts"
import { parseLines } from "./harness.ts"

describe("backup list", () => {
  it.live("lists backups for people and for machines, the oldest first", () =>
    Effect.gen(function*() {
      const { backup, full, incremental } = yield* chain
      const { code, out } = yield* backup("list", "--json")
      expect(code).toBe(0)
      expect(JSON.parse(out)).toMatchObject({
        backups: [
          { id: full.id, kind: "full", parent: null, until: 20, encryption: null, segments: full.segments.length },
          { id: incremental.id, kind: "incremental", parent: full.id, after: 20, until: 40 }
        ],
        faults: [],
        incomplete: []
      })
      expect(parseLines((yield* backup("list", "-o", "ndjson")).out)).toHaveLength(2)
      const table = (yield* backup("list")).out
      expect(table).toMatch(new RegExp(`${full.id} +full +1 to 20 +20 `))
      expect(table).toMatch(new RegExp(`${incremental.id} +incremental +21 to 40 +20 `))
    }))

  it.live("says which manifests cannot be read and what was never finished, and lists the others", () =>
    Effect.gen(function*() {
      const { backup, dest, full, incremental } = yield* chain
      flip(join(dest, `${incremental.id}.manifest.json`), 9)
      writeFileSync(join(dest, "20260101T000000Z-0123456789abcdef.000000000001.esb"), "x")
      const { code, err, out } = yield* backup("list")
      expect([code, out.includes(full.id), out.includes(incremental.id)]).toStrictEqual([0, true, false])
      expect(err).toContain(`cannot be read: ${incremental.id}`)
      expect(err).toContain("not finished: 20260101T000000Z-0123456789abcdef, 1 files, 1 B")
      expect(JSON.parse((yield* backup("list", "--json")).out)).toMatchObject({
        faults: [{ id: incremental.id, fault: "BackupCorrupt" }],
        incomplete: [{ files: 1 }]
      })
    }))

  it.live("makes no directory, and says that there is none", () =>
    Effect.gen(function*() {
      const { cli, root } = yield* setUp
      for (const command of [["list"], ["describe"], ["verify"], ["cat"], ["prune", "--keep-last", "1"]]) {
        const ran = yield* cli(["backup", ...command, "--dest", join(root, "nowhere"), "--json"])
        expect([ran.code, ran.out, codeOf(ran)]).toStrictEqual([3, "", "ES-2001"])
      }
      expect(existsSync(join(root, "nowhere"))).toBe(false)
    }))

  it.live("says of a place that is a file that it is no directory", () =>
    Effect.gen(function*() {
      const { cli, root } = yield* setUp
      writeFileSync(join(root, "file"), "mine")
      for (const command of ["list", "create"]) {
        const ran = yield* cli(["backup", command, "--dest", join(root, "file"), "--json"])
        expect([ran.code, codeOf(ran)]).toStrictEqual([1, "ES-2019"])
        expect(JSON.parse(ran.err).error).toMatchObject({
          details: { why: expect.stringContaining("it is not a directory"), reason: "Failed" },
          hint: "check the place and its rights"
        })
      }
    }))

  it.live("takes the place from the environment", () =>
    Effect.gen(function*() {
      const { cli, dest, full } = yield* chain
      const { out } = yield* Effect.provideService(
        cli(["backup", "list"]),
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnvRecord({ EVENT_STORE_BACKUP_DEST: dest })
      )
      expect(out).toContain(full.id)
      expect((yield* cli(["backup", "list"])).code).toBe(64)
    }))
})

describe("backup describe", () => {
  it.live("shows the newest backup, or the one that is named, and what it takes to restore it", () =>
    Effect.gen(function*() {
      const { backup, full, incremental } = yield* chain
      const newest = (yield* backup("describe")).out
      expect(newest).toMatch(new RegExp(`^backup +${incremental.id}\n`))
      expect(newest).toMatch(/\nevents +20 of its own, 40 with those it goes on from\n/)
      expect(newest).toMatch(/\nto restore +2 backups, /)
      expect(JSON.parse((yield* backup("describe", full.id, "--json")).out)).toMatchObject({
        id: full.id,
        backups: [full.id],
        segments: full.segments
      })
    }))

  it.live.each(
    [
      ["20260101T000000Z-0123456789abcdef"],
      ["../../etc/passwd"],
      [""],
      ["\u001b[2J"],
      ["x".repeat(10_000)]
    ] as const
  )("finds no backup named %j", ([id]) =>
    Effect.gen(function*() {
      const { backup } = yield* chain
      for (const command of ["describe", "cat"]) {
        const ran = yield* backup(command, id, "--json")
        expect([ran.code, codeOf(ran), ran.out]).toStrictEqual([3, "ES-2017", ""])
        expect((yield* backup(command, id)).err).not.toContain("\u001b")
      }
    }))
})

describe("backup verify", () => {
  it.live("proves every backup of a place once, and exits with 0", () =>
    Effect.gen(function*() {
      const { backup, full, incremental } = yield* chain
      const { code, out } = yield* backup("verify", "--json")
      expect([code, JSON.parse(out)]).toMatchObject([
        0,
        {
          isSound: true,
          unread: [],
          backups: [{ id: incremental.id, backups: [full.id, incremental.id], events: { count: 40 } }]
        }
      ])
      expect((yield* backup("verify")).out).toMatch(/^verified +2 backups in .*\nevents +40\n[^]*\nsound +yes\n$/)
      expect(JSON.parse((yield* backup("verify", full.id, "--json")).out).backups).toMatchObject([{ id: full.id }])
    }))

  it.live("exits with 2 and names the file and the place of what is wrong, in segments and in manifests", () =>
    Effect.gen(function*() {
      const { backup, dest, full, incremental } = yield* chain
      const segment = `${full.id}.000000000001.esb`
      flip(join(dest, segment), 200)
      const damaged = yield* backup("verify", "--json")
      expect([damaged.code, codeOf(damaged)]).toStrictEqual([2, "ES-2020"])
      expect(JSON.parse(damaged.out)).toMatchObject({
        isSound: false,
        backups: [{ faults: [{ fault: "BackupCorrupt", file: segment }] }]
      })
      flip(join(dest, segment), 200)
      flip(join(dest, `${incremental.id}.manifest.json`), 100)
      const unread = yield* backup("verify", "--json")
      expect([unread.code, JSON.parse(unread.out).isSound]).toStrictEqual([2, false])
      expect((yield* backup("verify")).out).toContain(`${incremental.id}.manifest.json`)
      expect(yield* backup("verify", full.id, "-q")).toMatchObject({ code: 0, err: "" })
    }))

  it.live("counts all that goes on from a damaged backup as damaged", () =>
    Effect.gen(function*() {
      const { backup, dest, full, incremental } = yield* chain
      flip(join(dest, `${full.id}.000000000001.esb`), 200)
      const { err } = yield* backup("verify", "--json")
      expect(JSON.parse(err).error.details.unsound).toStrictEqual([full.id, incremental.id])
      flip(join(dest, `${full.id}.000000000001.esb`), 200)
      flip(join(dest, `${incremental.id}.000000000001.esb`), 200)
      const only = yield* backup("verify", "--json")
      expect(JSON.parse(only.err).error.details.unsound).toStrictEqual([incremental.id])
    }))

  it.live("calls no backup damaged for an id that there is not, or for a key that is missing or another", () =>
    Effect.gen(function*() {
      const { backup, root, write } = yield* setUp
      const other = join(root, "shop.key")
      yield* write({ to: 5, encryption: encryptionKey(1, "shop") })
      writeFileSync(other, "22".repeat(32), { mode: 0o600 })
      const unknown = yield* backup("verify", "../20260101T000000Z-0123456789abcdef", "--json")
      expect([unknown.code, codeOf(unknown)]).toStrictEqual([3, "ES-2017"])
      for (const [code, ...args] of [["ES-2012"], ["ES-2013", "--key-file", other]] as const) {
        const ran = yield* backup("verify", ...args, "--json")
        expect([ran.code, codeOf(ran), JSON.parse(ran.out).isSound]).toStrictEqual([5, code, false])
      }
      expect((yield* backup("verify")).out).toMatch(/\nrows +0 B .*\nrevisions +not looked at\n/)
    }))

  it.live("says of a place without backups that there is none", () =>
    Effect.gen(function*() {
      const { backup } = yield* setUp
      const ran = yield* backup("verify", "--json")
      expect([ran.code, codeOf(ran)]).toStrictEqual([3, "ES-2017"])
    }))
})

describe("backup cat", () => {
  it.live("prints the events of a chain as export does, and other rows on demand", () =>
    Effect.gen(function*() {
      const { backup, full } = yield* chain
      const all = parseLines((yield* backup("cat")).out)
      expect(all.map(({ position }) => position)).toStrictEqual(Array.from({ length: 40 }, (_, index) => index + 1))
      expect(parseLines((yield* backup("cat", full.id)).out)).toStrictEqual(all.slice(0, 20))
      expect(parseLines((yield* backup("cat", "--after", "18", "--to-position", "22")).out)).toStrictEqual(
        all.slice(18, 22)
      )
      expect(parseLines((yield* backup("cat", "--kind", "streams")).out)).toMatchObject([
        { streamId: "order-1" },
        { streamId: "order-2" }
      ])
      expect((yield* backup("cat", "--kind", "states", "--after", "3")).code).toBe(64)
    }))

  it.live("prints nothing of a segment that is damaged", () =>
    Effect.gen(function*() {
      const { backup, dest, full } = yield* chain
      flip(join(dest, `${full.id}.000000000001.esb`), 300)
      const ran = yield* backup("cat", "--json")
      expect([ran.code, ran.out, codeOf(ran)]).toStrictEqual([65, "", "ES-2010"])
    }))
})

describe("backup copy", () => {
  it.live("copies what is not there yet, and mends what is damaged there", () =>
    Effect.gen(function*() {
      const { backup, cli, full, root } = yield* chain
      const to = join(root, "second")
      const first = yield* backup("copy", "--to", to, full.id, "--json")
      expect([first.code, JSON.parse(first.out)]).toMatchObject([0, { backups: [full.id], present: 0, faults: [] }])
      expect(JSON.parse((yield* backup("copy", "--to", to, "--json")).out)).toMatchObject({
        present: full.segments.length
      })
      flip(join(to, `${full.id}.000000000001.esb`), 50)
      expect(JSON.parse((yield* backup("copy", "--to", to, "--json")).out)).toMatchObject({ copied: 1 })
      expect((yield* cli(["backup", "verify", "--dest", to])).code).toBe(0)
      expect((yield* backup("copy", "--to", to)).out).toMatch(/^backups +2 are in .*second now\nsegments +0 copied, /)
    }))

  it.live("refuses one and the same place, and copies the others when one cannot be read", () =>
    Effect.gen(function*() {
      const { backup, dest, full, incremental, root } = yield* chain
      expect((yield* backup("copy", "--to", dest)).code).toBe(64)
      flip(join(dest, `${incremental.id}.manifest.json`), 30)
      const ran = yield* backup("copy", "--to", join(root, "second"), "--json")
      expect([ran.code, codeOf(ran), JSON.parse(ran.out).backups]).toStrictEqual([1, "ES-2021", [full.id]])
      flip(join(dest, `${full.id}.000000000001.esb`), 200)
      const damaged = yield* backup("copy", "--to", join(root, "third"), "--json")
      expect([damaged.code, JSON.parse(damaged.out)]).toMatchObject([
        1,
        { backups: [], faults: [{ id: incremental.id }, { id: full.id, fault: "BackupCorrupt" }] }
      ])
    }))

  it.live("speaks to buckets of S3", () =>
    Effect.gen(function*() {
      const { backup, cli, full } = yield* chain
      const server = yield* Effect.acquireRelease(
        Effect.promise(startS3Server),
        (server) => Effect.promise(() => server.close())
      )
      Object.assign(process.env, {
        AWS_ACCESS_KEY_ID: server.accessKeyId,
        AWS_SECRET_ACCESS_KEY: server.secretAccessKey
      })
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          delete process.env["AWS_ACCESS_KEY_ID"]
          delete process.env["AWS_SECRET_ACCESS_KEY"]
        })
      )
      const bucket = `s3://${server.bucket}/shop/nightly?region=${server.region}&endpoint=${server.endpoint}`
      expect((yield* backup("copy", "--to", bucket)).out).toContain(
        `are in s3://backups/shop/nightly?endpoint=${server.endpoint} now`
      )
      expect([...server.objects.keys()].every((key) => key.startsWith("shop/nightly/"))).toBe(true)
      expect((yield* cli(["backup", "list", "--dest", bucket])).out).toContain(full.id)
      expect((yield* cli(["backup", "verify", "--dest", bucket])).code).toBe(0)
      server.fault = () => 403
      const ran = yield* cli(["backup", "list", "--dest", bucket, "--json"])
      expect([ran.code, codeOf(ran)]).toStrictEqual([5, "ES-2019"])
      expect(ran.err).not.toContain(server.secretAccessKey)
    }))
})

describe("backup copy between two accounts", () => {
  const server = (name: string, region: string) =>
    Effect.acquireRelease(
      Effect.promise(() =>
        startS3ServerFor({ accessKeyId: `key-of-${name}`, secretAccessKey: `secret/of+${name}`, region })
      ),
      (server) => Effect.promise(() => server.close())
    )

  /** Two services with other keys and regions, a file with both, and a chain in the first. */
  const twoAccounts = Effect.gen(function*() {
    const { backup, cli, full, root } = yield* chain
    const [near, far] = [yield* server("near", "eu-central-1"), yield* server("far", "us-east-2")]
    const files = { AWS_SHARED_CREDENTIALS_FILE: join(root, "credentials"), AWS_CONFIG_FILE: join(root, "config") }
    const ini = (section: string, each: typeof near) =>
      `[${section}]\naws_access_key_id = ${each.accessKeyId}\naws_secret_access_key = ${each.secretAccessKey}\n`
    writeFileSync(files.AWS_SHARED_CREDENTIALS_FILE, ini("near", near) + ini("far", far), { mode: 0o600 })
    const region = (section: string, each: typeof near) => `[profile ${section}]\nregion = ${each.region}\n`
    writeFileSync(files.AWS_CONFIG_FILE, region("near", near) + region("far", far))
    yield* Effect.acquireRelease(
      Effect.sync(() => Object.assign(process.env, files)),
      () => Effect.sync(() => Object.keys(files).forEach((name) => delete process.env[name]))
    )
    const at = (each: typeof near, profile: string) =>
      `s3://${each.bucket}/shop?profile=${profile}&endpoint=${each.endpoint}`
    expect((yield* backup("copy", "--to", at(near, "near"))).code).toBe(0)
    return { cli, near, far, full, from: at(near, "near"), to: at(far, "far"), swapped: at(far, "near") }
  })

  it.live("each place has credentials and a region of its own; a copy that broke goes on, and is read again there", () =>
    Effect.gen(function*() {
      const { cli, far, from, near, to } = yield* twoAccounts
      let puts = 0
      far.fault = (method) => method === "PUT" && ++puts > 3 ? 403 : undefined
      const copy = ["backup", "copy", "--dest", from, "--to", to, "--json"]
      const broken = yield* cli(copy)
      expect([broken.code, codeOf(broken)]).toStrictEqual([5, "ES-2019"])
      const there = [...far.objects.keys()]
      expect(there).toHaveLength(3)
      expect(there.some((key) => key.endsWith(".manifest.json"))).toBe(false)

      far.fault = undefined
      far.requests.length = 0
      const ran = yield* cli(copy)
      expect([ran.code, JSON.parse(ran.out)]).toMatchObject([0, { present: 3, faults: [] }])
      expect([...far.objects.keys()].sort()).toStrictEqual([...near.objects.keys()].sort())
      for (const [key, { bytes }] of near.objects) expect(far.objects.get(key)?.bytes.equals(bytes)).toBe(true)
      for (const key of far.objects.keys()) {
        const of = (method: string) => far.requests.filter((request) => request === `${method} ${key}`).length
        // what was there is proved and not sent again; what is sent is read again
        expect([key, of("PUT"), of("GET") > 0]).toStrictEqual([key, there.includes(key) ? 0 : 1, true])
      }
      expect((yield* cli(["backup", "verify", "--dest", to])).code).toBe(0)
      for (const { secretAccessKey } of [near, far]) {
        expect(broken.err + broken.out + ran.err + ran.out).not.toContain(secretAccessKey)
      }
    }))

  it.live("the account of the other place is not let in, and a bucket of the same name is another place", () =>
    Effect.gen(function*() {
      const { cli, from, swapped } = yield* twoAccounts
      const ran = yield* cli(["backup", "list", "--dest", swapped, "--json"])
      expect([ran.code, codeOf(ran)]).toStrictEqual([5, "ES-2019"])
      expect((yield* cli(["backup", "copy", "--dest", from, "--to", from, "--json"])).code).toBe(64)
      expect((yield* cli(["backup", "list", "--dest", `${from.replace("profile=near", "profile=none")}`])).code).not
        .toBe(0)
    }))
})

describe("backup prune", () => {
  it.live("shows its plan, asks before it removes, and keeps what kept backups go on from", () =>
    Effect.gen(function*() {
      const { backup, full, incremental, write } = yield* chain
      const younger = yield* write({ to: 41 })
      const dry = yield* backup("prune", "--keep-last", "1", "--dry-run")
      expect(dry.code).toBe(0)
      expect(dry.out).toMatch(new RegExp(`${younger.id} +\\S+ \\S+ +keep +last\n`))
      expect(dry.out).toContain("2 backups would be removed")
      const unasked = yield* backup("prune", "--keep-last", "1", "--json")
      expect([unasked.code, codeOf(unasked)]).toStrictEqual([6, "ES-1401"])
      expect(JSON.parse((yield* backup("list", "--json")).out).backups).toHaveLength(3)

      expect(JSON.parse((yield* backup("prune", "--keep-last", "2", "--yes", "--json")).out)).toMatchObject({
        keep: [{ id: younger.id }, { id: incremental.id }, { id: full.id, because: ["parent"] }],
        remove: []
      })
      expect(JSON.parse((yield* backup("prune", "--keep-last", "1", "-y", "--json")).out)).toMatchObject({
        remove: [incremental.id, full.id]
      })
      expect(JSON.parse((yield* backup("list", "--json")).out).backups).toMatchObject([{ id: younger.id }])
    }))

  it.live("removes nothing while a backup cannot be read", () =>
    Effect.gen(function*() {
      const { backup, dest, incremental, write } = yield* chain
      yield* write({ to: 3 })
      flip(join(dest, `${incremental.id}.manifest.json`), 30)
      const files = readdirSync(dest)
      const ran = yield* backup("prune", "--keep-last", "1", "--yes", "--json")
      expect([ran.code, codeOf(ran)]).toStrictEqual([1, "ES-2022"])
      expect(readdirSync(dest)).toStrictEqual(files)
    }))

  it.live.each(
    [
      [[]],
      [["--time-zone", "Europe/Berlin"]],
      [["--keep-last", "0"]],
      [["--keep-last", "-1"]],
      [["--keep-daily", "7", "--time-zone", "Europe/Nowhere"]]
    ] as const
  )("refuses the rules %j", ([rules]) =>
    Effect.gen(function*() {
      const { backup } = yield* chain
      expect((yield* backup("prune", "--yes", ...rules)).code).toBe(64)
    }))
})
