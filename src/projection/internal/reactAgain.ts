import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { RecordedEvent } from "../../event/Event.ts"
import { matchesFilter } from "../../event/EventQuery.ts"
import type { LogHead } from "../../store/EventStore.ts"
import { EventFailed } from "../ProjectionError.ts"
import type { Reactor } from "../Reactor.ts"
import { type Decoder, selectEvents } from "./prepare.ts"
import { dedupeKeyOf } from "./targets.ts"
import { runUserEffect } from "./userEffect.ts"

/** Makes a reactor react to an event, if it would. */
export const reactWith = <R>(
  reactor: Reactor<R>,
  decode: Decoder,
  history: Pick<LogHead, "incarnation" | "parent">
): (recorded: RecordedEvent) => Effect.Effect<void, EventFailed, R> =>
  Effect.fnUntraced(function*(recorded) {
    if (!matchesFilter(reactor.filter, recorded)) return
    const selected = selectEvents(decode, reactor, [recorded], undefined)
    if (Result.isFailure(selected)) return yield* toEventFailed(recorded, selected.failure)
    const [event] = selected.success.events
    if (event === undefined) return
    const { react, timeoutMillis } = reactor.target
    const dedupeKey = dedupeKeyOf(history, reactor, recorded)
    const failure = yield* runUserEffect(() => react(event, { dedupeKey, attempt: 1 }), timeoutMillis)
    if (failure !== undefined) return yield* toEventFailed(recorded, failure)
  })

// internal

const toEventFailed = (
  { position, revision, streamId, type }: RecordedEvent,
  { detail, reason }: Pick<EventFailed, "detail" | "reason">
) => new EventFailed({ position, revision, streamId, type, reason, detail })
