import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import type { RecordedEvent } from "../../src/event/Event.ts"
import { type ArchivedParts, completeEvents, completeRows, EventArchive } from "../../src/store/EventArchive.ts"
import type { StorageError } from "../../src/store/EventStoreError.ts"
import type { ArchiveEntry, EventPayload, StoredEventRow } from "../../src/store/LogArchive.ts"

const event = (position: number, data: RecordedEvent["data"] = null) =>
  ({ position, id: `id-${position}`, data, metadata: {}, recordedAt: DateTime.makeUnsafe(0) }) as RecordedEvent

const row = (position: number, data?: string): StoredEventRow => ({
  position,
  id: `id-${position}`,
  streamId: "a-1",
  revision: position - 1,
  type: "A",
  version: 1,
  data,
  metadata: data === undefined ? "" : "{}",
  tags: [],
  recordedAt: position
})

const entry: ArchiveEntry = {
  month: "2026-01",
  after: 0,
  until: 10,
  backupId: "backup",
  chain: "",
  events: { count: 10, digest: "" },
  bytesFreed: 0,
  archivedAt: 0
}

const payload = (position: number): EventPayload => ({ data: `{"n":${position}}`, metadata: "{\"m\":1}" })

/** What is told at each look, the last one for ever. */
const looks = <A>(...answers: ReadonlyArray<A>): Effect.Effect<A> => {
  let at = 0
  return Effect.sync(() => answers[Math.min(at++, answers.length - 1)] as A)
}

const parts = (given: Partial<ArchivedParts> = {}): ArchivedParts => ({
  archive: EventArchive.of({ read: (_, events) => Effect.succeed(events.map(({ position }) => payload(position))) }),
  stored: () => Effect.succeed(new Map()),
  entries: Effect.succeed([entry]),
  ...given
})

describe("completeEvents", () => {
  it.effect("looks nowhere for events that have data", () =>
    Effect.gen(function*() {
      const events = [event(1, { n: 1 }), event(2, 0), event(3, "")]
      const nowhere = parts({ stored: () => Effect.die("looked"), entries: Effect.die("looked") })
      assert.strictEqual(yield* completeEvents(nowhere, "read", events), events)
    }))

  it.effect("tells null from what is archived, and both from what was brought back in between", () =>
    Effect.gen(function*() {
      const stored = looks(
        new Map([[2, { data: "null", metadata: "{}" }]]),
        new Map([[2, { data: "null", metadata: "{}" }], [3, payload(3)]])
      )
      const found = yield* completeEvents(
        parts({ stored: () => stored, entries: looks([{ ...entry, until: 1 }]) }),
        "read",
        [event(1), event(2), event(3), event(4, 4)]
      )
      assert.deepStrictEqual(found.map(({ data, metadata }) => [data, metadata]), [
        [{ n: 1 }, { m: 1 }],
        [null, {}],
        [{ n: 3 }, { m: 1 }],
        [4, {}]
      ])
    }))

  it.effect("an event that has no data and is not archived is no event of a sound log", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(completeEvents(parts({ entries: Effect.succeed([]) }), "read", [event(7)]))
      assert.match(error.message, /^read failed: Corrupt: the event at position 7 has no data, and is not archived$/)
    }))
})

describe("completeRows", () => {
  it.effect("reads the page again when some of it was brought back in between", () =>
    Effect.gen(function*() {
      const rows = yield* completeRows(
        parts({ entries: looks<ReadonlyArray<ArchiveEntry>>([], [{ ...entry, until: 1 }]) }),
        "read",
        looks<ReadonlyArray<StoredEventRow>>([row(1), row(2)], [row(1), row(2, "2")]),
        1_000
      )
      assert.deepStrictEqual(rows.map(({ data }) => data), ["{\"n\":1}", "2"])
    }))

  it.effect("ends the page where it has so much JSON, with whole rows only", () =>
    Effect.gen(function*() {
      const all = Array.from({ length: 10 }, (_, index) => row(index + 1))
      const rows = yield* completeRows(parts(), "read", Effect.succeed(all), 40)
      assert.deepStrictEqual(rows.map(({ data, position }) => [position, data]), [
        [1, "{\"n\":1}"],
        [2, "{\"n\":2}"],
        [3, "{\"n\":3}"]
      ])
    }))

  it.effect("without an archive it says which backup has the rest", () =>
    Effect.gen(function*() {
      const read = completeRows(parts({ archive: undefined }), "read", Effect.succeed([row(1, "1"), row(2)]), 1_000)
      const { reason } = (yield* Effect.flip(read)) as StorageError
      assert.deepInclude(reason as object, { _tag: "Archived", position: 2, until: 10, backupId: "backup" })
    }))
})
