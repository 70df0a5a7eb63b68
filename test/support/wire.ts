/**
 * As much of PostgreSQL's wire protocol 3 as is needed to know which statement
 * a message belongs to.
 */

/**
 * One message, complete.
 */
export interface Message {
  /** The type byte as a character; empty for the untyped messages that open a connection. */
  readonly type: string
  /** All bytes, the type and the length included. */
  readonly bytes: Buffer
}

/**
 * Cuts a byte stream into messages.
 */
export interface Splitter {
  /** Takes bytes as they arrive and gives the messages that are complete now. */
  readonly push: (chunk: Buffer) => ReadonlyArray<Message>
}

/**
 * Splits what a client sends: untyped messages until the start-up one is
 * through, then typed ones.
 */
export const makeClientSplitter = (): Splitter => {
  let isOpening = true
  return makeSplitter((buffer) => {
    if (!isOpening) return typed(buffer)
    if (buffer.length < 8) return undefined
    const length = buffer.readInt32BE(0)
    if (buffer.length < length) return undefined
    isOpening = ENCRYPTION_REQUESTS.has(buffer.readInt32BE(4))
    return { type: "", bytes: buffer.subarray(0, length) }
  })
}

/**
 * Splits what a server sends: typed messages only, once it has answered a
 * possible request for encryption with one byte.
 */
export const makeServerSplitter = (): Splitter => {
  let isFirst = true
  return makeSplitter((buffer) => {
    // a lone N refuses encryption; N as a type has a length after it
    if (isFirst && buffer.length === 1 && buffer[0] === 0x4e) return { type: "", bytes: buffer.subarray(0, 1) }
    const message = typed(buffer)
    if (message !== undefined) isFirst = false
    return message
  })
}

/**
 * Follows which statement each message of one connection is about.
 */
export interface Conversation<Mark> {
  /** Takes a message of the client; gives the text of the statement that it sets off. */
  readonly fromClient: (message: Message) => string | undefined
  /** Marks the statement that the last message set off. */
  readonly mark: (mark: Mark) => void
  /** Gives the mark of the statement that the server is answering. */
  readonly answering: () => Mark | undefined
  /** Takes a message of the server; gives the mark of the round that it closes (ReadyForQuery), if any. */
  readonly fromServer: (message: Message) => Mark | undefined
}

/**
 * Makes the follower of a new connection.
 *
 * **Details**
 *
 * Knows prepared statements by name. A statement is set off by `Query`, or by
 * `Bind` for the extended protocol: there `Parse` alone does nothing yet. A
 * round ends with `Sync` and is answered up to `ReadyForQuery`: without an open
 * transaction, that is when the server has committed.
 */
export const makeConversation = <Mark>(): Conversation<Mark> => {
  const statements = new Map<string, string>()
  const portals = new Map<string, Step<Mark>>()
  const rounds: Array<Round<Mark>> = []
  let open: Round<Mark> = { steps: [], mark: undefined }
  let last: Step<Mark> = { mark: undefined }

  const close = () => {
    rounds.push(open)
    open = { steps: [], mark: undefined }
  }
  return {
    fromClient: (message) => {
      switch (message.type) {
        case "P": {
          const [name, afterName] = text(message.bytes, 5)
          statements.set(name, text(message.bytes, afterName)[0])
          return undefined
        }
        case "B": {
          const [portal, afterPortal] = text(message.bytes, 5)
          last = { mark: undefined }
          portals.set(portal, last)
          return statements.get(text(message.bytes, afterPortal)[0])
        }
        case "E":
          open.steps.push(portals.get(text(message.bytes, 5)[0]) ?? { mark: undefined })
          return undefined
        case "Q": {
          last = { mark: undefined }
          open.steps.push(last)
          close()
          return text(message.bytes, 5)[0]
        }
        case "S":
        case "F":
          close()
          return undefined
        default:
          return undefined
      }
    },
    mark: (mark) => {
      last.mark = mark
    },
    answering: () => {
      const round = rounds[0] ?? open
      return round.steps[0]?.mark ?? round.mark
    },
    fromServer: (message) => {
      const round = rounds[0] ?? open
      if (message.type === "C" || message.type === "I" || message.type === "s") {
        round.mark = round.steps.shift()?.mark ?? round.mark
      }
      // what came after the failed step is skipped by the server
      if (message.type === "E") {
        round.mark = round.steps.find((step) => step.mark !== undefined)?.mark ?? round.mark
        round.steps.length = 0
      }
      if (message.type !== "Z") return undefined
      return rounds.shift()?.mark
    }
  }
}

// internal

/** Codes of SSLRequest and GSSENCRequest, after which the client opens again. */
const ENCRYPTION_REQUESTS = new Set([80_877_103, 80_877_104])

/** An `Execute` or `Query` that the server has yet to answer. */
interface Step<Mark> {
  mark: Mark | undefined
}

/** What is answered together, up to one ReadyForQuery. */
interface Round<Mark> {
  readonly steps: Array<Step<Mark>>
  mark: Mark | undefined
}

const makeSplitter = (next: (buffer: Buffer) => Message | undefined): Splitter => {
  let rest: Buffer = Buffer.alloc(0)
  return {
    push: (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      const messages: Array<Message> = []
      for (let message = next(rest); message !== undefined; message = next(rest)) {
        messages.push(message)
        rest = rest.subarray(message.bytes.length)
      }
      return messages
    }
  }
}

const typed = (buffer: Buffer): Message | undefined => {
  if (buffer.length < 5) return undefined
  const length = 1 + buffer.readInt32BE(1)
  if (buffer.length < length) return undefined
  return { type: String.fromCharCode(buffer[0] ?? 0), bytes: buffer.subarray(0, length) }
}

/** Reads a zero-terminated text; gives it and the offset after it. */
const text = (bytes: Buffer, from: number): readonly [string, number] => {
  const end = bytes.indexOf(0, from)
  return [bytes.toString("utf8", from, end), end + 1]
}
