/**
 * From one store to another, and from old shapes to new ones.
 *
 * @since 0.1.0
 */
export * as AppendPipeline from "./AppendPipeline.ts"
export * from "./CopyError.ts"
export * as StoreCopy from "./StoreCopy.ts"
