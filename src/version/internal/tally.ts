/**
 * Counts of what was skipped, bounded: types come from the log, and anybody may have written them.
 */
import type { Skipped } from "../Registry.ts"

/** Counts events by type and version. */
export const makeTally = (): {
  readonly count: (type: string, version: number) => void
  readonly read: () => ReadonlyArray<Skipped>
} => {
  const counts = new Map<string, { readonly type: string; readonly version: number; count: number }>()
  return {
    count: (type, version) => {
      const key = `${version} ${type}`
      const known = counts.get(key)
      if (known !== undefined) known.count++
      else if (counts.size < KINDS_MAX) counts.set(key, { type, version, count: 1 })
    },
    read: () => [...counts.values()].map((skipped) => ({ ...skipped }))
  }
}

// internal

/** Most kinds that are counted: a few hundred kilobytes, and more than a page can show. */
const KINDS_MAX = 1_000
