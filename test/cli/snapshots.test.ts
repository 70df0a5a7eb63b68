import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { CommandHandler } from "../../src/command/index.ts"
import { StreamId } from "../../src/event/index.ts"
import { SnapshotStrategy } from "../../src/snapshot/index.ts"
import { EventStore, SnapshotStore } from "../../src/store/index.ts"
import { makeCli, ndjson, parseLines, runCli } from "./harness.ts"
import { Account } from "./programs/account.decider.ts"

const decider = fileURLToPath(new URL("./programs/account.decider.ts", import.meta.url))

const types = fileURLToPath(new URL("./programs/account.ts", import.meta.url))

/** Three accounts of 3, 2 and 1 events, and a stream of another category. */
const lines = ndjson(
  { stream: "account-1", type: "AccountOpened", data: { owner: "ann" } },
  { stream: "account-1", type: "MoneyDeposited", data: { cents: 150 } },
  { stream: "account-2", type: "AccountOpened", data: { owner: "bob" } },
  { stream: "account-1", type: "MoneyDeposited", data: { amount: 2 }, version: 2 },
  { stream: "account-2", type: "MoneyDeposited", data: { amount: 5 }, version: 2 },
  { stream: "account-3", type: "AccountOpened", data: { owner: "eve" } },
  { stream: "note-1", type: "NoteTaken", data: 1 }
)

const filled = Effect.gen(function*() {
  const { cli, layer } = yield* makeCli
  yield* cli(["import", "-", "-q"], { stdin: lines })
  const create = (...args: ReadonlyArray<string>) =>
    cli(["snapshot", "create", "--events", decider, "--decider", "Account", "--category", "account", ...args])
  const verify = (...args: ReadonlyArray<string>) => cli(["snapshot", "verify", ...args])
  const against = (name: string) => verify("--events", decider, "--decider", name, "--kind", "account", "--json")
  return { cli, layer, create, verify, against }
})

describe("snapshot create", () => {
  it.effect("saves the states that a command handler with snapshots looks for", () =>
    Effect.gen(function*() {
      const { create, layer } = yield* filled
      const { code, out } = yield* create("--json")
      expect(code).toBe(0)
      expect(JSON.parse(out)).toStrictEqual({
        streams: 3,
        saved: 3,
        skipped: 0,
        failed: 0,
        fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
        problems: []
      })
      yield* Effect.gen(function*() {
        // the log without its first events: whoever knows the state has it from the snapshot
        const store = yield* EventStore
        const blind: EventStore["Service"] = {
          ...store,
          readStream: (name, options) => store.readStream(name, { ...options, from: Math.max(3, options?.from ?? 0) })
        }
        const accounts = yield* Effect.provideService(
          CommandHandler.make(Account, { category: "account", snapshots: SnapshotStrategy.never }),
          EventStore,
          blind
        )
        expect((yield* accounts.load("1")).state).toStrictEqual({ owner: "ann", balance: 3.5 })
      }).pipe(Effect.scoped, Effect.provide(layer))
    }))

  it.effect("goes on from the newest snapshot, and leaves out streams in which too little is new", () =>
    Effect.gen(function*() {
      const { against, cli, create } = yield* filled
      expect(JSON.parse((yield* create("--at-least", "2", "--json")).out)).toMatchObject({ saved: 2, skipped: 1 })
      expect(JSON.parse((yield* create("--json")).out)).toMatchObject({ saved: 1, skipped: 2 })
      yield* cli(["import", "-", "-q"], {
        stdin: ndjson({ stream: "account-2", type: "MoneyDeposited", data: { cents: 1 } })
      })
      expect(JSON.parse((yield* create("--json")).out)).toMatchObject({ saved: 1, skipped: 2 })
      expect(JSON.parse((yield* against("Account")).out)).toMatchObject({ snapshots: 4, sound: 4, folded: 4 })
      expect(JSON.parse((yield* create("--stream", "account-1", "--json")).out)).toMatchObject({ streams: 1 })
      expect((yield* create()).out).toMatch(/^streams +3\nsaved +0\nskipped +3 \(fewer than 1 new events\)\n/)
    }))

  it.effect("exits with 1 when a stream cannot be folded, and saves the others", () =>
    Effect.gen(function*() {
      const { cli, create } = yield* filled
      yield* cli(["import", "-", "-q"], {
        stdin: ndjson(
          { stream: "account-4", type: "MoneyDeposited", data: { amount: -1 }, version: 2 },
          { stream: "account-5", type: "MoneyDeposited", data: { amount: "s3cret" }, version: 2 }
        )
      })
      const { code, err, out } = yield* create("--json")
      expect([code, JSON.parse(err).error.code]).toStrictEqual([1, "ES-1607"])
      expect(JSON.parse(out)).toMatchObject({ streams: 5, saved: 3, failed: 2 })
      expect(JSON.parse(out).problems).toMatchObject([
        {
          streamId: "account-4",
          problem: expect.stringContaining("evolve threw RangeError on MoneyDeposited, version 2")
        },
        { streamId: "account-5", problem: expect.stringContaining("data.amount") }
      ])
      const table = yield* create()
      expect(table.out).toContain("account-4")
      expect(out + table.out + table.err).not.toMatch(/s3cret|less than nothing/)
    }))

  it.effect.each(
    [
      ["several deciders and no name", ["--events", decider], 64, "Account, Doubled, Plain"],
      ["a name that none has", ["--events", decider, "--decider", "Other"], 64, "Account"],
      ["a decider without a state", ["--events", decider, "--decider", "Plain"], 65, "ES-1707"],
      ["no decider", ["--events", types], 65, "ES-1706"],
      [
        "a stream of another category",
        ["--events", decider, "--decider", "Account", "--stream", "note-1"],
        64,
        "note-1"
      ],
      ["a stream that is no name", ["--events", decider, "--decider", "Account", "--stream", ""], 65, "--stream"]
    ] as const
  )("refuses %s", ([, args, expected, hint]) =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const { code, err, out } = yield* cli(["snapshot", "create", "--category", "account", ...args])
      expect([code, out]).toStrictEqual([expected, ""])
      expect(err).toContain(hint)
    }))
})

describe("snapshot verify", () => {
  it.effect("exits with 2 for bytes that are not what was saved, and for a state that the events do not add up to", () =>
    Effect.gen(function*() {
      const { against, create, layer, verify } = yield* filled
      yield* create()
      expect((yield* verify()).code).toBe(0)
      expect((yield* verify()).out).toMatch(/^snapshots +3\nsound +3 \(0 compared with their streams\)\n/)
      const doubled = yield* against("Doubled")
      expect(doubled.code).toBe(2)
      expect(JSON.parse(doubled.out)).toMatchObject({
        snapshots: 3,
        sound: 1,
        wrong: 2,
        problems: [{ streamId: "account-1", revision: 2 }, { streamId: "account-2", revision: 1 }]
      })
      yield* Effect.provide(
        Effect.gen(function*() {
          const store = yield* SnapshotStore
          const { fingerprint } = (yield* store.list()).snapshots[0]!
          const saved = Option.getOrThrow(
            yield* store.load({ streamId: "account-1", kind: "account", fingerprint })
          )
          yield* store.save({ ...saved, bytes: saved.bytes.map((byte, index) => index === 3 ? byte ^ 1 : byte) })
        }),
        layer
      )
      const broken = yield* verify("--json")
      expect([broken.code, JSON.parse(broken.err).error.code]).toStrictEqual([2, "ES-1606"])
      expect(JSON.parse(broken.out)).toMatchObject({ sound: 2, wrong: 1, problems: [{ streamId: "account-1" }] })
      expect(JSON.parse((yield* against("Account")).out)).toMatchObject({ sound: 2, wrong: 1, folded: 2 })
      // a broken snapshot is one that is not there
      expect(JSON.parse((yield* create("--json")).out)).toMatchObject({ saved: 1, skipped: 2 })
      expect((yield* against("Account")).code).toBe(0)
    }))

  it.effect("does not take a snapshot of an ended stream for wrong: it is never used", () =>
    Effect.gen(function*() {
      const { against, cli, create } = yield* filled
      yield* create()
      yield* cli(["stream", "tombstone", "account-2", "--yes"])
      expect(yield* against("Account")).toMatchObject({ code: 0 })
      expect(JSON.parse((yield* against("Account")).out)).toMatchObject({ sound: 2, wrong: 0, unusable: 1 })
    }))

  it.effect("needs to know the kind that it compares with", () =>
    Effect.gen(function*() {
      const { verify } = yield* filled
      expect(yield* verify("--events", decider)).toMatchObject({
        code: 64,
        out: "",
        err: expect.stringContaining("--kind")
      })
    }))
})

describe("snapshot list", () => {
  it.effect("shows what is kept, a page at a time, and sums by kind and fingerprint", () =>
    Effect.gen(function*() {
      const { cli, create } = yield* filled
      expect((yield* cli(["snapshot", "list"])).out).toBe("there are no snapshots\n")
      expect((yield* cli(["snapshot", "list", "--summary"])).out).toBe("there are no snapshots\n")
      const { fingerprint } = JSON.parse((yield* create("--json")).out)
      const table = yield* cli(["snapshot", "list"])
      expect(table.out).toMatch(/^STREAM +KIND +REVISION .+\naccount-1 +account +2 +\d+ B /)
      const page = JSON.parse((yield* cli(["snapshot", "list", "-n", "2", "--json"])).out)
      expect(page.snapshots.map(({ streamId }: { readonly streamId: string }) => streamId)).toStrictEqual([
        "account-1",
        "account-2"
      ])
      const rest = yield* cli(["snapshot", "list", "--cursor", page.next, "-o", "ndjson"])
      expect(parseLines(rest.out)).toMatchObject([{ streamId: "account-3", kind: "account", revision: 0, fingerprint }])
      expect(parseLines((yield* cli(["snapshot", "list", "--stream", "account-2", "-o", "ndjson"])).out)).toHaveLength(
        1
      )
      expect(JSON.parse((yield* cli(["snapshot", "list", "--kind", "order", "--json"])).out).snapshots).toStrictEqual(
        []
      )
      const summary = JSON.parse((yield* cli(["snapshot", "list", "--summary", "--json"])).out)
      expect(summary).toMatchObject({
        snapshots: 3,
        groups: [{ kind: "account", fingerprint, snapshots: 3, streams: 3 }]
      })
      expect((yield* cli(["snapshot", "list", "--summary"])).out).toMatch(/\naccount +3 +3 /)
    }))
})

describe("snapshots of an embedded store", () => {
  it.live("are taken, listed, checked and removed as those in memory are", () =>
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-snapshots-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const cli = (args: ReadonlyArray<string>, stdin = "") =>
        runCli([...args, "--url", `pglite:${join(directory, "store")}`], { stdin })
      expect((yield* cli(["snapshot", "list"])).code).toBe(3)
      yield* cli(["import", "-", "-q"], lines)
      const module = ["--events", decider, "--decider", "Account"]
      const created = yield* cli(["snapshot", "create", ...module, "--category", "account", "--json"])
      expect(JSON.parse(created.out)).toMatchObject({ saved: 3, failed: 0 })
      const listed = yield* cli(["snapshot", "list", "-o", "ndjson"])
      expect(parseLines(listed.out).map(({ streamId }) => streamId)).toStrictEqual([
        "account-1",
        "account-2",
        "account-3"
      ])
      const verified = yield* cli(["snapshot", "verify", ...module, "--kind", "account", "--json"])
      expect(JSON.parse(verified.out)).toMatchObject({ snapshots: 3, sound: 3, folded: 3 })
      expect((yield* cli(["snapshot", "prune", "--all", "--json"])).out).toBe("{\"removed\":3}\n")
    }))
})

describe("snapshot advise", () => {
  it.effect("names a strategy as a program writes it, and the reasons", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const { strategy, reasons } = JSON.parse((yield* cli(["snapshot", "advise", "--json"])).out)
      expect(strategy).toMatch(/^SnapshotStrategy\.\w+/)
      expect(reasons.length).toBeGreaterThan(0)
      expect((yield* cli(["snapshot", "advise", "--category", "none"])).out).toMatch(/^SnapshotStrategy\.never\n {2}\S/)
      expect((yield* cli(["snapshot", "advise", "--budget", "0"])).code).toBe(64)
    }))
})

describe("snapshot prune", () => {
  it.live("removes what a rule names and nothing else", () =>
    Effect.gen(function*() {
      const { cli, create, layer } = yield* filled
      yield* create()
      yield* cli(["import", "-", "-q"], {
        stdin: ndjson({ stream: "account-2", type: "MoneyDeposited", data: { cents: 1 } })
      })
      yield* create()
      const prune = (...args: ReadonlyArray<string>) =>
        Effect.map(cli(["snapshot", "prune", ...args, "--json"]), ({ out }) => JSON.parse(out).removed)
      expect(yield* prune("--older-than", "1d")).toBe(0)
      expect(yield* prune("--keep-last", "1")).toBe(1)
      yield* Effect.provide(
        Effect.gen(function*() {
          const store = yield* SnapshotStore
          const [first] = (yield* store.list()).snapshots
          const saved = Option.getOrThrow(yield* store.load({ ...first!, streamId: StreamId.make("account-1") }))
          yield* store.save({ ...saved, kind: "aged", takenAt: DateTime.makeUnsafe(0) })
        }),
        layer
      )
      expect(yield* prune("--older-than", "3w", "--kind", "account")).toBe(0)
      expect(yield* prune("--older-than", "3w")).toBe(1)
      yield* cli(["stream", "tombstone", "account-3", "--yes"])
      expect(yield* prune("--unusable")).toBe(1)
      expect(yield* prune("--all", "--stream", "account-1")).toBe(1)
      expect((yield* cli(["snapshot", "prune", "--all"])).out).toBe("1 snapshots removed\n")
      expect((yield* cli(["maint", "stats", "--json"])).out).toContain("\"events\":8")
    }))

  it.effect.each([[[]], [["--all", "--unusable"]], [["--older-than", "soon"]], [["--keep-last", "0"]]] as const)(
    "wants to be told what to remove: %j",
    ([args]) =>
      Effect.gen(function*() {
        const { cli } = yield* filled
        expect(yield* cli(["snapshot", "prune", ...args])).toMatchObject({ code: 64, out: "" })
      })
  )
})
