/**
 * Snapshots and stores that break: a miss, and nothing else.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import type * as Snapshots from "../../src/snapshot/Snapshots.ts"
import * as SnapshotStrategy from "../../src/snapshot/SnapshotStrategy.ts"
import { indexes } from "../store/fixtures.ts"
import {
  appendAmounts,
  type Faults,
  foldAll,
  idle,
  loadAndReport,
  logged,
  makeSnapshots,
  revision,
  streamId,
  type Tally,
  withStore
} from "./fixtures.ts"

describe("what breaks", () => {
  it.effect("a snapshot with any byte flipped, in any part, is a miss that is logged once and heals", () =>
    withStore((faults) =>
      Effect.gen(function*() {
        yield* appendAmounts(indexes(40))
        const whole = yield* foldAll()
        for (const compression of ["none", "gzip", "zstd"] as const) {
          const snapshots = yield* makeSnapshots({
            version: ["none", "gzip", "zstd"].indexOf(compression),
            cache: false,
            strategy: SnapshotStrategy.everyEvents(30),
            compression: { algorithm: compression, above: 0 }
          })
          yield* loadAndReport(snapshots)
          yield* idle(snapshots)
          assert.strictEqual((yield* snapshots.statistics).saved, 1)
          const parts = yield* probe(faults, snapshots)
          for (const [part, size] of parts) {
            for (const index of indexes(size)) {
              faults.edit = (snapshot) => flip(snapshot, part, index)
              assert.deepStrictEqual(yield* snapshots.load(streamId), Option.none(), `${part} at ${index}`)
            }
          }
          const flips = parts.reduce((sum, [, size]) => sum + size, 0)
          assert.isAbove(flips, 200)
          assert.strictEqual((yield* snapshots.statistics).broken, flips)

          assert.deepStrictEqual((yield* loadAndReport(snapshots)).state, whole)
          yield* idle(snapshots)
          assert.strictEqual((yield* snapshots.statistics).saved, 2)
          faults.edit = (snapshot) => snapshot
          assert.deepStrictEqual(Option.getOrThrow(yield* snapshots.load(streamId)).state, whole)
        }
      })
    ))

  it.effect("what breaks is logged once, not at every load", () =>
    withStore((faults) =>
      Effect.gen(function*() {
        yield* appendAmounts([1, 2, 3])
        const snapshots = yield* makeSnapshots({ cache: false })
        yield* loadAndReport(snapshots)
        yield* idle(snapshots)
        faults.edit = (snapshot) => ({ ...snapshot, bytes: snapshot.bytes.slice(1) })
        const broken = yield* logged(Effect.repeat(snapshots.load(streamId), { times: 9 }))
        assert.deepStrictEqual(broken, [
          "The snapshot of stream tally-1 at revision 2 is broken: its digest does not fit"
        ])
        faults.load = "fail"
        const failing = yield* logged(Effect.repeat(snapshots.load(streamId), { times: 9 }))
        assert.strictEqual(failing.length, 1)
        assert.match(failing[0]!, /the snapshot store fails; tally is loaded from its events meanwhile/)
        faults.load = "none"
        const back = yield* logged(Effect.repeat(snapshots.load(streamId), { times: 9 }))
        assert.deepStrictEqual(back, ["the snapshot store answers again; tally is loaded from its snapshots"])
      })
    ))

  it.effect("a store that fails, dies or does not answer is a miss", () =>
    withStore((faults) =>
      Effect.gen(function*() {
        yield* appendAmounts([1, 2, 3])
        const snapshots = yield* makeSnapshots({ cache: false, loadTimeout: "50 millis" })
        yield* loadAndReport(snapshots)
        yield* idle(snapshots)
        for (const fault of ["fail", "die", "hang"] as const) {
          faults.load = fault
          const load = yield* Effect.forkChild(snapshots.load(streamId), { startImmediately: true })
          yield* TestClock.adjust("50 millis")
          assert.deepStrictEqual(yield* Fiber.join(load), Option.none(), fault)
        }
        assert.strictEqual((yield* snapshots.statistics).storeFailures, 3)
      })
    ))

  it.effect("a load that is interrupted is interrupted, and counts as nothing", () =>
    withStore((faults) =>
      Effect.gen(function*() {
        faults.load = "hang"
        const snapshots = yield* makeSnapshots()
        const load = yield* Effect.forkChild(snapshots.load(streamId), { startImmediately: true })
        yield* Fiber.interrupt(load)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(load)))
        assert.strictEqual((yield* snapshots.statistics).storeFailures, 0)
      })
    ))
})

type Part = "bytes" | "digest" | "streamId" | "kind" | "fingerprint" | "serialization" | "compression" | "numbers"

/** The parts of the snapshot in the store, and the bytes of each. */
const probe = (faults: Faults, snapshots: Snapshots.Snapshots<Tally>) =>
  Effect.gen(function*() {
    const sizes: Array<readonly [Part, number]> = []
    faults.edit = (snapshot) => {
      for (const part of ["streamId", "kind", "fingerprint", "serialization", "compression"] as const) {
        sizes.push([part, snapshot[part].length])
      }
      sizes.push(["bytes", snapshot.bytes.length], ["digest", snapshot.digest.length], ["numbers", 5])
      return snapshot
    }
    assert.isTrue(Option.isSome(yield* snapshots.load(streamId)))
    return sizes
  })

/** The snapshot with one byte, or one number, changed. */
const flip = (snapshot: Parameters<Faults["edit"]>[0], part: Part, index: number): typeof snapshot => {
  switch (part) {
    case "bytes":
    case "digest":
      return { ...snapshot, [part]: snapshot[part].with(index, snapshot[part][index]! ^ (1 << (index % 8))) }
    case "numbers":
      return {
        ...snapshot,
        ...[
          { revision: revision(snapshot.revision - 1) },
          { firstRevision: revision(snapshot.firstRevision + 1) },
          { plainBytes: snapshot.plainBytes + 1 },
          { takenAt: DateTime.add(snapshot.takenAt, { milliseconds: 1 }) },
          { loadMillis: snapshot.loadMillis + 1e-9 }
        ][index]
      }
    default: {
      const text = snapshot[part]
      const changed = String.fromCharCode(text.charCodeAt(index) ^ 1)
      return { ...snapshot, [part]: text.slice(0, index) + changed + text.slice(index + 1) }
    }
  }
}
