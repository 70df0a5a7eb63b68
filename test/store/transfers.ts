/**
 * What the tests of `LogTransfer` share: stores with something of every kind,
 * and all that is in them.
 */
import { assert } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import type { ProjectionCommit } from "../../src/store/CheckpointStore.ts"
import { addEvents, EMPTY_DIGEST } from "../../src/store/EventDigest.ts"
import type { EventRow, LogTransfer, LogView, OtherKind, TransferRows, WriteRows } from "../../src/store/LogTransfer.ts"
import type { AnyStore } from "../backup/stores.ts"
import { claim } from "../projection/checkpoints.ts"
import { stored } from "./SnapshotSuite.ts"

type Transfer = LogTransfer["Service"]

/** All events up to a position, page by page. */
export const allEvents = (transfer: Transfer, until: number, limit?: number) =>
  Effect.gen(function*() {
    const rows: Array<EventRow> = []
    while (rows.length < until) {
      const page = yield* transfer.readEvents({ after: rows.length, until, limit, recordedAt: rows.at(-1)?.recordedAt })
      if (page.length === 0) break
      rows.push(...page)
    }
    return rows
  })

export const OTHERS: ReadonlyArray<OtherKind> = ["streams", "snapshots", "checkpoints", "states", "parked"]

/** Everything beside the events. */
export const allRows = (view: LogView) =>
  Effect.map(
    Effect.forEach(OTHERS, (kind) => Effect.map(Stream.runCollect(view.rows(kind)), (rows) => [kind, rows] as const)),
    (entries) => Object.fromEntries(entries) as unknown as { readonly [K in OtherKind]: ReadonlyArray<TransferRows[K]> }
  )

export const viewOf = (transfer: Transfer) =>
  Effect.scoped(
    Effect.flatMap(transfer.view, (view) =>
      Effect.map(allRows(view), (rows) => ({ position: view.position, incarnation: view.incarnation, ...rows })))
  )

export const digestOf = (rows: ReadonlyArray<EventRow>) => addEvents(EMPTY_DIGEST, rows)

/** Restores a store, or the beginning of it, into another one. */
export const moveAll = (from: Transfer, to: Transfer, until?: number) =>
  Effect.scoped(Effect.gen(function*() {
    const view = yield* from.view
    const end = until ?? view.position
    const rows = yield* allEvents(from, end)
    const session = yield* to.restore({ source: view.incarnation, until: end })
    yield* session.writeEvents(rows.slice(session.position))
    return yield* session.finish({
      digest: digestOf(rows),
      rest: (write) => Effect.forEach(OTHERS, (kind) => writeKind(view, write, kind), { discard: true })
    })
  }))

export const writeKind = <K extends OtherKind>(view: LogView, write: WriteRows, kind: K) =>
  Stream.runForEachArray(view.rows(kind), (rows) => write(kind, rows))

/** Puts something of every kind into a store: 60 events of 7 streams in two months of ids, and what stands beside them. */
export const fillStore = ({ checkpoints, snapshots, store }: AnyStore) =>
  Effect.gen(function*() {
    for (let index = 0; index < 60; index++) {
      const streamId = `order-${index % 7}`
      yield* store.append({
        streamId,
        expected: "any",
        events: [{
          id: idOf(index),
          type: index % 3 === 0 ? "Größe 🦊" : "Placed",
          version: 1 + index % 2,
          data: index % 4 === 0 ? { z: 1, a: [1.5, "ä\u0001\"", null], 2: true } : "text",
          metadata: index % 5 === 0 ? undefined : { correlationId: `c${index}`, n: 1e21 },
          tags: index % 6 === 0 ? [`customer:${index % 12}`, "größe:🦊"] : []
        }]
      })
    }
    yield* store.setStreamMetadata("order-1", { owner: "Ada", z: 1, a: 2 })
    yield* store.truncateBefore("order-2", 4)
    yield* store.tombstone("order-3")
    for (const revision of [2, 7]) yield* snapshots.save(stored("order-4", revision))
    const { incarnation } = yield* store.head
    yield* project(checkpoints, "orders", 50, { states: new Map([["", "{\"n\":50}"], ["schlüssel 🦊", "[1]"]]) })
    yield* project(checkpoints, "late", 60, {
      states: new Map([["x", "1"]]),
      stateTimes: new Map([["x", 1_700_000_000_123]]),
      park: [{
        position: 4 as Position,
        key: "order-3",
        id: idOf(3) as never,
        type: "Placed",
        streamId: "order-3" as never,
        revision: 0 as never,
        attempts: 3,
        reason: "it threw"
      }]
    })
    return incarnation
  })

const idOf = (index: number): string => {
  const tail = `${index}`.padStart(12, "0")
  // half of them have a time, one of these is years ahead
  return index % 2 === 0
    ? `0d0c5bd6-3f29-4c1e-8a55-${tail}`
    : `${index === 31 ? "0258" : "0193"}5000-0000-7000-8000-${tail}`
}

const project = (
  checkpoints: AnyStore["checkpoints"],
  name: string,
  position: number,
  rest: Partial<ProjectionCommit>
) =>
  Effect.gen(function*() {
    const answer = yield* checkpoints.acquire(claim(name))
    if (answer._tag === "Held") return assert.fail("held")
    const to = { position: position as Position, count: position, digest: `${position}`.padStart(16, "0") }
    yield* checkpoints.commit(answer.lease, { from: 0 as Position, to, ...rest })
    yield* checkpoints.release(answer.lease)
  })

export const SOURCE = "0b9f6e52-6a6c-4d0e-9b55-0f2c7d3c8a11"
export const OTHER_SOURCE = "1b9f6e52-6a6c-4d0e-9b55-0f2c7d3c8a11"

/** Events of three streams. */
export const someRows = (
  count: number,
  recordedAt = (index: number) => 1_700_000_000_000_001 + index * 1_000_003
): ReadonlyArray<EventRow> =>
  Array.from({ length: count }, (_, index) => ({
    position: index + 1,
    streamId: `a-${index % 3}`,
    revision: Math.floor(index / 3),
    id: `0d0c5bd6-3f29-4c1e-8a55-${`${index}`.padStart(12, "0")}`,
    type: "Happened",
    version: 1,
    data: `{ "index" : ${index} }`,
    metadata: index % 2 === 0 ? "" : "{\"a\":  1}",
    tags: index % 4 === 0 ? ["a:1", "b:2"] : [],
    recordedAt: recordedAt(index)
  }))

export const restoreRows = (transfer: Transfer, rows: ReadonlyArray<EventRow>, source = SOURCE) =>
  Effect.scoped(Effect.gen(function*() {
    const session = yield* transfer.restore({ source, until: rows.length })
    yield* session.writeEvents(rows.slice(session.position))
    yield* session.finish({ digest: digestOf(rows), rest: () => Effect.void })
  }))
