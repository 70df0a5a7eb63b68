/**
 * Running sums of one copy.
 */
import type { RecordedEvent } from "../../event/Event.ts"
import type { Position } from "../../event/Revision.ts"
import type { CopiedVersion, CopyReport } from "../CopyReport.ts"
import type { Outgoing } from "./outgoing.ts"

/** What was done so far. */
export interface Tally {
  copied: number
  present: number
  /** Events that were left out, by stream. */
  readonly leftOutOf: ReadonlyMap<string, number>
  /** Counts an event of the source and what became of it. */
  readonly take: (event: RecordedEvent, outgoing: Outgoing | undefined) => void
  readonly versions: () => ReadonlyArray<CopiedVersion>
}

/** Makes an empty tally. */
export const makeTally = (): Tally => {
  const versions = new Map<string, { -readonly [K in keyof CopiedVersion]: CopiedVersion[K] }>()
  const leftOutOf = new Map<string, number>()
  return {
    copied: 0,
    present: 0,
    leftOutOf,
    take: ({ streamId, type, version }, outgoing) => {
      const to = outgoing?.encoded.version
      const key = `${version} ${to ?? "-"} ${type}`
      const known = versions.get(key)
      if (known === undefined) versions.set(key, { type, from: version, to, events: 1 })
      else known.events++
      if (outgoing === undefined) leftOutOf.set(streamId, (leftOutOf.get(streamId) ?? 0) + 1)
    },
    versions: () =>
      [...versions.values()].toSorted((a, b) => a.type === b.type ? a.from - b.from : a.type < b.type ? -1 : 1)
  }
}

/** The sums as they are now. */
export const toReport = (
  { copied, present, versions }: Tally,
  position: Position,
  digest: string
): CopyReport => {
  const rows = versions()
  const sum = (events: ReadonlyArray<CopiedVersion>) => events.reduce((total, { events }) => total + events, 0)
  return {
    read: sum(rows),
    copied,
    present,
    leftOut: sum(rows.filter(({ to }) => to === undefined)),
    position,
    versions: rows,
    digest
  }
}
