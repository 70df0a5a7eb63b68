import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { RecordedEvent } from "../../event/Event.ts"
import type * as EventType from "../../event/EventType.ts"
import { nameFault } from "../../event/Name.ts"
import type { SqlStatement } from "../../store/CheckpointStore.ts"
import type { Registry } from "../../version/Registry.ts"
import type { DecodedEvent, StateTarget, TableTarget } from "../Projection.ts"
import type { EventFailed } from "../ProjectionError.ts"
import { encodeState } from "./stateCodec.ts"

/** Why a batch cannot be applied, and because of which of its events; of nobody knows which when `undefined`. */
export interface Failure {
  readonly index: number | undefined
  readonly reason: EventFailed["reason"]
  readonly detail: string
}

/** Decodes a batch. */
export const decodeEvents = (
  registry: Registry<EventType.TypedEvent>,
  events: ReadonlyArray<RecordedEvent>
): Result.Result<ReadonlyArray<DecodedEvent>, Failure> => {
  const decoded: Array<DecodedEvent> = []
  for (const [index, event] of events.entries()) {
    const result = registry.decode(event)
    if (Result.isFailure(result)) {
      return Result.fail({ index, reason: "Undecodable", detail: result.failure.message })
    }
    if (Option.isNone(result.success)) {
      return Result.fail({ index, reason: "Undecodable", detail: "the registry skips it" })
    }
    decoded.push(result.success.value)
  }
  return Result.succeed(decoded)
}

/** The statements of a batch in their order, and of which event each one is. */
export interface Statements {
  readonly statements: ReadonlyArray<SqlStatement>
  readonly owners: ReadonlyArray<number>
}

/** Asks the handlers of tables for their statements. */
export const makeStatements = (
  target: TableTarget,
  events: ReadonlyArray<DecodedEvent>
): Result.Result<Statements, Failure> => {
  const statements: Array<SqlStatement> = []
  const owners: Array<number> = []
  for (const [index, event] of events.entries()) {
    const made = attempt(index, () => target.statementsOf(event))
    if (Result.isFailure(made)) return Result.fail(made.failure)
    for (const statement of made.success) {
      statements.push(statement)
      owners.push(index)
    }
  }
  return Result.succeed({ statements, owners })
}

/** Which states each event of a batch changes. */
export const findKeys = (
  { keysOf }: StateTarget,
  events: ReadonlyArray<DecodedEvent>
): Result.Result<ReadonlyArray<ReadonlyArray<string>>, Failure> => {
  if (keysOf === undefined) return Result.succeed(events.map(() => ONE_KEY))
  const keys: Array<ReadonlyArray<string>> = []
  for (const [index, event] of events.entries()) {
    const made = attempt(index, () => keysOf(event))
    if (Result.isFailure(made)) return Result.fail(made.failure)
    const names = typeof made.success === "string" ? [made.success] : made.success
    for (const name of names) {
      const fault = nameFault(name)
      if (fault !== undefined) return Result.fail({ index, reason: "StateInvalid", detail: `the key ${fault}` })
    }
    keys.push(names)
  }
  return Result.succeed(keys)
}

/** States as a batch leaves them behind, as values and as JSON; `undefined` for those that are removed. */
export interface Folded {
  readonly values: ReadonlyMap<string, unknown>
  readonly texts: ReadonlyMap<string, string | undefined>
}

/** Folds a batch into the states that it changes. */
export const foldStates = (
  target: StateTarget,
  events: ReadonlyArray<DecodedEvent>,
  keys: ReadonlyArray<ReadonlyArray<string>>,
  before: ReadonlyMap<string, unknown>
): Result.Result<Folded, Failure> => {
  const values = new Map<string, unknown>()
  const changedBy = new Map<string, number>()
  for (const [index, event] of events.entries()) {
    for (const key of keys[index] ?? []) {
      const known = values.has(key) ? values.get(key) : before.get(key)
      const state = known === undefined ? target.initial : known
      const made = attempt(index, () => target.fold(state, event))
      if (Result.isFailure(made)) return Result.fail(made.failure)
      values.set(key, made.success)
      changedBy.set(key, index)
    }
  }
  const texts = new Map<string, string | undefined>()
  for (const [key, value] of values) {
    const text = value === undefined ? Result.succeed(undefined) : encodeState(target, value)
    if (Result.isFailure(text)) {
      return Result.fail({ index: changedBy.get(key), reason: "StateInvalid", detail: text.failure })
    }
    texts.set(key, text.success)
  }
  return Result.succeed({ values, texts })
}

// internal

/** The key of the one state of a projection without keys. */
const ONE_KEY: ReadonlyArray<string> = [""]

/** What was thrown is told by its class only: a message may hold data. */
const attempt = <A>(index: number, run: () => A): Result.Result<A, Failure> =>
  Result.try({
    try: run,
    catch: (thrown): Failure => ({
      index,
      reason: "HandlerThrew",
      detail: thrown instanceof Error ? `it threw ${thrown.name}` : `it threw a ${typeof thrown}`
    })
  })
