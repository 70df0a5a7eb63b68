/**
 * Many connections over the one session of a PGlite.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import { clearTimeout, setTimeout } from "node:timers"
import { type Answer, readAnswer } from "./answer.ts"
import { type ConnectionHost, type Cycle, VirtualConnection } from "./connection.ts"
import type { Engine } from "./engine.ts"
import { EventLoopTurn } from "./eventLoopTurn.ts"
import { SharedState } from "./sharedState.ts"
import { errorResponse, greeting, readyForQuery } from "./wire.ts"

/** What a mux tells its owner, and its bounds. */
export interface MuxOptions {
  /** How long a connection may idle in its transaction while others wait, in milliseconds. */
  readonly idleInTransactionMs: number
  /** The engine broke: it is detached already, and its connections are gone. */
  readonly onBroken: (engine: Engine, cause: unknown) => void
  /** The log may have grown by `WORK_SIZE_BYTES` since the last call. */
  readonly onWork: () => void
}

/**
 * Shares an engine's session among connections.
 *
 * **Details**
 *
 * The session belongs to one connection from the first message of a cycle to
 * the end of its transaction; the others wait in the order of their arrival.
 * Prepared statements and portals carry their connection's prefix, and are
 * forgotten with it. A connection that goes away inside a transaction is
 * rolled back; one that waits leaves the queue; neither holds up anyone else.
 * A connection that idles in its transaction while others wait is
 * disconnected after `idleInTransactionMs`: two connections that wait for each
 * other inside one process would otherwise wait for ever.
 *
 * A notification goes to the connections that listen to its channel, and to
 * no other, with the sender's process id.
 *
 * **Gotchas**
 *
 * What a session keeps is shared: `SET`, temporary tables, and session-level
 * advisory locks, which do not exclude the connections from each other. Use
 * `SET LOCAL` and transaction-level locks. `DEALLOCATE ALL` and `DISCARD ALL`
 * forget the statements of every connection. `LISTEN` counts when it is sent
 * as a statement, not when a function executes it.
 */
export class Mux {
  readonly #options: MuxOptions
  readonly #connections = new Map<number, VirtualConnection>()
  /** Connections that wait for the session, in the order of their arrival. */
  readonly #queue = new Set<VirtualConnection>()
  readonly #ungreeted = new Set<VirtualConnection>()
  readonly #state = new SharedState()
  readonly #turn = new EventLoopTurn()
  readonly #host: ConnectionHost
  #engine: Engine | undefined
  #refusal: Error | undefined
  #owner: VirtualConnection | undefined
  #running = false
  #idleTimer: NodeJS.Timeout | undefined
  #lastId = 0
  #unreportedBytes = 0
  #onDrained: (() => void) | undefined

  constructor(options: MuxOptions) {
    this.#options = options
    this.#host = {
      onStartup: (connection) => this.#greet(connection),
      onCycle: (connection) => this.#enqueue(connection),
      onCancel: (processId, secret) => this.#cancel(processId, secret),
      onClose: (connection) => this.#leave(connection)
    }
  }

  /** Opens a connection. It is greeted as soon as an engine is attached. */
  readonly connect = (): VirtualConnection => {
    const [secret = 0] = crypto.getRandomValues(new Int32Array(1))
    const connection = new VirtualConnection(this.#host, ++this.#lastId, secret)
    this.#connections.set(connection.id, connection)
    const refusal = this.#refusal
    if (refusal !== undefined) queueMicrotask(() => connection.destroy(refusal))
    return connection
  }

  /** Shares the session of a fresh engine. */
  attach(engine: Engine): void {
    this.#engine = engine
    this.#state.reset()
    for (const connection of this.#ungreeted) this.#greet(connection)
  }

  /** Disconnects everyone, now and from now on, and gives the engine back. */
  refuse(error: Error): Engine | undefined {
    const engine = this.#engine
    this.#engine = undefined
    this.#refusal = error
    for (const connection of this.#connections.values()) connection.destroy(error)
    return engine
  }

  /** Calls back, once, when no cycle runs or waits and no transaction is open, and anyhow after `deadlineMs`. */
  whenDrained(deadlineMs: number, callback: () => void): void {
    const deadline = setTimeout(() => this.#onDrained?.(), deadlineMs)
    this.#onDrained = () => {
      clearTimeout(deadline)
      this.#onDrained = undefined
      callback()
    }
    this.#reportDrained()
  }

  #greet(connection: VirtualConnection): void {
    const engine = this.#engine
    if (engine === undefined) {
      this.#ungreeted.add(connection)
      return
    }
    this.#ungreeted.delete(connection)
    connection.answer(greeting(connection.id, connection.secret, engine.serverVersion))
  }

  #enqueue(connection: VirtualConnection): void {
    if (connection !== this.#owner) this.#queue.add(connection)
    this.#pump()
  }

  /** Runs the next cycle, if there is one and the session is free for it. */
  #pump(): void {
    const engine = this.#engine
    if (engine === undefined || this.#running) return
    const tidying = this.#owner === undefined ? this.#changeOwner() : undefined
    const owner = this.#owner
    const cycle = owner?.cycles.shift()
    this.#watchIdleOwner(owner !== undefined && cycle === undefined)
    if (owner === undefined || cycle === undefined) {
      this.#reportDrained()
      return
    }
    this.#running = true
    this.#turn.use(() => {
      const tidied = tidying === undefined ? Promise.resolve() : engine.run(tidying)
      tidied.then(() => engine.run(cycle.bytes)).then((bytes) => readAnswer(bytes, owner.id)).then(
        (answer) => this.#onAnswer(engine, owner, cycle, answer),
        (cause: unknown) => this.#onBroken(engine, cause)
      )
    })
  }

  /** Gives the session to the first who waits, and says how it is to be tidied for it. */
  #changeOwner(): Buffer | undefined {
    const [next] = this.#queue
    if (next === undefined) return undefined
    this.#queue.delete(next)
    this.#owner = next
    return this.#state.tidy(this.#connections.values())
  }

  #onAnswer(engine: Engine, connection: VirtualConnection, cycle: Cycle, answer: Answer): void {
    if (answer.status === undefined || (!answer.failed && answer.completed !== cycle.executes)) {
      this.#onBroken(engine, new Error("the answer does not fit the statements"))
      return
    }
    this.#running = false
    connection.status = answer.status
    this.#state.ran(connection, cycle, answer)
    if (answer.status === "I" || connection.destroyed) this.#owner = undefined
    if (connection.destroyed) this.#state.leave(connection, true)
    else if (this.#owner === undefined && connection.cycles.length > 0) this.#queue.add(connection)
    for (const { bytes, channel } of answer.notifications) {
      for (const listener of this.#connections.values()) {
        if (listener.channels.has(channel)) listener.answer(bytes)
      }
    }
    connection.answer(answer.bytes)
    this.#reportWork(cycle)
    this.#pump()
  }

  #onBroken(engine: Engine, cause: unknown): void {
    this.#running = false
    this.#engine = undefined
    this.#owner = undefined
    const error = new Error("The embedded PostgreSQL broke; whether the statement took effect is unknown", { cause })
    for (const connection of this.#connections.values()) {
      if (!this.#ungreeted.has(connection)) connection.destroy(error)
    }
    this.#options.onBroken(engine, cause)
  }

  #cancel(processId: number, secret: number): void {
    const connection = this.#connections.get(processId)
    // A statement that runs cannot be reached: nothing else runs until its end.
    if (connection === undefined || connection.secret !== secret || !this.#queue.has(connection)) return
    connection.cycles.shift()
    if (connection.cycles.length === 0) this.#queue.delete(connection)
    connection.answer(
      Buffer.concat([errorResponse("57014", "canceling statement due to user request"), readyForQuery("I")])
    )
  }

  #leave(connection: VirtualConnection): void {
    this.#connections.delete(connection.id)
    this.#queue.delete(connection)
    this.#ungreeted.delete(connection)
    const owned = this.#owner === connection
    // While its cycle runs, the answer's arrival sees that it has gone.
    if (owned && this.#running) return
    this.#state.leave(connection, owned)
    if (owned) this.#owner = undefined
    this.#pump()
  }

  #watchIdleOwner(idle: boolean): void {
    const waited = idle && this.#queue.size > 0
    if (waited === (this.#idleTimer !== undefined)) return
    clearTimeout(this.#idleTimer)
    this.#idleTimer = waited
      ? setTimeout(() => this.#disconnectIdleOwner(), this.#options.idleInTransactionMs)
      : undefined
  }

  #disconnectIdleOwner(): void {
    this.#idleTimer = undefined
    this.#owner?.destroy(
      new Error(
        `The transaction idled for ${this.#options.idleInTransactionMs} ms while others waited, and was rolled back`
      )
    )
  }

  #reportWork({ bytes }: Cycle): void {
    this.#unreportedBytes += bytes.length + PAGE_SIZE_BYTES
    if (this.#unreportedBytes < WORK_SIZE_BYTES) return
    this.#unreportedBytes = 0
    this.#options.onWork()
  }

  #reportDrained(): void {
    if (!this.#running && this.#owner === undefined && this.#queue.size === 0) this.#onDrained?.()
  }
}

// internal

/** Log that a cycle may write besides what it was sent: about one page. */
const PAGE_SIZE_BYTES = 8192

/** Statements' bytes after which the log's size is worth a look. */
const WORK_SIZE_BYTES = 4 * 1024 * 1024
