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
import { OrderPlaced } from "./orders.ts"
import { type DecodeName, DECODES, type Run } from "./protocol.ts"
import { summarize } from "./summary.ts"

/**
 * Decodes the same events over and over; an operation is an event.
 */
export const measureDecode = async (name: DecodeName, seconds: number): Promise<Run> => {
  const events = EVENTS[name.replace("-batch", "") as "flat" | "order" | "upcast"]
  const round = name.endsWith("-batch") ? () => decodeBatch(events) : () => decodeEach(events)
  await repeat(round, seconds / 4)
  const before = readCpu(null)
  const started = performance.now()
  const operations = await repeat(round, seconds)
  const elapsed = (performance.now() - started) / 1_000
  return summarize({
    before,
    serverPid: null,
    seconds: elapsed,
    operations,
    events: operations,
    errors: 0,
    histogram: undefined
  })
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

const registry = Result.getOrThrow(VersionRegistry.makeResult([Address, OrderPlaced, Paid]))

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
  order: record(OrderPlaced, () => makeEvent().data),
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
