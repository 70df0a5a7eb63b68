import type { KeptChanges } from "../../store/KeptChanges.ts"
import type { Follower } from "../Reactor.ts"

/** What a commit of a follower records of its changes; nothing for most of them. */
export const changesOf = (follower: Follower<unknown>): KeptChanges | undefined => {
  if (follower._tag !== "Projection" || follower.changes === undefined) return undefined
  const { changes: { retain = RETAIN }, target } = follower
  return {
    retain,
    tables: target._tag === "Table"
      ? target.tables.map(({ name }) => ({ name, table: { schema: target.schema, name: name + target.suffix } }))
      : []
  }
}

// internal

/** Positions of the log for which changes are kept. */
const RETAIN = 100_000
