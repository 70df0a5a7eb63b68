import * as Base64Url from "effect/encoding/Base64Url"
import * as Result from "effect/Result"
import { sha256 } from "../../event/Sha256.ts"
import type { ReadFilter, ReadOrder, ReadPlace, ReadSource } from "../../store/ReadModelStore.ts"
import { placeParts } from "../../store/ReadModelStore.ts"

/** What a cursor belongs to. */
export interface CursorOwner {
  readonly source: ReadSource
  /** Name of the table; `undefined` for states. */
  readonly table: string | undefined
  readonly filter: ReadFilter | undefined
  /** With the fields that make it lead to one place. */
  readonly order: ReadonlyArray<ReadOrder>
}

/** Writes down where a page ended; `undefined` when that is too long. */
export const encodeCursor = (owner: CursorOwner, place: ReadPlace): string | undefined => {
  const text = JSON.stringify([fingerprint(owner, place), ...place])
  return text.length > CURSOR_LENGTH_MAX ? undefined : Base64Url.encode(text)
}

/** Reads where a page ended, or says what is wrong. */
export const decodeCursor = (owner: CursorOwner, cursor: string): Result.Result<ReadPlace, string> => {
  if (cursor.length > 2 * CURSOR_LENGTH_MAX) return Result.fail("it is too long")
  const parts = Result.flatMap(Base64Url.decodeString(cursor), (text) => Result.try((): unknown => JSON.parse(text)))
  if (Result.isFailure(parts) || !isParts(parts.success)) return Result.fail("it cannot be read")
  const [sum, ...place] = parts.success
  return sum === fingerprint(owner, place) && fits(owner.order, place)
    ? Result.succeed(place)
    : Result.fail("it was changed, or the filter or the order is another one")
}

// internal

/** Characters of a place: values by which rows are sorted. */
const CURSOR_LENGTH_MAX = 512 * 1024

const isParts = (value: unknown): value is ReadonlyArray<string | null> =>
  Array.isArray(value) && value.every((part) => part === null || typeof part === "string")

const fingerprint = ({ filter, order, source, table }: CursorOwner, place: ReadPlace): string =>
  sha256(JSON.stringify([source.name, source.version, table, filter, order, place], plain)).slice(0, 32)

const plain = (_: string, value: unknown): unknown => typeof value === "bigint" ? `${value}n` : value

/** Whatever was signed by nobody reaches the storage only as what it must be. */
const fits = (order: ReadonlyArray<ReadOrder>, place: ReadPlace): boolean => {
  let part = 0
  for (const { field } of order) {
    const values = place.slice(part, part += placeParts(field))
    if (values.some((value) => value !== null && !isText(value))) return false
    if (field._tag === "Key" && values[0] === null) return false
    if (field._tag !== "Path") continue
    const [rank, number, text] = values
    if (!/^[1-5]$/.test(rank ?? "") || !/^-?\d{1,400}(\.\d{1,400})?(e[+-]\d{1,3})?$/.test(number ?? "")) return false
    if (typeof text !== "string") return false
  }
  return part === place.length
}

const isText = (value: string): boolean => !value.includes("\0") && value.isWellFormed()
