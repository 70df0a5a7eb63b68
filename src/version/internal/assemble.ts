/**
 * Puts a registry together: for each version the way to the newest, ready to run.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { ProposedEvent, RecordedEvent } from "../../event/Event.ts"
import type * as EventType from "../../event/EventType.ts"
import type { Options, PassedThrough, Registry } from "../Registry.ts"
import {
  type DecodeError,
  DowncastFailed,
  DowncastMissing,
  type EncodeError,
  EventDataInvalid,
  EventUnknown,
  type LowerError,
  RegistryInvalid,
  type RegistryProblem,
  UpcastFailed,
  UpcastMissing
} from "../VersionError.ts"
import { type Codec, codecOf, type Misfit, misfitOf, type StoredCheck, storedCheckOf, threwWhat } from "./codec.ts"
import { downEdges, type Edge, findPath, problemsOf, upEdges } from "./graph.ts"
import { fingerprintOf, notJsonIn } from "./shapes.ts"
import { makeTally } from "./tally.ts"

/** Makes a registry of the caller's type, which is that of `types`. */
export const assemble = <R>(
  types: ReadonlyArray<EventType.Any>,
  options: Options
): Result.Result<R, RegistryInvalid> => {
  const problems = types.flatMap((
    type,
    index
  ) => [...duplicateProblems(types, index), ...problemsOf(type), ...notJson(type)])
  if (problems.length > 0) return Result.fail(new RegistryInvalid({ problems }))
  const entries = new Map(types.map((type) => [type.name, makeEntry(type)]))
  const refused = pinWrites(entries, options.write ?? {})
  if (refused.length > 0) return Result.fail(new RegistryInvalid({ problems: refused }))
  return Result.succeed(makeRegistry(types, entries, options) as R)
}

// internal

type AnyEvent = EventType.Proposed<EventType.TypedEvent>
type AnyRecorded = EventType.Recorded<EventType.TypedEvent>

/** One type, ready to run. */
interface Entry {
  readonly type: EventType.Any
  readonly newest: number
  readonly codec: Codec
  /** By version. */
  readonly plans: ReadonlyArray<Plan | undefined>
  readonly checks: ReadonlyMap<number, StoredCheck>
  /** Steps down to the version that is written, when it is not the newest. */
  write: ReadonlyArray<Hop>
}

/** How events of one stored version become events of the newest. */
interface Plan {
  readonly version: number
  readonly check: StoredCheck | undefined
  readonly hops: ReadonlyArray<Hop>
  readonly deprecated: EventType.Deprecation | undefined
  loads: number
}

/** One step of a way. */
interface Hop {
  readonly from: number
  readonly to: number
  readonly run: (data: unknown) => unknown
  /** Checks what the step returned; `undefined` where the codec does, or where no schema is known. */
  readonly check: StoredCheck | undefined
}

const makeRegistry = (
  types: ReadonlyArray<EventType.Any>,
  entries: ReadonlyMap<string, Entry>,
  options: Options
): Registry<EventType.TypedEvent, PassedThrough> => {
  const skipped = makeTally()
  const decode = makeDecode(entries, options, skipped.count)
  const encode = makeEncode(entries)
  return {
    types,
    fingerprint: fingerprintOf(types),
    encode,
    encodeAll: (events) => all(events, encode, (event, encoded) => encoded.push(event)),
    decode,
    decodeAll: (events) =>
      all(events, decode, (event, decoded: Array<AnyRecorded | PassedThrough>) => {
        if (event._tag === "Some") decoded.push(event.value)
      }),
    lower: makeLower(entries) as Registry<EventType.TypedEvent>["lower"],
    path: makePath(entries),
    deprecatedLoads: Effect.sync(() =>
      [...entries.values()].flatMap(({ plans, type }) =>
        plans.flatMap((plan) =>
          plan?.deprecated === undefined
            ? []
            : [{ type: type.name, version: plan.version, ...plan.deprecated, count: plan.loads }]
        )
      )
    ),
    skipped: Effect.sync(skipped.read)
  }
}

const all = <A, B, C, E>(
  events: ReadonlyArray<A>,
  convert: (event: A) => Result.Result<B, E>,
  keep: (converted: B, kept: Array<C>) => void
): Effect.Effect<ReadonlyArray<C>, E> =>
  Effect.suspend(() => {
    const kept: Array<C> = []
    for (const event of events) {
      const converted = convert(event)
      if (converted._tag === "Failure") return Effect.fail(converted.failure)
      keep(converted.success, kept)
    }
    return Effect.succeed(kept)
  })

const makeDecode = (
  entries: ReadonlyMap<string, Entry>,
  { unknownType = "fail", unknownVersion = "fail" }: Options,
  skip: (type: string, version: number) => void
): Registry<EventType.TypedEvent, PassedThrough>["decode"] => {
  const unknown = (event: RecordedEvent, entry: Entry | undefined): ReturnType<typeof decode> => {
    const { type, version } = event
    switch (entry === undefined ? unknownType : unknownVersion) {
      case "skip":
        skip(type, version)
        return NOTHING
      case "passThrough":
        return Result.succeed(Option.some<PassedThrough>({ ...event, storedVersion: version, isUnknown: true }))
      default:
        return Result.fail(new EventUnknown({ type, version, newest: entry?.newest, ...placeOf(event) }))
    }
  }
  const decode = (event: RecordedEvent): Result.Result<Option.Option<AnyRecorded | PassedThrough>, DecodeError> => {
    const entry = entries.get(event.type)
    const plan = entry?.plans[event.version]
    if (entry === undefined || plan === undefined) return unknown(event, entry)
    if (plan.deprecated !== undefined) plan.loads++
    let data: unknown = event.data
    if (plan.hops.length > 0) {
      const lifted = lift(plan, event)
      if (lifted._tag === "Failure") return Result.fail(lifted.failure)
      data = lifted.success
    }
    try {
      data = entry.codec.decode(data)
    } catch (thrown) {
      return Result.fail(refusal(plan, event, entry.newest, misfitOf(thrown)))
    }
    return Result.succeed(Option.some(toRecorded(event, entry.newest, data)))
  }
  return decode
}

const NOTHING = Result.succeed(Option.none<never>())

/** Written out: a spread of as many keys takes several times as long. */
const toRecorded = (event: RecordedEvent, newest: number, data: unknown): AnyRecorded => ({
  position: event.position,
  streamId: event.streamId,
  revision: event.revision,
  id: event.id,
  type: event.type,
  version: newest,
  storedVersion: event.version,
  data,
  metadata: event.metadata,
  tags: event.tags,
  recordedAt: event.recordedAt
})

const lift = (plan: Plan, event: RecordedEvent): Result.Result<unknown, DecodeError> => {
  const { check, hops, version } = plan
  const { type } = event
  let data: unknown = event.data
  const misfit = check === undefined ? undefined : misfitIn(check, data)
  if (misfit !== undefined) {
    return Result.fail(new EventDataInvalid({ type, version, ...misfit, ...placeOf(event) }))
  }
  for (const hop of hops) {
    const walked = walk(hop, data)
    if (walked._tag === "Failure") {
      const { from, to } = hop
      return Result.fail(new UpcastFailed({ type, version, from, to, ...walked.failure, ...placeOf(event) }))
    }
    data = walked.success
  }
  return Result.succeed(data)
}

/** Who is to blame that the newest schema refuses the data: the last step, or whoever stored it. */
const refusal = (plan: Plan, event: RecordedEvent, newest: number, misfit: Misfit): DecodeError => {
  const last = plan.hops.at(-1)
  const { type, version } = event
  return last === undefined
    ? new EventDataInvalid({ type, version: newest, ...misfit, ...placeOf(event) })
    : new UpcastFailed({ type, version, from: last.from, to: last.to, ...misfit, ...placeOf(event) })
}

const walk = (hop: Hop, data: unknown): Result.Result<unknown, Misfit> => {
  let after: unknown
  try {
    after = hop.run(data)
  } catch (thrown) {
    return Result.fail({ path: "data", reason: `it ${threwWhat(thrown)}` })
  }
  const misfit = hop.check === undefined ? undefined : misfitIn(hop.check, after)
  return misfit === undefined ? Result.succeed(after) : Result.fail(misfit)
}

const misfitIn = (check: StoredCheck, data: unknown): Misfit | undefined => {
  try {
    return check.fits(data) ? undefined : check.explain(data)
  } catch (thrown) {
    return { path: "data", reason: `the schema ${threwWhat(thrown)}` }
  }
}

const makeEncode =
  (entries: ReadonlyMap<string, Entry>) => (event: AnyEvent): Result.Result<ProposedEvent, EncodeError> => {
    const { id, metadata, tags, type } = event
    const entry = entries.get(type)
    if (entry === undefined) return Result.fail(new EventUnknown({ type, version: undefined, newest: undefined }))
    const encoded = encodeData(entry, event.data, entry.write)
    return encoded._tag === "Failure"
      ? Result.fail(encoded.failure)
      : Result.succeed({
        id,
        type,
        version: entry.write.at(-1)?.to ?? entry.newest,
        data: encoded.success,
        metadata,
        tags
      })
  }

const makeLower =
  (entries: ReadonlyMap<string, Entry>) =>
  (event: AnyEvent, version: number): Result.Result<ProposedEvent, LowerError> => {
    const { type } = event
    const entry = entries.get(type)
    if (entry === undefined) return Result.fail(new EventUnknown({ type, version, newest: undefined }))
    const hops = hopsDown(entry, version)
    if (hops === undefined) return Result.fail(new DowncastMissing({ type, from: entry.newest, to: version }))
    const lowered = encodeData(entry, event.data, hops)
    return lowered._tag === "Failure"
      ? Result.fail(lowered.failure)
      : Result.succeed({ ...event, version, data: lowered.success })
  }

/** Puts data into its stored shape, and then steps down. */
const encodeData = (
  { codec, newest, type: { name: type } }: Entry,
  data: unknown,
  hops: ReadonlyArray<Hop>
): Result.Result<unknown, EventDataInvalid | DowncastFailed> => {
  let encoded: unknown
  try {
    encoded = codec.encode(data)
  } catch (thrown) {
    return Result.fail(new EventDataInvalid({ type, version: newest, ...misfitOf(thrown) }))
  }
  for (const hop of hops) {
    const walked = walk(hop, encoded)
    if (walked._tag === "Failure") {
      return Result.fail(new DowncastFailed({ type, from: hop.from, to: hop.to, ...walked.failure }))
    }
    encoded = walked.success
  }
  return Result.succeed(encoded)
}

const makePath = (entries: ReadonlyMap<string, Entry>): Registry<EventType.TypedEvent>["path"] => (type, from, to) => {
  const entry = entries.get(type)
  if (entry === undefined) return Result.fail(new EventUnknown({ type, version: from, newest: undefined }))
  const edges = entry.plans[from] === undefined
    ? undefined
    : findPath(to < from ? downEdges(entry.type) : upEdges(entry.type), from, to)
  if (edges !== undefined) return Result.succeed([from, ...edges.map((edge) => edge.to)])
  return Result.fail(to < from ? new DowncastMissing({ type, from, to }) : new UpcastMissing({ type, from, to }))
}

const placeOf = ({ revision, streamId }: RecordedEvent): Pick<RecordedEvent, "revision" | "streamId"> => ({
  streamId,
  revision
})

const makeEntry = (type: EventType.Any): Entry => {
  const checks = new Map(
    type.history.flatMap(({ schema, version }) =>
      schema === undefined ? [] : [[version, storedCheckOf(schema)] as const]
    )
  )
  const edges = upEdges(type)
  const plans: Array<Plan | undefined> = []
  for (const { deprecated, version } of [...type.history, type]) {
    const path = findPath(edges, version, type.version) ?? []
    plans[version] = { version, check: checks.get(version), hops: toHops(path, checks), deprecated, loads: 0 }
  }
  return { type, newest: type.version, codec: codecOf(type.schema), plans, checks, write: [] }
}

const hopsDown = ({ checks, newest, type }: Entry, version: number): ReadonlyArray<Hop> | undefined => {
  const path = findPath(downEdges(type), newest, version)
  return path === undefined ? undefined : toHops(path, checks)
}

const toHops = (path: ReadonlyArray<Edge>, checks: ReadonlyMap<number, StoredCheck>): ReadonlyArray<Hop> =>
  path.map(({ from, run, to }) => ({ from, to, run: run as (data: unknown) => unknown, check: checks.get(to) }))

const pinWrites = (
  entries: ReadonlyMap<string, Entry>,
  write: { readonly [type: string]: number }
): ReadonlyArray<RegistryProblem> =>
  Object.entries(write).flatMap(([type, version]) => {
    const entry = entries.get(type)
    const hops = entry === undefined ? undefined : hopsDown(entry, version)
    if (entry === undefined || hops === undefined) {
      const detail = entry === undefined
        ? "it is to be written in an older version, but the registry does not have it"
        : `it is to be written in version ${version}, but no steps lead down from version ${entry.newest}`
      return [{ reason: "InvalidWrite" as const, type, detail }]
    }
    entry.write = hops
    return []
  })

const duplicateProblems = (types: ReadonlyArray<EventType.Any>, index: number): ReadonlyArray<RegistryProblem> => {
  const name = types[index]?.name
  return name === undefined || types.findIndex((type) => type.name === name) === index
    ? []
    : [{ reason: "DuplicateType", type: name, detail: "two types have this name" }]
}

const notJson = (type: EventType.Any): ReadonlyArray<RegistryProblem> =>
  [...type.history, type].flatMap(({ schema, version }) => {
    const found = schema === undefined ? undefined : notJsonIn(schema)
    return found === undefined
      ? []
      : [{
        reason: "NotJson" as const,
        type: type.name,
        detail: `version ${version}: ${found}, which JSON has not; wrap the schema in Schema.toCodecJson`
      }]
  })
