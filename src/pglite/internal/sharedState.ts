/**
 * What a session keeps from one owner to the next, and how it is tidied up.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import type { Answer } from "./answer.ts"
import type { Cycle, VirtualConnection } from "./connection.ts"
import { applyListenCommands, type ListenCommand, renderListenCommand } from "./listenCommand.ts"
import { closeStatements, simpleQuery } from "./wire.ts"

/**
 * Keeps the session's books: an open transaction without an owner, statements
 * of connections that are gone, and the channels that it listens to for all.
 */
export class SharedState {
  /** Channels that the engine's session listens to. */
  readonly #listening = new Set<string>()
  readonly #unusedStatements = new Set<string>()
  #transactionLeftOpen = false
  #channelsChanged = false

  /** Starts the books of a fresh session. */
  reset(): void {
    this.#listening.clear()
    this.#unusedStatements.clear()
    this.#transactionLeftOpen = false
    this.#channelsChanged = false
  }

  /** Notes that `connection` is gone, and whether it owned the session. */
  leave(connection: VirtualConnection, owned: boolean): void {
    for (const statement of connection.statements) this.#unusedStatements.add(statement)
    if (connection.channels.size > 0) this.#channelsChanged = true
    if (owned && connection.status !== "I") this.#transactionLeftOpen = true
  }

  /** Notes what a cycle did to the channels: at once, or with the end of its transaction. */
  ran(connection: VirtualConnection, cycle: Cycle, { failed, status, tag }: Answer): void {
    if (!failed) connection.pendingListens.push(...cycle.listens)
    if (status !== "I" || connection.pendingListens.length === 0) return
    const commands = connection.pendingListens
    connection.pendingListens = []
    if (tag === "ROLLBACK") return
    applyListenCommands(connection.channels, commands)
    applyListenCommands(this.#listening, commands)
    if (connection.destroyed || commands.some(({ action }) => action === "unlisten")) this.#channelsChanged = true
  }

  /** The messages that bring the session in order for its next owner, if it needs any. */
  tidy(connections: Iterable<VirtualConnection>): Buffer | undefined {
    const messages: Array<Buffer> = []
    if (this.#transactionLeftOpen) messages.push(simpleQuery("ROLLBACK"))
    if (this.#unusedStatements.size > 0) messages.push(closeStatements(this.#unusedStatements))
    const channels = this.#channelsChanged ? this.#missingListens(connections) : []
    if (channels.length > 0) messages.push(simpleQuery(channels.map(renderListenCommand).join("")))
    applyListenCommands(this.#listening, channels)
    this.#unusedStatements.clear()
    this.#transactionLeftOpen = false
    this.#channelsChanged = false
    return messages.length === 0 ? undefined : Buffer.concat(messages)
  }

  #missingListens(connections: Iterable<VirtualConnection>): ReadonlyArray<ListenCommand> {
    const wanted = new Set<string>()
    for (const { channels } of connections) {
      for (const channel of channels) wanted.add(channel)
    }
    return [
      ...Array.from(this.#listening.difference(wanted), (channel) => ({ action: "unlisten", channel }) as const),
      ...Array.from(wanted.difference(this.#listening), (channel) => ({ action: "listen", channel }) as const)
    ]
  }
}
