/**
 * The graph that the steps of one event type make, and the ways through it.
 */
import type * as EventType from "../../event/EventType.ts"
import { VERSION_MAX } from "../../event/Limits.ts"
import { nameFault } from "../../event/Name.ts"
import type { RegistryProblem } from "../VersionError.ts"

/** A step as an edge, in the direction in which it is walked. */
export interface Edge {
  readonly from: number
  readonly to: number
  readonly run: (data: never) => unknown
}

/** Says everything that is wrong in the history of one type, in the order of its versions. */
export const problemsOf = (type: EventType.Any): ReadonlyArray<RegistryProblem> => {
  const name = nameFault(type.name)
  const problems: Array<RegistryProblem> = name === undefined ? [] : [problem(type, "InvalidName", name)]
  const versions = [...type.history.map(({ version }) => version), type.version]
  problems.push(...versionProblems(type, versions), ...deprecationProblems(type))
  if (problems.length > 0) return problems
  problems.push(...stepProblems(type, new Set(versions)))
  const circle = findCycle(type.steps)
  if (circle !== undefined) {
    problems.push(problem(type, "Cycle", `the steps ${circle.join(" -> ")} lead in a circle`))
  }
  const edges = upEdges(type)
  for (let version = 1; version < type.version; version++) {
    if (findPath(edges, version, type.version) === undefined) problems.push(problem(type, "Gap", gap(type, version)))
  }
  return problems
}

/** The steps, upwards. */
export const upEdges = (type: EventType.Any): ReadonlyArray<Edge> =>
  type.steps.map(({ from, step, to }) => ({ from, to, run: step.up }))

/** The steps that can be walked downwards. */
export const downEdges = (type: EventType.Any): ReadonlyArray<Edge> =>
  type.steps.flatMap(({ from, step, to }) => step.down === undefined ? [] : [{ from: to, to: from, run: step.down }])

/**
 * Finds the shortest way, as its edges. Of several ways of the same length, it
 * is the one that goes to the lowest version first.
 */
export const findPath = (edges: ReadonlyArray<Edge>, from: number, to: number): ReadonlyArray<Edge> | undefined => {
  const distances = distancesTo(edges, to)
  const path: Array<Edge> = []
  for (let at = from; at !== to;) {
    const left = distances.get(at)
    if (left === undefined) return undefined
    const next = edges
      .filter((edge) => edge.from === at && distances.get(edge.to) === left - 1)
      .reduce<Edge | undefined>((best, edge) => best === undefined || edge.to < best.to ? edge : best, undefined)
    if (next === undefined) return undefined
    path.push(next)
    at = next.to
  }
  return path
}

// internal

const problem = (type: EventType.Any, reason: RegistryProblem["reason"], detail: string): RegistryProblem => ({
  reason,
  type: type.name,
  detail
})

const versionProblems = (type: EventType.Any, versions: ReadonlyArray<number>): ReadonlyArray<RegistryProblem> => {
  const problems: Array<RegistryProblem> = []
  const seen = new Set<number>()
  for (const version of versions) {
    if (!Number.isInteger(version) || version < 1 || version > VERSION_MAX) {
      problems.push(problem(type, "InvalidVersion", `${version} is not a whole number from 1 to ${VERSION_MAX}`))
    } else if (version > type.version) {
      problems.push(problem(type, "InvalidVersion", `version ${version} is newer than the newest, ${type.version}`))
    } else if (seen.has(version)) {
      problems.push(problem(type, "DuplicateVersion", `version ${version} is described twice`))
    }
    seen.add(version)
  }
  if (problems.length > 0) return problems
  for (let version = 1; version < type.version; version++) {
    if (!seen.has(version)) problems.push(problem(type, "Gap", `version ${version} is not described`))
  }
  return problems
}

const deprecationProblems = (type: EventType.Any): ReadonlyArray<RegistryProblem> =>
  [...type.history, type].flatMap(({ deprecated, version }) =>
    deprecated === undefined || isDay(deprecated.since)
      ? []
      : [problem(type, "InvalidDeprecation", `version ${version} is deprecated since a day that is no YYYY-MM-DD`)]
  )

const isDay = (text: string): boolean => /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/.test(text)

const stepProblems = (type: EventType.Any, versions: ReadonlySet<number>): ReadonlyArray<RegistryProblem> => {
  const problems: Array<RegistryProblem> = []
  const seen = new Set<string>()
  for (const { from, to } of type.steps) {
    const path = `${from} -> ${to}`
    const unknown = [from, to].find((version) => !versions.has(version))
    if (unknown !== undefined) {
      problems.push(problem(type, "Unreachable", `the step ${path} needs version ${unknown}, which does not exist`))
    } else if (from >= to) {
      problems.push(problem(type, "Backward", `the step ${path} does not lead to a newer version`))
    }
    if (seen.has(path)) problems.push(problem(type, "DuplicateStep", `there are two steps ${path}`))
    seen.add(path)
  }
  return problems
}

/** How far one gets from a version, and what lies ahead: `1 -> 2 -x- 4`. */
const gap = (type: EventType.Any, version: number): string => {
  const edges = upEdges(type)
  let reached = version
  for (const { from, to } of edges.toSorted((a, b) => a.from - b.from)) {
    if (to > reached && findPath(edges, version, from) !== undefined) reached = to
  }
  const walked = (findPath(edges, version, reached) ?? []).map(({ to }) => to)
  return `version ${version} has no way to version ${type.version}: ${
    [version, ...walked].join(" -> ")
  } -x- ${type.version}`
}

const distancesTo = (edges: ReadonlyArray<Edge>, target: number): ReadonlyMap<number, number> => {
  const distances = new Map([[target, 0]])
  const queue = [target]
  for (let index = 0; index < queue.length; index++) {
    const to = queue[index]
    if (to === undefined) break
    const distance = (distances.get(to) ?? 0) + 1
    for (const edge of edges) {
      if (edge.to !== to || distances.has(edge.from)) continue
      distances.set(edge.from, distance)
      queue.push(edge.from)
    }
  }
  return distances
}

/** The lowest version on a circle, and the shortest way from it back to itself. */
const findCycle = (steps: ReadonlyArray<EventType.HistoryStep>): ReadonlyArray<number> | undefined => {
  const edges = steps.map(({ from, to }): Edge => ({ from, to, run: (data: never) => data }))
  for (const start of [...new Set(edges.map(({ from }) => from))].toSorted((a, b) => a - b)) {
    const ways = edges
      .filter(({ from }) => from === start)
      .flatMap(({ to }) => {
        const back = findPath(edges, to, start)
        return back === undefined ? [] : [[start, to, ...back.map((edge) => edge.to)]]
      })
      .toSorted((a, b) => a.length - b.length || (a[1] ?? 0) - (b[1] ?? 0))
    if (ways[0] !== undefined) return ways[0]
  }
  return undefined
}
