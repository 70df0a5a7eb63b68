/**
 * Which history a position is of.
 *
 * **Details**
 *
 * A position alone does not say which event it is: a restored store gives the same
 * positions to others. Whoever keeps a position outside of the store, a checkpoint
 * of a consumer say, keeps the incarnation with it, and asks here before it goes on.
 *
 * @since 0.1.0
 */
import type { LogHead } from "./EventStore.ts"

/**
 * A position, and the history that it is of.
 *
 * @category models
 * @since 0.1.0
 */
export interface HistoryPlace {
  readonly position: number
  /** `LogHead.incarnation` when the position was noted. */
  readonly incarnation: string
}

/**
 * How a place stands to a log.
 *
 * **Details**
 *
 * `Here`: the log has it; also when it is of the history that the log was restored from, up
 * to where the two are the same. `Ahead`: of this history, which ends before it.
 * `Gone`: of the history that the log was restored from, after where the two are the same: what
 * its holder has seen is not in this log, which has other events there, or will have.
 * `Foreign`: of a history that the log knows nothing of.
 *
 * @category models
 * @since 0.1.0
 */
export type HistoryVerdict = "Here" | "Ahead" | "Gone" | "Foreign"

/**
 * Says whether a log has a place that somebody kept outside of it. Going on there
 * skips nothing and repeats nothing when it is `Here`.
 *
 * **Gotchas**
 *
 * A log knows the history that it was restored from, not the one before that: places of
 * that are `Foreign`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const judgePlace = ({ incarnation, position }: HistoryPlace, head: LogHead): HistoryVerdict => {
  if (position === 0) return "Here"
  if (incarnation === head.incarnation) return position <= head.position ? "Here" : "Ahead"
  if (incarnation !== head.parent?.incarnation) return "Foreign"
  return position <= head.parent.position ? "Here" : "Gone"
}

/**
 * Says in which history the event of a position was recorded: that of the log, or
 * the one that it was restored from.
 *
 * @category getters
 * @since 0.1.0
 */
export const historyOf = (
  position: number,
  { incarnation, parent }: Pick<LogHead, "incarnation" | "parent">
): string => parent !== undefined && position <= parent.position ? parent.incarnation : incarnation
