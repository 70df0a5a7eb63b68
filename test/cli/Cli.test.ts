import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync, zstdDecompressSync } from "node:zlib"
import { EventStore } from "../../src/store/EventStore.ts"
import { makeCli, ndjson, parseLines } from "./harness.ts"

const lines = ndjson(
  { stream: "loan-1", type: "LoanOpened", data: { amount: 10 }, tags: ["owner:ann"] },
  { stream: "loan-2", type: "LoanOpened", data: { amount: 20 } },
  { stream: "loan-1", type: "LoanPaid", data: { amount: 4 }, metadata: { actor: "bob" } },
  { stream: "note", type: "NoteTaken", data: "\u001b[31mred\u202e", version: 2 }
)

/** A command line with four events in three streams, and a directory. */
const filled = Effect.gen(function*() {
  const { cli, layer } = yield* makeCli
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-cli-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  expect((yield* cli(["import", "-", "-q"], { stdin: lines })).code).toBe(0)
  return { cli, layer, directory, path: (name: string) => join(directory, name) }
})

describe("import", () => {
  it.effect("sums up for people and for machines", () =>
    Effect.gen(function*() {
      const { cli, path } = yield* filled
      writeFileSync(path("more.ndjson"), ndjson({ stream: "loan-3", type: "LoanOpened", data: {} }) + lines)
      const json = yield* cli(["import", path("more.ndjson"), "--json"])
      expect(json).toStrictEqual({
        code: 0,
        out: "{\"read\":5,\"appended\":1,\"skipped\":4,\"rejected\":0,\"streams\":4,\"lastPosition\":5}\n",
        err: ""
      })
      const table = yield* cli(["import", path("more.ndjson")])
      expect(table.out).toMatch(
        /^read +5 lines of \S+more\.ndjson in .+\nappended +0\nskipped +5 \(recorded already\)\n/
      )
      expect((yield* cli(["import", path("more.ndjson"), "--namespace", "twice", "-o", "ndjson"])).out).toContain(
        "\"appended\":5"
      )
    }))

  it.effect("checks a file and writes nothing on a dry run", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const stdin = ndjson({ stream: "loan-9", type: "T", data: {} })
      expect((yield* cli(["import", "-", "--dry-run"], { stdin })).out).toContain("dry run")
      expect((yield* cli(["stream", "inspect", "loan-9"])).code).toBe(3)
      expect((yield* cli(["import", "-", "--dry-run"], { stdin: "{" })).code).toBe(65)
    }))

  it.effect("stops at a bad line with 65, its number and its reason", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const { code, err, out } = yield* cli(["import", "-", "-o", "json"], { stdin: `\n${lines}nonsense\n` })
      expect([code, out]).toStrictEqual([65, ""])
      expect(JSON.parse(err)).toMatchObject({ error: { code: "ES-1501", details: { line: 6, reason: "NotJson" } } })
    }))

  it.effect("puts bad lines aside as they stood, with number and reason beside them", () =>
    Effect.gen(function*() {
      const { cli, path } = yield* filled
      const stdin = `nonsense\n${ndjson({ stream: "x-1", type: "T", data: 1 })} {"stream": 5}\r\n`
      const { code, out } = yield* cli(
        ["import", "-", "--continue-on-error", "--rejects", path("bad.ndjson"), "-o", "json"],
        { stdin }
      )
      expect(code).toBe(0)
      expect(JSON.parse(out)).toMatchObject({ read: 3, appended: 1, rejected: 2 })
      expect(readFileSync(path("bad.ndjson"), "utf8")).toBe("nonsense\n {\"stream\": 5}\r\n")
      expect(parseLines(readFileSync(path("bad.ndjson.reasons"), "utf8"))).toStrictEqual([
        { line: 1, reason: "NotJson", detail: expect.any(String) },
        { line: 3, reason: "MissingKey", detail: expect.any(String) }
      ])
      const noted = yield* cli(["import", "-", "--continue-on-error"], { stdin })
      expect(noted.err).toMatch(/^line 1: .+ \(NotJson\)\nline 3: .+ \(MissingKey\)\n$/)
    }))

  it.effect("of a file that is not there exits with 3", () =>
    Effect.gen(function*() {
      const { cli, path } = yield* filled
      expect(yield* cli(["import", path("none.ndjson")])).toMatchObject({ code: 3, out: "" })
    }))
})

describe("export", () => {
  it.effect("writes lines that import takes, to standard output and to files of each kind", () =>
    Effect.gen(function*() {
      const { cli, directory, path } = yield* filled
      const { code, err, out } = yield* cli(["export"])
      expect([code, err]).toStrictEqual([0, ""])
      expect(parseLines(out).map(({ stream }) => stream)).toStrictEqual(["loan-1", "loan-2", "loan-1", "note"])
      for (
        const [name, read] of [
          ["log.ndjson", (bytes: Buffer) => bytes],
          ["log.ndjson.gz", gunzipSync],
          ["log.ndjson.zst", zstdDecompressSync]
        ] as const
      ) {
        const written = yield* cli(["export", "--out", path(name)])
        expect(written).toMatchObject({ code: 0, out: "" })
        expect(written.err).toContain("4 events")
        expect(read(readFileSync(path(name))).toString()).toBe(out)
        expect(JSON.parse((yield* cli(["import", path(name), "--json"])).out)).toMatchObject({ skipped: 4 })
      }
      expect(readdirSync(directory).toSorted()).toStrictEqual(["log.ndjson", "log.ndjson.gz", "log.ndjson.zst"])
    }))

  it.effect("narrows by stream, category, type, tag, time, position and number", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const positions = (...args: ReadonlyArray<string>) =>
        Effect.map(cli(["export", ...args]), ({ out }) => parseLines(out).map(({ position }) => position))
      expect(yield* positions("--stream", "loan-1")).toStrictEqual([1, 3])
      expect(yield* positions("--stream", "loan-2", "--stream", "note")).toStrictEqual([2, 4])
      expect(yield* positions("--category", "loan")).toStrictEqual([1, 2, 3])
      expect(yield* positions("--type", "LoanOpened", "--type", "NoteTaken")).toStrictEqual([1, 2, 4])
      expect(yield* positions("--tag", "owner:ann")).toStrictEqual([1])
      expect(yield* positions("--since", "1970-01-02")).toStrictEqual([])
      expect(yield* positions("--until", "1970-01-02T00:00")).toStrictEqual([1, 2, 3, 4])
      expect(yield* positions("--after", "1", "--to-position", "3")).toStrictEqual([2, 3])
      expect(yield* positions("-n", "2")).toStrictEqual([1, 2])
    }))

  it.effect("replaces a file as a whole, and leaves it as it was when it cannot be finished", () =>
    Effect.gen(function*() {
      const { cli, directory, path } = yield* filled
      writeFileSync(path("log.ndjson"), "old")
      expect((yield* cli(["export", "--after", "99", "--out", path("log.ndjson")])).code).toBe(3)
      expect(readdirSync(directory)).toStrictEqual(["log.ndjson"])
      expect(readFileSync(path("log.ndjson"), "utf8")).toBe("old")
      expect((yield* cli(["export", "--out", path("log.ndjson")])).code).toBe(0)
      expect(parseLines(readFileSync(path("log.ndjson"), "utf8")).length).toBe(4)
      expect((yield* cli(["export", "--out", path("none/log.ndjson")])).code).toBe(3)
    }))
})

describe("stream", () => {
  it.effect("list prints tables, JSON and lines, a page at a time", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const table = yield* cli(["stream", "list"])
      expect(table.out.split("\n").map((row) => row.split(/ {2,}/)[0])).toStrictEqual(
        ["STREAM", "loan-1", "loan-2", "note", ""]
      )
      const first = JSON.parse((yield* cli(["stream", "list", "-n", "2", "--sort", "events", "--desc", "--json"])).out)
      expect(first.streams[0]).toMatchObject({ stream: "loan-1", events: 2, revision: 1, isTombstoned: false })
      const next = yield* cli(
        ["stream", "list", "-n", "2", "--sort", "events", "--desc", "-o", "ndjson", "--cursor", first.next]
      )
      expect(parseLines(next.out).length).toBe(1)
      expect(next.err).toBe("")
      expect((yield* cli(["stream", "list", "-n", "1"])).err).toContain("--cursor ")
      expect(parseLines((yield* cli(["stream", "list", "--prefix", "loan-", "-o", "ndjson"])).out).length).toBe(2)
      expect(parseLines((yield* cli(["stream", "list", "--category", "note", "-o", "ndjson"])).out).length).toBe(1)
      expect((yield* cli(["stream", "list", "--cursor", "forged"])).code).toBe(65)
    }))

  it.effect("inspect prints the stream, then its events, either way", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const table = yield* cli(["stream", "inspect", "loan-1"])
      expect(table.out).toMatch(/^stream +loan-1\ncategory +loan\nstate +open\nevents +2 \(revision 1\)\n/)
      expect(table.out).toContain("LoanPaid")
      const json = JSON.parse((yield* cli(["stream", "inspect", "loan-1", "--reverse", "-n", "1", "--json"])).out)
      expect(json).toMatchObject({
        stream: { stream: "loan-1" },
        events: [{ revision: 1, metadata: { actor: "bob" } }]
      })
      const events = yield* cli(["stream", "inspect", "loan-1", "--from", "1", "-o", "ndjson"])
      expect(parseLines(events.out).map(({ revision }) => revision)).toStrictEqual([1])
      expect(yield* cli(["stream", "inspect", "loan-7"])).toMatchObject({ code: 3, out: "" })
    }))

  it.effect("tail prints what was recorded after a position, and where to resume", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const all = yield* cli(["stream", "tail", "--from-position", "0", "-n", "3"])
      expect(all.out.split("\n").map((row) => row.split(" ")[0])).toStrictEqual(["1", "2", "3", ""])
      expect(all.err).toBe("to resume: --from-position 3\n")
      const one = yield* cli(["stream", "tail", "loan-1", "--after", "1", "-n", "1", "-o", "ndjson"])
      expect(parseLines(one.out).map(({ position }) => position)).toStrictEqual([3])
      const typed = yield* cli(["stream", "tail", "--after", "0", "--type", "NoteTaken", "-n", "1", "-q", "--json"])
      expect(typed.err).toBe("")
      expect(parseLines(typed.out).map(({ position }) => position)).toStrictEqual([4])
    }))

  it.effect("truncate hides events, once its dry run said how many", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const dry = yield* cli(["stream", "truncate", "loan-1", "--before", "1", "--dry-run"])
      expect(dry.out).toContain("would hide 1 events of loan-1")
      expect((yield* cli(["stream", "inspect", "loan-1", "--json"])).out).toContain("\"truncateBefore\":0")
      expect((yield* cli(["stream", "truncate", "loan-1", "--before", "1"])).out).toContain("truncated before 1")
      expect(parseLines((yield* cli(["stream", "inspect", "loan-1", "-o", "ndjson"])).out).length).toBe(1)
      expect((yield* cli(["stream", "truncate", "loan-1", "--before", "9"])).code).toBe(4)
      expect((yield* cli(["stream", "truncate", "loan-7", "--before", "1"])).code).toBe(3)
    }))

  it.effect("tombstone asks nobody where there is no terminal, and exits with 6 without --yes", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const refused = yield* cli(["stream", "tombstone", "loan-1"])
      expect(refused).toMatchObject({ code: 6, out: "" })
      expect(refused.err).toContain("add --yes")
      expect((yield* cli(["stream", "tombstone", "loan-1", "--dry-run"])).out).toContain("with its 2 events")
      expect((yield* cli(["stream", "tombstone", "loan-1", "--yes", "--json"])).out).toContain("\"isTombstoned\":true")
      expect((yield* cli(["stream", "tombstone", "loan-1"])).code).toBe(0)
      expect((yield* cli(["stream", "inspect", "loan-1"])).err).toContain("event-store export --stream loan-1")
      expect((yield* cli(["event", "append", "loan-1", "T"])).code).toBe(1)
      expect((yield* cli(["stream", "tombstone", "loan-7", "-y"])).code).toBe(3)
    }))
})

describe("event", () => {
  it.effect("get finds one by position and by id", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const byPosition = JSON.parse((yield* cli(["event", "get", "3", "--json"])).out)
      expect(byPosition).toMatchObject({ position: 3, stream: "loan-1", revision: 1, data: { amount: 4 } })
      expect(JSON.parse((yield* cli(["event", "get", byPosition.id, "--json"])).out)).toStrictEqual(byPosition)
      expect((yield* cli(["event", "get", "1"])).out).toMatch(/tags +owner:ann\n/)
      for (const missing of ["0", "5", "99999999999999999999", "00000000-0000-4000-8000-000000000000"]) {
        expect((yield* cli(["event", "get", missing])).code).toBe(3)
      }
      expect((yield* cli(["event", "get", "nonsense"])).code).toBe(65)
    }))

  it.effect("append records one event with everything it was given, once", () =>
    Effect.gen(function*() {
      const { cli, layer } = yield* filled
      const id = "00000000-0000-4000-8000-000000000007"
      const args = ["event", "append", "loan-5", "LoanOpened", "--data", "-", "--metadata", "{\"m\":1}", "--tag", "b:2"]
        .concat("--tag", "a:1", "--expected", "noStream", "--id", id, "--event-version", "3", "--json")
      const first = JSON.parse((yield* cli(args, { stdin: "{\"x\":[1]}\n" })).out)
      expect(first).toMatchObject({ stream: "loan-5", revision: 0, position: 5, alreadyAppended: false })
      expect(JSON.parse((yield* cli(args, { stdin: "{\"x\":[1]}" })).out)).toMatchObject({ alreadyAppended: true })
      const event = yield* Effect.provide(Effect.flatMap(EventStore, (store) => store.findEvent(id)), layer)
      expect(event).toMatchObject({
        value: { data: { x: [1] }, metadata: { m: 1 }, tags: ["a:1", "b:2"], version: 3, type: "LoanOpened" }
      })
    }))

  it.effect("append exits with 4 on a conflict and with 65 on data that it cannot take", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const append = (...args: ReadonlyArray<string>) => cli(["event", "append", "loan-1", "T", "--json", ...args])
      for (const expected of ["noStream", "0", "7"]) {
        const { code, err } = yield* append("--expected", expected)
        expect(code).toBe(4)
        expect(JSON.parse(err)).toMatchObject({ error: { code: "ES-1101", details: { actual: 1 } } })
      }
      expect((yield* append("--expected", "1")).code).toBe(0)
      for (const data of ["{", "{\"a\":1,\"a\":2}", "1e400", "", "\uFEFF1"]) {
        expect((yield* append("--data", data)).code).toBe(65)
      }
      expect((yield* append("--metadata", "[]")).code).toBe(65)
      expect(
        (yield* cli(["event", "append", "loan-1", "T", "--data", "-"], { stdin: Buffer.from([0x22, 0xff, 0x22]) })).code
      )
        .toBe(65)
      expect((yield* cli(["event", "append", "$x", "T"])).code).toBe(65)
    }))
})

describe("the operator's commands", () => {
  it.effect("count, and find the memory store in order", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const stats = JSON.parse((yield* cli(["maint", "stats", "-o", "json"])).out)
      expect(stats).toStrictEqual({
        events: 4,
        streams: 3,
        types: { LoanOpened: 2, LoanPaid: 1, NoteTaken: 1 },
        firstPosition: 1,
        lastPosition: 4,
        bytes: expect.any(Number)
      })
      expect((yield* cli(["maint", "stats"])).out).toMatch(/LoanOpened +2\n/)
      for (
        const args of [["schema", "status"], ["schema", "apply"], ["schema", "verify"], ["doctor"], ["maint", "verify"]]
      ) {
        const { code, err, out } = yield* cli(args)
        expect([args, code, err]).toStrictEqual([args, 0, ""])
        expect(out).not.toBe("")
        JSON.parse((yield* cli([...args, "--json"])).out)
      }
      // events in memory outlive nothing: a warning, which fails only where it is told to
      expect(yield* cli(["doctor", "--ci"])).toMatchObject({ code: 1, err: expect.stringContaining("durability") })
    }))

  it.effect("print the SQL of the schema under the name they are given", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      expect((yield* cli(["schema", "sql", "--schema", "other"])).out).toContain("other")
      expect((yield* cli(["schema", "sql", "--schema", "no;name"])).code).toBe(64)
    }))
})

describe("output", () => {
  it.effect("shows escapes of the terminal by their codes, and keeps them in JSON", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      for (
        const args of [["stream", "inspect", "note"], ["event", "get", "4"], [
          "stream",
          "tail",
          "--after",
          "3",
          "-n",
          "1"
        ]]
      ) {
        const { out } = yield* cli(args)
        expect([out.includes("\u001b"), out.includes("\u202e")]).toStrictEqual([false, false])
        expect(out).toMatch(/\\u001b\[31mred\\u202e|\\x1b\[31mred\\u202e/)
      }
      expect(JSON.parse((yield* cli(["event", "get", "4", "--json"])).out)).toMatchObject({
        data: "\u001b[31mred\u202e"
      })
      const missing = yield* cli(["stream", "inspect", "\u001b[2J"])
      expect(missing.err).not.toContain("\u001b")
    }))

  it.effect("fits the terminal, and is whole where there is none", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      yield* cli(["event", "append", `loan-${"x".repeat(300)}`, "T", "--data", JSON.stringify("y".repeat(300))])
      const narrow = yield* cli(["stream", "inspect", `loan-${"x".repeat(300)}`, "--from", "0"], { columns: 100 })
      const rows = narrow.out.slice(narrow.out.indexOf("POSITION")).split("\n")
      expect(Math.max(...rows.map((row) => row.length))).toBeLessThanOrEqual(100)
      expect((yield* cli(["stream", "list"])).out).toContain("x".repeat(300))
    }))

  it.effect("ends in silence when its reader goes away", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      const args = ["stream", "list", "-o", "ndjson"]
      expect(yield* cli(args, { closesAfter: 1 })).toMatchObject({ code: 0, err: "" })
    }))

  it.effect("has colours when they are asked for, and times in the zone that is", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      expect((yield* cli(["stream", "list", "--color", "always"])).out).toContain("\u001b[1m")
      expect((yield* cli(["stream", "list"])).out).not.toContain("\u001b")
      expect((yield* cli(["stream", "list"])).out).toContain("1970-01-01 00:00:00Z")
      expect((yield* cli(["stream", "list", "--local"])).out).toMatch(/ \d\d:00:00[+-]\d\d:\d\d/)
    }))

  it.effect("tells the cause of a failure with its stack only when it is asked for", () =>
    Effect.gen(function*() {
      const { cli } = yield* filled
      expect((yield* cli(["stream", "inspect", "nope", "--verbose"])).err).toMatch(/\n +at /)
      expect((yield* cli(["stream", "inspect", "nope"])).err).not.toMatch(/\n +at /)
    }))
})
