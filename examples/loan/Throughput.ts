/**
 * How long it takes until an application is decided: a state by application.
 */
import { Effect, Schema, Stream } from "effect"
import { Projection, ProjectionQuery } from "../../src/projection/index.ts"
import { occurredAt } from "../EventTime.ts"
import * as Events from "./Events.ts"

/** How an application can end. */
export const OUTCOMES = ["approved", "declined", "cancelled"] as const

export type Outcome = typeof OUTCOMES[number]

/** Times in milliseconds. */
export const Progress = Schema.Struct({
  /** Since 1970. */
  submittedAt: Schema.NullOr(Schema.Int),
  decided: Schema.NullOr(Schema.Struct({ outcome: Schema.Literals(OUTCOMES), afterMillis: Schema.Int }))
})

type Progress = typeof Progress.Type

type DecidingEvent = Parameters<typeof occurredAt>[0]

/** The first decision counts. Of an application whose beginning is not in the log nothing is kept. */
const decided = (outcome: Outcome) => (progress: Progress, event: DecidingEvent): Progress | undefined => {
  const { submittedAt } = progress
  if (submittedAt === null) return undefined
  if (progress.decided !== null) return progress
  return { submittedAt, decided: { outcome, afterMillis: occurredAt(event).epochMilliseconds - submittedAt } }
}

export const throughput = Projection.state({
  name: "loan-throughput",
  events: [
    Events.ApplicationSubmitted,
    Events.ApplicationApproved,
    Events.ApplicationDeclined,
    Events.ApplicationCancelled
  ],
  where: { categories: ["loan"] },
  state: Progress,
  initial: { submittedAt: null, decided: null },
  key: ({ streamId }) => streamId,
  on: {
    ApplicationSubmitted: (progress, event) => ({
      ...progress,
      submittedAt: occurredAt(event).epochMilliseconds
    }),
    ApplicationApproved: decided("approved"),
    ApplicationDeclined: decided("declined"),
    ApplicationCancelled: decided("cancelled")
  }
})

/** Times from submission to decision of which so many parts are not above, in milliseconds. */
export interface Times {
  readonly applications: number
  readonly p50Millis: number
  readonly p90Millis: number
  readonly p99Millis: number
}

/** What the read model says of each outcome. */
export const readTimes = Effect.gen(function*() {
  const times: Record<Outcome, Array<number>> = { approved: [], declined: [], cancelled: [] }
  yield* ProjectionQuery.stream(ProjectionQuery.state(throughput), {
    where: { field: ["decided", "outcome"], isNull: false },
    limit: PAGE_SIZE
  }).pipe(
    Stream.runForEach(({ state }) =>
      Effect.sync(() => {
        if (state.decided !== null) times[state.decided.outcome].push(state.decided.afterMillis)
      })
    )
  )
  return {
    approved: toTimes(times.approved),
    declined: toTimes(times.declined),
    cancelled: toTimes(times.cancelled)
  } satisfies Record<Outcome, Times>
})

/** States of a page that is read. */
const PAGE_SIZE = 1_000

const toTimes = (millis: ReadonlyArray<number>): Times => {
  const sorted = [...millis].sort((a, b) => a - b)
  return {
    applications: sorted.length,
    p50Millis: percentile(sorted, 50),
    p90Millis: percentile(sorted, 90),
    p99Millis: percentile(sorted, 99)
  }
}

/** By nearest rank: a time that was really taken; 0 when there is none. */
const percentile = (sorted: ReadonlyArray<number>, percent: number): number =>
  sorted[Math.ceil(sorted.length * percent / 100) - 1] ?? 0
