import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { exportEvents } from "../../src/cli/Export.ts"
import { checkEvents, importEvents, type RejectedLine } from "../../src/cli/Import.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { StorageError, Unavailable } from "../../src/store/EventStoreError.ts"
import { chunked, ndjson, parseLines } from "./harness.ts"

/** Runs on a store of its own. */
const onStore = <A, E>(self: Effect.Effect<A, E, EventStore>) =>
  Effect.provide(self, MemoryEventStore.layer, { local: true })

const line = (stream: string, n: number, more: object = {}) => ({ stream, type: "Counted", data: { n }, ...more })

/** Five streams that take turns in no regular way, with repeats. */
const log = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, n) => ndjson(line(`s-${Math.floor(n * n / 7) % 5}`, n % 11)))

const logged = Effect.gen(function*() {
  const store = yield* EventStore
  const events = yield* Stream.runCollect(store.readAll())
  return events.map((event) => `${event.streamId} ${(event.data as { readonly n: number }).n}`)
})

const linesOf = (text: string) =>
  parseLines(text).map(({ data, stream }) => `${stream} ${(data as { readonly n: number }).n}`)

const exported = Effect.map(Stream.runCollect(exportEvents()), (pieces) => pieces.join(""))

describe("an import", () => {
  it.effect("records the events in the order of the lines", () =>
    onStore(Effect.gen(function*() {
      const text = log(2_500).join("")
      const summary = yield* importEvents(chunked(text, 1_000))
      expect(summary).toStrictEqual({
        read: 2_500,
        appended: 2_500,
        skipped: 0,
        rejected: 0,
        streams: 5,
        lastPosition: 2_500
      })
      expect(yield* logged).toStrictEqual(linesOf(text))
    })))

  it.effect("that is repeated adds nothing", () =>
    onStore(Effect.gen(function*() {
      const text = log(1_500).join("")
      yield* importEvents(chunked(text))
      for (const size of [64 * 1024, 100]) {
        const summary = yield* importEvents(chunked(text, size))
        expect(summary).toMatchObject({ appended: 0, skipped: 1_500, lastPosition: 1_500 })
      }
      expect(yield* logged).toStrictEqual(linesOf(text))
    })))

  it.effect.each([1, 2, 63, 64, 65, 500, 999])(
    "that was stopped after %i lines goes on there, in the order of the lines",
    (stopped) =>
      onStore(Effect.gen(function*() {
        const lines = log(1_000)
        yield* importEvents(chunked(lines.slice(0, stopped).join(""), 300))
        const summary = yield* importEvents(chunked(lines.join("")), { batchSizeEvents: 7 })
        expect(summary).toMatchObject({ appended: 1_000 - stopped, skipped: stopped })
        expect(yield* logged).toStrictEqual(linesOf(lines.join("")))
      }))
  )

  it.effect("goes on between events that others have recorded since", () =>
    onStore(Effect.gen(function*() {
      const store = yield* EventStore
      const lines = log(300)
      for (const end of [100, 200]) {
        yield* importEvents(chunked(lines.slice(0, end).join("")))
        yield* store.append({ streamId: "other-1", expected: "any", events: [{ type: "Other", data: { n: end } }] })
      }
      expect(yield* importEvents(chunked(lines.join("")))).toMatchObject({ appended: 100, skipped: 200 })
      expect((yield* logged).filter((event) => !event.startsWith("other-1"))).toStrictEqual(linesOf(lines.join("")))
    })))

  it.effect("of a file in which a line was changed, added or taken out appends that line alone", () =>
    onStore(Effect.gen(function*() {
      const lines = log(900)
      yield* importEvents(chunked(lines.join("")))
      const changed = lines.with(400, ndjson(line("s-1", 1_000)))
      expect(yield* importEvents(chunked(changed.join("")))).toMatchObject({ appended: 1, skipped: 899 })
      const added = lines.toSpliced(0, 0, ndjson(line("s-0", 2_000))).toSpliced(899, 0, ndjson(line("s-2", 3_000)))
      expect(yield* importEvents(chunked(added.join("")))).toMatchObject({ appended: 2, skipped: 900 })
      expect(yield* importEvents(chunked(lines.toSpliced(10, 1).join("")))).toMatchObject({ appended: 0, skipped: 899 })
      expect((yield* logged).slice(900).toSorted()).toStrictEqual(["s-0 2000", "s-1 1000", "s-2 3000"])
    })))

  it.effect("stops at the first bad line with its number, and keeps what stands before", () =>
    onStore(Effect.gen(function*() {
      const lines = log(500).with(321, "{\"stream\":\"s-1\"}\n")
      const error = yield* Effect.flip(importEvents(chunked(lines.join(""), 700)))
      expect(error).toMatchObject({ _tag: "LineRejected", line: 322, reason: "MissingKey" })
      expect(yield* logged).toStrictEqual(linesOf(lines.slice(0, 321).join("")))
    })))

  it.effect("hands over bad lines as they stood, and takes the others", () =>
    onStore(Effect.gen(function*() {
      const bad = [
        "  {\"stream\":\"s\"} ",
        "not JSON",
        "{\"stream\":\"s-1\",\"type\":\"T\",\"data\":{\"a\":1,\"a\":1}}"
      ]
      const text = ndjson(line("s-1", 1), bad[0], "", line("s-1", 2), bad[1], bad[2], line("s-2", 3))
      const rejected: Array<RejectedLine> = []
      const bytes = Buffer.concat([Buffer.from(text), Buffer.from([0xc0, 0x0a])])
      const summary = yield* importEvents(chunked(bytes, 10), {
        onReject: (line) => Effect.sync(() => void rejected.push(line))
      })
      expect(summary).toStrictEqual({ read: 7, appended: 3, skipped: 0, rejected: 4, streams: 2, lastPosition: 3 })
      expect(rejected.map(({ line, reason, text }) => [line, reason, text])).toStrictEqual([
        [2, "MissingKey", bad[0]],
        [5, "NotJson", bad[1]],
        [6, "DuplicateKey", bad[2]],
        [8, "InvalidUtf8", Buffer.from([0xc0])]
      ])
    })))

  it.effect("refuses an id that is recorded for something else, wherever it stands", () =>
    onStore(Effect.gen(function*() {
      const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`
      const lines = Array.from({ length: 50 }, (_, n) => line(`s-${n % 3}`, n, { id: id(n) }))
      yield* importEvents(chunked(ndjson(...lines)))
      for (const at of [0, 20, 49]) {
        const changed = ndjson(...lines.with(at, { ...lines[at]!, data: { n: 99 } }))
        const error = yield* Effect.flip(importEvents(chunked(changed)))
        expect(error).toMatchObject({ _tag: "LineRejected", line: at + 1, reason: "IdempotencyConflict" })
      }
      expect((yield* logged).length).toBe(50)
    })))

  it.effect("takes a line once that stands twice with the same id, and refuses another one with it", () =>
    onStore(Effect.gen(function*() {
      const id = "00000000-0000-4000-8000-000000000001"
      const rejected: Array<number> = []
      const text = ndjson(line("s-1", 1, { id }), line("s-1", 1, { id }), line("s-1", 2), line("s-1", 3, { id }))
      const summary = yield* importEvents(chunked(text), {
        onReject: (line) => Effect.sync(() => void rejected.push(line.line))
      })
      expect(summary).toMatchObject({ appended: 2, skipped: 1, rejected: 1 })
      expect(rejected).toStrictEqual([4])
      expect(yield* logged).toStrictEqual(["s-1 1", "s-1 2"])
    })))

  it.effect("refuses lines of a tombstoned stream and takes their neighbours", () =>
    onStore(Effect.gen(function*() {
      const store = yield* EventStore
      yield* importEvents(chunked(ndjson(line("s-1", 0))))
      yield* store.tombstone("s-1")
      const text = ndjson(line("s-2", 1), line("s-1", 2), line("s-1", 3), line("s-3", 4))
      const rejected: Array<RejectedLine> = []
      const summary = yield* importEvents(chunked(text), {
        onReject: (line) => Effect.sync(() => void rejected.push(line))
      })
      expect(summary).toMatchObject({ appended: 2, rejected: 2 })
      expect(rejected.map(({ line, reason }) => [line, reason])).toStrictEqual([
        [2, "StreamTombstoned"],
        [3, "StreamTombstoned"]
      ])
      expect(yield* Effect.flip(importEvents(chunked(text)))).toMatchObject({ line: 2, reason: "StreamTombstoned" })
    })))

  it.effect.each(
    [
      ["plain", (text: string) => Buffer.from(text)],
      ["gzip", gzipSync],
      ["zstd", zstdCompressSync]
    ] as const
  )("reads %s input, in chunks of any size", ([, compress]) =>
    onStore(Effect.gen(function*() {
      const text = log(400).join("")
      const bytes = compress(text)
      expect(yield* importEvents(chunked(bytes, 1))).toMatchObject({ read: 400, appended: 400 })
      expect(yield* importEvents(chunked(bytes))).toMatchObject({ read: 400, skipped: 400 })
      expect(yield* logged).toStrictEqual(linesOf(text))
    })))

  it.effect.each([["gzip", gzipSync], ["zstd", zstdCompressSync]] as const)(
    "fails on %s input that was cut short",
    ([format, compress]) =>
      onStore(Effect.gen(function*() {
        const bytes = compress(log(5_000).join(""))
        const error = yield* Effect.flip(importEvents(chunked(bytes.subarray(0, bytes.length - 20), 512)))
        expect(error).toMatchObject({ _tag: "InputDamaged", format })
      }))
  )

  it.effect("of nothing is done at once", () =>
    onStore(Effect.gen(function*() {
      for (const source of [Stream.empty, chunked("\n \n\r\n")]) {
        expect(yield* importEvents(source)).toMatchObject({ read: 0, appended: 0, lastPosition: 0 })
      }
    })))

  it.effect("ends with the failure of the store, and the next one goes on", () =>
    onStore(Effect.gen(function*() {
      const store = yield* EventStore
      const text = log(600).join("")
      let left = 100
      const failing = EventStore.of({
        ...store,
        append: (options) =>
          left-- > 0
            ? store.append(options)
            : Effect.fail(new StorageError({ operation: "append", reason: new Unavailable({ detail: "gone" }) }))
      })
      const error = yield* importEvents(chunked(text)).pipe(Effect.provideService(EventStore, failing), Effect.flip)
      expect(error).toMatchObject({ _tag: "StorageError" })
      const kept = (yield* logged).length
      expect(kept).toBeGreaterThanOrEqual(100)
      expect(yield* importEvents(chunked(text))).toMatchObject({ appended: 600 - kept, skipped: kept })
      expect(yield* logged).toStrictEqual(linesOf(text))
    })))

  it.effect("has no more events on their way than it was told, and keeps their order", () =>
    onStore(Effect.gen(function*() {
      const store = yield* EventStore
      let onTheWay = 0
      let most = 0
      const counting = EventStore.of({
        ...store,
        append: (options) =>
          Effect.suspend(() => {
            onTheWay += options.events.length
            most = Math.max(most, onTheWay)
            return Effect.andThen(Effect.yieldNow, store.append(options))
          }).pipe(
            Effect.ensuring(Effect.sync(() => {
              onTheWay -= options.events.length
            }))
          )
      })
      const text = log(1_000).join("")
      const summary = yield* importEvents(chunked(text), { batchSizeEvents: 20 }).pipe(
        Effect.provideService(EventStore, counting)
      )
      expect(summary).toMatchObject({ appended: 1_000, lastPosition: 1_000 })
      expect(most).toBeGreaterThan(10)
      expect(most).toBeLessThanOrEqual(20)
      expect(yield* logged).toStrictEqual(linesOf(text))
    })))

  it.effect("tells how far it has come, in bytes of the input as it is", () =>
    onStore(Effect.gen(function*() {
      const bytes = gzipSync(log(3_000).join(""))
      const seen: Array<number> = []
      yield* importEvents(chunked(bytes, 1_000), {
        onProgress: ({ sizeBytes }) => Effect.sync(() => void seen.push(sizeBytes))
      })
      expect(seen).toStrictEqual(seen.toSorted((a, b) => a - b))
      expect(seen.at(-1)).toBe(bytes.length)
    })))

  it.effect("that only checks finds the same faults and writes nothing", () =>
    onStore(Effect.gen(function*() {
      const lines = log(100)
      expect(yield* checkEvents(chunked(lines.join("")))).toMatchObject({ read: 100, appended: 0, streams: 5 })
      expect(yield* Effect.flip(checkEvents(chunked(lines.with(5, "{}\n").join(""))))).toMatchObject({ line: 6 })
      expect(yield* logged).toStrictEqual([])
    })))
})

describe("imports of one file, stopped anywhere and with any settings,", () => {
  it.effect.prop("make the log of one import", {
    count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 400 })),
    stops: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 }))).check(Schema.isMaxLength(3)),
    chunk: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5_000 })),
    batch: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 })),
    spread: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))
  }, ({ batch, chunk, count, spread, stops }) =>
    onStore(Effect.gen(function*() {
      // few contents in few streams: many lines are equal
      const lines = Array.from({ length: count }, (_, n) => ndjson(line(`s-${(n * n) % spread}`, n % 3)))
      for (const stop of stops) {
        yield* importEvents(chunked(lines.slice(0, stop).join(""), chunk), { batchSizeEvents: batch })
      }
      const summary = yield* importEvents(chunked(lines.join("")), { batchSizeEvents: 7 })
      expect(summary.appended + summary.skipped).toBe(count)
      expect(summary.skipped).toBe(Math.min(count, Math.max(0, ...stops)))
      expect(yield* logged).toStrictEqual(linesOf(lines.join("")))
    })), { arbitrary: { runs: 60, seed: 11 } })
})

describe("an export", () => {
  const rich = ndjson(
    { stream: "a-1", type: "T", data: { x: [1, null, "\u0000 é 🦊"] }, metadata: { correlationId: "c" }, time: "2011" },
    { stream: "b", type: "U", data: "scalar", tags: ["k:2", "k:1"], version: 4 },
    { stream: "a-1", type: "T", data: {}, metadata: { recordedAt: 5, tags: ["not", "moved"] }, tags: [] },
    { stream: "a-1", type: "T", data: null, metadata: { recordedAt: "2001-02-03T04:05:06.789Z", b: 1 } },
    {
      stream: "a-1",
      type: "T",
      data: null,
      metadata: { recordedAt: "some day" },
      id: "00000000-0000-4000-8000-000000000001"
    }
  )

  it.effect("has everything, and imported into another store and exported again it is the same", () =>
    Effect.gen(function*() {
      const first = yield* onStore(Effect.andThen(importEvents(chunked(rich)), exported))
      const [second, metadata] = yield* onStore(Effect.gen(function*() {
        expect(yield* importEvents(chunked(first))).toMatchObject({ appended: 5 })
        expect(yield* importEvents(chunked(first))).toMatchObject({ skipped: 5 })
        const events = yield* Stream.runCollect((yield* EventStore).readAll())
        return [yield* exported, events.map((event) => event.metadata)] as const
      }))
      const withoutImportedAt = (text: string) => parseLines(text).map(({ importedAt, ...line }) => line)
      expect(withoutImportedAt(second)).toStrictEqual(withoutImportedAt(first))
      expect(metadata[0]).toStrictEqual({ correlationId: "c", time: "2011", recordedAt: "1970-01-01T00:00:00.000Z" })
      expect(parseLines(first)[0]).toStrictEqual({
        position: 1,
        stream: "a-1",
        revision: 0,
        id: expect.any(String),
        type: "T",
        version: 1,
        data: { x: [1, null, "\u0000 é 🦊"] },
        metadata: { correlationId: "c", time: "2011" },
        tags: [],
        recordedAt: "1970-01-01T00:00:00.000Z"
      })
      const third = yield* onStore(Effect.andThen(importEvents(chunked(second)), exported))
      expect(third).toBe(second)
    }))

  it.effect("ends where the log was when it began, and narrows as it is told", () =>
    onStore(Effect.gen(function*() {
      const store = yield* EventStore
      const text = log(2_200).join("")
      yield* importEvents(chunked(text))
      let isFirst = true
      const pieces = yield* Stream.runCollect(
        exportEvents().pipe(Stream.tap(() => {
          if (!isFirst) return Effect.void
          isFirst = false
          return store.append({ streamId: "late-1", expected: "any", events: [{ type: "Late", data: {} }] })
        }))
      )
      expect(parseLines(pieces.join("")).length).toBe(2_200)
      const some = yield* Stream.runCollect(
        exportEvents({ after: 100, until: 2_000, filter: { streamIds: ["s-3"] }, limit: 50 })
      )
      const lines = parseLines(some.join(""))
      expect(lines.length).toBe(50)
      expect(lines.every(({ position, stream }) => stream === "s-3" && (position as number) > 100)).toBe(true)
    })))
})
