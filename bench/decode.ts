/**
 * Decoding of recorded events: the newest version, and an old one through three
 * steps. Alone: `node bench/decode.ts [SECONDS]`.
 */
import { DateTime, Effect, Result, Schema } from "effect"
import { performance } from "node:perf_hooks"
import { type EventId, EventType, Position, type RecordedEvent, Revision, StreamId } from "../src/event/index.ts"
import { Step, VersionRegistry } from "../src/version/index.ts"
import { readCpu } from "./cpu.ts"
import { makeEvent } from "./events.ts"
import type { Run } from "./protocol.ts"

/**
 * What is decoded. `flat`: a struct of eight fields. `order`: the event of the
 * other benchmarks, with nested objects and an array. `upcast`: version 1
 * of a type that has four. The rest of the name says how: one by one as a
 * `Result`, or a batch of 1,000 as an Effect.
 */
export const DECODES = ["flat", "flat-batch", "order", "upcast", "upcast-batch"] as const

/**
 * Decodes the same events over and over; an operation is an event.
 */
export const measureDecode = async (name: (typeof DECODES)[number], seconds: number): Promise<Run> => {
  const events = EVENTS[name.replace("-batch", "") as "flat" | "order" | "upcast"]
  const round = name.endsWith("-batch") ? () => decodeBatch(events) : () => decodeEach(events)
  await repeat(round, seconds / 4)
  const before = readCpu(null).client
  const started = performance.now()
  const operations = await repeat(round, seconds)
  const elapsed = (performance.now() - started) / 1_000
  return {
    operations,
    events: operations,
    errors: 0,
    seconds: elapsed,
    opsPerSecond: operations / elapsed,
    eventsPerSecond: operations / elapsed,
    clientCpuMicrosPerOp: (readCpu(null).client - before) / operations,
    serverCpuMicrosPerOp: null,
    p50Ms: null,
    p95Ms: null,
    p99Ms: null,
    maxMs: null
  }
}

// internal

const BATCH = 1_000

const Address = EventType.make("AddressChanged", {
  customer: Schema.String,
  name: Schema.String,
  street: Schema.String,
  city: Schema.String,
  zip: Schema.String,
  country: Schema.String,
  floor: Schema.Int,
  isBilling: Schema.Boolean
})

const Order = EventType.make("OrderPlaced", {
  orderId: Schema.String,
  customer: Schema.Struct({ id: Schema.Int, name: Schema.String, email: Schema.String }),
  items: Schema.Array(Schema.Struct({ sku: Schema.String, quantity: Schema.Int, price: Schema.Finite })),
  currency: Schema.String,
  total: Schema.Finite,
  note: Schema.String
})

const Paid = EventType.history("InvoicePaid", { invoice: Schema.String, cents: Schema.Int, payer: Schema.String })
  .version(2, { invoice: Schema.String, amount: Schema.Finite, payer: Schema.String }, (start) =>
    start.pipe(
      Step.rename("cents", "amount"),
      Step.convert("amount", (cents) => cents / 100)
    ))
  .version(
    3,
    { invoice: Schema.String, amount: Schema.Finite, payer: Schema.String, currency: Schema.String },
    (start) => start.pipe(Step.add("currency", "EUR"))
  )
  .version(
    4,
    {
      invoice: Schema.String,
      payer: Schema.String,
      money: Schema.Struct({ amount: Schema.Finite, currency: Schema.String })
    },
    (start) => start.pipe(Step.wrap(["amount", "currency"], "money"))
  )
  .make()

const registry = Result.getOrThrow(VersionRegistry.makeResult([Address, Order, Paid]))

const record = (type: EventType.Any, data: (index: number) => unknown): ReadonlyArray<RecordedEvent> =>
  Array.from({ length: BATCH }, (_, index) => ({
    position: Position.make(index + 1),
    streamId: StreamId.make("bench-1"),
    revision: Revision.make(index),
    id: makeEvent().id as EventId,
    type: type.name,
    version: 1,
    data: JSON.parse(JSON.stringify(data(index))),
    metadata: {},
    tags: [],
    recordedAt: DateTime.makeUnsafe(0)
  }))

const EVENTS = {
  flat: record(Address, (index) => ({
    customer: `customer-${index}`,
    name: "Ada Lovelace",
    street: "12 St James's Square",
    city: "London",
    zip: "SW1Y 4JH",
    country: "UK",
    floor: index % 5,
    isBilling: index % 2 === 0
  })),
  order: record(Order, () => makeEvent().data),
  upcast: record(Paid, (index) => ({ invoice: `invoice-${index}`, cents: index, payer: "Ada" }))
}

const decodeEach = (events: ReadonlyArray<RecordedEvent>): void => {
  for (const event of events) {
    if (registry.decode(event)._tag === "Failure") throw new Error("an event did not decode")
  }
}

const decodeBatch = async (events: ReadonlyArray<RecordedEvent>): Promise<void> => {
  const decoded = await Effect.runPromise(registry.decodeAll(events))
  if (decoded.length !== events.length) throw new Error("an event did not decode")
}

const repeat = async (round: () => void | Promise<void>, seconds: number): Promise<number> => {
  const end = performance.now() + seconds * 1_000
  let events = 0
  while (performance.now() < end) {
    await round()
    events += BATCH
  }
  return events
}

if (import.meta.main) {
  const seconds = Number(process.argv[2] ?? "2")
  for (const name of DECODES) {
    const { clientCpuMicrosPerOp } = await measureDecode(name, seconds)
    process.stdout.write(`${name}: ${Math.round(1_000_000 / clientCpuMicrosPerOp)} events per second of CPU time\n`)
  }
}
