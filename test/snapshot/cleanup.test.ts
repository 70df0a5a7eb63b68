/**
 * What is removed by itself.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { StreamId } from "../../src/event/StreamId.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { indexes } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  appendAmounts,
  idle,
  loadAndReport,
  makeSnapshots,
  storedRevisions,
  storedSnapshots,
  withStore
} from "./fixtures.ts"

describe("retention", () => {
  it.effect("retention keeps the last N of a stream", () =>
    withStore(() =>
      Effect.gen(function*() {
        const snapshots = yield* makeSnapshots({ retention: { keepLast: 3 } })
        for (const amount of indexes(6)) {
          yield* appendAmounts([amount])
          yield* loadAndReport(snapshots)
          yield* idle(snapshots)
        }
        assert.deepStrictEqual(yield* storedRevisions, [3, 4, 5])
      })
    ))

  it.effect("the cleanup removes what is too old, what is of no use, and fingerprints that nobody uses any more", () =>
    withStore(() =>
      Effect.gen(function*() {
        const log = yield* EventStore
        const saveAs = (version: number, name: string) =>
          Effect.scoped(Effect.gen(function*() {
            const snapshots = yield* makeSnapshots({ version })
            yield* appendAmounts([1], name)
            yield* loadAndReport(snapshots, { of: StreamId.make(name) })
          }))
        yield* saveAs(1, "old-1")
        yield* saveAs(2, "gone-1")
        yield* saveAs(3, "current-1")
        yield* TestClock.adjust("7 days")
        yield* saveAs(1, "old-2")
        yield* saveAs(3, "current-2")
        yield* saveAs(3, "ended-1")
        yield* log.tombstone("ended-1")
        yield* makeSnapshots({ version: 3, retention: { maxAge: "30 days", cleanupEvery: "1 hour" } })
        yield* TestClock.adjust("1 minute")
        const names = Effect.map(
          storedSnapshots,
          (snapshots) => snapshots.map((snapshot) => snapshot.streamId as string)
        )
        // the first fingerprint was used a moment ago; the second was not for a week
        yield* waitFor(names, (found) => found.join() === "current-1,current-2,old-1,old-2")
        yield* TestClock.adjust("7 days")
        yield* waitFor(names, (found) => found.join() === "current-1,current-2")
        yield* TestClock.adjust("16 days")
        yield* waitFor(names, (found) => found.join() === "current-2")
      })
    ))
})
