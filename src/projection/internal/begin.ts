import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { type Position, START } from "../../event/Revision.ts"
import type { HistoryChanged, LeaseLost } from "../../store/CheckpointStore.ts"
import { EMPTY_DIGEST } from "../../store/EventDigest.ts"
import type { EventStore } from "../../store/EventStore.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import type { CustomTarget } from "../Projection.ts"
import { ProjectionInvalid } from "../ProjectionError.ts"
import type { ReactorStart } from "../Reactor.ts"
import { type Leader, write } from "./commit.ts"
import { physicalTables, setUpStatements } from "./setUp.ts"
import { runUserEffect } from "./userEffect.ts"

/** Makes the tables or the storage of a follower, and looks up where a reactor begins. */
export const begin = <R>(
  self: Leader<R>
): Effect.Effect<void, ProjectionInvalid | LeaseLost | HistoryChanged | StorageError, R> =>
  Effect.gen(function*() {
    const { name, target } = self.projection
    if (target._tag === "Table") {
      const statements = setUpStatements(target, self.record.isLive)
      const tables = physicalTables(target)
      const failure = yield* write(self, { to: self.checkpoint, statements, setUp: true, tables })
      if (failure !== undefined) return yield* new ProjectionInvalid({ name, problems: [`set-up: ${failure.detail}`] })
    }
    if (target._tag === "Custom") {
      yield* setUpStorage(self, target)
      yield* write(self, { to: self.checkpoint, setUp: true })
    }
    if (target._tag === "Reactor") {
      const start = yield* findStart(self, target.from)
      yield* write(self, { to: { position: start, ...EMPTY_DIGEST }, start, setUp: true })
    }
  })

// internal

const setUpStorage = <R>(
  { projection: { name }, retry }: Leader<R>,
  { setUp, timeoutMillis }: CustomTarget<R>
): Effect.Effect<void, ProjectionInvalid, R> =>
  setUp === undefined ? Effect.void : Effect.retry(
    Effect.flatMap(runUserEffect(() => setUp, timeoutMillis), (failure) =>
      failure === undefined
        ? Effect.void
        : Effect.fail(new ProjectionInvalid({ name, problems: [`set-up: ${failure.detail}`] }))),
    { schedule: retry }
  )

/** The last position before what a reactor shall see. */
const findStart = (
  { projection: { name }, store }: Leader<unknown>,
  from: ReactorStart
): Effect.Effect<Position, ProjectionInvalid | StorageError> =>
  Effect.gen(function*() {
    if (from === "start") return START
    const { position: head } = yield* store.head
    if (from === "end") return head
    if ("time" in from) return yield* findTime(store, from.time, head)
    const { position } = from
    if (!Number.isInteger(position) || position < 0 || position > head) {
      const problem = `from: expected a position from 0 to ${head}, the end of the log`
      return yield* new ProjectionInvalid({ name, problems: [problem] })
    }
    return position as Position
  })

/** The last position before the first event that was recorded at or after a time: times never run against positions. */
const findTime = Effect.fnUntraced(function*(store: EventStore["Service"], time: DateTime.Utc, head: Position) {
  let low: number = START
  let high: number = head
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const page = yield* store.readPage({ after: middle, until: high, limit: 1 }).pipe(
      // the position stands in the log
      Effect.catchTags({ InvalidInput: Effect.die, PositionAheadOfLog: Effect.die })
    )
    const [event] = page.events
    if (event === undefined || event.recordedAt.epochMilliseconds >= time.epochMilliseconds) high = middle
    else low = event.position
  }
  return low as Position
})
