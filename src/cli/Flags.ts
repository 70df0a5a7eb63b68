/**
 * Flags that several commands take.
 *
 * @since 0.1.0
 */
import * as Flag from "effect/cli/Flag"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { BATCH_EVENTS_MAX } from "../event/Limits.ts"
import type { ExpectedRevision } from "../event/Revision.ts"

/**
 * A whole number that is not negative.
 *
 * @category flags
 * @since 0.1.0
 */
export const natural = (name: string, metavar: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withMetavar(metavar),
    Flag.withDescription(description),
    Flag.filter((value) => value >= 0, () => "a whole number that is not negative")
  )

/**
 * How many, from 1.
 *
 * @category flags
 * @since 0.1.0
 */
export const limit = (description: string, max = Number.MAX_SAFE_INTEGER) =>
  Flag.Int("limit").pipe(
    Flag.withAlias("n"),
    Flag.withMetavar("N"),
    Flag.withDescription(description),
    Flag.filter((value) => value >= 1 && value <= max, () => `a whole number from 1 to ${max}`)
  )

/**
 * A flag that may be given several times.
 *
 * @category flags
 * @since 0.1.0
 */
export const repeated = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar(metavar),
    Flag.withDescription(`${description} (repeatable)`),
    Flag.atLeast(0)
  )

/**
 * A text that may be left out.
 *
 * @category flags
 * @since 0.1.0
 */
export const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

/**
 * A time that may be left out: ISO 8601, in UTC when it names no zone.
 *
 * @category flags
 * @since 0.1.0
 */
export const time = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription(description),
    Flag.filterMap(
      (value) => Option.map(DateTime.make(ZONE.test(value) ? value : `${value}Z`), DateTime.toUtc),
      () => "a time such as 2026-11-21T08:30:00Z or 2026-11-21"
    ),
    Flag.optional
  )

/**
 * A span of time that may be left out: a whole number and its unit.
 *
 * @category flags
 * @since 0.1.0
 */
export const span = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("SPAN"),
    Flag.withDescription(description),
    Flag.filterMap(toSpan, () => "a span such as 90s, 30m, 12h, 7d or 4w"),
    Flag.optional
  )

/**
 * How many events may be on their way at a time.
 *
 * @category flags
 * @since 0.1.0
 */
export const batch = Flag.Int("batch").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("Most events on their way at a time (default 1000)"),
  Flag.filter(
    (value) => value >= 1 && value <= BATCH_EVENTS_MAX,
    () => `a whole number from 1 to ${BATCH_EVENTS_MAX}`
  ),
  Flag.withDefault(1_000)
)

/**
 * A switch that is off.
 *
 * @category flags
 * @since 0.1.0
 */
export const toggle = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDescription(description), Flag.withDefault(false))

/**
 * Whether a command only says what it would do.
 *
 * @category flags
 * @since 0.1.0
 */
export const dryRun = toggle("dry-run", "Says what would be done and writes nothing")

/**
 * A module that exports event types.
 *
 * @category flags
 * @since 0.1.0
 */
export const events = Flag.String("events").pipe(
  Flag.withMetavar("FILE"),
  Flag.withDescription("Module that exports event types, arrays of them, registries or deciders (.ts, .js)")
)

/**
 * The same, where the configuration file can say it.
 *
 * @category flags
 * @since 0.1.0
 */
export const eventsOrConfig = Flag.String("events").pipe(
  Flag.withMetavar("FILE"),
  Flag.withDescription(
    "Module that exports event types, registries or deciders (.ts, .js; default: event-store.config.ts)"
  ),
  Flag.optional
)

/**
 * A claim about a stream.
 *
 * @category flags
 * @since 0.1.0
 */
export const expected = Flag.String("expected").pipe(
  Flag.withMetavar("STATE"),
  Flag.withDescription(
    "Appends only to a stream in this state: any (default), noStream, streamExists or its last revision"
  ),
  Flag.filterMap(toExpected, () => "any, noStream, streamExists or a revision"),
  Flag.withDefault("any" as ExpectedRevision)
)

// internal

/** A zone, or a date alone, which is read as UTC. */
const ZONE = /(?:Z|[+-]\d\d:?\d\d)$|^\d{4}-\d\d-\d\d$/i

const UNITS = { s: Duration.seconds, m: Duration.minutes, h: Duration.hours, d: Duration.days, w: Duration.weeks }

function toSpan(value: string): Option.Option<Duration.Duration> {
  const [, digits, unit] = /^(\d{1,9})([smhdw])$/.exec(value) ?? []
  return digits === undefined ? Option.none() : Option.some(UNITS[unit as keyof typeof UNITS](Number(digits)))
}

function toExpected(value: string): Option.Option<ExpectedRevision> {
  if (value === "any" || value === "noStream" || value === "streamExists") return Option.some(value)
  return /^\d{1,10}$/.test(value) ? Option.some(Number(value)) : Option.none()
}
