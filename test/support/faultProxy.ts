/**
 * A TCP proxy in front of PostgreSQL that injects the faults of networks and
 * servers, each at the statement where it hurts.
 */
import { Effect, type Scope } from "effect"
import * as net from "node:net"
import { type Conversation, makeClientSplitter, makeConversation, makeServerSplitter, type Message } from "./wire.ts"

/**
 * How the proxy treats every connection, from now on.
 *
 * **Details**
 *
 * - `Pass`: as if it were not there.
 * - `Delay`: bytes arrive later by so many milliseconds in each direction, in order.
 * - `BlackHole`: connections, open and new, stay open and silent for ever: half-open.
 * - `Refuse`: open connections are reset and new ones refused, as without a server.
 * - `CutAfter`: each connection is reset once so many more bytes went to the client.
 */
export type Mode =
  | { readonly _tag: "Pass" }
  | { readonly _tag: "Delay"; readonly millis: number | (() => number) }
  | { readonly _tag: "BlackHole" }
  | { readonly _tag: "Refuse" }
  | { readonly _tag: "CutAfter"; readonly bytes: number }

/**
 * What happens, once, to a statement.
 *
 * **Details**
 *
 * - `LoseRequest`: the server gets nothing of the connection from this statement's `Bind` (or `Query`) on.
 * - `LoseAnswer`: the server executes and answers up to ReadyForQuery, so without an open transaction it has
 *   committed; the client gets nothing of it.
 * - `CutRequest`, `CutAnswer`: so many bytes get through, then both sides are reset.
 * - `CorruptAnswer`: one bit of the first message of the type (`D` is a row; any type if absent) is flipped. `offset`
 *   counts from the type byte (0; the length is 1 to 4) and wraps around at the message's end.
 * - `HoldRequest`, `HoldAnswer`: the bytes wait until `release`.
 *
 * A lost message ends in a reset of both sides (`ending`), or with `silence` in a half-open connection, which the server keeps too.
 */
export type Fault =
  | { readonly _tag: "LoseRequest"; readonly ending?: "reset" | "silence" }
  | { readonly _tag: "LoseAnswer"; readonly ending?: "reset" | "silence" }
  | { readonly _tag: "CutRequest"; readonly bytes: number }
  | { readonly _tag: "CutAnswer"; readonly bytes: number }
  | { readonly _tag: "CorruptAnswer"; readonly message?: string; readonly offset: number; readonly bit?: number }
  | { readonly _tag: "HoldRequest" }
  | { readonly _tag: "HoldAnswer" }

/**
 * Which statement: one whose text contains this, matches this, or satisfies this.
 */
export type Match = string | RegExp | ((sql: string) => boolean)

/**
 * A fault that waits for its statement.
 */
export interface Armed {
  /** Completes when the fault has happened; for a hold, when the bytes are being held. */
  readonly happened: Effect.Effect<void>
  /** Lets held bytes go. */
  readonly release: Effect.Effect<void>
  /** Takes the fault back, unless it has met its statement. */
  readonly disarm: Effect.Effect<void>
}

/**
 * What went through the proxy since it was made.
 */
export interface Counters {
  /** Connections accepted. */
  readonly connections: number
  /** Connections open now. */
  readonly open: number
  /** Statements that clients set off, lost ones too. */
  readonly statements: number
  readonly bytesToServer: number
  readonly bytesToClient: number
  /** Bytes that half-open connections swallowed, of both sides. */
  readonly bytesSwallowed: number
  /** Notifications that the server sent, dropped ones too. */
  readonly notifications: number
  /** One-shot faults that happened. */
  readonly faults: number
}

/**
 * A proxy in front of one server.
 */
export interface FaultProxy {
  readonly port: number
  /** The server's URL, by way of the proxy. */
  readonly url: string
  readonly setMode: (mode: Mode) => Effect.Effect<void>
  /** What becomes of `NOTIFY`: delivered at first. */
  readonly setNotifications: (fate: "deliver" | "drop" | "duplicate") => Effect.Effect<void>
  /** Injects a fault at the next statement that matches, of any connection. Of several armed ones the oldest is next. */
  readonly arm: (match: Match, fault: Fault) => Effect.Effect<Armed>
  /** Resets every open connection, on both sides. */
  readonly reset: Effect.Effect<void>
  readonly counters: Effect.Effect<Counters>
}

/**
 * Starts a proxy on a free port of 127.0.0.1; it ends, with all its
 * connections, when the scope closes.
 *
 * **Gotchas**
 *
 * Reads the protocol, so the client must not encrypt. Delays are real time,
 * whatever clock the test has.
 */
export const makeFaultProxy = (upstream: string): Effect.Effect<FaultProxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => open(new URL(upstream))),
      ({ proxy, stopListening }) => Effect.andThen(proxy.reset, Effect.promise(stopListening))
    ),
    ({ proxy }) => proxy
  )

// internal

interface ArmedFault {
  readonly matches: (sql: string) => boolean
  readonly fault: Fault
  readonly happened: () => void
  readonly released: Promise<void>
}

type MutableCounters = { -readonly [K in keyof Counters]: Counters[K] }

/** What the connections of a proxy share. */
interface Shared {
  readonly upstream: URL
  readonly armed: Set<ArmedFault>
  readonly counters: MutableCounters
  readonly links: Set<Link>
  mode: Mode
  notifications: "deliver" | "drop" | "duplicate"
}

/** One direction of a connection: writes in order, each not before it is due. */
interface Lane {
  readonly write: (bytes: Buffer) => void
  /** Holds back what is written from now on until the promise completes. */
  readonly hold: (until: Promise<void>) => void
  /** Ends the other side once everything before is written. */
  readonly end: () => void
}

/** One client's connection. */
interface Link {
  readonly shared: Shared
  readonly client: net.Socket
  readonly server: net.Socket
  readonly conversation: Conversation<ArmedFault>
  readonly toServer: Lane
  readonly toClient: Lane
  /** Nothing passes any more, and nobody is told. */
  isSilent: boolean
  /** The statement whose request is being lost, from its first message on. */
  losing: ArmedFault | undefined
  /** The statement whose answer has begun to meet its fault. */
  met: ArmedFault | undefined
  /** Bytes that may still pass before a reset, by direction. */
  budgetToServer: number
  budgetToClient: number
}

const open = async (upstream: URL) => {
  const shared: Shared = {
    upstream,
    armed: new Set(),
    counters: {
      connections: 0,
      open: 0,
      statements: 0,
      bytesToServer: 0,
      bytesToClient: 0,
      bytesSwallowed: 0,
      notifications: 0,
      faults: 0
    },
    links: new Set(),
    mode: { _tag: "Pass" },
    notifications: "deliver"
  }
  const listener = net.createServer((client) => connect(shared, client))
  const port = await listen(listener, 0)
  const stopListening = () => new Promise<void>((resolve) => listener.close(() => resolve()))
  const reset = () => {
    for (const link of shared.links) resetLink(link)
  }
  const setMode = async (mode: Mode) => {
    shared.mode = mode
    for (const link of shared.links) {
      link.isSilent ||= mode._tag === "BlackHole"
      link.budgetToClient = mode._tag === "CutAfter" ? mode.bytes : Infinity
    }
    if (mode._tag === "Refuse") {
      const stopped = listener.listening ? stopListening() : Promise.resolve()
      reset()
      await stopped
    } else if (!listener.listening) {
      await listen(listener, port)
    }
  }
  const url = new URL(upstream)
  url.host = `127.0.0.1:${port}`
  const proxy: FaultProxy = {
    port,
    url: url.href,
    setMode: (mode) => Effect.promise(() => setMode(mode)),
    setNotifications: (fate) =>
      Effect.sync(() => {
        shared.notifications = fate
      }),
    arm: (match, fault) => Effect.sync(() => arm(shared, match, fault)),
    reset: Effect.sync(reset),
    counters: Effect.sync(() => ({ ...shared.counters, open: shared.links.size }))
  }
  return { proxy, stopListening }
}

const listen = (listener: net.Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    listener.once("error", reject)
    listener.listen(port, "127.0.0.1", () => {
      listener.removeListener("error", reject)
      const address = listener.address()
      resolve(address !== null && typeof address === "object" ? address.port : 0)
    })
  })

const arm = (shared: Shared, match: Match, fault: Fault): Armed => {
  const happened = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const armed: ArmedFault = {
    matches: typeof match === "string"
      ? (sql) => sql.includes(match)
      : match instanceof RegExp
      ? (sql) => sql.search(match) >= 0
      : match,
    fault,
    happened: () => {
      shared.counters.faults++
      happened.resolve()
    },
    released: released.promise
  }
  shared.armed.add(armed)
  return {
    happened: Effect.promise(() => happened.promise),
    release: Effect.sync(() => released.resolve()),
    disarm: Effect.sync(() => {
      shared.armed.delete(armed)
    })
  }
}

const connect = (shared: Shared, client: net.Socket): void => {
  shared.counters.connections++
  const server = net.connect({ host: shared.upstream.hostname, port: Number(shared.upstream.port || 5432) })
  const link: Link = {
    shared,
    client,
    server,
    conversation: makeConversation(),
    toServer: makeLane(shared, (bytes) => deliver(link, "server", bytes), () => server.end()),
    toClient: makeLane(shared, (bytes) => deliver(link, "client", bytes), () => client.end()),
    isSilent: shared.mode._tag === "BlackHole",
    losing: undefined,
    met: undefined,
    budgetToServer: Infinity,
    budgetToClient: shared.mode._tag === "CutAfter" ? shared.mode.bytes : Infinity
  }
  shared.links.add(link)
  for (const socket of [client, server]) socket.setNoDelay(true)
  const fromClient = makeClientSplitter()
  const fromServer = makeServerSplitter()
  client.on("data", (chunk) => {
    if (link.isSilent) shared.counters.bytesSwallowed += chunk.length
    else forward(link, fromClient.push(chunk), passToServer, link.toServer)
  })
  server.on("data", (chunk) => {
    if (link.isSilent) shared.counters.bytesSwallowed += chunk.length
    else forward(link, fromServer.push(chunk), passToClient, link.toClient)
  })
  client.on("end", () => !link.isSilent && link.toServer.end())
  server.on("end", () => {
    if (link.isSilent) return
    if (link.met?.fault._tag === "LoseAnswer") lose(link, link.met)
    else link.toClient.end()
  })
  // a socket that fails takes the other side with it, unless the path is cut in between
  client.on("error", () => !link.isSilent && resetLink(link))
  server.on("error", () => !link.isSilent && resetLink(link))
  const gone = () => {
    if (client.destroyed && server.destroyed) shared.links.delete(link)
  }
  client.on("close", gone)
  server.on("close", gone)
}

const makeLane = (shared: Shared, deliver: (bytes: Buffer) => void, end: () => void): Lane => {
  let tail: Promise<void> = Promise.resolve()
  let waiting = 0
  const after = (until: Promise<void> | undefined, then: () => void) => {
    // the usual case stays synchronous, and in order
    if (waiting === 0 && until === undefined) return then()
    waiting++
    tail = Promise.all([tail, until]).then(() => {
      waiting--
      return then()
    })
  }
  return {
    write: (bytes) => after(due(shared.mode), () => deliver(bytes)),
    hold: (until) => after(until, () => undefined),
    end: () => after(undefined, end)
  }
}

const due = (mode: Mode): Promise<void> | undefined => {
  if (mode._tag !== "Delay") return undefined
  const millis = typeof mode.millis === "number" ? mode.millis : mode.millis()
  return new Promise((resolve) => setTimeout(resolve, millis))
}

const deliver = (link: Link, side: "client" | "server", bytes: Buffer): void => {
  const socket = side === "client" ? link.client : link.server
  if (link.isSilent || socket.destroyed) return
  const budget = side === "client" ? link.budgetToClient : link.budgetToServer
  const passing = bytes.subarray(0, budget)
  if (side === "client") {
    link.shared.counters.bytesToClient += passing.length
    link.budgetToClient -= bytes.length
  } else {
    link.shared.counters.bytesToServer += passing.length
    link.budgetToServer -= bytes.length
  }
  if (bytes.length < budget) {
    socket.write(passing)
    return
  }
  link.isSilent = true
  socket.write(passing, () => resetLink(link))
}

const resetLink = ({ client, server }: Link): void => {
  for (const socket of [client, server]) if (!socket.destroyed) socket.resetAndDestroy()
}

/** Passes on what is left of messages after their faults, in one write. */
const forward = (
  link: Link,
  messages: ReadonlyArray<Message>,
  pass: (link: Link, message: Message, write: (bytes: Buffer) => void, flush: () => void) => void,
  lane: Lane
): void => {
  let passing: Array<Buffer> = []
  const flush = () => {
    if (passing.length > 0) lane.write(Buffer.concat(passing))
    passing = []
  }
  for (const message of messages) {
    if (link.isSilent) link.shared.counters.bytesSwallowed += message.bytes.length
    else pass(link, message, (bytes) => passing.push(bytes), flush)
  }
  flush()
}

const passToServer = (link: Link, message: Message, write: (bytes: Buffer) => void, flush: () => void): void => {
  const sql = link.conversation.fromClient(message)
  if (sql !== undefined) {
    link.shared.counters.statements++
    const armed = take(link.shared, sql)
    if (armed !== undefined) meetRequest(link, armed, flush)
  }
  if (link.losing === undefined) return write(message.bytes)
  // the client has sent all of it: Sync or a simple Query
  if (message.type === "S" || message.type === "Q") lose(link, link.losing)
}

const take = (shared: Shared, sql: string): ArmedFault | undefined => {
  for (const armed of shared.armed) {
    if (!armed.matches(sql)) continue
    shared.armed.delete(armed)
    return armed
  }
  return undefined
}

const meetRequest = (link: Link, armed: ArmedFault, flush: () => void): void => {
  switch (armed.fault._tag) {
    case "LoseRequest":
      link.losing = armed
      return
    case "CutRequest":
      flush()
      link.budgetToServer = armed.fault.bytes
      armed.happened()
      return
    case "HoldRequest":
      flush()
      link.toServer.hold(armed.released)
      armed.happened()
      return
    default:
      link.conversation.mark(armed)
  }
}

const lose = (link: Link, armed: ArmedFault): void => {
  link.isSilent = true
  armed.happened()
  const { fault } = armed
  if ((fault._tag === "LoseRequest" || fault._tag === "LoseAnswer") && fault.ending === "silence") return
  resetLink(link)
}

const passToClient = (link: Link, message: Message, write: (bytes: Buffer) => void, flush: () => void): void => {
  const { conversation, shared } = link
  if (message.type === "A") {
    shared.counters.notifications++
    if (shared.notifications !== "deliver") {
      if (shared.notifications === "duplicate") write(Buffer.concat([message.bytes, message.bytes]))
      return
    }
  }
  const answering = conversation.answering()
  const closed = conversation.fromServer(message)
  const armed = answering ?? closed
  if (armed === undefined) return link.met?.fault._tag === "LoseAnswer" ? undefined : write(message.bytes)
  const isFirst = link.met !== armed
  meetAnswer(link, armed, { message, isFirst, isLast: closed === armed, write, flush })
}

const meetAnswer = (
  link: Link,
  armed: ArmedFault,
  { flush, isFirst, isLast, message, write }: {
    readonly message: Message
    readonly isFirst: boolean
    readonly isLast: boolean
    readonly write: (bytes: Buffer) => void
    readonly flush: () => void
  }
): void => {
  const { fault } = armed
  switch (fault._tag) {
    case "LoseAnswer":
      link.met = armed
      flush()
      if (isLast) lose(link, armed)
      return
    case "CutAnswer":
      if (isFirst) {
        flush()
        link.met = armed
        link.budgetToClient = fault.bytes
        armed.happened()
      }
      return write(message.bytes)
    case "HoldAnswer":
      if (isFirst) {
        flush()
        link.met = armed
        link.toClient.hold(armed.released)
        armed.happened()
      }
      return write(message.bytes)
    case "CorruptAnswer":
      if (link.met !== armed && (fault.message === undefined || fault.message === message.type)) {
        link.met = armed
        write(flipBit(message.bytes, fault.offset, fault.bit ?? 0))
        armed.happened()
        return
      }
      // no such message in this answer: wait for the next statement
      if (isLast && link.met !== armed) link.shared.armed.add(armed)
      return write(message.bytes)
    default:
      return write(message.bytes)
  }
}

const flipBit = (bytes: Buffer, offset: number, bit: number): Buffer => {
  const copy = Buffer.from(bytes)
  const at = offset % copy.length
  copy[at] = (copy[at] ?? 0) ^ (1 << bit)
  return copy
}
