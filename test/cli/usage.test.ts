import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeCli } from "./harness.ts"

const commands = [
  [],
  ["import"],
  ["export"],
  ["stream"],
  ["stream", "list"],
  ["stream", "inspect"],
  ["stream", "tail"],
  ["stream", "truncate"],
  ["stream", "tombstone"],
  ["event"],
  ["event", "get"],
  ["event", "append"],
  ["event", "replay"],
  ["schema"],
  ["schema", "status"],
  ["schema", "apply"],
  ["schema", "sql"],
  ["schema", "verify"],
  ["schema", "lock"],
  ["schema", "check"],
  ["migrate"],
  ["migrate", "copy"],
  ["snapshot"],
  ["snapshot", "list"],
  ["snapshot", "advise"],
  ["snapshot", "create"],
  ["snapshot", "verify"],
  ["snapshot", "prune"],
  ["projection"],
  ["projection", "list"],
  ["projection", "status"],
  ["projection", "show"],
  ["projection", "run"],
  ["projection", "pause"],
  ["projection", "resume"],
  ["projection", "verify"],
  ["projection", "rebuild"],
  ["projection", "diff"],
  ["projection", "reset"],
  ["projection", "parked"],
  ["projection", "parked", "list"],
  ["projection", "parked", "show"],
  ["projection", "parked", "replay"],
  ["projection", "parked", "discard"],
  ["backup"],
  ["backup", "create"],
  ["backup", "schedule"],
  ["backup", "drill"],
  ["backup", "restore"],
  ["backup", "list"],
  ["backup", "describe"],
  ["backup", "verify"],
  ["backup", "cat"],
  ["backup", "copy"],
  ["backup", "prune"],
  ["promote"],
  ["doctor"],
  ["maint"],
  ["maint", "stats"],
  ["maint", "verify"],
  ["maint", "index"],
  ["help"]
]

describe("help", () => {
  it.effect.each(commands.map((command) => [command.join(" "), command] as const))(
    "of \"event-store %s\" describes it, its flags and an example, on standard output",
    ([, command]) =>
      Effect.gen(function*() {
        const { cli } = yield* makeCli
        const { code, err, out } = yield* cli([...command, "--help"])
        expect([code, err]).toStrictEqual([0, ""])
        expect(out).toMatch(/DESCRIPTION\n {2}\S/)
        expect(out).toMatch(/EXAMPLES\n {2}/)
        expect(out).toContain(`event-store ${command.join(" ")}`.trim())
        for (const row of out.split("\n").filter((line) => line.startsWith("  --"))) {
          expect(row).toMatch(/^ {2}--\S+.* {2,}\S/)
        }
      })
  )

  it.effect("of the command lists every flag that all commands take", () =>
    Effect.gen(function*() {
      const { out } = yield* (yield* makeCli).cli(["--help"])
      const flags = [
        "--url",
        "--schema",
        "--output, -o",
        "--json",
        "--quiet, -q",
        "--verbose",
        "--no-progress",
        "--color"
      ]
      for (
        const flag of [
          ...flags,
          "--utc",
          "--local",
          "--yes, -y",
          "--log-level",
          "--version",
          "--completions",
          "--wizard"
        ]
      ) {
        expect(out).toContain(flag)
      }
    }))

  it.effect("explains the exit codes and the lines of an import", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeCli
      const { out } = yield* cli(["help", "exit-codes"])
      expect(out.split("\n").map((row) => row.trim().split(" ")[0])).toStrictEqual(
        ["0", "1", "2", "3", "4", "5", "6", "64", "65", "130", "143", ""]
      )
      expect((yield* cli(["help", "import-format"])).out).toContain("recordedAt")
    }))

  it.effect("is printed for the bare command, and on standard error for a group without its subcommand", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeCli
      expect(yield* cli([])).toMatchObject({ code: 0, err: "" })
      const group = yield* cli(["stream"])
      expect(group).toMatchObject({ code: 64, out: "" })
      expect(group.err).toContain("tombstone")
    }))

  it.effect("has the version", () =>
    Effect.gen(function*() {
      expect(yield* (yield* makeCli).cli(["stream", "--version"])).toMatchObject({
        code: 0,
        out: "event-store 1.2.3\n"
      })
    }))
})

describe("wrong usage", () => {
  it.effect.each(
    [
      ["an unknown command", ["strem"], "Did you mean this? stream"],
      ["an unknown subcommand", ["stream", "lst"], "Did you mean this? list"],
      ["an unknown flag", ["maint", "stats", "--jsn"], "--jsn"],
      ["a missing argument", ["import"], "file"],
      ["a value that is none", ["stream", "list", "--sort", "size"], "size"],
      ["a number that is none", ["stream", "list", "-n", "x"], "x"],
      ["a number out of bounds", ["stream", "list", "-n", "0"], "from 1 to 10000"],
      ["a negative position", ["export", "--after", "-1"], "not negative"],
      ["a time that is none", ["export", "--since", "yesterday"], "2026-11-21"],
      ["a claim that is none", ["event", "append", "s-1", "T", "--expected", "maybe"], "noStream"],
      ["a question where nobody can answer", ["stream", "list", "--wizard"], "terminal"],
      ["flags that need another", ["import", "-", "--rejects", "x"], "--continue-on-error"]
    ] as const
  )(
    "exits with 64, says how to do better, and prints nothing to standard output: %s",
    ([, args, hint]) =>
      Effect.gen(function*() {
        const { cli } = yield* makeCli
        const { code, err, out } = yield* cli(args)
        expect([code, out]).toStrictEqual([64, ""])
        expect(err).toContain(hint)
        expect(err).toMatch(/^error ES-1002: .+\n {2}why: .+\n {2}fix: .+\n$/)
        const json = yield* cli([...args, "-o", "json"])
        expect([json.code, json.out]).toStrictEqual([64, ""])
        expect(JSON.parse(json.err)).toStrictEqual({
          error: {
            code: "ES-1002",
            message: expect.any(String),
            details: expect.objectContaining({ why: expect.any(String) }),
            hint: expect.any(String)
          }
        })
      })
  )
})
