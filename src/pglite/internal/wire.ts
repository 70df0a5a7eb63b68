/**
 * The parts of PostgreSQL's wire protocol (version 3) that a shared session
 * needs: splitting frames, giving names a prefix, and a few frames of its own.
 *
 * https://www.postgresql.org/docs/18/protocol-message-formats.html
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"

/** Type bytes of the messages a client sends. */
export const Frontend = {
  bind: 0x42,
  close: 0x43,
  describe: 0x44,
  execute: 0x45,
  flush: 0x48,
  parse: 0x50,
  sync: 0x53,
  terminate: 0x58
} as const

/** Type bytes of the messages a server sends. */
export const Backend = {
  commandComplete: 0x43,
  emptyQuery: 0x49,
  error: 0x45,
  notification: 0x41,
  portalSuspended: 0x73,
  ready: 0x5a
} as const

/** Codes that stand where a start-up message has its protocol version. */
export const StartupCode = { cancel: 80877102, ssl: 80877103, gss: 80877104 } as const

/** Bytes in front of a message's body: its type and its length. */
export const HEADER_SIZE_BYTES = 5

/** What `ReadyForQuery` says of the session: idle, in a transaction, in a failed transaction. */
export type SessionStatus = "I" | "T" | "E"

/** Builds one message. */
export const frame = (type: string, ...body: ReadonlyArray<Uint8Array>): Buffer => {
  const head = Buffer.alloc(HEADER_SIZE_BYTES)
  head.write(type, 0, "latin1")
  head.writeInt32BE(body.reduce((sum, part) => sum + part.length, 4), 1)
  return Buffer.concat([head, ...body])
}

/** A string as the protocol writes it: UTF-8 and a zero byte. */
export const cString = (text: string): Buffer => Buffer.from(`${text}\0`, "utf8")

/** A four-byte number as the protocol writes it. */
export const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** A script of any number of statements, without parameters. */
export const simpleQuery = (sql: string): Buffer => frame("Q", cString(sql))

/** Forgets prepared statements; naming one that does not exist is no error. */
export const closeStatements = (names: Iterable<string>): Buffer =>
  Buffer.concat([...Array.from(names, (name) => frame("C", Buffer.from("S"), cString(name))), frame("S")])

/** An error with its SQLSTATE, as the server would send it. */
export const errorResponse = (code: string, text: string): Buffer =>
  frame(
    "E",
    ...[["S", "ERROR"], ["V", "ERROR"], ["C", code], ["M", text]].map(([field, value]) => cString(`${field}${value}`)),
    Buffer.alloc(1)
  )

/** Says that the session takes the next statement. */
export const readyForQuery = (status: SessionStatus): Buffer => frame("Z", Buffer.from(status))

/** Everything a server sends between a start-up message and the first statement. */
export const greeting = (processId: number, secret: number, serverVersion: string): Buffer =>
  Buffer.concat([
    frame("R", int32(0)),
    ...Object.entries({ ...SERVER_PARAMETERS, server_version: serverVersion }).map(([name, value]) =>
      frame("S", cString(name), cString(value))
    ),
    frame("K", int32(processId), int32(secret)),
    readyForQuery("I")
  ])

/** Length of the message at `at`, its type byte included; `undefined` while bytes of it are missing. */
export const frameSize = (buffer: Buffer, at: number): number | undefined => {
  if (buffer.length - at < HEADER_SIZE_BYTES) return undefined
  const size = 1 + buffer.readInt32BE(at + 1)
  if (size < HEADER_SIZE_BYTES) throw new RangeError(`message length ${size - 1} is less than 4`)
  return buffer.length - at < size ? undefined : size
}

/** Reads the zero-ended string at `at`. */
export const readCString = (buffer: Buffer, at: number): { readonly text: string; readonly next: number } => {
  const end = buffer.indexOf(0, at)
  if (end < 0) throw new RangeError("string without its zero byte")
  return { text: buffer.toString("utf8", at, end), next: end + 1 }
}

/**
 * Puts `prefix` before every statement and portal name of a message. The
 * unnamed statement and the unnamed portal keep no name.
 */
export const prefixNames = (message: Buffer, prefix: Buffer): Buffer => {
  const starts = namesOf(message).filter((at) => message[at] !== 0)
  if (starts.length === 0) return message
  const parts: Array<Uint8Array> = []
  let from = 0
  for (const at of starts) {
    parts.push(message.subarray(from, at), prefix)
    from = at
  }
  parts.push(message.subarray(from))
  const renamed = Buffer.concat(parts)
  renamed.writeInt32BE(renamed.length - 1, 1)
  return renamed
}

// internal

const SERVER_PARAMETERS = {
  client_encoding: "UTF8",
  DateStyle: "ISO, MDY",
  integer_datetimes: "on",
  server_encoding: "UTF8",
  standard_conforming_strings: "on",
  TimeZone: "UTC"
}

/** Where the names of a message start. */
const namesOf = (message: Buffer): ReadonlyArray<number> => {
  switch (message[0]) {
    case Frontend.parse:
    case Frontend.execute:
      return [HEADER_SIZE_BYTES]
    case Frontend.bind:
      return [HEADER_SIZE_BYTES, readCString(message, HEADER_SIZE_BYTES).next]
    case Frontend.describe:
    case Frontend.close:
      return [HEADER_SIZE_BYTES + 1]
    default:
      return []
  }
}
