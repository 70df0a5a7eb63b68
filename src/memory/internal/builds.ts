import * as DateTime from "effect/DateTime"
import { PROJECTION_BUILD_MAX } from "../../event/Limits.ts"
import {
  type BuildKey,
  BuildMissing,
  type BuildRemoval,
  BuildsExhausted,
  type MakeLive,
  type ProjectionBuild,
  type ProjectionKey,
  type ProjectionVersion
} from "../../store/CheckpointStore.ts"
import { compareNames } from "./streams.ts"

/** The builds of all projections. Every change is one synchronous step. */
export interface Builds {
  /** The build that a key means; `undefined` when there is none. */
  readonly resolve: (key: ProjectionKey) => BuildKey | undefined
  /** The same, and the current build is registered when it is not known. */
  readonly resolveOrRegister: (key: ProjectionKey, nowMillis: number) => BuildKey | BuildMissing
  readonly isLive: (key: BuildKey) => boolean
  readonly findLive: (name: string) => number | undefined
  readonly add: (version: ProjectionVersion, nowMillis: number) => ProjectionBuild | BuildsExhausted
  readonly list: (name: string | undefined, nowMillis: number) => ReadonlyArray<ProjectionBuild>
  /** Epoch after which the leases of a build begin, so that those of one that was removed are older. */
  readonly firstEpoch: (key: BuildKey) => number
  /** What forbids the removal, or undefined when the build is gone now; `epoch` is that of its newest lease. */
  readonly remove: (key: BuildKey, isLeased: boolean, epoch: number) => Exclude<BuildRemoval, "removed"> | undefined
  /** The builds whose places a build takes when it becomes live. */
  readonly replacedBy: (key: BuildKey) => ReadonlyArray<BuildKey>
  readonly makeLive: (key: BuildKey, live: MakeLive, nowMillis: number) => void
  /** Keeps a build of which there is none yet. */
  readonly restore: (build: Omit<ProjectionBuild, "isExpired">) => void
}

/** No builds yet. */
export const makeBuilds = (): Builds => {
  const byName = new Map<string, Array<Build>>()
  const epochs = new Map<string, number>()
  const of = (name: string) => byName.get(name) ?? []
  const find = ({ build, name, version }: BuildKey) =>
    of(name).find((known) => known.version === version && known.build === build)
  const current = ({ name, version }: ProjectionVersion) =>
    of(name).find((known) => known.version === version && known.status === "current")
  const register = (version: ProjectionVersion, status: "building" | "current", nowMillis: number) => {
    const others = of(version.name)
    const made = newBuild(others, version, status, nowMillis)
    if (!(made instanceof BuildsExhausted)) byName.set(version.name, [...others, made])
    return made
  }
  const replacedBy = (key: BuildKey) =>
    of(key.name).filter((known) =>
      (known.version !== key.version || known.build !== key.build) &&
      (known.isLive || (known.status === "current" && known.version === key.version))
    )
  return {
    resolve: (key) => key.build === undefined ? current(key) : find({ ...key, build: key.build }),
    resolveOrRegister: (key, nowMillis) => {
      const { build, name, version } = key
      if (build === undefined) {
        const made = current(key) ?? register(key, "current", nowMillis)
        return made instanceof BuildsExhausted ? new BuildMissing({ name, version, build: PROJECTION_BUILD_MAX }) : made
      }
      return find({ name, version, build }) ?? new BuildMissing({ name, version, build })
    },
    isLive: (key) => find(key)?.isLive === true,
    findLive: (name) => of(name).find(({ isLive }) => isLive)?.version,
    add: (version, nowMillis) => {
      const made = register(version, "building", nowMillis)
      return made instanceof BuildsExhausted ? made : describe(made, nowMillis)
    },
    list: (name, nowMillis) =>
      [...name === undefined ? [...byName.values()].flat() : of(name)]
        .sort((a, b) => compareNames(a.name, b.name) || a.version - b.version || a.build - b.build)
        .map((build) => describe(build, nowMillis)),
    firstEpoch: ({ build, name, version }) => epochs.get(`${version} ${build} ${name}`) ?? 0,
    remove: (key, isLeased, epoch) => {
      const { build, name, version } = key
      const found = find(key)
      if (found === undefined) return "missing"
      if (found.isLive) return "live"
      if (found.status === "current" && found.retiredAt === undefined) return "current"
      if (isLeased) return "leased"
      epochs.set(`${version} ${build} ${name}`, epoch)
      byName.set(key.name, of(key.name).filter((known) => known !== found))
      return undefined
    },
    replacedBy,
    restore: (build) => void byName.set(build.name, [...of(build.name), { ...build }]),
    makeLive: (key, { keepMillis }, nowMillis) => {
      for (const build of replacedBy(key)) retire(build, key, keepMillis, nowMillis)
      const made = find(key)
      if (made !== undefined) {
        Object.assign(made, { status: "current", isLive: true, retiredAt: undefined, keepUntil: undefined })
      }
    }
  }
}

// internal

type Build = { -readonly [Name in keyof Omit<ProjectionBuild, "isExpired">]: ProjectionBuild[Name] }

/** A build with the lowest number that is free; live when it may be and nothing else is. */
const newBuild = (
  others: ReadonlyArray<Build>,
  { name, version }: ProjectionVersion,
  status: "building" | "current",
  nowMillis: number
): Build | BuildsExhausted => {
  const used = new Set(others.filter((known) => known.version === version).map(({ build }) => build))
  let build = 1
  while (used.has(build)) build++
  return build > PROJECTION_BUILD_MAX ? new BuildsExhausted({ name, version }) : {
    name,
    version,
    build,
    status,
    isLive: status === "current" && !others.some(({ isLive }) => isLive),
    createdAt: DateTime.makeUnsafe(nowMillis),
    retiredAt: undefined,
    keepUntil: undefined,
    tables: []
  }
}

/** Takes a build from its place, which one of this version gets. */
const retire = (build: Build, { version }: ProjectionVersion, keepMillis: number, nowMillis: number): void => {
  build.isLive = false
  build.retiredAt = DateTime.makeUnsafe(nowMillis)
  build.keepUntil = DateTime.makeUnsafe(nowMillis + keepMillis)
  if (build.version === version) build.status = "kept"
}

const describe = (build: Build, nowMillis: number): ProjectionBuild => ({
  ...build,
  isExpired: build.keepUntil !== undefined && build.keepUntil.epochMilliseconds <= nowMillis
})
