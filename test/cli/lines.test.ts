import { describe, expect, it } from "vitest"
import { makeKeyCounter } from "../../src/cli/internal/keyCounter.ts"
import { type Line, LINE_SIZE_BYTES_MAX, makeLineSplitter } from "../../src/cli/internal/lines.ts"

const split = (bytes: Buffer, size: number): ReadonlyArray<Line> => {
  const splitter = makeLineSplitter()
  const lines: Array<Line> = []
  for (let at = 0; at < bytes.length; at += size) lines.push(...splitter.push(bytes.subarray(at, at + size)))
  return [...lines, ...splitter.end()]
}

describe("lines", () => {
  const text = "first\n\nd\u00fcrfen 🦊\n\r\nlast without a line feed"

  it.each([1, 2, 3, 7, 1_000])("are the same whatever chunks of %i bytes cut them", (size) => {
    expect(split(Buffer.from(text), size)).toStrictEqual(
      text.split("\n").map((line, index) => ({ number: index + 1, text: line }))
    )
  })

  it.each([1, 4, 1_000])("that are not UTF-8 are told apart from their neighbours (chunks of %i bytes)", (size) => {
    const bytes = Buffer.concat([Buffer.from("a\n"), Buffer.from([0x22, 0xff, 0x22]), Buffer.from("\n{}\n")])
    const [first, second, third, ...rest] = split(bytes, size)
    expect(first).toStrictEqual({ number: 1, text: "a" })
    expect(second).toMatchObject({ number: 2, fault: "InvalidUtf8" })
    expect(second?.fault !== undefined && [...second.bytes]).toStrictEqual([0x22, 0xff, 0x22])
    expect(third).toStrictEqual({ number: 3, text: "{}" })
    expect(rest).toStrictEqual([])
  })

  it("up to the limit are taken and longer ones are cut, in one chunk and in many", () => {
    const longest = "x".repeat(LINE_SIZE_BYTES_MAX)
    const bytes = Buffer.from(`${longest}\n${longest}yy\nnext\n`)
    for (const size of [bytes.length, 100_000]) {
      const lines = split(bytes, size)
      expect(lines.map((line) => line.fault)).toStrictEqual([undefined, "LineTooLong", undefined])
      expect(lines[1]?.fault !== undefined && lines[1].bytes.length).toBe(LINE_SIZE_BYTES_MAX)
      expect(lines[2]).toStrictEqual({ number: 3, text: "next" })
    }
  })
})

describe("a line that never ends", () => {
  it("does not fill the memory", () => {
    const splitter = makeLineSplitter()
    const chunk = Buffer.alloc(1024 * 1024, "x")
    for (let count = 0; count < 64; count++) splitter.push(chunk)
    const [line] = splitter.end()
    expect(line?.fault).toBe("LineTooLong")
    expect(line?.fault !== undefined && line.bytes.buffer.byteLength).toBeLessThan(2 * LINE_SIZE_BYTES_MAX)
  })
})

describe("a key counter", () => {
  it("says how often each key came before, beyond its first capacity", () => {
    const count = makeKeyCounter()
    const keys = Array.from({ length: 5_000 }, (_, index) => index * 7_919 + 1)
    expect(keys.map(count).every((times) => times === 0)).toBe(true)
    expect(keys.map(count).every((times) => times === 1)).toBe(true)
    expect(count(keys[17]!)).toBe(2)
    expect(count(3)).toBe(0)
  })
})
