// What a user's first program does with the published package.
import * as MemoryEventStore from "effect-event-store/memory"
import { EventStore } from "effect-event-store/store"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

const program = Effect.gen(function*() {
  const store = yield* EventStore
  yield* store.append({
    streamId: "account-1",
    expected: "noStream",
    events: [{ type: "AccountOpened", data: { owner: "Ada" } }]
  })
  const events = yield* Stream.runCollect(store.readStream("account-1"))
  const types = events.map((event) => event.type).join()
  if (types !== "AccountOpened") return yield* Effect.die(`read ${types}`)
})

await Effect.runPromise(program.pipe(Effect.provide(MemoryEventStore.layer)))
