/**
 * Read models that saw every event once.
 *
 * @since 0.1.0
 */
export * as Projection from "./Projection.ts"
export * as ProjectionControl from "./ProjectionControl.ts"
export * as ProjectionError from "./ProjectionError.ts"
export * as ProjectionRunner from "./ProjectionRunner.ts"
export * as ProjectionState from "./ProjectionState.ts"
