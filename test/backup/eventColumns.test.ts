import { assert, describe, it } from "@effect/vitest"
import { BytesFault, ByteWriter } from "../../src/backup/internal/bytes.ts"
import { EventsReader, EventsWriter } from "../../src/backup/internal/eventColumns.ts"
import type { EventRow } from "../../src/store/LogTransfer.ts"
import { eventRows } from "./fixtures.ts"

const COLUMNS = [
  "times",
  "distances",
  "streamNames",
  "revisions",
  "types",
  "typeNames",
  "versions",
  "data",
  "metadata",
  "tags",
  "ids"
] as const

const write = (rows: ReadonlyArray<EventRow>): Buffer => {
  const writer = new EventsWriter(rows[0]?.position ?? 1)
  for (const row of rows) writer.add(row)
  const { size } = writer
  const plain = writer.take()
  assert.strictEqual(plain.length, size)
  return plain
}

const read = (plain: Buffer, records: number, first = 1): ReadonlyArray<EventRow> => {
  const reader = new EventsReader(plain, { first, records })
  const rows = Array.from({ length: records }, () => reader.row())
  assert.isTrue(reader.isAtEnd)
  return rows
}

/** Takes the columns apart, and puts them together again with one of them changed. */
const change = (plain: Buffer, name: (typeof COLUMNS)[number], to: (column: Buffer) => Buffer): Buffer => {
  let at = 0
  return Buffer.concat(COLUMNS.flatMap((column) => {
    const end = at + 4 + plain.readUInt32LE(at)
    const bytes = plain.subarray(at + 4, end)
    at = end
    const changed = column === name ? to(bytes) : bytes
    const size = Buffer.alloc(4)
    size.writeUInt32LE(changed.length)
    return [size, changed]
  }))
}

const uints = (...numbers: ReadonlyArray<number>): Buffer => {
  const writer = new ByteWriter(64)
  for (const number of numbers) writer.uint(number)
  return writer.take()
}

/** Streams a, b, a, a. */
const ROWS = eventRows(1, 4).map((row, index): EventRow => ({
  ...row,
  streamId: index === 1 ? "b" : "a",
  revision: [0, 7, 1, 2][index] ?? 0
}))

describe("columns of events", () => {
  it("give back what was written, whatever the streams, revisions, types and times", () => {
    const rows = eventRows(5, 400, 13).map((row, index): EventRow => ({
      ...row,
      revision: index % 29 === 0 ? 2 ** 40 - index : row.revision,
      type: `type ${index % 300}`,
      recordedAt: index % 17 === 0 ? -row.recordedAt : row.recordedAt
    }))
    assert.deepStrictEqual(read(write(rows), rows.length, 5), rows)
    assert.deepStrictEqual(read(write(ROWS), 4), ROWS)
    assert.deepStrictEqual(read(write([]), 0), [])
  })

  it("name a stream and a type once", () => {
    const plain = write(eventRows(1, 1_000, 3))
    assert.strictEqual(plain.toString("latin1").split("order-").length - 1, 3)
    assert.strictEqual(plain.toString("latin1").split("OrderPlaced").length - 1, 1)
  })

  it("go on after what was given away, with names of their own", () => {
    const rows = eventRows(1, 30, 3)
    const writer = new EventsWriter(1)
    for (const row of rows.slice(0, 20)) writer.add(row)
    assert.deepStrictEqual(read(writer.take(), 20), rows.slice(0, 20))
    for (const row of rows.slice(20)) writer.add(row)
    assert.deepStrictEqual(read(writer.take(), 10, 21), rows.slice(20))
  })

  it("are as they were before an event that cannot be written", () => {
    const [first, second, third] = eventRows(1, 3, 2) as [EventRow, EventRow, EventRow]
    const writer = new EventsWriter(1)
    writer.add(first)
    const changes: ReadonlyArray<Partial<EventRow>> = [
      { tags: ["ok", "\ud83d"] },
      { metadata: "\"\ud800\"" },
      { streamId: "new-\udc00" },
      { type: "\udc00" },
      { revision: 1.5 },
      { version: -1 },
      { id: "none" },
      { position: 7 },
      { recordedAt: 2 ** 53 }
    ]
    for (const wrong of changes) assert.throws(() => writer.add({ ...second, ...wrong }), BytesFault)
    writer.add(second)
    assert.throws(() => writer.add({ ...third, revision: -1 }), BytesFault)
    writer.add(third)
    assert.deepStrictEqual(read(writer.take(), 3), [first, second, third])
  })

  it("show numbers of events whose texts are passed over", () => {
    const reader = new EventsReader(write(ROWS), { first: 1, records: 4 })
    const seen = ROWS.map(() => {
      reader.visit()
      return [reader.position, reader.stream, reader.revision, reader.revisionBefore, reader.recordedAt, reader.version]
    })
    assert.deepStrictEqual(seen, [
      [1, 0, 0, -1, ROWS[0]?.recordedAt, 2],
      [2, 1, 7, -1, ROWS[1]?.recordedAt, 1],
      [3, 0, 1, 0, ROWS[2]?.recordedAt, 2],
      [4, 0, 2, 1, ROWS[3]?.recordedAt, 1]
    ])
    assert.isTrue(reader.isAtEnd)
  })

  it("refuse what nobody has written", () => {
    const plain = write(ROWS)
    const cut = (bytes: Buffer) => bytes.subarray(0, -1)
    const more = (bytes: Buffer) => Buffer.concat([bytes, Buffer.of(0)])
    const wrong: ReadonlyArray<readonly [Buffer, string]> = [
      [cut(plain), "ends in the middle"],
      [more(plain), "more columns"],
      [plain.subarray(0, 30), "ends in the middle"],
      [Buffer.alloc(0), "ends in the middle"],
      [change(plain, "ids", cut), "one id an event"],
      [change(plain, "ids", (ids) => Buffer.concat([ids, ids])), "one id an event"],
      [change(plain, "distances", () => uints(0, 0, 3, 1)), "no event of its stream"],
      [change(plain, "distances", () => uints(1, 0, 2, 1)), "no event of its stream"],
      [change(plain, "distances", () => uints(0, 0, 2, 3)), "not the last of its stream"],
      [change(plain, "distances", () => uints(0, 0, 0, 1)), "ends in the middle"],
      [change(plain, "types", () => uints(0, 2, 1, 0)), "has no name"],
      [change(plain, "revisions", () => uints(0, 7, 5, 0)), "out of range"],
      [change(plain, "times", () => uints(0, 2 ** 53 - 2, 2 ** 53 - 2, 2 ** 53 - 2)), "time is out of range"],
      ...COLUMNS.slice(0, -1).map((name) => [change(plain, name, cut), "ends in the middle"] as const)
    ]
    for (const [bytes, message] of wrong) assert.throws(() => read(bytes, 4), message)
    for (const name of COLUMNS.slice(0, -1)) {
      const reader = new EventsReader(change(plain, name, more), { first: 1, records: 4 })
      for (let index = 0; index < 4; index++) reader.visit()
      assert.isFalse(reader.isAtEnd, name)
    }
    assert.throws(() => read(plain, 2 ** 40), "one id an event")
    const reader = new EventsReader(plain, { first: 1, records: 4 })
    for (let index = 0; index < 4; index++) reader.visit()
    assert.throws(() => reader.visit(), "one more than declared")
  })
})
