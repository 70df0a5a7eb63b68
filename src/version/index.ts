/**
 * Events through time: every shape that was ever stored can be read, for ever.
 *
 * @since 0.1.0
 */
export * as GeneratedEvents from "./GeneratedEvents.ts"
export * as SchemaLock from "./SchemaLock.ts"
export * as Step from "./Step.ts"
export * from "./VersionError.ts"
export * as VersionRegistry from "./VersionRegistry.ts"
