/**
 * What is done around every command or query of a bus.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"

/**
 * Something that is done around every message: it may run the rest, or fail
 * instead, or do something before and after.
 *
 * **Details**
 *
 * The message is valid when it comes here. The first of a list is the outermost.
 *
 * **Example**
 *
 * ```ts
 * const timedOut: Middleware<TimeoutError> = (next) => Effect.timeout(next, "5 seconds")
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Middleware<out E = never, out R = never> {
  <A, NextE, NextR>(next: Effect.Effect<A, NextE, NextR>, call: Call): Effect.Effect<A, NextE | E, NextR | R>
}

/**
 * A message on its way to its handler.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly kind: "command" | "query"
  readonly name: string
  /** What the message says, valid. */
  readonly payload: unknown
}

/**
 * Represents a message that its sender may not send. Nothing was run.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAuthorised
  extends Schema.TaggedError<NotAuthorised>("effect-event-store/command/Middleware/NotAuthorised")("NotAuthorised", {
    name: Schema.String
  })
{
  override get message(): string {
    return `Not authorised: ${this.name}`
  }
}

/**
 * Asks whether a message may be sent, and fails with `NotAuthorised` when not.
 *
 * **Example**
 *
 * ```ts
 * const onlyStaff = Middleware.authorise(({ name }) =>
 *   Effect.map(CurrentUser, (user) => user.isStaff || name === "Deposit"))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const authorise = <E, R>(
  isAllowed: (call: Call) => Effect.Effect<boolean, E, R>
): Middleware<E | NotAuthorised, R> =>
<A, NextE, NextR>(next: Effect.Effect<A, NextE, NextR>, call: Call) =>
  Effect.flatMap(
    Effect.suspend(() => isAllowed(call)),
    (allowed): Effect.Effect<A, NextE | NotAuthorised, NextR> =>
      allowed ? next : Effect.fail(new NotAuthorised({ name: call.name }))
  )

/**
 * Makes a span of every message, named `command Deposit` or `query Balance`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const spans: Middleware = (next, { kind, name }) =>
  Effect.withSpan(next, `${kind} ${name}`, { attributes: { "message.kind": kind, "message.name": name } })

/**
 * Counts the messages by kind, name and outcome, and how long they take, in the
 * metrics `event_store_messages` and `event_store_message_millis`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const metrics: Middleware = (next, { kind, name }) =>
  Effect.clockWith((clock) => {
    const startedAt = clock.currentTimeNanosUnsafe()
    return Effect.onExit(next, (exit) => {
      const millis = Number(clock.currentTimeNanosUnsafe() - startedAt) / NANOS_PER_MILLI
      const outcome = exit._tag === "Success" ? "success" : "failure"
      return Effect.andThen(
        Metric.update(Metric.withAttributes(messages, { kind, name, outcome }), 1),
        Metric.update(Metric.withAttributes(durations, { kind, name }), millis)
      )
    })
  })

// internal

const NANOS_PER_MILLI = 1e6

const messages = Metric.counter("event_store_messages", {
  description: "Commands and queries that were handled",
  incremental: true
})

/** 0.25 ms to about 4 s. */
const DURATION_BOUNDARIES_MILLIS = Array.from({ length: 15 }, (_, index) => 0.25 * 2 ** index)

const durations = Metric.histogram("event_store_message_millis", {
  description: "How long commands and queries took, in milliseconds",
  boundaries: DURATION_BOUNDARIES_MILLIS
})
