/**
 * Ways in which a store can break its promises, done to histories of a correct
 * one.
 */
import {
  acknowledgedOf,
  addRow,
  callsOf,
  changeClaim,
  changeFollowing,
  END_NS,
  firstSentNs,
  isLoneBatch,
  mapDelivery,
  mapRows,
  removeRow,
  replaceAppend,
  replaceRead,
  sendersOf,
  shiftFrom,
  swapNeighbours,
  swapPositions
} from "./edits.ts"
import type { History } from "./history.ts"
import type { Invariant } from "./historyChecker.ts"
import type { Random } from "./random.ts"

/**
 * Breaks a history; undefined when it has no place for this.
 */
export type Mutator = (history: History, random: Random) => History | undefined

/**
 * Every mutator by name, with the promise that it breaks.
 */
export const mutators = (): ReadonlyArray<readonly [name: string, breaks: Invariant, mutate: Mutator]> => [
  ["loseLastEvents", "A1", loseLastEvents],
  ["loseEventAndCloseRanks", "A1", loseEventAndCloseRanks],
  ["answerOtherPlace", "A1", answerOtherPlace],
  ["recordFailedAppend", "A2", recordFailedAppend],
  ["recordUnsentEvent", "A2", recordUnsentEvent],
  ["deliverBeforeSent", "A2", deliverBeforeSent],
  ["readBeforeSent", "A2", readBeforeSent],
  ["recordTwice", "A3", recordTwice],
  ["answerRetryWithOtherPlace", "A3", answerRetryWithOtherPlace],
  ["acceptStaleRevision", "A4", acceptStaleRevision],
  ["acceptNoStream", "A4", acceptNoStream],
  ["acceptStreamExists", "A4", acceptStreamExists],
  ["acceptStaleClaimOnOtherStream", "A4", acceptStaleClaimOnOtherStream],
  ["acceptBrokenCondition", "A4", acceptBrokenCondition],
  ["tearUnknownBatch", "A5", tearUnknownBatch],
  ["tearAcknowledgedBatch", "A5", tearAcknowledgedBatch],
  ["scatterBatch", "A5", scatterBatch],
  ["acceptReusedId", "A6", acceptReusedId],
  ["answerWithoutPlace", "A8", answerWithoutPlace],
  ["skipRevision", "S1", skipRevision],
  ["reuseRevision", "S1", reuseRevision],
  ["changeContent", "S2", changeContent],
  ["readInOtherOrder", "S2", readInOtherOrder],
  ["readHole", "S2", readHole],
  ["readStale", "S3", readStale],
  ["invertStream", "S5", invertStream],
  ["becomeVisibleLate", "G1", becomeVisibleLate],
  ["skipDelivery", "G2", skipDelivery],
  ["skipAtEnd", "G2", skipAtEnd],
  ["deliverUnwanted", "G2", deliverUnwanted],
  ["recordBeforeKnown", "G3", recordBeforeKnown],
  ["leaveGap", "G4", leaveGap],
  ["startAtTwo", "G4", startAtTwo],
  ["deliverOtherEvent", "G6", deliverOtherEvent],
  ["deliverBeyondLog", "G6", deliverBeyondLog],
  ["deliverTwice", "P1", deliverTwice],
  ["deliverInOtherOrder", "P1", deliverInOtherOrder],
  ["deliverFromBeforeCheckpoint", "P1", deliverFromBeforeCheckpoint],
  ["moveCheckpointBack", "P2", moveCheckpointBack],
  ["moveCheckpointPastUndelivered", "P2", moveCheckpointPastUndelivered]
]

// internal

// A1, A2

const loseLastEvents: Mutator = (history, random) => {
  const acknowledged = random.pick(acknowledgedOf(history))
  const first = acknowledged?.events[0]?.position
  if (first === undefined) return undefined
  return { ...history, log: history.log.slice(0, first - 1) }
}

const loseEventAndCloseRanks: Mutator = (history, random) => {
  const lost = random.pick(acknowledgedOf(history).flatMap(({ events }) => events))
  return lost && removeRow(history, lost.id)
}

const answerOtherPlace: Mutator = (history, random) => {
  const append = random.pick(acknowledgedOf(history).filter((append) => sendersOf(history, append) === 1))
  return append && replaceAppend(history, append, {
    ...append,
    events: append.events.map((event) => ({ ...event, revision: (event.revision ?? 0) + 1 }))
  })
}

const recordFailedAppend: Mutator = (history, random) => {
  const event = random.pick(
    history.appends.filter(({ outcome }) => outcome === "fail").flatMap(({ events }) => events)
      .filter(({ id }) =>
        history.appends.every(({ events, outcome }) => outcome === "fail" || !events.some((e) => e.id === id))
      )
  )
  return event && addRow(history, { ...event, tags: [] })
}

const recordUnsentEvent: Mutator = (history) =>
  addRow(history, { id: "nobody", stream: "n-1", digest: "nothing", tags: [] })

const deliverBeforeSent: Mutator = (history, random) =>
  mapDelivery(history, random, (delivery) => ({ ...delivery, atNs: firstSentNs(history, delivery.id) - 1n }))

const readBeforeSent: Mutator = (history, random) => {
  const read = random.pick(history.reads.filter(({ ids }) => ids.length > 0))
  return read && replaceRead(history, read, {
    ...read,
    invokedNs: -2n,
    returnedNs: firstSentNs(history, read.ids.at(-1)) - 1n
  })
}

// A3, A6, A8

const recordTwice: Mutator = (history, random) => {
  const row = random.pick(history.log)
  return row && addRow(history, row)
}

const answerRetryWithOtherPlace: Mutator = (history, random) => {
  const append = random.pick(acknowledgedOf(history).filter((append) => callsOf(history, append) > 1))
  return append && replaceAppend(history, append, {
    ...append,
    events: append.events.map((event) => ({ ...event, position: (event.position ?? 0) + 1 }))
  })
}

const acceptReusedId: Mutator = (history, random) => {
  const append = random.pick(acknowledgedOf(history))
  return append && {
    ...history,
    appends: [...history.appends, {
      ...append,
      process: "reuser",
      invokedNs: END_NS,
      returnedNs: END_NS,
      events: append.events.map((event) => ({ ...event, digest: "other" }))
    }]
  }
}

const answerWithoutPlace: Mutator = (history, random) => {
  const append = random.pick(acknowledgedOf(history))
  return append && replaceAppend(history, append, {
    ...append,
    events: append.events.map(({ digest, id, stream }) => ({ id, stream, digest }))
  })
}

// A4

const acceptStaleRevision: Mutator = (history, random) => {
  const delta = random.chance(0.5) ? 1 : -1
  return changeClaim(
    history,
    random,
    ({ revision }) => revision !== undefined && revision > 1,
    ({ revision }) => (revision ?? 0) - 1 + delta
  )
}

const acceptNoStream: Mutator = (history, random) =>
  changeClaim(history, random, ({ revision }) => revision !== undefined && revision > 0, () => "noStream")

const acceptStreamExists: Mutator = (history, random) =>
  changeClaim(history, random, ({ revision }) => revision === 0, () => "streamExists")

const acceptStaleClaimOnOtherStream: Mutator = (history, random) => {
  const append = random.pick(
    acknowledgedOf(history).filter((append) =>
      sendersOf(history, append) === 1 && (append.events[0]?.position ?? 0) > 1
    )
  )
  const first = append?.events[0]?.position
  if (append === undefined || first === undefined) return undefined
  const stream = random.pick(history.log.slice(0, first - 1))?.stream ?? ""
  const count = history.log.slice(0, first - 1).filter((row) => row.stream === stream).length
  return replaceAppend(history, append, { ...append, claims: [{ stream, expected: count }] })
}

const acceptBrokenCondition: Mutator = (history, random) => {
  const append = random.pick(acknowledgedOf(history).filter((append) => sendersOf(history, append) === 1))
  const first = append?.events[0]?.position
  const row = first === undefined ? undefined : random.pick(history.log.slice(0, first - 1))
  return append && row && replaceAppend(history, append, {
    ...append,
    condition: { tags: row.tags, after: row.position - 1 }
  })
}

// A5

const tearUnknownBatch: Mutator = (history, random) => {
  const append = random.pick(acknowledgedOf(history).filter(isLoneBatch(history)))
  const torn = append && removeRow(history, append.events.at(-1)?.id)
  if (append === undefined || torn === undefined) return undefined
  return {
    ...torn,
    appends: torn.appends.map((other) =>
      other.events[0]?.id === append.events[0]?.id ? { ...other, outcome: "unknown" } : other
    )
  }
}

const tearAcknowledgedBatch: Mutator = (history, random) =>
  removeRow(history, random.pick(acknowledgedOf(history).filter(isLoneBatch(history)))?.events[0]?.id)

const scatterBatch: Mutator = (history, random) => {
  const append = random.pick(acknowledgedOf(history).filter(isLoneBatch(history)))
  const last = append?.events.at(-1)
  const row = last && random.pick(
    history.log.filter(({ position, stream }) => position > (last.position ?? 0) && stream !== last.stream)
  )
  return row && swapPositions(history, last?.position ?? 0, row.position)
}

// S

const skipRevision: Mutator = (history, random) => {
  const row = random.pick(history.log)
  return row && mapRows(history, (other) =>
    other.stream === row.stream && other.revision >= row.revision
      ? { ...other, revision: other.revision + 1 }
      : other)
}

const reuseRevision: Mutator = (history, random) => {
  const row = random.pick(history.log.filter(({ revision }) => revision > 0))
  return row && mapRows(history, (other) => other === row ? { ...row, revision: row.revision - 1 } : other)
}

const changeContent: Mutator = (history, random) => {
  const row = random.pick(history.log)
  return row && mapRows(history, (other) => other === row ? { ...row, digest: "changed" } : other)
}

const readInOtherOrder: Mutator = (history, random) => {
  const read = random.pick(history.reads.filter(({ ids }) => ids.length > 1))
  return read && replaceRead(history, read, { ...read, ids: swapNeighbours(read.ids, random) })
}

const readHole: Mutator = (history, random) => {
  const read = random.pick(history.reads.filter(({ ids }) => ids.length > 1))
  const hole = read && random.int(read.ids.length - 1)
  return read && replaceRead(history, read, { ...read, ids: read.ids.filter((_, i) => i !== hole) })
}

const readStale: Mutator = (history, random) => {
  const acknowledged = acknowledgedOf(history)
  const read = random.pick(
    history.reads.filter(({ ids, invokedNs, isToEnd }) =>
      isToEnd &&
      acknowledged.some(({ events, returnedNs = END_NS }) =>
        returnedNs < invokedNs && events.some(({ id }) => id === ids.at(-1))
      )
    )
  )
  return read && replaceRead(history, read, { ...read, ids: read.ids.slice(0, -1) })
}

const invertStream: Mutator = (history, random) => {
  const later = random.pick(history.log.filter(({ revision }) => revision > 0))
  const earlier = later &&
    history.log.find(({ revision, stream }) => stream === later.stream && revision === later.revision - 1)
  return earlier && swapPositions(history, earlier.position, later?.position ?? 0)
}

// G

const becomeVisibleLate: Mutator = (history, random) =>
  changeFollowing(history, random, 2, (following) => {
    const skipped = random.int(following.deliveries.length - 1)
    const late = following.deliveries[skipped]
    const others = history.followings.flatMap(({ deliveries }) => deliveries)
      .filter(({ id }) => id === late?.id).map(({ atNs }) => atNs)
    const knownNs = [
      ...others,
      ...history.appends.flatMap(({ events, returnedNs }) =>
        events.some(({ id }) => id === late?.id) && returnedNs !== undefined ? [returnedNs] : []
      ),
      ...history.reads.flatMap(({ ids, returnedNs }) => late && ids.includes(late.id) ? [returnedNs] : [])
    ].reduce((a, b) => a < b ? a : b, END_NS)
    return {
      ...following,
      deliveries: following.deliveries.filter((_, i) => i !== skipped)
        .map((delivery, i) => i === skipped ? { ...delivery, atNs: knownNs - 1n } : delivery)
    }
  })

const skipDelivery: Mutator = (history, random) =>
  changeFollowing(history, random, 2, (following) => {
    const skipped = random.int(following.deliveries.length - 1)
    return {
      ...following,
      deliveries: following.deliveries.filter((_, i) => i !== skipped).map((delivery) => ({
        ...delivery,
        atNs: END_NS
      }))
    }
  })

const skipAtEnd: Mutator = (history, random) =>
  changeFollowing(history, random, 1, (following) => ({ ...following, deliveries: following.deliveries.slice(0, -1) }))

const deliverUnwanted: Mutator = (history, random) =>
  changeFollowing(history, random, 0, (following) => {
    const { after, deliveries, matches, reached = 0 } = following
    const row = random.pick(
      history.log.filter((row) => row.position > after && row.position <= reached && !matches(row))
    )
    if (row === undefined) return undefined
    const unwanted = { position: row.position, id: row.id, atNs: END_NS }
    return { ...following, deliveries: [...deliveries, unwanted].sort((a, b) => a.position - b.position) }
  })

const recordBeforeKnown: Mutator = (history, random) => {
  const acknowledged = acknowledgedOf(history).filter(({ events }) => events.length === 1)
  const pairs = acknowledged.flatMap((a) =>
    acknowledged.filter((b) =>
      (a.returnedNs ?? END_NS) < firstSentNs(history, b.events[0]?.id) && a.events[0]?.stream !== b.events[0]?.stream
    ).map((b) => [a.events[0]?.position ?? 0, b.events[0]?.position ?? 0] as const)
  )
  const pair = random.pick(pairs)
  return pair && swapPositions(history, ...pair)
}

const leaveGap: Mutator = (history, random) => shiftFrom(history, 2 + random.int(Math.max(1, history.log.length - 1)))

const startAtTwo: Mutator = (history) => shiftFrom(history, 1)

const deliverOtherEvent: Mutator = (history, random) =>
  mapDelivery(history, random, (delivery) => {
    const other = random.pick(history.log.filter(({ id }) => id !== delivery.id))
    return { ...delivery, id: other?.id ?? "" }
  })

const deliverBeyondLog: Mutator = (history, random) =>
  changeFollowing(history, random, 0, (following) => ({
    ...following,
    deliveries: [...following.deliveries, { position: history.log.length + 1, id: "lost", atNs: END_NS }]
  }))

// P

const deliverTwice: Mutator = (history, random) =>
  changeFollowing(history, random, 1, (following) => {
    const again = random.int(following.deliveries.length)
    return { ...following, deliveries: following.deliveries.flatMap((d, i) => i === again ? [d, d] : [d]) }
  })

const deliverInOtherOrder: Mutator = (history, random) =>
  changeFollowing(
    history,
    random,
    2,
    (following) => ({ ...following, deliveries: swapNeighbours(following.deliveries, random) })
  )

const deliverFromBeforeCheckpoint: Mutator = (history, random) =>
  changeFollowing(history, random, 0, (following) => {
    const row = random.pick(history.log.filter((row) => row.position <= following.after && following.matches(row)))
    return row && {
      ...following,
      deliveries: [{ position: row.position, id: row.id, atNs: END_NS }, ...following.deliveries]
    }
  })

const moveCheckpointBack: Mutator = (history, random) => {
  const life = random.pick(history.followings.filter(({ after }) => after > 0))
  const next = history.followings.filter(({ subscription }) => subscription === life?.subscription).length
  return life && {
    ...history,
    followings: [...history.followings, {
      subscription: life.subscription,
      incarnation: next,
      matches: life.matches,
      after: random.int(life.after),
      deliveries: []
    }]
  }
}

const moveCheckpointPastUndelivered: Mutator = (history, random) => {
  const life = random.pick(history.followings)
  const lives = history.followings.filter(({ subscription }) => subscription === life?.subscription)
  const reached = Math.max(...lives.map(({ after, deliveries }) => Math.max(after, deliveries.at(-1)?.position ?? 0)))
  const undelivered = life && random.pick(history.log.filter((row) => row.position > reached && life.matches(row)))
  return undelivered && {
    ...history,
    followings: [...history.followings, {
      ...life,
      incarnation: lives.length,
      after: undelivered.position,
      deliveries: [],
      reached: undelivered.position
    }]
  }
}
