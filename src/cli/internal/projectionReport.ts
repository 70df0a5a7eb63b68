/**
 * How projections stand, for people and for machines.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { EventFilter } from "../../event/EventQuery.ts"
import { isCheckpoint } from "../../projection/EventReplay.ts"
import type { Follower } from "../../projection/Reactor.ts"
import { CheckpointStore, type ProjectionBuild, type ProjectionRecord } from "../../store/CheckpointStore.ts"
import { EventStore } from "../../store/EventStore.ts"
import { Out } from "../Out.ts"
import type { Settings } from "../Settings.ts"
import { renderPairs, renderTable } from "../table.ts"
import { count, duration, time } from "../Text.ts"
import { styleOf, type TableStyle } from "./eventTable.ts"
import type { ProjectionCode } from "./projectionCode.ts"

/**
 * How one projection stands, or one slice of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Standing {
  readonly name: string
  readonly version: number
  /** `undefined` when it never ran. */
  readonly record: ProjectionRecord | undefined
  /** What is known of its build; `undefined` when it never ran. */
  readonly build: ProjectionBuild["status"] | undefined
  /** The records of its slices; several when they are summed in `record`. */
  readonly slices: ReadonlyArray<ProjectionRecord>
  readonly code: "built-in" | "at hand" | "none"
  readonly head: number
  /** Positions of the log that it has not looked at. */
  readonly lagEvents: number
  /** How long ago the first event was recorded that it has not seen. */
  readonly lagMillis: number
  /** Whether a runner has it now; all slices of it, when they are summed. */
  readonly isLed: boolean
  /** Positions a second; `undefined` when it was not measured. */
  readonly rate: number | undefined
}

/**
 * Reads how all projections stand: those that the store knows, and those whose
 * code is at hand.
 *
 * **Details**
 *
 * When one catches up, it looks a second time after a second: that is the rate.
 *
 * @category reading
 * @since 0.1.0
 */
export const readStandings = Effect.fnUntraced(function*(
  code: Pick<ProjectionCode, "followers" | "builtIns">,
  options: { readonly slices: boolean; readonly only?: ReadonlyArray<string> | undefined }
) {
  const { only } = options
  // how far replays have come is there too, for whoever names it
  const isWanted = (each: { readonly name: string }) =>
    only === undefined ? !isCheckpoint(each) : only.includes(each.name)
  const store = yield* EventStore
  const checkpoints = yield* CheckpointStore
  const records = (yield* checkpoints.list).filter(isWanted)
  const builds = yield* checkpoints.listBuilds()
  const head = (yield* store.head).position
  const firstMillis = yield* Clock.currentTimeMillis
  const groups = groupsOf(records, options.slices)
  const isCatchingUp = records.some((record) => isLed(record, firstMillis) && record.checkpoint.position < head)
  if (isCatchingUp) yield* Effect.sleep(SAMPLE_MILLIS)
  const later = isCatchingUp ? groupsOf((yield* checkpoints.list).filter(isWanted), options.slices) : groups
  const nowMillis = yield* Clock.currentTimeMillis
  const known = [...code.builtIns, ...code.followers]
  const standings: Array<Standing> = []
  for (const slices of later) {
    const record = sum(slices)
    if (record === undefined) continue
    const before = sum(groups.find(([first]) => first !== undefined && isSame(first, record, options.slices)) ?? [])
    const follower = known.find(({ name, version }) => name === record.name && version === record.version)
    standings.push({
      name: record.name,
      version: record.version,
      record,
      build: builds.find((build) =>
        build.name === record.name && build.version === record.version && build.build === record.build
      )?.status,
      slices,
      code: originOf(code, follower),
      head,
      lagEvents: Math.max(0, head - record.checkpoint.position),
      lagMillis: yield* lagMillis(record.checkpoint.position, head, follower?.filter, nowMillis),
      isLed: slices.every((slice) => isLed(slice, nowMillis)),
      rate: !isCatchingUp || before === undefined
        ? undefined
        : (record.checkpoint.position - before.checkpoint.position) / ((nowMillis - firstMillis) / 1000)
    })
  }
  for (const follower of known.filter(isWanted)) {
    if (standings.some(({ name, version }) => name === follower.name && version === follower.version)) continue
    standings.push({
      name: follower.name,
      version: follower.version,
      record: undefined,
      build: undefined,
      slices: [],
      code: originOf(code, follower),
      head,
      lagEvents: head,
      lagMillis: yield* lagMillis(0, head, follower.filter, nowMillis),
      isLed: false,
      rate: undefined
    })
  }
  return standings
})

/**
 * Prints what is said of each of some projections, in the form that the settings name.
 *
 * @category rendering
 * @since 0.1.0
 */
export const printProjections = Effect.fnUntraced(function*(
  rows: ReadonlyArray<unknown>,
  settings: Settings,
  toText: (style: TableStyle) => string
) {
  const out = yield* Out
  switch (settings.output) {
    case "json":
      return yield* out.data(`${JSON.stringify({ projections: rows })}\n`)
    case "ndjson":
      for (const row of rows) yield* out.data(`${JSON.stringify(row)}\n`)
      return
    case "table":
      return yield* out.data(toText(styleOf(settings, out, (yield* TerminalCapabilities).canColor)))
  }
})

/**
 * Standings, one a line, under titles.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderStandings = (
  standings: ReadonlyArray<Standing>,
  style: TableStyle,
  { slices }: { readonly slices: boolean }
): string =>
  renderTable(
    [
      { title: "PROJECTION", cut: "middle" },
      { title: "VERSION" },
      ...(slices ? [{ title: "SLICE", align: "right" as const }] : []),
      { title: "STATE" },
      { title: "POSITION", align: "right" },
      { title: "LAG", align: "right" },
      { title: "BEHIND", align: "right" },
      { title: "RATE", align: "right" },
      { title: "ETA", align: "right" },
      { title: "PARKED", align: "right" },
      { title: "OWNER", cut: "middle" },
      { title: "LAST ERROR", cut: "end" }
    ],
    standings.map((standing) => {
      const { name, record } = standing
      return [
        name,
        versionOf(standing),
        ...(slices ? [record === undefined ? "" : String(record.slice)] : []),
        stateOf(standing),
        record === undefined ? "" : count(record.checkpoint.position),
        count(standing.lagEvents),
        duration(standing.lagMillis),
        rateOf(standing),
        etaOf(standing),
        record === undefined ? "" : count(record.parked),
        ownerOf(standing),
        record?.failure?.message ?? ""
      ]
    }),
    style
  )

/**
 * Everything of one standing, a part a line.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderStanding = (standing: Standing, style: TableStyle): string => {
  const { code, record } = standing
  return renderPairs([
    ["projection", standing.name],
    ["version", versionOf(standing)],
    ["code", code],
    ["state", stateOf(standing)],
    ["lag", `${count(standing.lagEvents)} events, ${duration(standing.lagMillis)}`],
    ...(record === undefined ? [] : [
      ["position", `${count(record.checkpoint.position)} of ${count(standing.head)}`],
      ["rate", rateOf(standing) || "not measured: no runner is catching up"],
      ["time left", etaOf(standing) || "-"],
      ["events seen", `${count(record.checkpoint.count)} (digest ${record.checkpoint.digest})`],
      ["slices", count(standing.slices.length)],
      ["owner", ownerOf(standing) || "nobody"],
      ["parked", count(record.parked)],
      ["failures", record.failure === undefined ? "none" : count(record.failure.count)],
      ...(record.failure === undefined ? [] : [
        [
          "last failure",
          `${time(record.failure.lastAt, style.local)} at position ${count(record.failure.position)}`
        ],
        ["last error", record.failure.message]
      ] as const),
      ["moved at", time(record.updatedAt, style.local)],
      ["definition", record.definition]
    ] as ReadonlyArray<readonly [string, string]>)
  ], style)
}

/**
 * A standing for machines.
 *
 * @category encoding
 * @since 0.1.0
 */
export const standingToJson = (standing: Standing) => {
  const { head, isLed, lagEvents, lagMillis, name, rate, record, version } = standing
  const eta = etaSeconds(standing)
  return {
    name,
    version,
    code: standing.code,
    state: stateOf(standing),
    buildStatus: standing.build ?? null,
    isLed,
    head,
    lagEvents,
    lagSeconds: lagMillis / 1000,
    ratePerSecond: rate === undefined ? null : Math.round(rate),
    etaSeconds: eta === undefined ? null : Math.round(eta),
    ...(record === undefined ? { position: 0, status: null } : recordToJson(record)),
    slices: standing.slices.length
  }
}

// internal

/** How long the rate of what catches up is measured. */
const SAMPLE_MILLIS = 1_000

const isLed = ({ leasedUntil, owner }: ProjectionRecord, nowMillis: number): boolean =>
  owner !== undefined && (leasedUntil?.epochMilliseconds ?? 0) > nowMillis

const isSame = (one: ProjectionRecord, other: ProjectionRecord, bySlice: boolean): boolean =>
  one.name === other.name && one.version === other.version && one.build === other.build &&
  (!bySlice || one.slice === other.slice)

const groupsOf = (
  records: ReadonlyArray<ProjectionRecord>,
  bySlice: boolean
): ReadonlyArray<ReadonlyArray<ProjectionRecord>> => {
  const groups: Array<Array<ProjectionRecord>> = []
  for (const record of records) {
    const group = groups.at(-1)
    // they are listed by name, version, build and slice
    if (group?.[0] !== undefined && isSame(group[0], record, bySlice)) group.push(record)
    else groups.push([record])
  }
  return groups
}

/** Slices as one: as far as the last of them has come. */
const sum = (slices: ReadonlyArray<ProjectionRecord>): ProjectionRecord | undefined => {
  const [first] = slices
  if (first === undefined || slices.length === 1) return first
  const last = slices.reduce((a, b) => b.checkpoint.position < a.checkpoint.position ? b : a)
  const failed = slices.flatMap(({ failure }) => failure === undefined ? [] : [failure])
  const newest = failed.toSorted((a, b) => b.lastAt.epochMilliseconds - a.lastAt.epochMilliseconds)[0]
  const owners = new Set(slices.flatMap(({ owner }) => owner === undefined ? [] : [owner]))
  return {
    ...first,
    checkpoint: { ...last.checkpoint, count: total(slices, ({ checkpoint }) => checkpoint.count), digest: "by slice" },
    status: slices.some(({ status }) => status === "halted")
      ? "halted"
      : slices.some(({ status }) => status === "paused")
      ? "paused"
      : "running",
    owner: owners.size === 0 ? undefined : [...owners].join(", "),
    parked: total(slices, ({ parked }) => parked),
    failure: newest === undefined ? undefined : { ...newest, count: total(failed, (failure) => failure.count) },
    updatedAt: slices.map(({ updatedAt }) => updatedAt).reduce(DateTime.max)
  }
}

const total = <A>(all: ReadonlyArray<A>, of: (each: A) => number): number =>
  all.reduce((sum, each) => sum + of(each), 0)

const originOf = (
  { builtIns }: Pick<ProjectionCode, "builtIns">,
  follower: Follower<unknown> | undefined
): Standing["code"] => follower === undefined ? "none" : builtIns.includes(follower) ? "built-in" : "at hand"

/** Without code the filter is not known: then it is the first event of any kind. */
const lagMillis = Effect.fnUntraced(function*(
  after: number,
  head: number,
  filter: EventFilter | undefined,
  nowMillis: number
) {
  if (after >= head) return 0
  const store = yield* EventStore
  const page = yield* Effect.catchTag(
    store.readPage({ after, filter, limit: 1 }),
    "PositionAheadOfLog",
    () => Effect.succeed(undefined)
  )
  const next = page?.events[0]
  return next === undefined ? 0 : Math.max(0, nowMillis - next.recordedAt.epochMilliseconds)
})

const versionOf = ({ build, record, version }: Standing): string => {
  if (record === undefined) return String(version)
  const number = record.build === 1 ? String(version) : `${version}, build ${record.build}`
  return record.isLive
    ? `${number} (live)`
    : build === "current" || build === undefined
    ? number
    : `${number} (${build})`
}

/** In one word: what an operator wants to know first. */
const stateOf = ({ isLed, record }: Standing): string =>
  record === undefined ? "never ran" : record.status !== "running" ? record.status : isLed ? "running" : "stopped"

const ownerOf = ({ isLed, record }: Standing): string => isLed ? record?.owner ?? "" : ""

const rateOf = ({ lagEvents, rate }: Standing): string =>
  rate === undefined || lagEvents === 0 ? "" : `${count(Math.round(rate))}/s`

const etaSeconds = ({ lagEvents, rate }: Standing): number | undefined =>
  lagEvents === 0 ? 0 : rate === undefined || rate <= 0 ? undefined : lagEvents / rate

const etaOf = (standing: Standing): string => {
  const seconds = etaSeconds(standing)
  return seconds === undefined || standing.lagEvents === 0 ? "" : duration(seconds * 1000)
}

const recordToJson = ({ checkpoint, failure, leasedUntil, updatedAt, ...record }: ProjectionRecord) => ({
  build: record.build,
  slice: record.slice,
  isLive: record.isLive,
  status: record.status,
  position: checkpoint.position,
  incarnation: checkpoint.incarnation,
  events: checkpoint.count,
  digest: checkpoint.digest,
  owner: record.owner ?? null,
  epoch: record.epoch,
  leasedUntil: leasedUntil === undefined ? null : DateTime.formatIso(leasedUntil),
  parked: record.parked,
  failure: failure === undefined ? null : {
    count: failure.count,
    firstAt: DateTime.formatIso(failure.firstAt),
    lastAt: DateTime.formatIso(failure.lastAt),
    position: failure.position,
    message: failure.message
  },
  updatedAt: DateTime.formatIso(updatedAt),
  definition: record.definition
})
