import * as Result from "effect/Result"
import type { RecordedEvent } from "../../event/Event.ts"
import { nameFault } from "../../event/Name.ts"
import { sliceOf, SLICES_MAX } from "../../store/Slice.ts"
import type { Follower } from "../Reactor.ts"

/** How many slices a follower has. */
export const sliceCount = ({ slices }: Pick<Follower<unknown>, "slices">): number => slices?.count ?? 1

/** Says which slice each event is of, from 0. */
export type Divider = (event: RecordedEvent) => number

/**
 * Makes the divider of a follower; `undefined` when it is not divided. A function
 * that throws, or gives no name, leaves the event to its stream.
 */
export const makeDivider = ({ slices }: Pick<Follower<unknown>, "slices">): Divider | undefined => {
  if (slices === undefined || slices.count === 1) return undefined
  const { by, count } = slices
  const divide = keyDivider(count)
  if (typeof by !== "function") return ({ streamId }) => divide(streamId)
  return (event) => {
    const made = Result.try(() => by(event))
    const key = Result.isSuccess(made) ? made.success : undefined
    return divide(typeof key !== "string" || nameFault(key) !== undefined ? event.streamId : key)
  }
}

/** Says which slice each key is of; it remembers those that it met, for all followers with so many slices. */
export const keyDivider = (count: number): (key: string) => number => {
  const known = slicesByKey.get(count) ?? new Map<string, number>()
  slicesByKey.set(count, known)
  return (key) => {
    const before = known.get(key)
    if (before !== undefined) return before
    if (known.size >= KEYS_MAX) known.clear()
    const slice = sliceOf(key, count)
    known.set(key, slice)
    return slice
  }
}

/** What is wrong with how a follower is divided. */
export const slicesFaults = ({ slices, target }: Pick<Follower<unknown>, "slices" | "target">): ReadonlyArray<string> =>
  slices === undefined ? [] : [
    ...(Number.isInteger(slices.count) && slices.count >= 1 && slices.count <= SLICES_MAX
      ? []
      : [`slices.count: expected a whole number from 1 to ${SLICES_MAX}`]),
    ...(slices.count !== 1 && target._tag === "State" && target.keysOf === undefined
      ? ["slices: one state for all cannot be divided: give it a key"]
      : [])
  ]

// internal

/** Keys whose slice is remembered; bounds the memory. */
const KEYS_MAX = 20_000

const slicesByKey = new Map<number, Map<string, number>>()
