/**
 * Edits of histories, of which mutators are made.
 */
import type { Append, Following, History, Row, StreamRead } from "./history.ts"
import type { Random } from "./random.ts"

/** Later than all that happened. */
export const END_NS = 10n ** 15n

/** Appends that were answered with success. */
export const acknowledgedOf = ({ appends }: History): ReadonlyArray<Append> =>
  appends.filter(({ outcome }) => outcome === "ok")

/** How many calls sent any of these events. */
export const sendersOf = ({ appends }: History, append: Append): number =>
  appends.filter(({ events }) => events.some(({ id }) => append.events.some((event) => event.id === id))).length

/** How many calls, of those that did not fail, sent exactly these events. */
export const callsOf = ({ appends }: History, append: Append): number =>
  appends.filter(({ events, outcome }) =>
    outcome !== "fail" && events.length === append.events.length &&
    events.every(({ id }, i) => id === append.events[i]?.id)
  ).length

/** Whether it has several events that no other call sent. */
export const isLoneBatch = (history: History) => (append: Append): boolean =>
  append.events.length > 1 && sendersOf(history, append) === 1

/** When an event was first sent by a call that did not fail. */
export const firstSentNs = ({ appends }: History, id: string | undefined): bigint =>
  appends.filter(({ events, outcome }) => outcome !== "fail" && events.some((event) => event.id === id))
    .map(({ invokedNs }) => invokedNs)
    .reduce((a, b) => a < b ? a : b, END_NS)

/** Puts another append in an append's place. */
export const replaceAppend = (history: History, append: Append, by: Append): History => ({
  ...history,
  appends: history.appends.map((other) => other === append ? by : other)
})

/** Puts another read in a read's place. */
export const replaceRead = (history: History, read: StreamRead, by: StreamRead): History => ({
  ...history,
  reads: history.reads.map((other) => other === read ? by : other)
})

/** Changes the log and nothing else. */
export const mapRows = (history: History, f: (row: Row) => Row): History => ({ ...history, log: history.log.map(f) })

/** Adds a row at the end, in order. */
export const addRow = (history: History, row: Pick<Row, "id" | "stream" | "digest" | "tags">): History => ({
  ...history,
  log: [...history.log, {
    id: row.id,
    stream: row.stream,
    digest: row.digest,
    tags: row.tags,
    revision: history.log.filter(({ stream }) => stream === row.stream).length,
    position: history.log.length + 1
  }]
})

/** Removes a row and numbers the rest anew. */
export const removeRow = (history: History, id: string | undefined): History | undefined => {
  const gone = history.log.find((row) => row.id === id)
  return gone && {
    ...history,
    log: history.log.filter((row) => row !== gone).map((row) => ({
      ...row,
      position: row.position > gone.position ? row.position - 1 : row.position,
      revision: row.stream === gone.stream && row.revision > gone.revision ? row.revision - 1 : row.revision
    }))
  }
}

/** Moves positions everywhere, as a store would that gave them out so. */
const movePositions = (history: History, move: (position: number) => number): History => ({
  appends: history.appends.map((append) => ({
    ...append,
    events: append.events.map((event) =>
      event.position === undefined ? event : { ...event, position: move(event.position) }
    )
  })),
  reads: history.reads,
  followings: [],
  log: history.log.map((row) => ({ ...row, position: move(row.position) }))
})

/** Gives two events each other's position, in answers too; without followers. */
export const swapPositions = (history: History, a: number, b: number): History =>
  movePositions(history, (position) => position === a ? b : position === b ? a : position)

/** Leaves a position out, in answers too; without followers. */
export const shiftFrom = (history: History, from: number): History | undefined =>
  from > history.log.length
    ? undefined
    : movePositions(history, (position) => position >= from ? position + 1 : position)

/** Changes what an acknowledged append, sent once, said about a stream that it writes. */
export const changeClaim = (
  history: History,
  random: Random,
  isFit: (first: Append["events"][number]) => boolean,
  expected: (first: Append["events"][number]) => Append["claims"][number]["expected"]
): History | undefined => {
  const choice = random.pick(
    acknowledgedOf(history).filter((append) => sendersOf(history, append) === 1).flatMap((append) =>
      append.events
        .filter(({ stream }, i) => append.events.findIndex((event) => event.stream === stream) === i)
        .filter(isFit).map((first) => ({ append, first }))
    )
  )
  return choice && replaceAppend(history, choice.append, {
    ...choice.append,
    claims: [
      ...choice.append.claims.filter(({ stream }) => stream !== choice.first.stream),
      { stream: choice.first.stream, expected: expected(choice.first) }
    ]
  })
}

/** Changes one follower's life that has so many deliveries. */
export const changeFollowing = (
  history: History,
  random: Random,
  minDeliveries: number,
  change: (following: Following) => Following | undefined
): History | undefined => {
  const following = random.pick(history.followings.filter(({ deliveries }) => deliveries.length >= minDeliveries))
  const changed = following && change(following)
  return changed && {
    ...history,
    followings: history.followings.map((other) => other === following ? changed : other)
  }
}

/** Changes one delivery. */
export const mapDelivery = (
  history: History,
  random: Random,
  f: (delivery: Following["deliveries"][number]) => Following["deliveries"][number]
): History | undefined =>
  changeFollowing(history, random, 1, (following) => {
    const chosen = random.int(following.deliveries.length)
    return { ...following, deliveries: following.deliveries.map((d, i) => i === chosen ? f(d) : d) }
  })

/** Exchanges two neighbours. */
export const swapNeighbours = <A>(of: ReadonlyArray<A>, random: Random): ReadonlyArray<A> => {
  const at = random.int(of.length - 1)
  return [...of.slice(0, at), ...of.slice(at, at + 2).toReversed(), ...of.slice(at + 2)]
}
