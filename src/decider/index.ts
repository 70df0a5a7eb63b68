/**
 * Decisions as pure functions.
 *
 * @since 0.1.0
 */
export * as Aggregate from "./Aggregate.ts"
export * as Decider from "./Decider.ts"
export * as Difference from "./Difference.ts"
export * as Identity from "./Identity.ts"
export * as Phases from "./Phases.ts"
