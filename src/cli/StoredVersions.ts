/**
 * Which versions of which event types a store holds, and whether they can be read.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { RecordedEvent } from "../event/Event.ts"
import { explain } from "../migration/CopyError.ts"
import { EventStore } from "../store/EventStore.ts"
import type { ReadError } from "../store/EventStoreError.ts"
import type { Registry } from "../version/Registry.ts"
import type { DecodeError } from "../version/VersionError.ts"

/**
 * What {@link examineStore} found.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredReport {
  readonly events: number
  readonly decoded: number
  readonly failed: number
  /** Ascending by type and version; also versions that the registry knows and the store does not hold. */
  readonly versions: ReadonlyArray<StoredVersion>
  /** The first {@link FAILURES_MAX}. */
  readonly failures: ReadonlyArray<StoredFailure>
}

/**
 * One version of one type.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredVersion {
  readonly type: string
  readonly version: number
  readonly events: number
  readonly decoded: number
  readonly failed: number
  /** `unknown`: the registry does not have it. */
  readonly state: "newest" | "older" | "deprecated" | "unknown"
}

/**
 * An event that cannot be read, without its data.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredFailure {
  readonly type: string
  readonly version: number
  readonly streamId: string
  readonly revision: number
  readonly position: number
  /** Where in the event: `data.lines[0].qty`. */
  readonly path: string
  readonly error: DecodeError["_tag"]
  readonly reason: string
}

/**
 * Failures that a report lists; all are counted.
 *
 * @category constants
 * @since 0.1.0
 */
export const FAILURES_MAX = 1_000

/**
 * Options of {@link examineStore}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExamineOptions {
  /** Decodes so many events, spread over the log, and the first of each version; all when absent. */
  readonly sample?: number | undefined
  /** Told after every page of the log. */
  readonly onProgress?: ((position: number, head: number) => Effect.Effect<void>) | undefined
}

/**
 * Reads the log up to where it is now, counts every version of every type, and
 * decodes all events or a sample, which is the same each time.
 *
 * @category operations
 * @since 0.1.0
 */
export const examineStore = (
  registry: Pick<Registry<never, unknown>, "decode" | "types">,
  { onProgress, sample }: ExamineOptions = {}
): Effect.Effect<StoredReport, ReadError, EventStore> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const { position: head } = yield* store.head
    const tallies = new Map(knownVersions(registry).map((tally) => [keyOf(tally), tally]))
    const failures: Array<StoredFailure> = []
    const isSampled = sample === undefined ? () => true : oneOfEachPart(sample, head)
    const take = (event: RecordedEvent) => {
      const tally = tallies.get(keyOf(event)) ?? makeTally(event, "unknown")
      if (tally.events++ === 0) tallies.set(keyOf(event), tally)
      else if (!isSampled(event.position)) return
      const decoded = registry.decode(event)
      if (decoded._tag === "Success") {
        // an event that the policy skips was not decoded
        if (decoded.success._tag === "Some") tally.decoded++
        return
      }
      tally.failed++
      if (failures.length < FAILURES_MAX) failures.push(toFailure(event, decoded.failure))
    }
    yield* Stream.runForEachArray(store.readAll({ until: head }), (page) => {
      for (const event of page) take(event)
      return onProgress?.(page.at(-1)?.position ?? 0, head) ?? Effect.void
    })
    const versions = [...tallies.values()].toSorted((a, b) =>
      a.type === b.type ? a.version - b.version : a.type < b.type ? -1 : 1
    )
    const sum = (count: (tally: StoredVersion) => number) => versions.reduce((total, tally) => total + count(tally), 0)
    return {
      events: sum(({ events }) => events),
      decoded: sum(({ decoded }) => decoded),
      failed: sum(({ failed }) => failed),
      versions,
      failures
    }
  })

// internal

type Tally = { -readonly [K in keyof StoredVersion]: StoredVersion[K] }

const makeTally = (
  { type, version }: Pick<StoredVersion, "type" | "version">,
  state: StoredVersion["state"]
): Tally => ({
  type,
  version,
  events: 0,
  decoded: 0,
  failed: 0,
  state
})

const knownVersions = ({ types }: Pick<Registry<never>, "types">): ReadonlyArray<Tally> =>
  types.flatMap((type) => [
    ...type.history.map(({ deprecated, version }) =>
      makeTally({ type: type.name, version }, deprecated === undefined ? "older" : "deprecated")
    ),
    makeTally({ type: type.name, version: type.version }, type.deprecated === undefined ? "newest" : "deprecated")
  ])

const keyOf = ({ type, version }: Pick<StoredVersion, "type" | "version">): string => `${version} ${type}`

/**
 * Chooses `count` of the positions 1 to `head`: one of each of as many parts of
 * the log, somewhere in it, as what a program writes may come in a rhythm.
 */
const oneOfEachPart = (count: number, head: number) => (position: number): boolean => {
  const part = Math.floor((position - 1) * count / head)
  const first = Math.ceil(part * head / count)
  const size = Math.ceil((part + 1) * head / count) - first
  return position - 1 === first + scatter(part) % size
}

/** The same 32 bits for the same number, and others for its neighbours. */
const scatter = (part: number): number => {
  const mixed = Math.imul(part ^ (part >>> 16), 0x45d9f3b) + 0x9e3779b9
  return (Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) ^ (mixed >>> 13)) >>> 0
}

const toFailure = (
  { position, revision, streamId, type, version }: RecordedEvent,
  error: DecodeError
): StoredFailure => ({
  type,
  version,
  streamId,
  revision,
  position,
  error: error._tag,
  ...explain(error)
})
