import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { onTransfer, watching } from "../../src/cli/internal/backupWatch.ts"
import { Out } from "../../src/cli/Out.ts"
import type { Settings } from "../../src/cli/Settings.ts"
import { codeOf, filled } from "./backupPlaceSetUp.ts"
import { runCli } from "./harness.ts"

describe("backups with keys", () => {
  it.live("may change their key from one to the next: a restore takes all keys of the chain, and names the one that lacks", () =>
    Effect.gen(function*() {
      const { add, backup, cli, dest, root } = yield* filled
      const makeKey = (name: string, byte: string, directory = root) => {
        const path = join(directory, `${name}.key`)
        writeFileSync(path, byte.repeat(32), { mode: 0o600 })
        return path
      }
      const [first, second] = [makeKey("shop-2025", "ab"), makeKey("shop-2026", "cd")]
      yield* backup("create", "--key-file", first, "-q")
      yield* add(5, 60)
      const next = yield* backup("create", "--incremental", "--key-file", second, "--json")
      expect(JSON.parse(next.out)).toMatchObject({ kind: "incremental", encryption: "shop-2026", until: 65 })
      const both = ["--key-file", second, "--key-file", first]
      expect((yield* backup("verify", ...both)).code).toBe(0)
      const restore = (...keys: ReadonlyArray<string>) =>
        runCli(["backup", "restore", "--dest", dest, "--url", "memory:", "--yes", "--json", ...keys])
      for (const [given, lacking] of [[first, "shop-2026"], [second, "shop-2025"]] as const) {
        const ran = yield* restore("--key-file", given)
        expect([ran.code, codeOf(ran)]).toStrictEqual([5, "ES-2012"])
        expect(ran.err).toContain(lacking)
      }
      const other = join(root, "other")
      mkdirSync(other)
      const wrong = yield* restore("--key-file", makeKey("shop-2025", "ef", other), "--key-file", second)
      expect([wrong.code, codeOf(wrong)]).toStrictEqual([5, "ES-2013"])
      const ran = yield* restore(...both)
      expect([ran.code, JSON.parse(ran.out)]).toMatchObject([0, { position: 65 }])
      expect((yield* backup("cat", ...both)).out).toBe((yield* cli(["export"])).out)
      for (const secret of ["abab", "cdcd", "efef"]) {
        expect(wrong.err + ran.out + ran.err + next.out).not.toContain(secret)
      }
    }))
})

describe("--json of backup", () => {
  it.live("is one value of the same shape each time, on standard output, for every command", () =>
    Effect.gen(function*() {
      const { add, backup, cli, dest, root } = yield* filled
      const shapeOf = (args: ReadonlyArray<string>) =>
        Effect.map(cli([...args, "--json"]), ({ code, err, out }) => {
          expect([args, code, out.endsWith("\n"), out.trim().split("\n").length]).toStrictEqual([args, 0, true, 1])
          expect(err).not.toContain("{")
          return Object.keys(JSON.parse(out)).sort().join(" ")
        })
      const on = (command: string, ...args: ReadonlyArray<string>) =>
        shapeOf(["backup", command, "--dest", dest, ...args])
      const manifest = "after chain completedAt compression counts encryption events fileBytes format id incarnation " +
        "kind parent plainBytes segments signedBy startedAt total until version"
      const created = yield* on("create")
      expect(created.split(" ")).toEqual(expect.arrayContaining(["created", "id", "kind", "leftOut", "until"]))
      yield* add(2, 60)
      expect(yield* on("create", "--incremental")).toBe(created)
      expect(yield* on("list")).toBe("backups faults incomplete")
      expect((yield* on("describe")).split(" ")).toEqual(
        expect.arrayContaining(["backups", ...manifest.split(" ").filter((key) => created.includes(key))])
      )
      expect(yield* on("verify")).toBe("backups elapsedMs isSound unread")
      expect(yield* on("copy", "--to", join(root, "copy"))).toBe("backups copied elapsedMs faults fileBytes present")
      const pruned = yield* on("prune", "--keep-last", "1", "--dry-run")
      expect(yield* on("prune", "--keep-last", "1", "--yes")).toBe(pruned)
      const restored = "buildsLeftOut counts digest elapsedMillis id incarnation position rowsLeftOut written"
      expect(yield* on("drill", "--scratch", "memory")).toBe(
        `${restored} isSound problems projections skipped`.split(" ").sort().join(" ")
      )
      const plan = "backups dryRun goesOnAfter id position source target"
      expect(yield* on("restore", "--url", "memory:", "--dry-run")).toBe(plan)
      expect(yield* on("restore", "--url", "memory:", "--yes")).toBe(
        `${restored} goesOnAfter`.split(" ").sort().join(" ")
      )
      const some = ["--stream-prefix", "r-", "--stream", "account-1"]
      expect(yield* on("restore", ...some, "--dry-run")).toBe(
        "conflicting dryRun elapsedMillis id position present read streamPrefix streams toAppend"
      )
      expect(yield* on("restore", ...some, "--yes")).toBe("appended elapsedMillis id present read")
      expect(yield* on("restore", "--abandon", "--yes")).toBe("abandoned")
      expect(yield* on("schedule", "--cron", "0 3 * * *", "--dry-run")).toBe("due")
      // lines are values of their own
      for (const kind of ["events", "streams", "snapshots", "checkpoints", "states", "parked"]) {
        for (const line of (yield* backup("cat", "--kind", kind, "--json")).out.split("\n")) {
          if (line !== "") expect(JSON.parse(line)).toBeTypeOf("object")
        }
      }
    }))
})

describe("progress of backups", () => {
  it.effect("counts what was written on while the rest is, which has no number", () =>
    Effect.gen(function*() {
      const notes: Array<string> = []
      const settings = { progress: true, quiet: false } as Settings
      const counted = { bytes: 0, elapsedMillis: 0, eventsPerSecond: 0, remainingMillis: undefined, position: 300 }
      yield* watching(settings, (set) =>
        Effect.gen(function*() {
          const tell = onTransfer(set, "restored")
          tell({ ...counted, phase: "events", events: 300, eventsTotal: 400 })
          yield* TestClock.adjust("6 seconds")
          tell({ ...counted, phase: "rest", events: 0, eventsTotal: 0 })
          yield* TestClock.adjust("6 seconds")
        })).pipe(Effect.provideService(Out, {
          data: () => Effect.void,
          note: (text) => Effect.sync(() => void notes.push(text)),
          columns: 0,
          isNoteTerminal: false
        }))
      expect(notes).toStrictEqual([
        "300 events restored, 60/s, 75 %, 1.7 s left\n",
        "300 events restored, finishing (10 s)\n"
      ])
    }))
})
