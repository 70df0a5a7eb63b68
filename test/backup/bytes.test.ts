import { assert, describe, it } from "@effect/vitest"
import { ByteReader, BytesFault, ByteWriter } from "../../src/backup/internal/bytes.ts"
import { makeRandom } from "./fixtures.ts"

const written = (write: (writer: ByteWriter) => void): Buffer => {
  const writer = new ByteWriter(1)
  write(writer)
  return writer.take()
}

describe("ByteWriter and ByteReader", () => {
  it("give back every number, in its shortest form only", () => {
    const random = makeRandom(1)
    const numbers = [
      0,
      1,
      127,
      128,
      16_383,
      16_384,
      2 ** 31 - 1,
      2 ** 31,
      2 ** 32,
      2 ** 35,
      2 ** 49,
      2 ** 52,
      Number.MAX_SAFE_INTEGER
    ]
    for (let trial = 0; trial < 2_000; trial++) numbers.push(Math.floor(random() * 2 ** Math.floor(random() * 54)))
    for (const number of numbers.filter(Number.isSafeInteger)) {
      const bytes = written((writer) => writer.uint(number))
      const reader = new ByteReader(bytes)
      assert.strictEqual(reader.uint(), number)
      assert.strictEqual(reader.at, bytes.length)
      const longer = Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! | 128, 0])])
      assert.throws(() => new ByteReader(longer).uint(), BytesFault)
    }
    for (const number of [0, 1, -1, 2 ** 52 - 1, -(2 ** 52) + 1]) {
      assert.strictEqual(new ByteReader(written((writer) => writer.int(number))).int(), number)
    }
    assert.throws(() => new ByteReader(Buffer.alloc(8, 0xff)).uint(), BytesFault)
    for (const number of [-1, 0.5, 2 ** 53, Number.NaN, Infinity]) {
      assert.throws(() => written((writer) => writer.uint(number)), BytesFault)
    }
  })

  it("give back every text, whatever its size in bytes takes", () => {
    for (const size of [0, 1, 42, 43, 63, 64, 126, 127, 128, 5_461, 5_462, 16_383, 16_384, 700_000]) {
      for (const letter of ["a", "é", "€", "🦊", "\uFFFD"]) {
        const text = letter.repeat(size)
        const bytes = written((writer) => {
          writer.uint(7)
          writer.text(text)
          writer.uint(9)
        })
        const reader = new ByteReader(bytes)
        assert.deepStrictEqual([reader.uint(), reader.text(), reader.uint()], [7, text, 9])
        assert.strictEqual(reader.at, bytes.length)
      }
    }
    assert.throws(() => new ByteReader(Buffer.from([2, 0xc3, 0x28])).text(), BytesFault)
  })

  it("never read behind the end", () => {
    const bytes = written((writer) => {
      writer.text("some text")
      writer.uuid("01234567-89ab-cdef-0123-456789abcdef")
      writer.float(-1.5)
      writer.bytes(new Uint8Array([1, 2, 3]))
    })
    const read = (buffer: Buffer) => {
      const reader = new ByteReader(buffer)
      return [reader.text(), reader.uuid(), reader.float(), [...reader.bytes()]]
    }
    assert.deepStrictEqual(read(bytes), ["some text", "01234567-89ab-cdef-0123-456789abcdef", -1.5, [1, 2, 3]])
    for (let size = 0; size < bytes.length; size++) {
      assert.throws(() => read(bytes.subarray(0, size)), BytesFault)
    }
  })
})
