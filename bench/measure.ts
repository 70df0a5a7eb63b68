/**
 * Loads on an open store, and what they cost.
 */
import { performance, type RecordableHistogram } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { measureBulk, megabytes, watchMemory } from "./bulk.ts"
import { type ClosedLoad, measureClosedLoop } from "./closedLoop.ts"
import { readCpu } from "./cpu.ts"
import { freshStream, makeEvent, makeEvents, withTags } from "./events.ts"
import type { AppendOperation, ProjectionWork, Run } from "./protocol.ts"
import { latencies, nanos, percentiles, summarize } from "./summary.ts"
import { type BenchEvent, required, type Session } from "./variant.ts"

/**
 * Shape of an append load.
 */
export interface AppendLoad extends ClosedLoad {
  readonly operation: AppendOperation
  readonly eventsPerCall: number
}

/**
 * Appends in a closed loop.
 */
export const measureAppends = (session: Session, load: AppendLoad, serverPid: number | null): Promise<Run> =>
  measureClosedLoop(appendCall(session, load), { ...load, eventsPerOperation: load.eventsPerCall }, serverPid)

/**
 * Puts events into a store, a hundred a stream, as fast as it takes them.
 */
export const fill = async (session: Session, events: number, isTagged: boolean): Promise<void> => {
  const calls = Math.ceil(events / EVENTS_PER_FILL)
  let next = 0
  const appender = async (): Promise<void> => {
    while (next < calls) {
      const size = Math.min(EVENTS_PER_FILL, events - next * EVENTS_PER_FILL)
      next++
      const batch = makeEvents(size)
      await session.append(freshStream(), isTagged ? batch.map(withTags) : batch)
    }
  }
  await Promise.all(Array.from({ length: FILLERS }, appender))
}

/**
 * Reads the whole log once.
 */
export const measureReadAll = (session: Session, serverPid: number | null): Promise<Run> => {
  const readAll = required(session.readAll, "readAll")
  return measureBulk(() => readAll(() => {}), serverPid)
}

/**
 * Reads the whole log once and watches the memory of this process.
 */
export const measureMemory = async (session: Session, serverPid: number | null): Promise<Run> => {
  const readAll = required(session.readAll, "readAll")
  globalThis.gc?.()
  const watch = watchMemory()
  const run = await measureBulk(() => readAll(watch.sample), serverPid)
  return { ...run, memory: watch.result() }
}

/**
 * Imports a file once.
 */
export const measureImport = (session: Session, file: string, serverPid: number | null): Promise<Run> => {
  const importFile = required(session.importFile, "importFile")
  return measureBulk(() => importFile(file), serverPid)
}

/**
 * Shape of a subscription load.
 */
export interface SubscribeLoad {
  readonly perSecond: number
  readonly warmUpSeconds: number
  readonly seconds: number
}

/**
 * Appends in an open loop, at a fixed rate whatever the answers do, and measures
 * how long after its acknowledgement each event reaches who follows: a
 * subscriber, or a reader of a read model.
 *
 * **Details**
 *
 * An event that is delivered before its acknowledgement was seen counts as
 * delivered at once (the smallest value of the histogram, a nanosecond).
 */
export const measureSubscription = async (
  session: Session,
  follow: Required<Session>["subscribe"],
  load: SubscribeLoad,
  serverPid: number | null
): Promise<Run> => {
  const ledger = makeLedger()
  const subscription = await follow(ledger.delivered)
  try {
    await openLoop(session, load.perSecond, load.warmUpSeconds, ledger)
    await ledger.settled()
    ledger.reset()
    const before = readCpu(serverPid)
    const started = performance.now()
    await openLoop(session, load.perSecond, load.seconds, ledger)
    const seconds = (performance.now() - started) / 1_000
    await ledger.settled()
    const operations = ledger.histogram.count
    const run = summarize({
      before,
      serverPid,
      seconds,
      operations,
      events: operations,
      errors: ledger.errors(),
      histogram: ledger.histogram
    })
    return { ...run, fromCall: percentiles(ledger.fromCall) }
  } finally {
    await subscription.stop()
  }
}

/**
 * Builds a read model of the whole log once, or as much of it as the time allows.
 */
export const measureProjection = async (
  session: Session,
  work: ProjectionWork,
  secondsMax: number,
  serverPid: number | null
): Promise<Run> => {
  const project = required(session.project, "project")
  const signal = AbortSignal.timeout(secondsMax * 1_000)
  let check = async (): Promise<void> => {}
  const run = await measureBulk(async () => {
    const projected = await project(work, signal)
    check = projected.check
    return projected.events
  }, serverPid)
  await check()
  return run
}

/**
 * Builds a read model anew while it is read. The memory is the most that this
 * process ever had.
 */
export const measureRebuild = async (session: Session, serverPid: number | null): Promise<Run> => {
  const rebuild = required(session.rebuild, "rebuild")
  const watch = watchMemory()
  const ended: { rebuilt?: Awaited<ReturnType<typeof rebuild>> } = {}
  const run = await measureBulk(async () => {
    ended.rebuilt = await rebuild()
    return ended.rebuilt.events
  }, serverPid)
  const memory = { ...watch.result(), rssPeakMb: megabytes(process.resourceUsage().maxRSS * 1_024) }
  await ended.rebuilt?.check()
  return { ...run, memory, ...(ended.rebuilt === undefined ? {} : { reads: ended.rebuilt.reads }) }
}

// internal

/** Events of one call while a store is filled, and how many calls are under way. */
const EVENTS_PER_FILL = 100
const FILLERS = 8

const appendCall = (session: Session, load: AppendLoad): () => Promise<void> => {
  const { eventsPerCall, operation } = load
  if (operation === "plain") {
    return eventsPerCall === 1
      ? () => session.append(freshStream(), [makeEvent()])
      : () => session.append(freshStream(), makeEvents(eventsPerCall))
  }
  if (operation === "inline-state" || operation === "inline-table") {
    const appendInline = required(session.appendInline, "appendInline")
    const model = operation === "inline-state" ? "state" : "table"
    return () => appendInline(model, freshStream(), makeEvents(eventsPerCall))
  }
  const append = operation === "tagged" ? session.append : required(session.appendConditional, "appendConditional")
  return () => append(freshStream(), makeEvents(eventsPerCall).map(withTags))
}

interface Ledger {
  /** From the acknowledgement to the delivery. */
  readonly histogram: RecordableHistogram
  /** From the call to the delivery. */
  readonly fromCall: RecordableHistogram
  readonly sent: (event: BenchEvent) => void
  readonly acknowledged: (id: string) => void
  readonly failed: (id: string, error: unknown) => void
  readonly delivered: (id: string) => void
  readonly settled: () => Promise<void>
  readonly reset: () => void
  readonly errors: () => number
}

const makeLedger = (): Ledger => {
  const histogram = latencies()
  const fromCall = latencies()
  const open = new Map<string, { readonly sentAt: number; acknowledgedAt?: number; isDelivered?: boolean }>()
  let errors = 0
  return {
    histogram,
    fromCall,
    sent: (event) => open.set(event.id, { sentAt: performance.now() }),
    acknowledged: (id) => {
      const entry = open.get(id)
      if (entry === undefined) return
      if (entry.isDelivered === true) {
        open.delete(id)
        histogram.record(nanos(0))
      } else entry.acknowledgedAt = performance.now()
    },
    failed: (id, error) => {
      open.delete(id)
      if (errors++ === 0) process.stderr.write(`  first error: ${String(error)}\n`)
    },
    delivered: (id) => {
      const entry = open.get(id)
      if (entry === undefined || entry.isDelivered === true) return
      const now = performance.now()
      fromCall.record(nanos(now - entry.sentAt))
      if (entry.acknowledgedAt === undefined) {
        entry.isDelivered = true
        return
      }
      open.delete(id)
      histogram.record(nanos(now - entry.acknowledgedAt))
    },
    settled: async () => {
      const deadline = performance.now() + SETTLE_MS
      while (open.size > 0 && performance.now() < deadline) await sleep(5)
      if (open.size > 0) throw new Error(`${open.size} appended events were not delivered within ${SETTLE_MS} ms`)
    },
    reset: () => {
      histogram.reset()
      fromCall.reset()
      errors = 0
    },
    errors: () => errors
  }
}

/** How long the last events of a load may take to be delivered before the run fails, in milliseconds. */
const SETTLE_MS = 10_000

const openLoop = async (session: Session, perSecond: number, seconds: number, ledger: Ledger): Promise<void> => {
  const started = performance.now()
  const total = Math.round(perSecond * seconds)
  const answers: Array<Promise<void>> = []
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - started) / 1_000) * perSecond) + 1)
    for (; sent < due; sent++) {
      const event = makeEvent()
      ledger.sent(event)
      answers.push(
        session.append(freshStream(), [event]).then(
          () => ledger.acknowledged(event.id),
          (error) => ledger.failed(event.id, error)
        )
      )
    }
    await sleep(1)
  }
  await Promise.all(answers)
}
