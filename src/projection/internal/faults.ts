import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Follower, ReactorTarget } from "../Reactor.ts"
import { dependencyFaults } from "./dependencies.ts"

/** What is wrong with the options of a follower that belong to its kind. */
export const followerFaults = (follower: Follower<unknown>): ReadonlyArray<string> => {
  const { slices, target } = follower
  const isDivided = slices !== undefined && slices.count !== 1
  const hasRetention = target._tag === "State" ? target.maxAgeMillis !== undefined : target._tag === "Table" &&
    target.retention !== undefined
  return [
    ...dependencyFaults(follower),
    ...(target._tag === "State" || target._tag === "Table"
      ? target.unhandled.map((name) => `on: ${name} has no handler`)
      : []),
    ...(hasRetention && isDivided ? ["retention: each slice has a time of its own: leave one of them out"] : []),
    ...(target._tag === "State"
      ? [
        ...wholeNumber("saveEvery", target.save?.events, 100_000),
        ...atLeast("saveWithin", target.save?.millis, 0),
        ...atLeast("retention.maxAge", target.maxAgeMillis, 1)
      ]
      : []),
    ...(target._tag === "Table" ? atLeast("retention.every", target.retention?.everyMillis, 1_000) : []),
    ...(target._tag === "Custom" ? atLeast("timeout", target.timeoutMillis, 1) : []),
    ...(follower._tag === "Projection"
      ? wholeNumber("changes.retain", follower.changes?.retain, Number.MAX_SAFE_INTEGER)
      : []),
    ...(target._tag === "Reactor" ? reactorFaults(target) : [])
  ]
}

/** A duration in milliseconds; no number when it is none. */
export const millisOf = (given: Duration.Input): number =>
  Option.match(Duration.fromInput(given), { onNone: () => Number.NaN, onSome: Duration.toMillis })

/** What is wrong with a time that a statement or a commit may take. */
export const timeoutFaults = (name: string, millis: number): ReadonlyArray<string> =>
  millis >= 1 && millis <= TIMEOUT_MAX_MS ? [] : [`${name}: expected a duration of 1 to ${TIMEOUT_MAX_MS} ms`]

// internal

/** The most that the server takes. */
const TIMEOUT_MAX_MS = 2_147_483_647

const reactorFaults = ({ commitEvery, concurrency, from, timeoutMillis }: ReactorTarget<unknown>) => [
  ...atLeast("timeout", timeoutMillis, 1),
  ...wholeNumber("concurrency", concurrency, 1_000),
  ...wholeNumber("commitEvery", commitEvery, 10_000),
  ...(isStart(from) ? [] : [`from: expected "start", "end", { position }, or { time } with a DateTime`])
]

const isStart = (from: ReactorTarget<unknown>["from"]): boolean =>
  typeof from === "object" && from !== null
    ? ("time" in from ? DateTime.isDateTime(from.time) : typeof from.position === "number")
    : from === "start" || from === "end"

const wholeNumber = (name: string, value: number | undefined, max: number): ReadonlyArray<string> =>
  value === undefined || (Number.isInteger(value) && value >= 1 && value <= max)
    ? []
    : [`${name}: expected a whole number from 1 to ${max}`]

const atLeast = (name: string, millis: number | undefined, min: number): ReadonlyArray<string> =>
  millis === undefined || (Number.isFinite(millis) && millis >= min)
    ? []
    : [`${name}: expected at least ${min} ms, and an end`]
