/**
 * Names that are made of what they name: the same each time, and of nothing else.
 */
import * as Redacted from "effect/Redacted"
import { hash } from "node:crypto"
import type { EventId } from "../../event/Event.ts"

/** SHA-256 in lower-case hexadecimal. */
export const sha256 = (text: string): string => hash("sha256", text, "hex")

/**
 * Ids of the events of a command: UUIDs of version 8, of SHA-256 over the
 * command's id; the last 16 bits are the event's number, which an append of at
 * most 10,000 events never exceeds.
 */
export const eventIdsOf = (commandId: string): (index: number) => EventId => {
  const digest = sha256(`effect-event-store/command\n${commandId}`)
  const variant = VARIANTS[Number.parseInt(digest.charAt(16), 16) & 3]
  const prefix = `${digest.slice(0, 8)}-${digest.slice(8, 12)}-8${digest.slice(13, 16)}-${variant}${
    digest.slice(17, 20)
  }-`
  const node = digest.slice(20, 28)
  return (index) => `${prefix}${node}${index.toString(16).padStart(4, "0")}` as EventId
}

/**
 * Digest of a command, whatever order its keys were written in, or `undefined`
 * when it cannot be told apart from others: it holds a function, a symbol,
 * itself, or an object that shows nothing of what it is. A secret is refused too:
 * the digest is stored, and a short secret can be found by it.
 */
export const digestCommand = (command: unknown): string | undefined => {
  try {
    return sha256(canonical(command, 0))
  } catch {
    return undefined
  }
}

// internal

/** The two bits that say who defined the layout of a UUID. */
const VARIANTS = ["8", "9", "a", "b"] as const

/** Deepest nesting of a command that is told apart; a command that holds itself is deeper. */
const DEPTH_MAX = 512

const canonical = (value: unknown, depth: number): string => {
  if (depth > DEPTH_MAX) throw new RangeError("too deep")
  switch (typeof value) {
    case "string":
      return JSON.stringify(value)
    case "bigint":
      return `${value}n`
    case "function":
    case "symbol":
      throw new TypeError("not data")
    case "object":
      return value === null ? "null" : canonicalObject(value, depth + 1)
    default:
      return String(value)
  }
}

const canonicalObject = (value: object, depth: number): string => {
  if (Array.isArray(value) || value instanceof Set) {
    return `[${Array.from(value, (item) => canonical(item, depth)).join(",")}]`
  }
  if (value instanceof Map) return `Map${canonical([...value], depth)}`
  if (Redacted.isRedacted(value)) throw new TypeError("not shown")
  if ("toJSON" in value && typeof value.toJSON === "function") return canonical(value.toJSON(), depth)
  if (ArrayBuffer.isView(value)) {
    return `[${new Uint8Array(value.buffer, value.byteOffset, value.byteLength).join(",")}]`
  }
  const entries = Object.entries(value).filter(([, member]) => member !== undefined)
  if (entries.length === 0 && Object.prototype.toString.call(value) !== "[object Object]") throw new TypeError("opaque")
  return `{${
    entries
      .sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member, depth)}`)
      .join(",")
  }}`
}
