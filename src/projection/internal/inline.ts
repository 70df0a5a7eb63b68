import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { InlineBatch, InlineEffects, InlineFault, InlineFollower } from "../../store/InlineAppender.ts"
import type { RegistryInvalid } from "../../version/VersionError.ts"
import type { Projection, StateTarget } from "../Projection.ts"
import { withBuild } from "../Projection.ts"
import { changesOf } from "./changes.ts"
import type { Failure } from "./failure.ts"
import {
  type Changed,
  findKeys,
  foldStates,
  makeDecoder,
  makeStatements,
  placeOf,
  selectEvents,
  type Selection
} from "./prepare.ts"
import { decodeState, encodeState } from "./stateCodec.ts"

/** What forbids that an append takes a projection along. */
export const inlineFaults = (
  { after, onError, slices, target }: Projection<unknown>
): ReadonlyArray<string> => [
  ...(target._tag === "Custom" ? ["a storage of its own cannot be written in the transaction of an append"] : []),
  ...(onError.action === "park" ? ["onError: an append fails, it cannot park an event"] : []),
  ...((slices?.count ?? 1) > 1 ? ["slices: an append moves one checkpoint"] : []),
  ...(after.length > 0 ? ["after: an append takes all projections along at once"] : []),
  ...(target._tag === "State" && target.save !== undefined ? ["saveEvery: an append writes every state"] : []),
  ...(hasRetention(target) ? ["retention: only a runner removes what is too old"] : [])
]

/** Makes of a projection what appends take along. */
export const makeFollower = (projection: Projection): Effect.Effect<InlineFollower, RegistryInvalid> =>
  Effect.map(makeDecoder(projection.events), (decode): InlineFollower => {
    const { definition, filter, name, target, version } = projection
    return {
      name,
      version,
      definition,
      filter,
      hasTables: target._tag === "Table",
      begin: (events, build) => {
        const built = withBuild(projection, build)
        const { target } = built
        const begun = Result.flatMap(
          selectEvents(decode, projection, events, undefined),
          (selection) =>
            target._tag === "State"
              ? beginStates(target, selection)
              : Result.map(
                target._tag === "Table" ? makeStatements(target, selection, events, undefined) : NO_STATEMENTS,
                ofStatements
              )
        )
        return Result.mapBoth(begun, { onFailure: toFault, onSuccess: recording(changesOf(built)) })
      }
    }
  })

// internal

const hasRetention = (target: Projection<unknown>["target"]): boolean =>
  target._tag === "State"
    ? target.maxAgeMillis !== undefined
    : target._tag === "Table" && target.retention !== undefined

const NO_STATEMENTS = Result.succeed({ statements: [], owners: [] })

const NO_STATES: InlineEffects["states"] = new Map()

/** Has the changes recorded, of what changes something. */
const recording = (changes: InlineEffects["changes"]) => (batch: InlineBatch): InlineBatch =>
  changes === undefined ? batch : {
    ...batch,
    finish: (states) =>
      Result.map(
        batch.finish(states),
        (made) => made.statements.length + made.states.size === 0 ? made : { ...made, changes }
      )
  }

const ofStatements = (made: Pick<InlineEffects, "statements" | "owners">): InlineBatch => ({
  keys: [],
  finish: () => Result.succeed({ ...made, states: NO_STATES })
})

/** Handlers here are functions: they run no effects that could fail or take their time. */
const toFault = ({ detail, index, reason }: Failure): InlineFault => ({
  index,
  detail,
  reason: reason === "HandlerFailed" || reason === "HandlerTimedOut" ? "HandlerThrew" : reason
})

const beginStates = (target: StateTarget, selection: Selection): Result.Result<InlineBatch, Failure> => {
  const { events } = selection
  const placed = (failure: Failure): Failure =>
    failure.index === undefined ? failure : { ...failure, index: placeOf(selection, failure.index) }
  return Result.mapBoth(findKeys(target, events), {
    onFailure: placed,
    onSuccess: (keys): InlineBatch => ({
      keys: [...new Set(keys.flat())],
      finish: (stored) => {
        const before = new Map<string, unknown>()
        for (const [key, text] of stored) {
          const state = decodeState(target, text)
          if (Result.isFailure(state)) {
            const index = keys.findIndex((names) => names.includes(key))
            return Result.fail({
              index: placeOf(selection, index),
              reason: "StateUnreadable",
              detail: `the state ${JSON.stringify(key)}: ${state.failure}`
            })
          }
          before.set(key, state.success)
        }
        return Result.mapBoth(
          Result.flatMap(
            foldStates(target, events, keys, { states: before, times: NO_TIMES }),
            (changed) => encodeStates(target, changed)
          ),
          {
            onFailure: (failure) => toFault(placed(failure)),
            onSuccess: (states) => ({ statements: [], owners: [], states })
          }
        )
      }
    })
  })
}

const NO_TIMES: ReadonlyMap<string, number> = new Map()

const encodeStates = (
  target: StateTarget,
  changed: ReadonlyMap<string, Changed>
): Result.Result<ReadonlyMap<string, string | undefined>, Failure> => {
  const texts = new Map<string, string | undefined>()
  for (const [key, { index, value }] of changed) {
    const text = value === undefined ? Result.succeed(undefined) : encodeState(target, value)
    if (Result.isFailure(text)) return Result.fail({ index, reason: "StateInvalid", detail: text.failure })
    texts.set(key, text.success)
  }
  return Result.succeed(texts)
}
