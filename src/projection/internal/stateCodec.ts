import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { firstFault } from "../../event/SchemaFault.ts"
import type { StateTarget } from "../Projection.ts"

/** Writes a state down as JSON; everything in it must be in its schema. */
export const encodeState = ({ json }: StateTarget, state: unknown): Result.Result<string, string> =>
  Result.mapBoth(encoder(json)(state, { onExcessProperty: "error" }), {
    onSuccess: (encoded) => JSON.stringify(encoded),
    onFailure: describe
  })

/** Reads a state. */
export const decodeState = ({ json }: StateTarget, text: string): Result.Result<unknown, string> =>
  Result.flatMap(
    Result.try({ try: (): unknown => JSON.parse(text), catch: () => "it is not JSON" }),
    (value) => Result.mapError(decoder(json)(value), describe)
  )

// internal

type Json = StateTarget["json"]

const remembered = <A>(make: (json: Json) => A): (json: Json) => A => {
  const known = new WeakMap<Json, A>()
  return (json) => {
    const before = known.get(json)
    if (before !== undefined) return before
    const made = make(json)
    known.set(json, made)
    return made
  }
}

const encoder = remembered((json) => Schema.encodeUnknownResult(json))

const decoder = remembered((json) => Schema.decodeUnknownResult(json))

/** Where the first fault is, and what was expected; never the value. */
const describe = (error: Schema.SchemaError): string => {
  const { path, reason } = firstFault(error)
  return `${path.map(String).join(".") || "state"}: ${reason}`
}
