/**
 * What stress workers ask of a store. An event's content follows from its id,
 * so that whoever knows the ids of an append can send it again.
 */
import { createHash, randomBytes } from "node:crypto"
import type { AppendAllOptions, AppendOptions } from "../../src/store/index.ts"
import type { Condition, Following, Row } from "../checker/history.ts"
import type { Random } from "../checker/random.ts"
import type { AppendCall } from "../checker/recorder.ts"

/**
 * What a worker knows of the store.
 */
export interface View {
  /** Last revision by stream. */
  readonly revisions: Map<string, number>
  head: number
}

/** Stream whose first event tells followers that nothing comes any more. */
export const END_STREAM = "account-end"

/**
 * What followers want, by name; the end is always among it.
 */
export const FILTERS = {
  all: { filter: undefined, matches: () => true },
  tag: { filter: { tags: ["x"] }, matches: ({ tags }) => tags.includes("x") },
  type: { filter: { types: ["Opened"] }, matches: ({ id }) => contentOf(id).type === "Opened" },
  category: { filter: { categories: ["account"] }, matches: ({ stream }) => stream.startsWith("account-") },
  stream: {
    filter: { streamIds: ["account-1", END_STREAM] },
    matches: ({ stream }) => stream === "account-1" || stream === END_STREAM
  },
  query: {
    filter: { query: [{ types: ["Changed"], tags: ["y"] }, { tags: ["x"] }] },
    matches: ({ id, tags }) => (contentOf(id).type === "Changed" && tags.includes("y")) || tags.includes("x")
  }
} satisfies Record<string, { readonly filter: unknown; readonly matches: Following["matches"] }>

/**
 * Name of a filter.
 */
export type FilterName = keyof typeof FILTERS

/** Names of all filters. */
export const FILTER_NAMES = Object.keys(FILTERS) as ReadonlyArray<FilterName>

/**
 * Makes up an append: to one stream or several, of one event or several, with
 * claims of all kinds and some conditions; a few are stale, a few use an id
 * again.
 */
export const propose = (random: Random, view: View, recorded: ReadonlyArray<string>): AppendCall => {
  const written = pickStreams(random, random.chance(0.25) ? 2 + random.int(3) : 1)
  const events = written.flatMap((stream) =>
    Array.from({ length: random.chance(0.7) ? 1 : 2 + random.int(6) }, () => sent(makeId(random), stream))
  )
  const used = random.chance(0.02) ? random.pick(recorded) : undefined
  if (used !== undefined) events.push(sent(used, events.at(-1)?.stream ?? END_STREAM))
  const others = random.chance(0.1) ? pickStreams(random, 1).filter((stream) => !written.includes(stream)) : []
  const condition = random.chance(0.15) ? makeCondition(random, view) : undefined
  return {
    events,
    claims: [...written, ...others].map((stream) => ({ stream, expected: claimOn(random, view, stream) })),
    ...(condition === undefined ? {} : { condition })
  }
}

/**
 * Gives the same append with the same claims or, half of the time, with ones
 * that are up to date.
 */
export const proposeAgain = (random: Random, view: View, call: AppendCall): AppendCall =>
  random.chance(0.5)
    ? call
    : {
      ...call,
      claims: call.claims.map(({ stream }) => ({
        stream,
        expected: random.chance(0.5) ? "any" : claimOn(random, view, stream)
      }))
    }

/**
 * The append that ends a run: every follower wants its event.
 */
export const proposeEnd = (): AppendCall => {
  const isWanted = (id: string) => {
    const { tags, type } = contentOf(id)
    return type === "Opened" && tags.includes("x")
  }
  let id = uuidV7(Date.now())
  while (!isWanted(id)) id = uuidV7(Date.now())
  return { events: [sent(id, END_STREAM)], claims: [{ stream: END_STREAM, expected: "any" }] }
}

/**
 * Puts an append into the store's words: for `append` where that can say it.
 */
export const toOptions = (call: AppendCall): AppendOptions | AppendAllOptions => {
  const condition = call.condition && { query: [{ tags: call.condition.tags }], after: call.condition.after }
  const written = [...new Set(call.events.map(({ stream }) => stream))]
  const expectedOf = (stream: string) => call.claims.find((claim) => claim.stream === stream)?.expected ?? "any"
  const writes = written.map((streamId) => ({
    streamId,
    expected: expectedOf(streamId),
    events: call.events.filter(({ stream }) => stream === streamId).map(({ id }) => ({ id, ...contentOf(id) }))
  }))
  const streamConditions = call.claims.filter(({ stream }) => !written.includes(stream))
    .map(({ expected, stream }) => ({ streamId: stream, expected }))
  const [only] = writes
  return only !== undefined && writes.length === 1 && streamConditions.length === 0
    ? { ...only, condition }
    : { writes, streamConditions, condition }
}

/**
 * An event as the history keeps it.
 */
export const toRow = (
  event: Content & Pick<Row, "position" | "revision" | "id"> & { readonly streamId: string }
): Row => ({
  position: event.position,
  stream: event.streamId,
  revision: event.revision,
  id: event.id,
  digest: digestOf(event),
  tags: event.tags
})

// internal

/** Streams of a run: few, so that writers meet. */
const STREAMS: ReadonlyArray<string> = [
  ...Array.from({ length: 6 }, (_, i) => `account-${i}`),
  ...Array.from({ length: 30 }, (_, i) => `order-${i}`)
]

interface Content {
  readonly type: string
  readonly version: number
  readonly data: unknown
  readonly tags: ReadonlyArray<string>
}

/**
 * The content of the event with this id.
 */
const contentOf = (id: string): Content => {
  const hash = createHash("sha256").update(id).digest()
  const byte = (at: number) => hash[at] ?? 0
  return {
    type: ["Opened", "Changed", "Closed"][byte(0) % 3] ?? "Opened",
    version: 1 + byte(1) % 2,
    data: { number: byte(3), text: "ä".repeat(byte(4) < 16 ? 4_000 : byte(4)) },
    tags: ["x", "y", "z"].filter((_, i) => ((byte(2) >> i) & 1) === 1)
  }
}

/**
 * Stands for the content of an event, proposed or recorded.
 */
const digestOf = ({ data, tags, type, version }: Content): string =>
  createHash("sha256").update(JSON.stringify([type, version, data, tags.toSorted()])).digest("base64url").slice(0, 16)

const HOUR_MS = 3_600_000

const sent = (id: string, stream: string): AppendCall["events"][number] => ({
  id,
  stream,
  digest: digestOf(contentOf(id))
})

const pickStreams = (random: Random, count: number): ReadonlyArray<string> => {
  const streams = new Set<string>()
  while (streams.size < count) streams.add(random.pick(STREAMS) ?? END_STREAM)
  return [...streams]
}

/** Of now, mostly; ids without a time, of other months and of the future are looked up in other ways. */
const makeId = (random: Random): string => {
  if (random.chance(0.75)) return uuidV7(Date.now())
  if (random.chance(0.4)) return toUuid(randomBytes(16), 4)
  return uuidV7(Date.now() + (random.chance(0.6) ? -60 * 24 : 48) * HOUR_MS * random.int(1_000) / 1_000)
}

const uuidV7 = (timeMs: number): string => {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Math.floor(timeMs), 0, 6)
  return toUuid(bytes, 7)
}

const toUuid = (bytes: Buffer, version: number): string => {
  bytes[6] = (version << 4) | ((bytes[6] ?? 0) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f)
  const hex = bytes.toString("hex")
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
}

const claimOn = (
  random: Random,
  view: View,
  stream: string
): AppendCall["claims"][number]["expected"] => {
  const last = view.revisions.get(stream)
  if (random.chance(0.3)) return "any"
  if (last === undefined) return "noStream"
  if (random.chance(0.1)) return "streamExists"
  return random.chance(0.95) ? last : Math.max(0, last - 1)
}

const makeCondition = (random: Random, { head }: View): Condition => ({
  tags: random.chance(0.5) ? ["x", "y", "z"] : ["y", "z"],
  after: Math.max(0, head - random.int(3))
})
