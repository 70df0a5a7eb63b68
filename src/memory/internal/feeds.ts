import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import { sha256 } from "../../event/Sha256.ts"
import type { ProjectionCommit } from "../../store/CheckpointStore.ts"
import { forgetUntil, type KeptChanges } from "../../store/KeptChanges.ts"
import type { StoredChange } from "../../store/ReadModelStore.ts"

/** The changes of a projection that are kept. */
export interface Feed {
  id: string
  /** Number of the newest commit. */
  newest: number
  forgotten: number
  /** In the order of their commits, and of their ids in one. */
  changes: Array<StoredChange>
}

/** Feeds by the states that they are of: another build has other states. */
export interface Feeds {
  readonly get: (states: ReadonlyMap<string, string>) => Feed | undefined
  /** Records what a commit does to states. */
  readonly record: (states: ReadonlyMap<string, string>, commit: ProjectionCommit) => void
}

/** No feeds yet. */
export const makeFeeds = (): Feeds => {
  const feeds = new WeakMap<ReadonlyMap<string, string>, Feed>()
  return {
    get: (states) => feeds.get(states),
    record: (states, commit) => {
      if (commit.changes === undefined) {
        if (commit.reset !== undefined) feeds.delete(states)
        return
      }
      const isFirst = !feeds.has(states)
      const feed = feeds.get(states) ?? { id: uuidV7Unsafe(), newest: 0, forgotten: 0, changes: [] }
      if (commit.reset !== undefined) begin(feed)
      add(feed, commit)
      forget(feed, commit.changes, commit)
      // a projection that has changed nothing yet has no feed
      if (!isFirst || feed.newest > 0) feeds.set(states, feed)
    }
  }
}

// internal

/** Places of before are no places of the feed that begins. */
const begin = (feed: Feed): void => {
  feed.id = uuidV7Unsafe()
  feed.newest++
  feed.forgotten = feed.newest
  feed.changes = []
}

const add = (feed: Feed, { states = new Map(), to: { position } }: ProjectionCommit): void => {
  if (states.size === 0) return
  const change = ++feed.newest
  const added = Array.from(states, ([key, state]): StoredChange => ({
    change,
    id: sha256(key),
    position,
    table: undefined,
    key,
    isRemoval: state === undefined
  }))
  for (const item of added.sort((a, b) => (a.id < b.id ? -1 : 1))) feed.changes.push(item)
}

const forget = (feed: Feed, kept: KeptChanges, { from, to }: ProjectionCommit): void => {
  const until = forgetUntil(kept, from, to.position)
  if (until === undefined) return
  const index = feed.changes.findIndex(({ position }) => position > until)
  const firstKept = feed.changes[index]?.change
  feed.forgotten = Math.max(feed.forgotten, firstKept === undefined ? feed.newest : firstKept - 1)
  feed.changes = index < 0 ? [] : feed.changes.slice(index)
}
