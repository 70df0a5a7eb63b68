import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Stream } from "effect"
import { BackupLines, type BackupStorage } from "../../src/backup/index.ts"
import { toEventLine } from "../../src/cli/EventLine.ts"
import type { EventRow } from "../../src/store/index.ts"
import { at, encryptionKey, eventRows, makePlace, OTHER_KINDS, otherRows, writeBackup } from "./fixtures.ts"

const linesOf = (storage: BackupStorage["Service"], id: string, options: BackupLines.CatOptions = {}) =>
  Effect.map(at(storage, Stream.runFold(BackupLines.cat(id, options), () => "", (all, text) => all + text)), (text) => {
    assert.isTrue(text === "" || text.endsWith("\n"))
    return text.split("\n").slice(0, -1)
  })

/** What `event-store export` writes of the same event. */
const exported = (row: EventRow): string =>
  JSON.stringify(toEventLine({
    ...row,
    data: JSON.parse(row.data),
    metadata: row.metadata === "" ? {} : JSON.parse(row.metadata),
    recordedAt: DateTime.makeUnsafe(Math.floor(row.recordedAt / 1000))
  } as never))

describe("BackupLines", () => {
  it.effect("writes of every event what export writes of it, also of imported ones", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const events = eventRows(1, 1_200).map((row) =>
        row.position % 3 === 0
          ? { ...row, metadata: JSON.stringify({ a: 1, recordedAt: "2011-09-30T22:38:44.546Z", z: "\u2028" }) }
          : row.position % 3 === 1
          ? { ...row, metadata: JSON.stringify({ recordedAt: "yesterday" }), streamId: "a \"quoted\"-\u007f🦊" }
          : row
      )
      const manifest = yield* at(storage, writeBackup({ events, encryption: encryptionKey() }))
      const keys = { encryption: [encryptionKey()] }
      assert.deepStrictEqual(yield* linesOf(storage, manifest.id, { keys }), events.map(exported))
      assert.deepStrictEqual(
        yield* linesOf(storage, manifest.id, { keys, after: 5, until: 7 }),
        events.slice(5, 7).map(exported)
      )
      for (const kind of OTHER_KINDS) {
        const lines = yield* linesOf(storage, manifest.id, { keys, kind })
        const expected = otherRows[kind].map((row) =>
          JSON.parse(JSON.stringify(row, (_, value: unknown) =>
            value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value))
        )
        assert.deepStrictEqual(
          lines.map((line) =>
            JSON.parse(line)
          ),
          expected
        )
      }
    }))

  it.effect("keeps what JSON.parse would lose, and one event in one line", () =>
    Effect.gen(function*() {
      const storage = yield* makePlace
      const [row] = eventRows(1, 1) as [EventRow]
      const data = "{\n  \"n\": 9007199254740993,\r\n  \"m\": 1.10\n}"
      const manifest = yield* at(storage, writeBackup({ events: [{ ...row, data, metadata: "not JSON, recordedAt" }] }))
      const [line, ...more] = yield* linesOf(storage, manifest.id)
      assert.deepStrictEqual(more, [])
      assert.include(line, "\"data\":{   \"n\": 9007199254740993,    \"m\": 1.10 }")
    }))
})
