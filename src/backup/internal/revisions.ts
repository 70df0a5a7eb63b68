/**
 * Proves that the revisions of each stream go up by one, in bounded memory.
 *
 * Streams are told apart by the bytes of their names, which are kept one after
 * the other. When there are more than fit, half of them, chosen by a hash of the
 * name, are looked at no longer, and then half of the rest.
 */

/** Streams that are kept in mind, and the bytes of their names. */
const STREAMS_MAX = 500_000
const NAMES_BYTES_MAX = 16 * 1024 * 1024

export interface RevisionCheck {
  /** Says what is wrong with the revision of an event, whose stream's name stands there; `undefined` when nothing is. */
  readonly check: (buffer: Buffer, nameAt: number, nameEnd: number, revision: number) => string | undefined
  /** Notes the last of several events of a stream, the first of which was checked. */
  readonly note: (buffer: Buffer, nameAt: number, nameEnd: number, revision: number) => void
  /** Which part of the streams was looked at: 1, a half, a quarter, … */
  readonly share: () => number
}

/** Makes a check of events that begin with the first of the log, or somewhere in it. */
export const makeRevisionCheck = (
  fromStart: boolean,
  { namesBytesMax = NAMES_BYTES_MAX, streamsMax = STREAMS_MAX } = {}
): RevisionCheck => {
  let streams = makeStreams(FIRST_STREAMS)
  let mask = 0

  const halve = (): void => {
    mask = mask * 2 + 1
    streams = streams.keep((hash) => (hash & mask) === 0, streams.count())
  }

  return {
    share: () => 1 / (mask + 1),
    note: (buffer, nameAt, nameEnd, revision) => {
      const hash = hashOf(buffer, nameAt, nameEnd)
      if ((hash & mask) === 0) streams.move(buffer, nameAt, nameEnd, hash, revision)
    },
    check: (buffer, nameAt, nameEnd, revision) => {
      const hash = hashOf(buffer, nameAt, nameEnd)
      if ((hash & mask) !== 0) return undefined
      const before = streams.move(buffer, nameAt, nameEnd, hash, revision)
      if (before === UNKNOWN) {
        if (streams.count() > streamsMax || streams.namesBytes() > namesBytesMax) halve()
        else if (streams.count() * 2 > streams.slots) streams = streams.keep(() => true, streams.slots)
        return fromStart && revision !== 0 ? `the first event of its stream has revision ${revision}` : undefined
      }
      return compareRevisions(revision, before)
    }
  }
}

/** Says what is wrong with the revision of an event that follows another one in its stream. */
export const compareRevisions = (revision: number, before: number): string | undefined =>
  revision === before + 1
    ? undefined
    : `its revision is ${revision}, that of the event before in its stream is ${before}`

// internal

/** Streams for which there is room at first. */
const FIRST_STREAMS = 1_024

/** What a revision is before the first event of a stream. */
const UNKNOWN = -1

interface Streams {
  readonly slots: number
  readonly count: () => number
  readonly namesBytes: () => number
  /** Notes the revision of a stream, and returns the one before. */
  readonly move: (buffer: Uint8Array, nameAt: number, nameEnd: number, hash: number, revision: number) => number
  /** Makes another one with room for so many, of those whose hashes pass. */
  readonly keep: (passes: (hash: number) => boolean, room: number) => Streams
}

/** A table with open addresses, at most half full: slots, and the number of a stream in each. */
const makeStreams = (room: number): Streams => {
  const slots = 2 ** Math.ceil(Math.log2(Math.max(room, FIRST_STREAMS) * 2))
  const table = new Int32Array(slots).fill(UNKNOWN)
  const hashes = new Uint32Array(slots / 2 + 1)
  const places = new Uint32Array(slots / 2 + 2)
  const revisions = new Float64Array(slots / 2 + 1)
  let names = new Uint8Array(slots * 8)
  let count = 0

  const isName = (index: number, buffer: Uint8Array, nameAt: number, nameEnd: number): boolean => {
    const start = places[index] as number
    if ((places[index + 1] as number) - start !== nameEnd - nameAt) return false
    for (let at = nameAt; at < nameEnd; at++) {
      if (names[start + at - nameAt] !== buffer[at]) return false
    }
    return true
  }

  const add = (buffer: Uint8Array, nameAt: number, nameEnd: number, hash: number, revision: number): number => {
    const start = places[count] as number
    const end = start + nameEnd - nameAt
    if (end > names.length) {
      const larger = new Uint8Array(Math.max(end, names.length * 2))
      larger.set(names)
      names = larger
    }
    names.set(buffer.subarray(nameAt, nameEnd), start)
    hashes[count] = hash
    revisions[count] = revision
    places[++count] = end
    return count - 1
  }

  const move: Streams["move"] = (buffer, nameAt, nameEnd, hash, revision) => {
    let slot = hash & (slots - 1)
    for (let index = table[slot] as number; index !== UNKNOWN; index = table[slot] as number) {
      if (hashes[index] === hash && isName(index, buffer, nameAt, nameEnd)) {
        const before = revisions[index] as number
        revisions[index] = revision
        return before
      }
      slot = (slot + 1) & (slots - 1)
    }
    table[slot] = add(buffer, nameAt, nameEnd, hash, revision)
    return UNKNOWN
  }

  return {
    slots,
    count: () => count,
    namesBytes: () => places[count] as number,
    move,
    keep: (passes, more) => {
      const next = makeStreams(more)
      for (let index = 0; index < count; index++) {
        const hash = hashes[index] as number
        if (passes(hash)) {
          next.move(names, places[index] as number, places[index + 1] as number, hash, revisions[index] as number)
        }
      }
      return next
    }
  }
}

/** FNV-1a, its halves mixed. */
const hashOf = (buffer: Uint8Array, start: number, end: number): number => {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (buffer[at] as number), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
