/**
 * Read models that saw every event once.
 *
 * @since 0.1.0
 */
export * as BuiltIn from "./BuiltIn.ts"
export * as ChangeFeed from "./ChangeFeed.ts"
export * as EventReplay from "./EventReplay.ts"
export * as InlineProjections from "./InlineProjections.ts"
export * as MaterializedView from "./MaterializedView.ts"
export * as Projection from "./Projection.ts"
export * as ProjectionControl from "./ProjectionControl.ts"
export * as ProjectionDiff from "./ProjectionDiff.ts"
export * as ProjectionError from "./ProjectionError.ts"
export * as ProjectionQuery from "./ProjectionQuery.ts"
export * as ProjectionRebuild from "./ProjectionRebuild.ts"
export * as ProjectionRehearsal from "./ProjectionRehearsal.ts"
export * as ProjectionRunner from "./ProjectionRunner.ts"
export * as ProjectionState from "./ProjectionState.ts"
export * as QueryError from "./QueryError.ts"
export * as Reactor from "./Reactor.ts"
export * as ReadToken from "./ReadToken.ts"
