/**
 * What the server answered to one cycle.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import { Backend, frameSize, HEADER_SIZE_BYTES, int32, readCString, type SessionStatus } from "./wire.ts"

/** An answer, with the notifications taken out: they are not for whoever ran the cycle. */
export interface Answer {
  /** What the connection that ran the cycle gets. */
  readonly bytes: Buffer
  readonly notifications: ReadonlyArray<Notification>
  /** Statements that ran to their end. */
  readonly completed: number
  readonly failed: boolean
  /** The last statement's command tag, as `INSERT 0 1`. */
  readonly tag: string | undefined
  /** The session's state afterwards; `undefined` when the server did not say that it is ready. */
  readonly status: SessionStatus | undefined
}

/** A message of `NOTIFY`, whole, and the channel that it names. */
export interface Notification {
  readonly channel: string
  readonly bytes: Buffer
}

/** Takes an answer apart. Notifications get `senderId` for their process id. */
export const readAnswer = (buffer: Buffer, senderId: number): Answer => {
  const parts: Array<Buffer> = []
  const notifications: Array<Notification> = []
  let completed = 0
  let failed = false
  let tag: string | undefined
  let status: SessionStatus | undefined
  let from = 0
  let at = 0
  for (let size = frameSize(buffer, at); size !== undefined; size = frameSize(buffer, at)) {
    switch (buffer[at]) {
      case Backend.notification:
        if (at > from) parts.push(buffer.subarray(from, at))
        notifications.push(readNotification(buffer.subarray(at, at + size), senderId))
        from = at + size
        break
      case Backend.commandComplete:
        completed++
        tag = readCString(buffer, at + HEADER_SIZE_BYTES).text
        break
      case Backend.emptyQuery:
      case Backend.portalSuspended:
        completed++
        break
      case Backend.error:
        failed = true
        break
      case Backend.ready:
        status = statusOf(buffer[at + HEADER_SIZE_BYTES])
        break
      default:
    }
    at += size
  }
  if (from < at) parts.push(buffer.subarray(from, at))
  const [only, ...rest] = parts
  const bytes = only !== undefined && rest.length === 0 ? only : Buffer.concat(parts)
  return { bytes, notifications, completed, failed, tag, status }
}

// internal

const readNotification = (message: Buffer, senderId: number): Notification => ({
  channel: readCString(message, HEADER_SIZE_BYTES + 4).text,
  bytes: Buffer.concat([
    message.subarray(0, HEADER_SIZE_BYTES),
    int32(senderId),
    message.subarray(HEADER_SIZE_BYTES + 4)
  ])
})

const statusOf = (byte: number | undefined): SessionStatus | undefined => {
  switch (byte) {
    case 0x49:
      return "I"
    case 0x54:
      return "T"
    case 0x45:
      return "E"
    default:
      return undefined
  }
}
