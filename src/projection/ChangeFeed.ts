/**
 * What of a read model was changed since: which states, or which rows.
 *
 * **Details**
 *
 * A projection keeps its changes when it is defined with `changes`. They are
 * written in the transaction that makes them, numbered in the order of the
 * commits, and kept for as many positions of the log as it says; nothing is
 * left out in between. A change says what to read again, not what it became.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Position } from "../event/Revision.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { type ChangesPage, ReadModelStore, type StoredChange } from "../store/ReadModelStore.ts"
import { decodeToken, encodeToken, type TokenPlace } from "./internal/changeToken.ts"
import { LIMIT_DEFAULT, LIMIT_MAX, planLimit } from "./internal/queryPlan.ts"
import type { StateProjection, TableProjection } from "./Projection.ts"
import { ChangesExpired, ChangesNotKept, ChangesTokenInvalid, QueryInvalid } from "./QueryError.ts"

/**
 * A state that was changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateChange extends ChangeBase {
  readonly key: string
}

/**
 * A row that was changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface RowChange extends ChangeBase {
  /** Name of the table in the definition. */
  readonly table: string
  /** The columns of its primary key, as text: what `::text` gives, times in ISO 8601. */
  readonly key: Readonly<Record<string, string>>
}

/**
 * What all changes say.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChangeBase {
  /** The last that its commit did to it. */
  readonly kind: "changed" | "removed"
  /** Where the checkpoint stood after the commit. */
  readonly position: Position
  /** Token of the place after this change. */
  readonly token: string
}

/**
 * The changes of a projection.
 *
 * @category models
 * @since 0.1.0
 */
export type ChangeOf<P extends StateProjection<unknown> | TableProjection> = P extends TableProjection ? RowChange
  : StateChange

/**
 * A page of changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChangePage<out Change> {
  readonly changes: ReadonlyArray<Change>
  /** Token of the place after the page. */
  readonly next: string
  /** Whether there was nothing more. */
  readonly isEnd: boolean
  /** How far the projection had come. */
  readonly position: Position
}

/**
 * Everything that reading changes can answer instead.
 *
 * @category errors
 * @since 0.1.0
 */
export type ChangesError = QueryInvalid | ChangesNotKept | ChangesExpired | ChangesTokenInvalid | StorageError

/**
 * Returns the token of now: whoever then reads the whole and goes on from it
 * misses nothing, and may be told of what he has read already.
 *
 * @category reading
 * @since 0.1.0
 */
export const now = (
  projection: StateProjection<unknown> | TableProjection
): Effect.Effect<string, ChangesNotKept | StorageError, ReadModelStore> =>
  Effect.map(readFeed(projection, undefined, 1), (found) =>
    encodeToken(
      projection.name,
      Option.match(found, {
        onNone: () => BEGINNING,
        onSome: ({ feed, newest }): TokenPlace => ({ feed, change: newest, id: "" })
      })
    ))

/**
 * Returns the changes after a token, a page at a time, in the order of their
 * commits; from the first one when there is no token.
 *
 * **Details**
 *
 * What was changed several times in a commit is there once. Fails with
 * `ChangesExpired` when changes after the token are forgotten, when the
 * projection was reset, and when another version or build became live. `limit`
 * is 1 to 1,000, and 100 when absent.
 *
 * @category reading
 * @since 0.1.0
 */
export const changes = <P extends StateProjection<unknown> | TableProjection>(
  projection: P,
  options: { readonly after?: string | undefined; readonly limit?: number | undefined } = {}
): Effect.Effect<ChangePage<ChangeOf<P>>, ChangesError, ReadModelStore> =>
  Effect.gen(function*() {
    const { name } = projection
    const planned = planLimit(options.limit ?? LIMIT_DEFAULT)
    if (planned._tag === "Failure") return yield* new QueryInvalid({ name, ...planned.failure })
    const limit = planned.success
    const after = options.after === undefined ? BEGINNING : decodeToken(name, options.after)
    if (after === undefined) return yield* new ChangesTokenInvalid({ name })
    const found = yield* readFeed(projection, after, limit)
    if (Option.isNone(found)) {
      if (after.feed !== "") return yield* new ChangesExpired({ name })
      const { position } = yield* ReadModelStore.use((store) => store.readPoint({ name, version: undefined }))
      return { changes: [], next: encodeToken(name, BEGINNING), isEnd: true, position }
    }
    const page = found.value
    if (isExpired(page, after)) return yield* new ChangesExpired({ name })
    const { feed } = page
    const last = page.changes.at(-1)
    const isEnd = page.changes.length < limit
    const place = isEnd || last === undefined ? { change: page.newest, id: "" } : { change: last.change, id: last.id }
    return {
      changes: page.changes.map((change) => toChange(projection, feed, change)),
      next: encodeToken(name, { feed, ...place }),
      isEnd,
      position: page.point.position
    }
  })

/**
 * Follows the changes after a token, for ever.
 *
 * **Details**
 *
 * Keep the `token` of the last change that is dealt with, to go on from it: a
 * change that was not is delivered again. Looks every 25 ms while nothing comes.
 *
 * @category reading
 * @since 0.1.0
 */
export const follow = <P extends StateProjection<unknown> | TableProjection>(
  projection: P,
  options: { readonly after?: string | undefined } = {}
): Stream.Stream<ChangeOf<P>, ChangesError, ReadModelStore> =>
  Stream.paginate(options.after, (after) =>
    Effect.gen(function*() {
      let token = after
      while (true) {
        const page: ChangePage<ChangeOf<P>> = yield* changes(projection, { after: token, limit: LIMIT_MAX })
        if (page.changes.length > 0) return [page.changes, Option.some(page.next)] as const
        token = page.next
        yield* Effect.sleep(LOOK_AGAIN)
      }
    }))

// internal

/** Before the first change of any feed. */
const BEGINNING: TokenPlace = { feed: "", change: 0, id: "" }

/** Pause between two looks at a feed. */
const LOOK_AGAIN = Duration.millis(25)

const readFeed = (
  { changes, name }: StateProjection<unknown> | TableProjection,
  after: TokenPlace | undefined,
  limit: number
): Effect.Effect<Option.Option<ChangesPage>, ChangesNotKept | StorageError, ReadModelStore> =>
  changes === undefined
    ? Effect.fail(new ChangesNotKept({ name }))
    : ReadModelStore.use((store) => store.readChanges({ source: { name, version: undefined }, after, limit }))

/** Whether changes after the place are not there any more, or never were in this feed. */
const isExpired = ({ feed, forgotten, newest }: ChangesPage, after: TokenPlace): boolean =>
  (after.feed !== "" && after.feed !== feed) || after.change > newest || after.change < forgotten ||
  (after.change === forgotten && after.id !== "")

const toChange = <P extends StateProjection<unknown> | TableProjection>(
  { name }: P,
  feed: string,
  { change, id, isRemoval, key, position, table }: StoredChange
): ChangeOf<P> => {
  const base: ChangeBase = {
    kind: isRemoval ? "removed" : "changed",
    position,
    token: encodeToken(name, { feed, change, id })
  }
  // the storage keeps the name of the table with the changes of tables, and of no others
  return (table === undefined
    ? { ...base, key }
    : { ...base, table, key: JSON.parse(key) as RowChange["key"] }) as ChangeOf<P>
}
