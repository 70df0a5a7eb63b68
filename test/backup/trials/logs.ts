/**
 * The logs of trials: rows that a backup is made of without a store, events that
 * are appended while others work, and what a store holds as one text.
 */
import { Effect, Stream } from "effect"
import { createHash, type Hash } from "node:crypto"
import type { AppendOptions } from "../../../src/store/EventStore.ts"
import {
  type EventRow,
  type LogTransfer,
  type LogView,
  type OtherKind,
  TRANSFER_KINDS,
  type TransferRows
} from "../../../src/store/LogTransfer.ts"
import type { Random } from "../../checker/random.ts"
import { eventRows, NOON, OTHER_KINDS, otherRows } from "../fixtures.ts"

/**
 * Rows of every kind but events.
 */
export type OtherRows = { readonly [K in OtherKind]: ReadonlyArray<TransferRows[K]> }

/**
 * The events of one log, which lasts three months.
 */
export const logRows = (count: number): ReadonlyArray<EventRow> => {
  const step = Math.floor(MONTHS_MICROS / count)
  return eventRows(1, count).map((row) => ({ ...row, recordedAt: NOON - MONTHS_MICROS + row.position * step }))
}

/**
 * What stands beside them: a projection with so many states, and one row of the other kinds.
 */
export const besides = (states: number): OtherRows => {
  const { checkpoints: [checkpoint], states: [state] } = otherRows
  return {
    ...otherRows,
    checkpoints: checkpoint === undefined ? [] : [checkpoint],
    states: state === undefined ? [] : Array.from({ length: states }, (_, index) => ({
      ...state,
      key: `key ${String(index).padStart(6, "0")}`,
      state: `{"n":${index}}`
    }))
  }
}

/**
 * What a log of rows is as one text.
 */
export const digestOfRows = (events: ReadonlyArray<EventRow>, others: OtherRows): string => {
  const hash = createHash("sha256")
  addEvents(hash, events)
  for (const kind of OTHER_KINDS) addOthers(hash, kind, others[kind])
  return hash.digest("hex")
}

/**
 * What a store holds, as `digestOfRows`: everything but its history.
 */
export const digestOfStore = (transfer: LogTransfer["Service"]) =>
  Effect.scoped(Effect.gen(function*() {
    const hash = createHash("sha256")
    const view = yield* transfer.view
    yield* readLog(view.readEvents, view.position, (rows) => addEvents(hash, rows))
    for (const kind of TRANSFER_KINDS) if (kind !== "events") yield* addKind(hash, view, kind)
    return hash.digest("hex")
  }))

/**
 * What the beginning of a log is as one text.
 */
export const digestOfEvents = (transfer: LogTransfer["Service"], until: number) =>
  Effect.gen(function*() {
    const hash = createHash("sha256")
    yield* readLog(transfer.readEvents, until, (rows) => addEvents(hash, rows))
    return hash.digest("hex")
  })

/**
 * Some events, of one of a few streams.
 */
export const proposeSome = (random: Random): AppendOptions => ({
  streamId: `order-${random.int(20)}`,
  expected: "any",
  events: Array.from({ length: 1 + random.int(40) }, () => ({
    type: random.chance(0.5) ? "OrderPlaced" : "OrderShipped",
    data: { amount: random.int(1_000_000), text: "größe 🦊 ".repeat(random.int(30)) },
    ...(random.chance(0.3) ? { tags: [`customer:${random.int(50)}`] } : {})
  }))
})

// internal

/** 75 days. */
const MONTHS_MICROS = 75 * 86_400_000_000

type ReadEvents = LogTransfer["Service"]["readEvents"]

const readLog = Effect.fnUntraced(function*(
  readEvents: ReadEvents,
  until: number,
  use: (rows: ReadonlyArray<EventRow>) => void
) {
  let after = 0
  while (after < until) {
    const rows = yield* readEvents({ after, until })
    if (rows.length === 0) break
    use(rows)
    after = rows.at(-1)?.position ?? until
  }
})

const addEvents = (hash: Hash, rows: ReadonlyArray<EventRow>): void => {
  for (const row of rows) {
    const { data, id, metadata, position, recordedAt, revision, streamId, tags, type, version } = row
    hash.update(
      `${JSON.stringify([position, streamId, revision, id, type, version, data, metadata, tags, recordedAt])}\n`
    )
  }
}

const addKind = <K extends OtherKind>(hash: Hash, view: LogView, kind: K) =>
  Effect.map(Stream.runCollect(view.rows(kind)), (rows) => addOthers(hash, kind, rows))

/** A restored store is another history, whose leases are newer, and knows the last revisions of its streams. */
const addOthers = <K extends OtherKind>(hash: Hash, kind: K, rows: ReadonlyArray<TransferRows[K]>): void => {
  const texts = rows.map((row) =>
    JSON.stringify(
      Object.entries({ ...row, incarnation: "", epoch: 0, ...(kind === "streams" ? { revision: 0 } : {}) }).sort((
        [a],
        [b]
      ) => a < b ? -1 : 1)
        .map(([name, value]) => [name, value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value])
    )
  )
  hash.update(`${kind}\n${texts.sort().join("\n")}\n`)
}
