/**
 * Digests of sets of events: the order in which they come does not matter.
 */
import { hash } from "node:crypto"
import type { EncodedEvent } from "../../event/EncodedEvent.ts"
import type { RecordedEvent } from "../../event/Event.ts"

/** Running digest and counts of events. */
export interface EventSet {
  readonly addSent: (streamId: string, event: EncodedEvent) => void
  readonly addRecorded: (event: RecordedEvent) => void
  readonly events: () => number
  /** Events by type and version, `Type v2`. */
  readonly types: () => ReadonlyMap<string, number>
  /** 64 hexadecimal digits. */
  readonly digest: () => string
}

/** Makes an empty set: the sum, in eight parts of 32 bits, of SHA-256 of each event. */
export const makeEventSet = (): EventSet => {
  const sums = new Uint32Array(LANES)
  const types = new Map<string, number>()
  let events = 0
  const add = (type: string, version: number, text: string) => {
    const digest = hash("sha256", text, "buffer")
    for (let lane = 0; lane < LANES; lane++) sums[lane] = (sums[lane] ?? 0) + digest.readUInt32BE(lane * 4)
    const name = `${type} v${version}`
    types.set(name, (types.get(name) ?? 0) + 1)
    events++
  }
  return {
    addSent: (streamId, { data, id, metadata = "{}", tags, type, version }) =>
      add(type, version, textOf([id, streamId, type, version, tags], data, metadata)),
    addRecorded: ({ data, id, metadata, streamId, tags, type, version }) =>
      add(type, version, textOf([id, streamId, type, version, tags], JSON.stringify(data), JSON.stringify(metadata))),
    events: () => events,
    types: () => types,
    digest: () => Array.from(sums, (sum) => sum.toString(16).padStart(8, "0")).join("")
  }
}

/** Whether an event that is recorded is the one that would be sent. */
export const isSame = (event: RecordedEvent, streamId: string, sent: EncodedEvent): boolean =>
  event.id === sent.id && event.streamId === streamId && event.type === sent.type && event.version === sent.version &&
  event.tags.length === sent.tags.length && event.tags.every((tag, index) => tag === sent.tags[index]) &&
  JSON.stringify(event.data) === sent.data && JSON.stringify(event.metadata) === (sent.metadata ?? "{}")

// internal

/** Parts of 32 bits in a SHA-256. */
const LANES = 8

const textOf = (head: ReadonlyArray<unknown>, data: string, metadata: string): string =>
  `${JSON.stringify(head)}\n${data}\n${metadata}`
