/**
 * Loads of commands, and what they cost.
 */
import { randomUUID } from "node:crypto"
import { type ClosedLoad, measureClosedLoop } from "./closedLoop.ts"
import { makeOrder } from "./events.ts"
import type { CommandOperation, CommandStreams, LoadSource, Run } from "./protocol.ts"
import { required, type Session } from "./variant.ts"

/**
 * Shape of a command load.
 */
export interface CommandLoad extends ClosedLoad {
  readonly operation: CommandOperation
  readonly streams: CommandStreams
}

/**
 * Carries out commands in a closed loop; no two callers use one stream.
 *
 * **Details**
 *
 * There are 256 existing streams, whatever the number of callers, and each
 * caller goes through its share of them in turn, so that a stream has at most a
 * few hundred events in the end.
 */
export const measureCommands = async (
  session: Session,
  load: CommandLoad,
  serverPid: number | null
): Promise<Run> => {
  const carryOut = commandOf(session, load.operation)
  const measured = { ...load, eventsPerOperation: 1 }
  if (load.streams === "fresh") {
    return await measureClosedLoop(() => carryOut({ id: randomUUID(), revision: -1 }), measured, serverPid)
  }
  const share = Math.ceil(STREAMS / load.concurrency)
  const shares = Array.from({ length: load.concurrency }, () => ({ streams: makeStreams(share), next: 0 }))
  await Promise.all(shares.map(async ({ streams }) => {
    for (const stream of streams) await carryOut(stream)
  }))
  return await measureClosedLoop(
    (caller) => {
      const turn = shares[caller]
      const stream = turn?.streams[turn.next++ % share]
      if (stream === undefined) throw new Error(`caller ${caller} has no stream`)
      return carryOut(stream)
    },
    measured,
    serverPid
  )
}

/**
 * Shape of a load of states.
 */
export interface StateLoad extends Omit<ClosedLoad, "concurrency"> {
  readonly source: LoadSource
  readonly eventsPerLoad: number
}

/**
 * Loads one state over and over, by one caller.
 */
export const measureLoads = async (session: Session, load: StateLoad, serverPid: number | null): Promise<Run> => {
  const { eventsPerLoad: eventsPerOperation, source } = load
  const loadOnce = await required(session.openLoad, "openLoad")(source)
  return await measureClosedLoop(loadOnce, { ...load, concurrency: 1, eventsPerOperation }, serverPid)
}

// internal

const STREAMS = 256

interface OrderStream {
  readonly id: string
  /** Last revision; -1 while there is none. */
  revision: number
}

const makeStreams = (count: number): ReadonlyArray<OrderStream> =>
  Array.from({ length: count }, () => ({ id: randomUUID(), revision: -1 }))

const commandOf = (session: Session, operation: CommandOperation): (stream: OrderStream) => Promise<void> => {
  if (operation === "command") {
    const placeOrder = required(session.placeOrder, "placeOrder")
    return ({ id }) => placeOrder(id, makeOrder())
  }
  const appendOrder = required(session.appendOrder, "appendOrder")
  return async (stream) => {
    await appendOrder(stream.id, makeOrder(), stream.revision)
    stream.revision++
  }
}
