/**
 * Which backups are kept: a pure function of a policy and of what there is.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { InvalidInput } from "../event/InvalidInput.ts"
import type { BackupManifest } from "./BackupManifest.ts"
import { inOrder } from "./internal/order.ts"

/**
 * Which backups to keep. A backup is kept when one of the rules says so, or when
 * one that is kept goes on from it.
 *
 * **Details**
 *
 * A rule counts the newest backup of each of the last so many days, weeks, months or years in
 * which there is one: a week without backups uses up none of it. Weeks begin on
 * Monday. A backup is of the day on which it was begun. Which one is newer is told by
 * how far two backups of one history reach, so a wrong clock takes away none that is
 * needed.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetentionPolicy {
  /** The newest so many backups. */
  readonly keepLast?: number | undefined
  readonly daily?: number | undefined
  readonly weekly?: number | undefined
  readonly monthly?: number | undefined
  readonly yearly?: number | undefined
  /** In which days begin, `Europe/Berlin` say; `UTC` when absent. */
  readonly timeZone?: string | undefined
}

/**
 * Why a backup is kept; `archive`: a store reads its archived months from it.
 *
 * @category models
 * @since 0.1.0
 */
export type RetentionReason = "last" | "daily" | "weekly" | "monthly" | "yearly" | "parent" | "archive"

/**
 * What becomes of each backup.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetentionPlan {
  /** The newest first. */
  readonly keep: ReadonlyArray<{ readonly id: string; readonly because: ReadonlyArray<RetentionReason> }>
  /** In an order in which no backup goes before one that goes on from it. */
  readonly remove: ReadonlyArray<string>
  /**
   * Backups that nobody can restore, because one that they go on from is not
   * there. No rule counts them and none removes them: that is for people to decide.
   */
  readonly orphaned: ReadonlyArray<string>
}

/**
 * Plans which backups to keep and which to remove; those from which a store
 * reads its archived months are kept whatever the policy says. Fails when the
 * policy would keep none at all, or is no policy.
 *
 * @category constructors
 * @since 0.1.0
 */
export const plan = (
  policy: RetentionPolicy,
  backups: ReadonlyArray<Pick<BackupManifest, "id" | "incarnation" | "parent" | "startedAt" | "until">>,
  archived: ReadonlyArray<string> = []
): Result.Result<RetentionPlan, InvalidInput> => {
  const zone = DateTime.zoneMakeNamed(policy.timeZone ?? "UTC")
  if (Option.isNone(zone)) return invalid("timeZone", "expected the name of a time zone, as Europe/Berlin")
  for (const rule of RULES) {
    const count = policy[rule]
    if (count !== undefined && (!Number.isSafeInteger(count) || count < 0)) {
      return invalid(rule, "expected a whole number from 0")
    }
  }
  if (RULES.every((rule) => (policy[rule] ?? 0) === 0)) return invalid("keepLast", "the policy would keep no backup")

  const chains = readChains(backups)
  const newestFirst = inOrder(backups.filter(({ id }) => chains.has(id))).toReversed()

  const reasons = new Map<string, Set<RetentionReason>>()
  const keep = (id: string, reason: RetentionReason): void => {
    const found = reasons.get(id)
    if (found === undefined) reasons.set(id, new Set([reason]))
    else found.add(reason)
  }
  for (const { id } of newestFirst.slice(0, policy.keepLast ?? 0)) keep(id, "last")
  for (const period of PERIODS) {
    const seen = new Set<string>()
    for (const { id, startedAt } of newestFirst) {
      const name = nameOf[period](DateTime.toParts(DateTime.setZone(startedAt, zone.value)))
      if (seen.has(name)) continue
      if (seen.size >= (policy[period] ?? 0)) break
      seen.add(name)
      keep(id, period)
    }
  }
  for (const id of archived) if (chains.has(id)) keep(id, "archive")
  // parents that are added on the way have their own parents in the lines already
  for (const id of reasons.keys()) for (const parent of chains.get(id) ?? []) keep(parent, "parent")

  return Result.succeed({
    keep: newestFirst.flatMap(({ id }) => {
      const because = reasons.get(id)
      return because === undefined ? [] : [{ id, because: [...because] }]
    }),
    remove: newestFirst.map(({ id }) => id).filter((id) => !reasons.has(id)).sort(byChain(chains)),
    orphaned: backups.map(({ id }) => id).filter((id) => !chains.has(id))
  })
}

// internal

const PERIODS = ["daily", "weekly", "monthly", "yearly"] as const
const RULES = ["keepLast", ...PERIODS] as const

type Parts = ReturnType<typeof DateTime.toParts>

const nameOf: Readonly<Record<(typeof PERIODS)[number], (parts: Parts) => string>> = {
  daily: ({ day, month, year }) => `${year}-${month}-${day}`,
  weekly: (parts) => String(mondayOf(parts)),
  monthly: ({ month, year }) => `${year}-${month}`,
  yearly: ({ year }) => `${year}`
}

/** Number of the week: of its Monday among the weeks since 1970, which began on a Thursday. */
const mondayOf = ({ day, month, year }: Parts): number =>
  Math.floor((DateTime.makeUnsafe({ year, month, day }).epochMilliseconds / 86_400_000 + 3) / 7)

const invalid = (path: string, detail: string) =>
  Result.fail(new InvalidInput({ reason: "InvalidLimit", path, detail }))

/** The backups that each goes on from, the nearest first; nothing for one whose chain is not whole. */
const readChains = (
  backups: ReadonlyArray<Pick<BackupManifest, "id" | "parent">>
): ReadonlyMap<string, ReadonlyArray<string>> => {
  const byId = new Map(backups.map((backup) => [backup.id, backup]))
  const chains = new Map<string, ReadonlyArray<string>>()
  for (const { id, parent } of backups) {
    const line: Array<string> = []
    let next = parent?.id
    while (next !== undefined && byId.has(next) && next !== id && !line.includes(next)) {
      line.push(next)
      next = byId.get(next)?.parent?.id
    }
    if (next === undefined) chains.set(id, line)
  }
  return chains
}

/** Chain by chain, and in each the last one first. */
const byChain = (chains: ReadonlyMap<string, ReadonlyArray<string>>) => (a: string, b: string): number => {
  const lineA = chains.get(a) ?? []
  const lineB = chains.get(b) ?? []
  const rootA = lineA.at(-1) ?? a
  const rootB = lineB.at(-1) ?? b
  return rootA === rootB ? lineB.length - lineA.length || (a < b ? -1 : 1) : rootA < rootB ? -1 : 1
}
