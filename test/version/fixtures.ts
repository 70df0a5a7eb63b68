import { DateTime, Result, Schema } from "effect"
import { type EventId, EventType, Position, type RecordedEvent, Revision, StreamId } from "../../src/event/index.ts"
import { Step } from "../../src/version/index.ts"

/** Paid in cents, then in euros, then with a currency, then with who paid. */
export const Paid = EventType.history("InvoicePaid", { cents: Schema.Int })
  .version(2, { amount: Schema.Finite }, (start) =>
    start.pipe(
      Step.rename("cents", "amount"),
      Step.convert("amount", (cents) => cents / 100, (amount) => Math.round(amount * 100))
    ))
  .version(
    3,
    { amount: Schema.Finite, currency: Schema.Literals(["EUR", "USD"]) },
    (start) => start.pipe(Step.add("currency", "EUR"))
  )
  .version(
    4,
    { money: Schema.Struct({ amount: Schema.Finite, currency: Schema.Literals(["EUR", "USD"]) }), by: Schema.String },
    (start) => start.pipe(Step.wrap(["amount", "currency"], "money"), Step.add("by", "unknown"))
  )
  .deprecate(1, { reason: "cents are no money", since: "2026-03-01" })
  .make()

export const Opened = EventType.make("AccountOpened", { owner: Schema.NonEmptyString })

/** An event as a store would give it. */
export const recorded = (type: string, version: number, data: Schema.Json, revision = 7): RecordedEvent => ({
  position: Position.make(12),
  streamId: StreamId.make("invoice-1"),
  revision: Revision.make(revision),
  id: "00000000-0000-7000-8000-000000000001" as EventId,
  type,
  version,
  data,
  metadata: { correlationId: "c" },
  tags: ["a:1"],
  recordedAt: DateTime.makeUnsafe(0)
})

/** The failure of a result that has to be one. */
export const failure = <E>(result: Result.Result<unknown, E>): E => Result.getOrThrow(Result.flip(result))
