/**
 * Compares what two builds of a projection made, row by row: before a swap, say.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { type Position, START } from "../event/Revision.ts"
import {
  type BuildKey,
  BuildMissing,
  CheckpointStore,
  type ProjectionBuild,
  type StoredState
} from "../store/CheckpointStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import type { ComparedSlice, RowDifference, TableDifference } from "../store/TableComparison.ts"
import { toBuildKey } from "./internal/swap.ts"
import { type Projection, tableName, type TableTarget, withBuild } from "./Projection.ts"
import { ProjectionInvalid } from "./ProjectionError.ts"

export type { RowDifference }

/**
 * How two builds differ.
 *
 * @category models
 * @since 0.1.0
 */
export interface Difference {
  readonly before: DifferenceSide
  readonly after: DifferenceSide
  /** Whether both have seen the same events: otherwise they may differ because one is behind. */
  readonly isSamePosition: boolean
  /** Whether no row differs, and both have the same tables. */
  readonly isSame: boolean
  readonly tablesOnlyBefore: ReadonlyArray<string>
  readonly tablesOnlyAfter: ReadonlyArray<string>
  readonly parts: ReadonlyArray<PartDifference>
}

/**
 * A build that was compared, and how far it had come.
 *
 * @category models
 * @since 0.1.0
 */
export interface DifferenceSide {
  readonly build: BuildKey
  /** Of the slice that was furthest behind. */
  readonly position: Position
  /** Events that it has seen. */
  readonly events: number
}

/**
 * How a table, or the states, differ.
 *
 * **Details**
 *
 * Rows of a table are told by its primary key, states by theirs. Tables without
 * a primary key, or with different ones, are compared by whole rows, of which none
 * can have changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface PartDifference extends TableDifference {
  /** Name of the table; `states` for states. */
  readonly name: string
}

/**
 * Options of a comparison.
 *
 * @category models
 * @since 0.1.0
 */
export interface DiffOptions {
  /** Most differences of a table that are returned, 0 to 10,000; 10 when absent. */
  readonly samples?: number | undefined
}

/**
 * Everything that a comparison can answer instead.
 *
 * @category errors
 * @since 0.1.0
 */
export type DiffError = ProjectionInvalid | BuildMissing | InvalidInput | StorageError

/**
 * Compares what two projections made: two versions, or two builds of one
 * (`Projection.withBuild`). Without a build it is the current one of the version, or
 * the one that is under way when it has none yet.
 *
 * **Details**
 *
 * Tables are compared in the database, all at one moment, in the columns that both have.
 * States are read page by page while their runners may go on: `isSamePosition` is false
 * when one of them did.
 *
 * @category comparing
 * @since 0.1.0
 */
export const diff = (
  before: Projection<unknown>,
  after: Projection<unknown>,
  { samples = SAMPLES }: DiffOptions = {}
): Effect.Effect<Difference, DiffError, CheckpointStore> =>
  Effect.gen(function*() {
    const first = yield* recordOf(before)
    const second = yield* recordOf(after)
    const [old, next] = [withBuild(before, first.build), withBuild(after, second.build)]
    if (old.target._tag === "Table" && next.target._tag === "Table") {
      return yield* diffTables([toBuildKey(first), tablesOf(old.target)], [
        toBuildKey(second),
        tablesOf(next.target)
      ], samples)
    }
    if (old.target._tag === "State" && next.target._tag === "State") {
      return yield* diffStates(toBuildKey(first), toBuildKey(second), samples)
    }
    return yield* notAlike(after)
  })

/**
 * Compares what is live with what is to take its place, or what was live before
 * with what is.
 *
 * **Details**
 *
 * The one is the newest build of the version that is under way, or else its current
 * one; the other is what it would take the place of, or took it: of the same version or
 * of another one, whose definition is not needed.
 *
 * @category comparing
 * @since 0.1.0
 */
export const diffBuilds = (
  projection: Projection<unknown>,
  options: DiffOptions = {}
): Effect.Effect<Difference, DiffError, CheckpointStore> =>
  Effect.gen(function*() {
    const { name, version } = projection
    const builds = yield* CheckpointStore.use((store) => store.listBuilds(name))
    const [before, after] = facing(builds, version)
    if (before === undefined || after === undefined) {
      return yield* new BuildMissing({ name, version, build: undefined })
    }
    if (before.version === version) {
      return yield* diff(withBuild(projection, before.build), withBuild(projection, after.build), options)
    }
    const { samples = SAMPLES } = options
    const { target } = withBuild(projection, after.build)
    const old = recordedTables(before)
    if (target._tag === "Table" && old.length > 0) {
      return yield* diffTables([toBuildKey(before), old], [toBuildKey(after), tablesOf(target)], samples)
    }
    return target._tag === "State" && old.length === 0
      ? yield* diffStates(toBuildKey(before), toBuildKey(after), samples)
      : yield* notAlike(projection)
  })

// internal

/** Differences that are returned, unless somebody says otherwise. */
const SAMPLES = 10

/** States of a page; bounds the memory of a comparison. */
const PAGE_SIZE = 1_000

/** The one that was begun last: numbers of builds that were removed are given again. */
const newestOf = (builds: ReadonlyArray<ProjectionBuild>): ProjectionBuild | undefined =>
  builds.toSorted((a, b) => b.createdAt.epochMilliseconds - a.createdAt.epochMilliseconds || b.build - a.build)[0]

const recordOf = (projection: Projection<unknown>) =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const { build, name, version } = projection
    const found = yield* checkpoints.find({ name, version, build })
    if (Option.isSome(found)) return found.value
    // a version that is built for the first time has no current build yet
    const building = newestOf(
      (yield* checkpoints.listBuilds(name)).filter((other) => other.version === version && other.status === "building")
    )
    const first = build === undefined && building !== undefined
      ? yield* checkpoints.find(toBuildKey(building))
      : Option.none()
    return Option.isSome(first) ? first.value : yield* new BuildMissing({ name, version, build })
  })

const sideOf = (build: BuildKey, slices: ReadonlyArray<ComparedSlice>): DifferenceSide => ({
  build,
  position: slices.reduce<Position>(
    (least, { position }) => position < least ? position : least,
    slices[0]?.position ?? START
  ),
  events: slices.reduce((sum, { count }) => sum + count, 0)
})

/** Whether each slice of the one is where that of the other is. */
const areAtOnePlace = (before: ReadonlyArray<ComparedSlice>, after: ReadonlyArray<ComparedSlice>): boolean =>
  before.length === after.length &&
  before.every(({ position }, index) => position === after[index]?.position)

const isEqual = ({ changed, onlyAfter, onlyBefore }: PartDifference): boolean => changed + onlyAfter + onlyBefore === 0

/** A table by the name that its projection gives it, and where it is. */
type NamedTable = readonly [name: string, place: readonly [schema: string, name: string]]

const diffTables = (
  [before, old]: readonly [BuildKey, ReadonlyArray<NamedTable>],
  [after, next]: readonly [BuildKey, ReadonlyArray<NamedTable>],
  samples: number
) =>
  Effect.gen(function*() {
    const places = new Map(next)
    const both = old.flatMap(([name, place]) => {
      const other = places.get(name)
      return other === undefined ? [] : [{ name, before: place, after: other }]
    })
    if (both.length === 0) {
      return yield* new ProjectionInvalid({ name: after.name, problems: ["diff: no table has the same name in both"] })
    }
    const tables = both.map(({ after, before }) => ({ before, after }))
    const compared = yield* CheckpointStore.use((store) => store.compareTables({ before, after, tables, samples }))
    const parts = compared.tables.map((table, index) => ({ name: both[index]?.name ?? "", ...table }))
    return {
      before: sideOf(before, compared.before),
      after: sideOf(after, compared.after),
      isSamePosition: areAtOnePlace(compared.before, compared.after),
      isSame: parts.every(isEqual) && both.length === old.length && both.length === next.length,
      tablesOnlyBefore: namesBeside(old, both),
      tablesOnlyAfter: namesBeside(next, both),
      parts
    } satisfies Difference
  })

const namesBeside = (
  tables: ReadonlyArray<NamedTable>,
  both: ReadonlyArray<{ readonly name: string }>
): ReadonlyArray<string> => tables.map(([name]) => name).filter((name) => !both.some((pair) => pair.name === name))

const tablesOf = ({ schema, suffix, tables }: TableTarget): ReadonlyArray<NamedTable> =>
  tables.map(({ name }) => [name, [schema, name + suffix]])

/** The tables that were made for a build, whatever its definition was. */
const recordedTables = ({ build, tables, version }: ProjectionBuild): ReadonlyArray<NamedTable> => {
  const suffix = tableName("", version, build)
  return tables.flatMap(([schema, name]): ReadonlyArray<NamedTable> =>
    name.endsWith(suffix) ? [[name.slice(0, -suffix.length), [schema, name]]] : []
  )
}

/** What is there, and what is to take its place; or what was there before, and what is. */
const facing = (builds: ReadonlyArray<ProjectionBuild>, version: number) => {
  const of = (status: string) => builds.filter((build) => build.version === version && build.status === status)
  const [current] = of("current")
  const live = builds.find(({ isLive }) => isLive)
  const building = newestOf(of("building"))
  if (building !== undefined) return [current ?? live, building] as const
  if (current !== undefined && live !== undefined && live !== current) return [live, current] as const
  const [replaced] = builds
    .filter((build) => build.retiredAt !== undefined && build.status !== "removing")
    .toSorted((a, b) => (b.retiredAt?.epochMilliseconds ?? 0) - (a.retiredAt?.epochMilliseconds ?? 0))
  return [replaced, current] as const
}

const notAlike = ({ name }: Projection<unknown>): Effect.Effect<never, ProjectionInvalid> =>
  Effect.fail(
    new ProjectionInvalid({ name, problems: ["diff: only tables can be compared with tables, and states with states"] })
  )

const diffStates = (before: BuildKey, after: BuildKey, samples: number) =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const slicesOf = (key: BuildKey) =>
      Effect.map(checkpoints.findSlices(key), (records) => records.map(({ checkpoint }) => checkpoint))
    const slices = Effect.all([slicesOf(before), slicesOf(after)])
    const [oldAtStart, nextAtStart] = yield* slices
    const counts = yield* mergeStates(before, after, samples)
    const [old, next] = yield* slices
    const part: PartDifference = {
      name: "states",
      key: ["key"],
      columnsOnlyBefore: [],
      columnsOnlyAfter: [],
      ...counts
    }
    return {
      before: sideOf(before, old),
      after: sideOf(after, next),
      isSamePosition: areAtOnePlace(old, next) && areAtOnePlace(old, oldAtStart) && areAtOnePlace(next, nextAtStart),
      isSame: isEqual(part),
      tablesOnlyBefore: [],
      tablesOnlyAfter: [],
      parts: [part]
    } satisfies Difference
  })

/** Walks through the states of both by key. */
const mergeStates = Effect.fnUntraced(function*(before: BuildKey, after: BuildKey, samples: number) {
  const [old, next] = [yield* makeWalk(before), yield* makeWalk(after)]
  const counts = { onlyBefore: 0, onlyAfter: 0, changed: 0, same: 0 }
  const found: Array<RowDifference> = []
  const note = (key: string, one: StoredState | undefined, other: StoredState | undefined) => {
    if (found.length >= samples) return
    const columns = one === undefined || other === undefined ? [] : differing(one.state, other.state)
    found.push({ key: JSON.stringify({ key }), before: one?.state, after: other?.state, columns })
  }
  while (true) {
    const [one, other] = [yield* old.peek, yield* next.peek]
    if (one === undefined && other === undefined) return { ...counts, samples: found }
    const order = one === undefined ? 1 : other === undefined ? -1 : compareBytes(one.key, other.key)
    if (order <= 0) old.skip()
    if (order >= 0) next.skip()
    if (order < 0 && one !== undefined) {
      counts.onlyBefore++
      note(one.key, one, undefined)
    } else if (order > 0 && other !== undefined) {
      counts.onlyAfter++
      note(other.key, undefined, other)
    } else if (one !== undefined && other !== undefined) {
      const isSame = one.state === other.state ||
        canonical(JSON.parse(one.state)) === canonical(JSON.parse(other.state))
      counts[isSame ? "same" : "changed"]++
      if (!isSame) note(one.key, one, other)
    }
  }
})

/** The states of a build one after the other, a page at hand at a time. */
const makeWalk = (key: BuildKey) =>
  Effect.map(CheckpointStore, (checkpoints) => {
    let page: ReadonlyArray<StoredState> = []
    let index = 0
    let isEnd = false
    return {
      peek: Effect.gen(function*() {
        if (index >= page.length && !isEnd) {
          const after = page.at(-1)?.key
          page = yield* checkpoints.listStates(key, { after, limit: PAGE_SIZE })
          index = 0
          isEnd = page.length < PAGE_SIZE
        }
        return page[index]
      }),
      skip: () => {
        index++
      }
    }
  })

/** The order in which states are listed: that of the bytes of their keys. */
const compareBytes = (a: string, b: string): number => {
  if (a === b) return 0
  const [first, second] = [encoder.encode(a), encoder.encode(b)]
  for (let index = 0; index < Math.min(first.length, second.length); index++) {
    const difference = (first[index] ?? 0) - (second[index] ?? 0)
    if (difference !== 0) return difference
  }
  return first.length - second.length
}

const encoder = new TextEncoder()

/** The same text for the same JSON value, in whatever order its keys are. */
const canonical = (value: unknown): string =>
  JSON.stringify(
    value,
    (_, part: unknown) =>
      isObject(part) ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1))) : part
  )

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The fields at the top in which two states differ; none unless both are objects. */
const differing = (before: string, after: string): ReadonlyArray<string> => {
  const [one, other]: ReadonlyArray<unknown> = [JSON.parse(before), JSON.parse(after)]
  if (!isObject(one) || !isObject(other)) return []
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].filter((name) =>
    canonical(one[name]) !== canonical(other[name])
  )
}
