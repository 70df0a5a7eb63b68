/**
 * Commands on streams: load, decide, append.
 *
 * @since 0.1.0
 */
export * as BoundaryDecision from "./BoundaryDecision.ts"
export * as CommandBus from "./CommandBus.ts"
export * from "./CommandError.ts"
export * as CommandHandler from "./CommandHandler.ts"
export * as Correlation from "./Correlation.ts"
export * from "./Executed.ts"
export * as Message from "./Message.ts"
export * as Middleware from "./Middleware.ts"
export * as MultiStreamDecision from "./MultiStreamDecision.ts"
export * as QueryBus from "./QueryBus.ts"
export * as Repository from "./Repository.ts"
export * as TemporalQuery from "./TemporalQuery.ts"
export * as Uniqueness from "./Uniqueness.ts"
