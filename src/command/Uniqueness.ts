/**
 * Keys that only one stream may have, such as an e-mail address: reserved and
 * released in the very append that needs them.
 *
 * **Details**
 *
 * Each key has a stream of its own that tells who has it, and an append that
 * needs the key claims the revision of that stream. Two that want the same key
 * at the same time conflict like two that write to the same stream, on every
 * storage. The key itself is stored nowhere: the stream's name holds its SHA-256.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { StreamId } from "../event/StreamId.ts"
import { EventStore } from "../store/EventStore.ts"
import type { LoadError } from "./CommandError.ts"
import { readHolder, type Reservation } from "./internal/reservations.ts"

export type { Reservation } from "./internal/reservations.ts"

/**
 * Reserves a key for the stream of the event. A key that the stream has already
 * stays reserved; one that another stream has fails the command with `KeyTaken`.
 *
 * **Example**
 *
 * ```ts
 * const users = yield* CommandHandler.make(User, {
 *   category: "user",
 *   reservations: (event, before) => {
 *     switch (event.type) {
 *       case "UserRegistered":
 *         return [Uniqueness.reserve("email", event.data.email)]
 *       case "EmailChanged":
 *         return [Uniqueness.release("email", before.email), Uniqueness.reserve("email", event.data.email)]
 *       default:
 *         return []
 *     }
 *   }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const reserve = (scope: string, key: string): Reservation => ({ _tag: "Reserve", scope, key })

/**
 * Releases a key that the stream of the event has. One that it does not have
 * stays as it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const release = (scope: string, key: string): Reservation => ({ _tag: "Release", scope, key })

/**
 * Finds the stream that has a key.
 *
 * @category getters
 * @since 0.1.0
 */
export const ownerOf = (
  scope: string,
  key: string
): Effect.Effect<Option.Option<StreamId>, LoadError, EventStore> =>
  EventStore.use((store) => Effect.map(readHolder(store, scope, key), ({ owner }) => Option.fromUndefinedOr(owner)))
