/**
 * Decides whether a history keeps the promises of an event store.
 *
 * **Details**
 *
 * Ids are unique and answers carry places, so the order of the log is given and
 * nothing has to be searched: `n log n` for `n` operations. It never accuses a
 * history that a correct store can produce, whatever was killed or lost in it.
 */
import type { Append, Claim, Condition, Following, History, Row, SentEvent, StreamRead } from "./history.ts"

/**
 * The promises that are checked.
 *
 * **Details**
 *
 * - `A1` an acknowledged event is in the log, at the place that was answered
 * - `A2` nothing is in the log, or seen, that was not sent before or that was answered with a failure
 * - `A3` an event id is in the log at most once, and a retry is answered with the original place
 * - `A4` an append is recorded only where its claims and its condition hold
 * - `A5` a batch is recorded as a whole, at consecutive positions
 * - `A6` an id is not accepted again with another content
 * - `A8` a success comes with a place for every event
 * - `S1` revisions of a stream are 0, 1, 2, …
 * - `S2` what was sent and once read is what stays
 * - `S3` a read sees what was known before it began
 * - `S5` a stream's order is the log's order
 * - `G1` nothing becomes visible behind a reader
 * - `G2` a follower gets every event it wants, and no other
 * - `G3` what was known before an append began has a lower position
 * - `G4` positions are 1, 2, 3, …
 * - `G6` all followers see one log
 * - `P1` in one life of a follower positions only rise, from its checkpoint
 * - `P2` a checkpoint never moves back and never passes what was not delivered
 */
export type Invariant =
  | "A1"
  | "A2"
  | "A3"
  | "A4"
  | "A5"
  | "A6"
  | "A8"
  | "S1"
  | "S2"
  | "S3"
  | "S5"
  | "G1"
  | "G2"
  | "G3"
  | "G4"
  | "G6"
  | "P1"
  | "P2"

/**
 * A promise that was broken, and by what.
 */
export interface Violation {
  readonly invariant: Invariant
  readonly message: string
  readonly evidence: ReadonlyArray<unknown>
}

/**
 * Gives every broken promise of a history; none when it is correct.
 */
export const check = (history: History): ReadonlyArray<Violation> => {
  const index = makeIndex(history)
  return [
    ...checkLog(index),
    ...checkRows(index),
    ...history.appends.flatMap((append) => append.outcome === "ok" ? checkAcknowledged(index, append) : []),
    ...index.batches.flatMap((batch) => [...checkWhole(index, batch), ...checkClaims(index, batch)]),
    ...checkRealTime(index),
    ...history.reads.flatMap((read) => checkRead(index, read)),
    ...history.followings.flatMap((following) => checkFollowing(index, following)),
    ...checkCheckpoints(index, history.followings)
  ]
}

// internal

const broken = (invariant: Invariant, message: string, ...evidence: ReadonlyArray<unknown>): Violation => ({
  invariant,
  message,
  evidence
})

/** All appends with the same ids that did not fail: a call and its retries. */
interface Batch {
  readonly ids: ReadonlyArray<string>
  readonly appends: Array<Append>
}

interface Index {
  /** In order of position. */
  readonly log: ReadonlyArray<Row>
  readonly byId: ReadonlyMap<string, Row>
  /** In order of revision. */
  readonly byStream: ReadonlyMap<string, ReadonlyArray<Row>>
  readonly batches: ReadonlyArray<Batch>
  /** The batches that may have recorded an id: more than one when an id was sent again with others. */
  readonly batchesOf: ReadonlyMap<string, ReadonlyArray<Batch>>
  readonly wasSent: ReadonlySet<string>
  /** When an event can have been recorded at the earliest. */
  readonly invokedNs: ReadonlyMap<string, bigint>
  /** When somebody knew that an event is recorded, at the latest. */
  readonly knownNs: ReadonlyMap<string, bigint>
}

const makeIndex = (history: History): Index => {
  const log = history.log.toSorted((a, b) => a.position - b.position)
  const byId = new Map<string, Row>()
  for (const row of log) if (!byId.has(row.id)) byId.set(row.id, row)
  const byStream = Map.groupBy(log, (row) => row.stream)
  for (const rows of byStream.values()) rows.sort((a, b) => a.revision - b.revision)

  const batches = new Map<string, Batch>()
  const invokedNs = new Map<string, bigint>()
  for (const append of history.appends) {
    if (append.outcome === "fail") continue
    const ids = append.events.map(({ id }) => id)
    const key = JSON.stringify(ids)
    const batch = batches.get(key) ?? { ids, appends: [] }
    batch.appends.push(append)
    batches.set(key, batch)
    for (const id of ids) lower(invokedNs, id, append.invokedNs)
  }
  const batchesOf = new Map<string, Array<Batch>>()
  for (const batch of batches.values()) {
    for (const id of batch.ids) batchesOf.set(id, [...batchesOf.get(id) ?? [], batch])
  }
  return {
    log,
    byId,
    byStream,
    batches: [...batches.values()],
    batchesOf,
    wasSent: new Set(history.appends.flatMap(({ events }) => events.map(({ id }) => id))),
    invokedNs,
    knownNs: knownTimes(history)
  }
}

const knownTimes = (history: History): ReadonlyMap<string, bigint> => {
  const knownNs = new Map<string, bigint>()
  for (const { events, outcome, returnedNs } of history.appends) {
    if (outcome !== "ok" || returnedNs === undefined) continue
    for (const { id } of events) lower(knownNs, id, returnedNs)
  }
  for (const { ids, returnedNs } of history.reads) {
    for (const id of ids) lower(knownNs, id, returnedNs)
  }
  for (const { deliveries } of history.followings) {
    for (const { atNs, id } of deliveries) lower(knownNs, id, atNs)
  }
  return knownNs
}

const lower = (times: Map<string, bigint>, id: string, timeNs: bigint): void => {
  const before = times.get(id)
  if (before === undefined || timeNs < before) times.set(id, timeNs)
}

/** G4, A3, S1, S5: what the log shows by itself. */
const checkLog = (index: Index): ReadonlyArray<Violation> => {
  const violations: Array<Violation> = []
  let before = 0
  for (const row of index.log) {
    if (row.position !== before + 1) violations.push(broken("G4", `position ${row.position} follows ${before}`, row))
    before = row.position
    const first = index.byId.get(row.id)
    if (first !== row) violations.push(broken("A3", `event ${row.id} is in the log twice`, first, row))
  }
  for (const [stream, rows] of index.byStream) {
    const gap = rows.find((row, revision) => row.revision !== revision)
    if (gap !== undefined) {
      violations.push(broken("S1", `revisions of ${stream} are not 0, 1, 2, …`, gap))
      continue
    }
    const inverted = rows.find((row, revision) => row.position < (rows[revision - 1]?.position ?? 0))
    if (inverted !== undefined) violations.push(broken("S5", `${stream} is ordered against the log`, inverted))
  }
  return violations
}

/** A2, S2: every row was sent, by an append that did not fail, as it is. */
const checkRows = (index: Index): ReadonlyArray<Violation> => {
  const violations: Array<Violation> = []
  for (const row of index.log) {
    const appends = (index.batchesOf.get(row.id) ?? []).flatMap((batch) => batch.appends)
    if (appends.length === 0) {
      const why = index.wasSent.has(row.id) ? "failed" : "was never sent"
      violations.push(broken("A2", `event ${row.id} ${why}, and is in the log`, row))
      continue
    }
    const asSent = appends.some(({ events }) => events.some((event) => event.id === row.id && isSame(event, row)))
    if (!asSent) violations.push(broken("S2", `event ${row.id} is not what was sent`, row, appends))
  }
  return violations
}

const isSame = (event: SentEvent, row: Row): boolean => event.stream === row.stream && event.digest === row.digest

/** A1, A3, A6, A8: what an acknowledgement says is so. */
const checkAcknowledged = (index: Index, append: Append): ReadonlyArray<Violation> =>
  append.events.flatMap((event) => {
    const row = index.byId.get(event.id)
    if (row === undefined) return [broken("A1", `acknowledged event ${event.id} is lost`, append)]
    if (event.revision === undefined || event.position === undefined) {
      return [broken("A8", `event ${event.id} was acknowledged without a place`, append)]
    }
    if (!isSame(event, row)) {
      const isOther = (index.batchesOf.get(event.id) ?? []).some((batch) =>
        batch.appends.some((other) => other !== append)
      )
      return isOther ? [broken("A6", `id ${event.id} was accepted with another content`, append, row)] : []
    }
    if (event.revision === row.revision && event.position === row.position) return []
    const isRetry = (index.batchesOf.get(event.id) ?? []).some((batch) => batch.appends.length > 1)
    return [broken(isRetry ? "A3" : "A1", `event ${event.id} is not at the place that was answered`, append, row)]
  })

/** A5: all of a batch or nothing, and nothing in between. */
const checkWhole = (index: Index, batch: Batch): ReadonlyArray<Violation> => {
  const rows = batch.ids.flatMap((id) => index.byId.get(id) ?? [])
  // ids that another batch may have recorded prove nothing about this one
  const isRecorded = batch.appends.some(({ outcome }) => outcome === "ok") ||
    rows.some((row) => index.batchesOf.get(row.id)?.length === 1)
  if (!isRecorded) return []
  if (rows.length < batch.ids.length) {
    return rows.length === 0 ? [] : [broken("A5", "a batch is recorded in part", batch, rows)]
  }
  const isConsecutive = rows.every((row, i) => row.position === (rows[0]?.position ?? 0) + i)
  return isConsecutive ? [] : [broken("A5", "a batch is not recorded at consecutive positions", batch, rows)]
}

/** A4: some call of the batch said what was so when it was recorded. */
const checkClaims = (index: Index, batch: Batch): ReadonlyArray<Violation> => {
  const first = index.byId.get(batch.ids[0] ?? "")
  if (first === undefined || (index.batchesOf.get(first.id)?.length ?? 0) > 1) return []
  const isMet = batch.appends.some(({ claims, condition }) =>
    claims.every((claim) => isClaimMet(index, claim, first.position)) &&
    (condition === undefined || isConditionMet(index, condition, first.position))
  )
  return isMet ? [] : [broken("A4", "an append is recorded where its claims do not hold", batch, first)]
}

const isClaimMet = (index: Index, { expected, stream }: Claim, position: number): boolean => {
  const rows = index.byStream.get(stream) ?? []
  const count = lowerBound(rows.length, (i) => (rows[i]?.position ?? 0) >= position)
  switch (expected) {
    case "any":
      return true
    case "noStream":
      return count === 0
    case "streamExists":
      return count > 0
    default:
      return expected === count - 1
  }
}

const isConditionMet = (index: Index, { after, tags }: Condition, position: number): boolean =>
  !between(index, after, position - 1).some((row) => tags.every((tag) => row.tags.includes(tag)))

/** G3: what was known before an append began stands before it. */
const checkRealTime = (index: Index): ReadonlyArray<Violation> => {
  const violations: Array<Violation> = []
  const known = byTime(index.log, index.knownNs)
  const invoked = byTime(index.log, index.invokedNs)
  let i = 0
  let highest: Row | undefined
  for (const [invokedNs, row] of invoked) {
    for (let entry = known[i]; entry !== undefined && entry[0] < invokedNs; entry = known[++i]) {
      if (highest === undefined || entry[1].position > highest.position) highest = entry[1]
    }
    if (highest !== undefined && row.position < highest.position) {
      violations.push(broken("G3", `event ${highest.id} was known before ${row.id} was sent`, highest, row))
    }
  }
  return violations
}

const byTime = (rows: ReadonlyArray<Row>, times: ReadonlyMap<string, bigint>): ReadonlyArray<readonly [bigint, Row]> =>
  rows.flatMap((row): Array<readonly [bigint, Row]> => {
    const timeNs = times.get(row.id)
    return timeNs === undefined ? [] : [[timeNs, row]]
  }).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)

/** S2, S3, A2: a read is a prefix of the stream as it is in the end, and not older than what was known. */
const checkRead = (index: Index, read: StreamRead): ReadonlyArray<Violation> => {
  const rows = index.byStream.get(read.stream) ?? []
  const different = read.ids.findIndex((id, i) => rows[read.from + i]?.id !== id)
  if (different >= 0) {
    return [broken("S2", `revision ${read.from + different} of ${read.stream} was once another event`, read)]
  }
  const early = read.ids.find((id) => isEarly(index, id, read.returnedNs))
  if (early !== undefined) return [broken("A2", `event ${early} was read before it was sent`, read)]
  if (!read.isToEnd) return []
  const missed = rows.slice(read.from + read.ids.length)
    .find((row) => (index.knownNs.get(row.id) ?? read.invokedNs) < read.invokedNs)
  return missed === undefined ? [] : [broken("S3", `a read does not see event ${missed.id}`, read, missed)]
}

const isEarly = (index: Index, id: string, timeNs: bigint): boolean => timeNs < (index.invokedNs.get(id) ?? timeNs)

/** P1, G1, G2, G6, A2: deliveries rise, and are the log from the checkpoint on, without what is not wanted. */
const checkFollowing = (index: Index, following: Following): ReadonlyArray<Violation> => {
  const violations: Array<Violation> = []
  const { after, deliveries, matches, reached } = following
  const name = `${following.subscription} (${following.incarnation})`
  let last = after
  for (const delivery of deliveries) {
    if (delivery.position <= last) {
      violations.push(broken("P1", `${name} got ${delivery.position} after ${last}`, delivery))
      continue
    }
    const skipped = between(index, last, delivery.position - 1).filter(matches)
    const row = between(index, delivery.position - 1, delivery.position)[0]
    if (row === undefined || row.id !== delivery.id) {
      violations.push(broken("G6", `${name} got another event at ${delivery.position} than the log has`, delivery, row))
    } else if (!matches(row)) {
      violations.push(broken("G2", `${name} got an event that it does not want`, delivery, row))
    } else if (isEarly(index, row.id, delivery.atNs)) {
      violations.push(broken("A2", `${name} got event ${row.id} before it was sent`, delivery))
    }
    for (const missed of skipped) {
      const isLate = (index.knownNs.get(missed.id) ?? delivery.atNs) > delivery.atNs
      violations.push(
        isLate
          ? broken(
            "G1",
            `${missed.position} became visible after ${name} had got ${delivery.position}`,
            missed,
            delivery
          )
          : broken("G2", `${name} never got ${missed.position}`, missed, delivery)
      )
    }
    last = delivery.position
  }
  for (const missed of between(index, last, reached ?? last).filter(matches)) {
    violations.push(broken("G2", `${name} has reached ${reached} and never got ${missed.position}`, missed))
  }
  return violations
}

/** P2: a later life starts where the earlier ones got to, or before, but not before them. */
const checkCheckpoints = (index: Index, followings: ReadonlyArray<Following>): ReadonlyArray<Violation> => {
  const violations: Array<Violation> = []
  for (const lives of Map.groupBy(followings, ({ subscription }) => subscription).values()) {
    let after = 0
    let delivered: number | undefined
    for (const life of lives.toSorted((a, b) => a.incarnation - b.incarnation)) {
      if (life.after < after) {
        violations.push(broken("P2", `the checkpoint of ${life.subscription} moved back to ${life.after}`, life))
      }
      const passed = delivered === undefined ? [] : between(index, delivered, life.after).filter(life.matches)
      for (const row of passed) {
        violations.push(broken("P2", `the checkpoint of ${life.subscription} passed ${row.position}`, life, row))
      }
      after = Math.max(after, life.after)
      delivered = Math.max(delivered ?? life.after, life.after, life.deliveries.at(-1)?.position ?? 0)
    }
  }
  return violations
}

/** Rows after a position, up to another one. */
const between = ({ log }: Index, after: number, upTo: number): ReadonlyArray<Row> => {
  if (upTo <= after) return []
  const start = lowerBound(log.length, (i) => (log[i]?.position ?? 0) > after)
  const end = lowerBound(log.length, (i) => (log[i]?.position ?? 0) > upTo)
  return log.slice(start, end)
}

/** The lowest number below `length` that satisfies a monotone predicate; else `length`. */
const lowerBound = (length: number, isEnough: (i: number) => boolean): number => {
  let low = 0
  for (let high = length; low < high;) {
    const middle = (low + high) >> 1
    if (isEnough(middle)) high = middle
    else low = middle + 1
  }
  return low
}
