import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { RecordedEvent } from "../../event/Event.ts"
import type * as EventType from "../../event/EventType.ts"
import { nameFault } from "../../event/Name.ts"
import type { SqlStatement } from "../../store/CheckpointStore.ts"
import type { Registry } from "../../version/Registry.ts"
import type { RegistryInvalid } from "../../version/VersionError.ts"
import * as VersionRegistry from "../../version/VersionRegistry.ts"
import type { DecodedEvent, EventTypes, StateTarget, TableTarget } from "../Projection.ts"
import type { Follower } from "../Reactor.ts"
import { describeThrown, type Failure } from "./failure.ts"
import { partsOf, type Piece, remember } from "./pieces.ts"
import { statementFault } from "./setUp.ts"

/** Reads an event as its follower wants it, or says why it cannot. */
export type Decoder = (event: RecordedEvent) => Result.Result<DecodedEvent, string>

/** Makes the decoder of a follower's types; one of all types takes events as they were recorded. */
export const makeDecoder = (events: EventTypes): Effect.Effect<Decoder, RegistryInvalid> =>
  events === "all" ? Effect.succeed(Result.succeed) : Effect.map(VersionRegistry.make(events), decoderOf)

/** The events of a batch that are to be applied, and where they stand in it. */
export interface Selection {
  readonly events: ReadonlyArray<DecodedEvent>
  /** Their places; `undefined` when it is the whole batch. */
  readonly places: ReadonlyArray<number> | undefined
}

/** Decodes a batch, and leaves out what waits and what the follower's condition leaves out. */
export const selectEvents = (
  decode: Decoder,
  { when }: Pick<Follower<unknown>, "when">,
  events: ReadonlyArray<RecordedEvent>,
  isWaiting: ((event: RecordedEvent) => boolean) | undefined
): Result.Result<Selection, Failure> => {
  if (when === undefined && isWaiting === undefined) {
    return Result.map(decodePiece(decode, events), (decoded) => ({ events: decoded, places: undefined }))
  }
  const selected: Array<DecodedEvent> = []
  let places: Array<number> | undefined
  const leaveOut = () => {
    places ??= Array.from(selected.keys())
  }
  for (const [index, event] of events.entries()) {
    if (isWaiting?.(event) === true) {
      leaveOut()
      continue
    }
    const decoded = decode(event)
    if (Result.isFailure(decoded)) return Result.fail({ index, reason: "Undecodable", detail: decoded.failure })
    if (when !== undefined) {
      const isWanted = attempt(index, () => when(decoded.success))
      if (Result.isFailure(isWanted)) return Result.fail(isWanted.failure)
      if (!isWanted.success) {
        leaveOut()
        continue
      }
    }
    selected.push(decoded.success)
    places?.push(index)
  }
  return Result.succeed({ events: selected, places })
}

/** Where a selected event stands in its batch. */
export const placeOf = ({ places }: Selection, index: number): number =>
  places === undefined ? index : places[index] ?? 0

/** The statements of a batch in their order, and of which event each one is. */
export interface Statements {
  readonly statements: ReadonlyArray<SqlStatement>
  readonly owners: ReadonlyArray<number>
}

/**
 * Asks the handlers of tables for their statements, and the retention for those
 * that come before the first event of a period; `seenAt` is when the event before
 * the batch was recorded.
 */
export const makeStatements = (
  target: TableTarget,
  selection: Selection,
  seen: ReadonlyArray<RecordedEvent>,
  seenAt: number | undefined
): Result.Result<Statements, Failure> => {
  const statements: Array<SqlStatement> = []
  const owners: Array<number> = []
  const add = (index: number, make: () => ReadonlyArray<SqlStatement>): Failure | undefined => {
    const made = attempt(index, make)
    if (Result.isFailure(made)) return made.failure
    for (const statement of made.success) {
      const detail = statementFault(statement)
      if (detail !== undefined) return { index, reason: "StatementFailed", detail }
      statements.push(statement)
      owners.push(index)
    }
    return undefined
  }
  const periods = periodsOf(target, seen, seenAt)
  let next = 0
  for (const [index, event] of selection.events.entries()) {
    const place = placeOf(selection, index)
    for (let period = periods[next]; period !== undefined && period.place <= place; period = periods[++next]) {
      const failure = add(period.place, period.statements)
      if (failure !== undefined) return Result.fail(failure)
    }
    const failure = add(place, () => target.statementsOf(event))
    if (failure !== undefined) return Result.fail(failure)
  }
  for (const period of periods.slice(next)) {
    const failure = add(period.place, period.statements)
    if (failure !== undefined) return Result.fail(failure)
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
  const sound = new Set<string>()
  return attemptEach(events, (event, index) => {
    const made = keysOf(event)
    const names = typeof made === "string" ? [made] : made
    for (const name of names) {
      if (sound.has(name)) continue
      const fault = nameFault(name)
      if (fault !== undefined) return { index, reason: "StateInvalid", detail: `the key ${fault}` }
      sound.add(name)
    }
    // an event changes a state once, however often it is named
    keys.push(names.length < 2 ? names : [...new Set(names)])
    return undefined
  }, () => keys)
}

/** A state as an event left it behind; without a value when it was removed. */
export interface Changed {
  readonly value: unknown
  /** Which event of the batch was the last to change it. */
  readonly index: number
  /** When that one was recorded. */
  readonly time: number
}

/** Folds a batch into the states that it changes. A state that is too old counts as forgotten. */
export const foldStates = (
  target: StateTarget,
  events: ReadonlyArray<DecodedEvent>,
  keys: ReadonlyArray<ReadonlyArray<string>>,
  before: { readonly states: ReadonlyMap<string, unknown>; readonly times: ReadonlyMap<string, number> }
): Result.Result<ReadonlyMap<string, Changed>, Failure> => {
  const { initial, maxAgeMillis } = target
  const changed = new Map<string, { -readonly [Name in keyof Changed]: Changed[Name] }>()
  return attemptEach(events, (event, index) => {
    const time = event.recordedAt.epochMilliseconds
    for (const key of keys[index] ?? []) {
      const last = changed.get(key)
      const known = last === undefined ? before.states.get(key) : last.value
      const isKnown = known !== undefined &&
        !isExpired(last === undefined ? before.times.get(key) : last.time, time, maxAgeMillis)
      const value = target.fold(isKnown ? known : initial, event)
      if (last === undefined) {
        changed.set(key, { value, index, time })
        continue
      }
      last.value = value
      last.index = index
      last.time = time
    }
    return undefined
  }, () => changed)
}

/** Whether a state that was last changed at a time is forgotten at another. */
export const isExpired = (
  time: number | undefined,
  now: number | undefined,
  maxAgeMillis: number | undefined
): boolean => maxAgeMillis !== undefined && time !== undefined && now !== undefined && now - time > maxAgeMillis

// internal

const decoderOf = (registry: Registry<EventType.TypedEvent>): Decoder => (event) => {
  const decoded = registry.decode(event)
  if (Result.isFailure(decoded)) return Result.fail(decoded.failure.message)
  return Option.isSome(decoded.success)
    ? Result.succeed(decoded.success.value)
    : Result.fail("the registry skips it")
}

/** Decodes a piece, what it was joined of once for all that share the decoder. */
const decodePiece = (decode: Decoder, events: Piece): Result.Result<ReadonlyArray<DecodedEvent>, Failure> => {
  const parts = partsOf(events)
  if (parts === undefined) return remember(events, decode, () => decodeAll(decode, events))
  const decoded: Array<ReadonlyArray<DecodedEvent>> = []
  let before = 0
  for (const part of parts) {
    const made = decodePiece(decode, part)
    if (Result.isFailure(made)) {
      return Result.fail({ ...made.failure, index: before + (made.failure.index ?? 0) })
    }
    decoded.push(made.success)
    before += part.length
  }
  return Result.succeed(decoded.flat())
}

const decodeAll = (decode: Decoder, events: Piece): Result.Result<ReadonlyArray<DecodedEvent>, Failure> => {
  const decoded: Array<DecodedEvent> = []
  for (const event of events) {
    const made = decode(event)
    if (Result.isFailure(made)) {
      return Result.fail({ index: decoded.length, reason: "Undecodable", detail: made.failure })
    }
    decoded.push(made.success)
  }
  return Result.succeed(decoded)
}

interface Period {
  readonly place: number
  readonly statements: () => ReadonlyArray<SqlStatement>
}

/** The events of a batch with which a period begins. */
const periodsOf = (
  { retention }: TableTarget,
  seen: ReadonlyArray<RecordedEvent>,
  seenAt: number | undefined
): ReadonlyArray<Period> => {
  if (retention === undefined) return []
  const { everyMillis, statementsAt } = retention
  const periods: Array<Period> = []
  let before = seenAt === undefined ? undefined : Math.floor(seenAt / everyMillis)
  for (const [place, { recordedAt }] of seen.entries()) {
    const period = Math.floor(recordedAt.epochMilliseconds / everyMillis)
    if (before !== undefined && period > before) {
      periods.push({ place, statements: () => statementsAt(period * everyMillis) })
    }
    before = period
  }
  return periods
}

/** The key of the one state of a projection without keys. */
const ONE_KEY: ReadonlyArray<string> = [""]

/** Does something with each event until one of them fails or throws; then what was made. */
const attemptEach = <A>(
  events: ReadonlyArray<DecodedEvent>,
  each: (event: DecodedEvent, index: number) => Failure | undefined,
  made: () => A
): Result.Result<A, Failure> => {
  let index = 0
  try {
    for (const event of events) {
      const failure = each(event, index)
      if (failure !== undefined) return Result.fail(failure)
      index++
    }
  } catch (thrown) {
    return Result.fail({ index, reason: "HandlerThrew", detail: describeThrown(thrown) })
  }
  return Result.succeed(made())
}

const attempt = <A>(index: number, run: () => A): Result.Result<A, Failure> =>
  Result.try({
    try: run,
    catch: (thrown): Failure => ({
      index,
      reason: "HandlerThrew",
      detail: describeThrown(thrown)
    })
  })
