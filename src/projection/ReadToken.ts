/**
 * Read your writes: a token of what was written, for whoever reads it
 * elsewhere.
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Position } from "../event/Revision.ts"
import { sha256 } from "../event/Sha256.ts"
import { EventStore } from "../store/EventStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { judgePlace } from "../store/History.ts"
import { ReadTokenInvalid } from "./QueryError.ts"

/**
 * A short text, of letters, digits and dashes, which stands for a place in one
 * history of a log. Made for headers and URLs.
 *
 * @category models
 * @since 0.1.0
 */
export type ReadToken = string & Brand.Brand<"effect-event-store/ReadToken">

/**
 * Makes the token of an append: what `append`, `appendAll` or a command
 * returned.
 *
 * **Details**
 *
 * Asks the log which history it is.
 *
 * **Example**
 *
 * ```ts
 * const token = yield* ReadToken.after(yield* store.append(options))
 * const page = yield* ProjectionQuery.list(orders, { after: token })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const after = (
  result: { readonly position: Position }
): Effect.Effect<ReadToken, StorageError, EventStore> =>
  EventStore.use((store) =>
    Effect.map(store.head, ({ incarnation }) => encode({ position: result.position, incarnation }))
  )

/**
 * Says which place of this log a token is: for those who keep tokens as checkpoints
 * of their own, of a subscription say. Fails when going on from there would skip or repeat events.
 *
 * **Details**
 *
 * A restored store takes the tokens of the history that it was restored from, up to
 * where the two are the same, and refuses those behind with `RestoredBefore`.
 *
 * **Example**
 *
 * ```ts
 * const events = Stream.unwrap(
 *   Effect.map(ReadToken.resolve(saved), ({ position }) => store.subscribe({ after: position }))
 * )
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const resolve = (token: string): Effect.Effect<ReadPlace, ReadTokenInvalid | StorageError, EventStore> =>
  Effect.gen(function*() {
    const place = yield* Effect.fromResult(decode(token))
    const head = yield* EventStore.use((store) => store.head)
    switch (judgePlace(place, head)) {
      case "Here":
        return { position: place.position, incarnation: head.incarnation }
      case "Ahead":
        return yield* new ReadTokenInvalid({ reason: "AheadOfLog" })
      case "Gone":
        return yield* new ReadTokenInvalid({
          reason: "RestoredBefore",
          restoredUntil: head.parent?.position as Position | undefined
        })
      case "Foreign":
        return yield* new ReadTokenInvalid({ reason: "OtherHistory" })
    }
  })

/**
 * What a token says.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadPlace {
  readonly position: Position
  /** The history that the position is of. */
  readonly incarnation: string
}

/**
 * Writes a token.
 *
 * @category codecs
 * @since 0.1.0
 */
export const encode = ({ incarnation, position }: ReadPlace): ReadToken => {
  const place = `${position.toString(36)}-${incarnation.replaceAll("-", "")}`
  return `r1-${place}-${check(place)}` as ReadToken
}

/**
 * Reads a token.
 *
 * @category codecs
 * @since 0.1.0
 */
export const decode = (token: string): Result.Result<ReadPlace, ReadTokenInvalid> => {
  const [, place = "", first = "", id = "", sum] = TOKEN.exec(token) ?? []
  const position = parseInt(first, 36)
  if (sum === undefined || sum !== check(place) || !Number.isSafeInteger(position)) {
    return Result.fail(new ReadTokenInvalid({ reason: "Malformed" }))
  }
  const incarnation = id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
  return Result.succeed({ position: position as Position, incarnation })
}

// internal

const TOKEN = /^r1-(([0-9a-z]{1,11})-([0-9a-f]{32}))-([0-9a-f]{6})$/

/** Against slips, not against forgers: a token gives no rights. */
const check = (place: string): string => sha256(place).slice(0, 6)
