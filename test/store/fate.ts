/**
 * One law for all bad inputs: an append that succeeds is read back as an equal
 * value, or it fails with a tag of a closed list and has written nothing. It is
 * never a defect.
 */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import type { ProposedEvent, RecordedEvent } from "../../src/event/Event.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { append, head, proposed, readStream, someStream } from "./fixtures.ts"

/** What an append may answer to bad input; anything else, a defect above all, breaks the law. */
const CLOSED_LIST = ["InvalidInput", "IdempotencyConflict"]

/** Appends one event to a stream of its own. */
export const appendOne = (event: Partial<ProposedEvent>) =>
  append(someStream("bad"), "noStream", [proposed("A", event)])

/** What became of an append: the event as it is read back, or why it was refused. */
export type Fate =
  | { readonly read: RecordedEvent; readonly reason: undefined }
  | { readonly read: undefined; readonly reason: string }

/** Appends one event and says what became of it; fails the test when the law is broken. */
export const fateOf = (streamId: string, event: ProposedEvent) =>
  Effect.gen(function*(): Effect.fn.Return<Fate, unknown, EventStore> {
    const before = yield* head
    const exit = yield* Effect.exit(append(streamId, "noStream", [event]))
    if (Exit.isSuccess(exit)) {
      const [read] = yield* readStream(streamId)
      return { read: read!, reason: undefined }
    }
    assert.isFalse(Cause.hasDies(exit.cause), Cause.pretty(exit.cause))
    const failure = Option.getOrThrow(Cause.findErrorOption(exit.cause))
    assert.include(CLOSED_LIST, failure._tag)
    assert.strictEqual(yield* head, before, "nothing was written")
    return { read: undefined, reason: failure._tag === "InvalidInput" ? failure.reason : failure._tag }
  })
