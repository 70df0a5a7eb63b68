/**
 * One client's end of the shared session: a stream of wire messages, cut into
 * cycles.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import { Duplex } from "node:stream"
import { type ListenCommand, parseListenCommand } from "./listenCommand.ts"
import {
  cString,
  frame,
  frameSize,
  Frontend,
  HEADER_SIZE_BYTES,
  prefixNames,
  readCString,
  type SessionStatus,
  StartupCode
} from "./wire.ts"

/**
 * Messages up to and with a Sync: what the session runs without a break. The
 * server answers each with one `ReadyForQuery`.
 */
export interface Cycle {
  readonly bytes: Buffer
  /** Statements it executes. */
  readonly executes: number
  /** What those statements change about the channels, should they succeed. */
  readonly listens: ReadonlyArray<ListenCommand>
}

/** What a connection tells the session it belongs to. */
export interface ConnectionHost {
  /** The client has introduced itself and waits for a greeting. */
  readonly onStartup: (connection: VirtualConnection) => void
  /** A cycle was added to `connection.cycles`. */
  readonly onCycle: (connection: VirtualConnection) => void
  /** The client wants the statement of another connection ended. */
  readonly onCancel: (processId: number, secret: number) => void
  /** The connection is gone; called once. */
  readonly onClose: (connection: VirtualConnection) => void
}

/**
 * A client's connection, as `PgClient` takes it for its `stream` option.
 *
 * **Details**
 *
 * Takes the extended query protocol, each cycle ended by Sync, which is all
 * that `@effect/sql-pg` speaks. A client that speaks otherwise (simple
 * queries, COPY, an unnamed statement kept beyond its cycle) is disconnected:
 * it would disturb the others.
 *
 * A write is taken when its cycles have run, so a client holds no more than
 * one chunk of work here.
 */
export class VirtualConnection extends Duplex {
  readonly id: number
  readonly secret: number
  /** Cycles that wait for the session, oldest first. */
  readonly cycles: Array<Cycle> = []
  /** Statements that the session holds under this connection's prefix. */
  readonly statements = new Set<string>()
  /** Channels whose notifications this connection gets. */
  readonly channels = new Set<string>()
  /** Changes of the channels by the transaction that is open. */
  pendingListens: Array<ListenCommand> = []
  status: SessionStatus = "I"

  readonly #host: ConnectionHost
  readonly #prefix: Buffer
  readonly #listenStatements = new Map<string, ListenCommand>()
  #received: Buffer = Buffer.alloc(0)
  #started = false
  #builder = new CycleBuilder()
  #accept: (() => void) | undefined

  constructor(host: ConnectionHost, id: number, secret: number) {
    super({ allowHalfOpen: false })
    this.#host = host
    this.id = id
    this.secret = secret
    this.#prefix = Buffer.from(`c${id}.`)
    // A client that has let go of its end no longer listens for errors.
    this.on("error", () => {})
  }

  /** Hands an answer to the client, and takes its next write when there is no more to run. */
  answer(bytes: Uint8Array): void {
    if (!this.destroyed) this.push(bytes)
    this.takeNextWrite()
  }

  /** Takes the client's next write, unless cycles of the last one still wait. */
  takeNextWrite(): void {
    if (this.cycles.length > 0) return
    const accept = this.#accept
    this.#accept = undefined
    accept?.()
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    try {
      this.#parse()
    } catch (cause) {
      callback(cause instanceof Error ? cause : new Error(String(cause)))
      return
    }
    this.#accept = callback
    this.takeNextWrite()
  }

  override _final(callback: (error?: Error | null) => void): void {
    callback()
    this.destroy()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.cycles.length = 0
    this.#accept = undefined
    this.#host.onClose(this)
    callback(error)
  }

  #parse(): void {
    let at = 0
    while (!this.destroyed) {
      const size = this.#started ? frameSize(this.#received, at) : this.#startupSize(at)
      if (size === undefined) break
      const message = this.#received.subarray(at, at + size)
      at += size
      if (this.#started) this.#onMessage(message)
      else this.#onStartupMessage(message)
    }
    this.#received = this.#received.subarray(at)
  }

  #startupSize(at: number): number | undefined {
    const available = this.#received.length - at
    if (available < 8) return undefined
    const size = this.#received.readInt32BE(at)
    if (size < 8) throw new RangeError(`start-up message length ${size} is less than 8`)
    return available < size ? undefined : size
  }

  #onStartupMessage(message: Buffer): void {
    switch (message.readInt32BE(4)) {
      case StartupCode.ssl:
      case StartupCode.gss:
        this.push(Buffer.from("N"))
        return
      case StartupCode.cancel:
        this.#host.onCancel(message.readInt32BE(8), message.readInt32BE(12))
        this.destroy()
        return
      default:
        this.#started = true
        this.#host.onStartup(this)
    }
  }

  #onMessage(message: Buffer): void {
    const type = message[0]
    switch (type) {
      case Frontend.terminate:
        this.destroy()
        return
      case Frontend.parse:
        this.#onParse(message)
        break
      case Frontend.bind:
        this.#onBind(message)
        break
      case Frontend.execute:
        this.#builder.execute(readCString(message, HEADER_SIZE_BYTES).text)
        break
      case Frontend.describe:
        if (message[HEADER_SIZE_BYTES] === STATEMENT) {
          this.#builder.use(readCString(message, HEADER_SIZE_BYTES + 1).text)
        }
        break
      case Frontend.close:
        this.#onClose(message)
        break
      case Frontend.flush:
      case Frontend.sync:
        break
      default:
        throw unsupported(type ?? 0)
    }
    this.#builder.add(prefixNames(message, this.#prefix))
    if (type === Frontend.sync) {
      this.cycles.push(this.#builder.finish())
      this.#builder = new CycleBuilder()
      this.#host.onCycle(this)
    }
  }

  #onParse(message: Buffer): void {
    const name = readCString(message, HEADER_SIZE_BYTES)
    const command = parseListenCommand(readCString(message, name.next).text)
    if (command === undefined) this.#listenStatements.delete(name.text)
    else this.#listenStatements.set(name.text, command)
    if (name.text === "") this.#builder.unnamedParsed = true
    else this.statements.add(`${this.#prefix.toString()}${name.text}`)
  }

  #onBind(message: Buffer): void {
    const portal = readCString(message, HEADER_SIZE_BYTES)
    const statement = readCString(message, portal.next).text
    this.#builder.use(statement)
    this.#builder.bind(portal.text, this.#listenStatements.get(statement))
  }

  #onClose(message: Buffer): void {
    if (message[HEADER_SIZE_BYTES] !== STATEMENT) return
    const name = readCString(message, HEADER_SIZE_BYTES + 1).text
    this.statements.delete(`${this.#prefix.toString()}${name}`)
    this.#listenStatements.delete(name)
  }
}

// internal

/** What a Describe or Close is about: "S", a statement. */
const STATEMENT = 0x53

/**
 * Ends a `COPY FROM STDIN`, and is ignored elsewhere. Without it PGlite would
 * find no data to copy, take it for a lost connection, and exit.
 */
const COPY_FAIL = frame("f", cString("the embedded PostgreSQL does not take COPY FROM STDIN"))

const unsupported = (type: number): Error => {
  const name = String.fromCharCode(type)
  return new Error(`the embedded PostgreSQL takes no "${name}" message: use the extended query protocol`)
}

/** Gathers the messages of a cycle, and what its portals would listen to. */
class CycleBuilder {
  unnamedParsed = false
  readonly #messages: Array<Buffer> = []
  readonly #portals = new Map<string, ListenCommand>()
  readonly #listens: Array<ListenCommand> = []
  #executes = 0

  add(message: Buffer): void {
    this.#messages.push(message)
  }

  /** Fails for an unnamed statement of an earlier cycle: by now it may be another connection's. */
  use(statement: string): void {
    if (statement === "" && !this.unnamedParsed) {
      throw new Error("the embedded PostgreSQL forgets the unnamed statement at Sync: parse it in the same cycle")
    }
  }

  bind(portal: string, command: ListenCommand | undefined): void {
    if (command === undefined) this.#portals.delete(portal)
    else this.#portals.set(portal, command)
  }

  execute(portal: string): void {
    this.#executes++
    const command = this.#portals.get(portal)
    if (command !== undefined) this.#listens.push(command)
  }

  finish(): Cycle {
    return {
      bytes: Buffer.concat([...this.#messages.slice(0, -1), COPY_FAIL, ...this.#messages.slice(-1)]),
      executes: this.#executes,
      listens: this.#listens
    }
  }
}
