/**
 * Which events a command is about.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { EventFilter } from "../../event/EventQuery.ts"

/**
 * The flags that narrow a read of the log.
 *
 * @category models
 * @since 0.1.0
 */
export interface FilterInput {
  readonly stream: ReadonlyArray<string>
  readonly category: ReadonlyArray<string>
  readonly type: ReadonlyArray<string>
  readonly tag: ReadonlyArray<string>
  readonly since: Option.Option<DateTime.Utc>
  readonly until: Option.Option<DateTime.Utc>
}

/**
 * The filter that the flags ask for; `undefined` for none.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toFilter = (input: FilterInput): EventFilter | undefined => {
  const filter: EventFilter = {
    streamIds: given(input.stream),
    categories: given(input.category),
    types: given(input.type),
    tags: given(input.tag),
    recordedFrom: Option.getOrUndefined(input.since),
    recordedBefore: Option.getOrUndefined(input.until)
  }
  return Object.values(filter).every((part) => part === undefined) ? undefined : filter
}

// internal

const given = (names: ReadonlyArray<string>) => names.length === 0 ? undefined : names
