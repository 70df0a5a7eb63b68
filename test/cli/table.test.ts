import { displayWidth } from "effect/cli/CliOutput"
import { describe, expect, it } from "vitest"
import { cutTo, renderTable } from "../../src/cli/table.ts"
import { bytes, count, duration, printable } from "../../src/cli/Text.ts"

describe("a table", () => {
  const columns = [
    { title: "ID", cut: "middle" },
    { title: "COUNT", align: "right" },
    { title: "TEXT", cut: "end" }
  ] as const

  it("aligns numbers on the right and text on the left", () => {
    expect(renderTable(columns, [["a", "1", "x"], ["bcd", "1,000,000", "yy"]], { width: 0, color: false })).toBe(
      "ID       COUNT  TEXT\n" +
        "a            1  x\n" +
        "bcd  1,000,000  yy\n"
    )
  })

  it.each([30, 40, 60, 100])("is at most %i cells wide, whatever it holds", (width) => {
    const rows = [["ab".repeat(40), "12", "日本語".repeat(30)], ["👩‍👩‍👧".repeat(20), "3,000", "short"]]
    for (const line of renderTable(columns, rows, { width, color: false }).split("\n")) {
      expect(displayWidth(line)).toBeLessThanOrEqual(width)
    }
  })

  it("never cuts a column that is not to be cut", () => {
    expect(renderTable(columns, [["x".repeat(90), "9,999,999", "y".repeat(90)]], { width: 40, color: false }))
      .toContain("9,999,999")
  })
})

describe("text", () => {
  it("is cut in the middle or at the end, by cells", () => {
    expect(cutTo("0123456789", 5, "middle")).toBe("01…89")
    expect(cutTo("0123456789", 5, "end")).toBe("0123…")
    expect(cutTo("日本語日本語", 5, "end")).toBe("日本…")
    expect(cutTo("short", 5, "middle")).toBe("short")
  })

  it("shows what must not reach a terminal by its code", () => {
    expect(printable("a\u001b[2Jb\n\u0000\u009b\u202e\ud800é🦊")).toBe("a\\x1b[2Jb\\x0a\\x00\\x9b\\u202e\\ud800é🦊")
  })

  it("has numbers, sizes and spans as people read them", () => {
    expect([count(1_234_567), bytes(512), bytes(1_536), bytes(5 * 1024 ** 3)]).toStrictEqual(
      ["1,234,567", "512 B", "1.5 KiB", "5.0 GiB"]
    )
    expect([duration(1_500), duration(59_000), duration(61_000), duration(7_260_000)]).toStrictEqual(
      ["1.5 s", "59 s", "1 min 1 s", "2 h 1 min"]
    )
  })
})
