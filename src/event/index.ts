/**
 * Events, streams and places: pure data, no services.
 *
 * @since 0.1.0
 */
export * from "./EncodedEvent.ts"
export * from "./Event.ts"
export * from "./EventQuery.ts"
export * as EventType from "./EventType.ts"
export type { Proposed, Recorded, TypedEvent } from "./EventType.ts"
export * from "./InvalidInput.ts"
export * from "./Limits.ts"
export * from "./Name.ts"
export * from "./Revision.ts"
export * from "./SchemaFault.ts"
export * from "./StreamId.ts"
