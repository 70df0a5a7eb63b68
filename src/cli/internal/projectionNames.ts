/**
 * Which projection is meant.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CheckpointStore, type ProjectionRecord } from "../../store/CheckpointStore.ts"
import { CliFailure, notFound, usage } from "../CliFailure.ts"
import { printable } from "../Text.ts"
import { findFollower, type ProjectionCode } from "./projectionCode.ts"
import type { ProjectionHost } from "./projectionHost.ts"

/**
 * Arguments and flags that say which projections are meant.
 *
 * @category models
 * @since 0.1.0
 */
export interface WhichInput {
  readonly names: ReadonlyArray<string>
  readonly projectionVersion: Option.Option<number>
}

/**
 * Arguments and flags that say which projections with code are meant.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyOfInput extends WhichInput {
  readonly module: ReadonlyArray<string>
  /** All of the configuration and the modules. */
  readonly all: boolean
}

/**
 * Chooses the projections and reactors that are meant, whose code is at hand.
 *
 * @category getters
 * @since 0.1.0
 */
export const chooseFollowers = Effect.fnUntraced(function*(
  { all, names, projectionVersion }: AnyOfInput,
  code: ProjectionCode,
  host: ProjectionHost
) {
  if (all === names.length > 0) {
    return yield* usage(
      all ? "--all leaves nothing to name" : "no projection is named",
      "it is either some projections by their names, or all that are at hand",
      all ? "leave out --all or the names" : "name some, or add --all; see: event-store projection list"
    )
  }
  if (!all) {
    return yield* Effect.forEach(
      [...new Set(names)],
      (name) => chooseFollower(name, Option.getOrUndefined(projectionVersion), code, host)
    )
  }
  if (code.followers.length > 0) return code.followers
  return yield* usage(
    "--all names nothing",
    "neither the configuration nor --module has a projection; the built-in ones are run by their names",
    `add --module FILE, list projections in event-store.config.ts, or name one: ${code.builtIns[0]?.name ?? ""}`
  )
})

/**
 * Chooses the projection or reactor of a name, whose code is at hand.
 *
 * @category getters
 * @since 0.1.0
 */
export const chooseFollower = Effect.fnUntraced(function*(
  name: string,
  version: number | undefined,
  code: ProjectionCode,
  host: ProjectionHost
) {
  const follower = findFollower(code, name, version)
  if (follower !== undefined) return follower
  const others = [...code.builtIns, ...code.followers].filter((each) => each.name === name)
  if (others.length > 0) {
    return yield* usage(
      "--projection-version names none that is at hand",
      `${printable(name)} is defined as version ${others.map((each) => each.version).join(", ")}`,
      "leave it out for the newest"
    )
  }
  const records = yield* host.run(host.checkpoints.list)
  const isStored = records.some((record) =>
    record.name === name && (version === undefined || record.version === version)
  )
  return yield* isStored ? withoutCode(name, version) : notKnown(name, code, records)
})

/**
 * Finds the projections that the store knows by these names: the version that is
 * asked for, or the one that is live, in its current build; its first slice.
 *
 * @category getters
 * @since 0.1.0
 */
export const recordsOf = Effect.fnUntraced(function*(
  { names, projectionVersion }: WhichInput,
  code: Pick<ProjectionCode, "followers" | "builtIns">
) {
  return yield* Effect.forEach(
    [...new Set(names)],
    (name) =>
      Effect.flatMap(
        findRecord(name, Option.getOrUndefined(projectionVersion)),
        (record) => record === undefined ? unknownProjection(name, code) : Effect.succeed(record)
      )
  )
})

/**
 * Finds what the store knows of a projection; `undefined` when it never ran.
 *
 * @category getters
 * @since 0.1.0
 */
export const findRecord = Effect.fnUntraced(function*(
  name: string,
  version: number | undefined,
  build?: number | undefined
) {
  const checkpoints = yield* CheckpointStore
  const wanted = version ?? Option.getOrUndefined(yield* checkpoints.findLive(name))
  if (wanted === undefined) return undefined
  return Option.getOrUndefined(yield* checkpoints.find({ name, version: wanted, build }))
})

/**
 * Fails with what is known instead: a name that is near, or that it never ran.
 *
 * @category errors
 * @since 0.1.0
 */
export const unknownProjection = Effect.fnUntraced(function*(
  name: string,
  code: Pick<ProjectionCode, "followers" | "builtIns">
) {
  const records = yield* CheckpointStore.use((store) => store.list)
  return yield* notKnown(name, code, records)
})

/**
 * The failure for a name that nobody knows.
 *
 * @category errors
 * @since 0.1.0
 */
export const notKnown = (
  name: string,
  { builtIns, followers }: Pick<ProjectionCode, "followers" | "builtIns">,
  records: ReadonlyArray<Pick<ProjectionRecord, "name">>
): CliFailure => {
  const atHand = [...builtIns, ...followers].some((follower) => follower.name === name)
  if (atHand || records.some((record) => record.name === name)) {
    return notFound(
      "ES-1903",
      "the projection never ran here",
      atHand
        ? `the store knows nothing of ${printable(name)} yet`
        : `the store knows other versions of ${printable(name)} only`,
      "run it: event-store projection run NAME --once; see which versions there are: event-store projection list",
      { name }
    )
  }
  const known = [...new Set([...builtIns, ...followers, ...records].map((each) => each.name))]
  const near = closest(name, known)
  return notFound(
    "ES-1901",
    "there is no such projection",
    `nobody knows ${printable(name)}${near === undefined ? "" : `; did you mean ${printable(near)}?`}`,
    "see: event-store projection list; code is given by --module FILE or event-store.config.ts",
    { name, ...(near === undefined ? undefined : { near }) }
  )
}

/**
 * What is at hand without any module.
 *
 * @category getters
 * @since 0.1.0
 */
export const builtInCode: Effect.Effect<Pick<ProjectionCode, "followers" | "builtIns">> = Effect.map(
  Effect.promise(() => import("../../projection/BuiltIn.ts")),
  ({ all }) => ({ followers: [], builtIns: all })
)

/**
 * The name that is nearest to another one, when it is near enough to be meant.
 *
 * @category getters
 * @since 0.1.0
 */
export const closest = (name: string, names: ReadonlyArray<string>): string | undefined => {
  const allowed = Math.max(2, Math.floor(name.length / 4))
  const [best] = names
    .filter((other) => Math.abs(other.length - name.length) <= allowed)
    .map((other) => ({ other, distance: distance(name.toLowerCase(), other.toLowerCase()) }))
    .filter((each) => each.distance <= allowed)
    .sort((a, b) => a.distance - b.distance)
  return best?.other
}

// internal

/** The failure for a projection that the store knows and whose code is missing. */
const withoutCode = (name: string, version: number | undefined): CliFailure =>
  new CliFailure({
    code: "ES-1902",
    exitCode: 3,
    message: "the code of the projection is not at hand",
    why: `${printable(name)}${
      version === undefined ? "" : `, version ${version},`
    } is in the store, but nothing here defines it`,
    fix: "add --module FILE, which exports it, or list it in the projections of event-store.config.ts",
    details: { name }
  })

/** How many letters must be put in, taken out or changed. */
const distance = (one: string, other: string): number => {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const change = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[other.length] ?? 0
}
