import * as Base64Url from "effect/encoding/Base64Url"
import * as Result from "effect/Result"
import { sha256 } from "../../event/Sha256.ts"
import type { ChangePlace } from "../../store/ReadModelStore.ts"

/** A place in a feed; the feed is empty before there is one. */
export type TokenPlace = ChangePlace

/** Writes down a place among the changes of a projection. */
export const encodeToken = (name: string, { change, feed, id }: TokenPlace): string => {
  const place = `${feed} ${change} ${id}`
  return Base64Url.encode(`${check(name, place)} ${place}`)
}

/** Reads a place; `undefined` when it is none of this projection. */
export const decodeToken = (name: string, token: string): TokenPlace | undefined => {
  const text = Base64Url.decodeString(token.slice(0, TOKEN_LENGTH_MAX))
  if (token.length > TOKEN_LENGTH_MAX || Result.isFailure(text)) return undefined
  const [, sum, place = "", feed = "", change = "", id = ""] = TOKEN.exec(text.success) ?? []
  return sum === undefined || sum !== check(name, place) ? undefined : { feed, change: Number(change), id }
}

// internal

const TOKEN_LENGTH_MAX = 256

const TOKEN = /^([0-9a-f]{8}) (([0-9a-f-]{36}|) (\d{1,15}) ([0-9a-f]{64}|))$/

/** Against slips, not against forgers: a token gives no rights. */
const check = (name: string, place: string): string => sha256(`${name} ${place}`).slice(0, 8)
