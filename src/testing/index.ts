/**
 * Scenarios for tests: given, when, then. Needs no test framework.
 *
 * @since 0.1.0
 */
export * from "./AssertionFailed.ts"
export * as DeciderSpec from "./DeciderSpec.ts"
export * as EventTypeSpec from "./EventTypeSpec.ts"
export * as ProjectionSpec from "./ProjectionSpec.ts"
export * as StoreSpec from "./StoreSpec.ts"
