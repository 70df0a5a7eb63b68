/**
 * What the tests of commands share.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Context, Effect, Stream } from "effect"
import { CommandHandler } from "../../src/command/index.ts"
import { SnapshotStrategy } from "../../src/snapshot/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import type { SnapshotStore } from "../../src/store/SnapshotStore.ts"
import { someCategory } from "../store/fixtures.ts"
import { account } from "./account.ts"

/** Registers tests that are given the stores. */
export type CommandTests = Vitest.MethodsNonLive<EventStore | SnapshotStore>

/** A handler of accounts that nobody else has. */
export const someAccounts = Effect.suspend(() => CommandHandler.make(account, { category: someCategory() }))

/** The same with states in a cache, and a snapshot every so many events. */
export const cachedAccounts = (events = 1_000, category = someCategory()) =>
  CommandHandler.make(account, { category, snapshots: SnapshotStrategy.everyEvents(events) })

/** Runs an effect with a store that counts its reads and appends. */
export const counting = <A, E, R>(
  use: (counts: { reads: number; appends: number }) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | EventStore> =>
  Effect.flatMap(EventStore, (store) => {
    const counts = { reads: 0, appends: 0 }
    const counted = EventStore.of({
      ...store,
      append: (options) => {
        counts.appends++
        return store.append(options)
      },
      readStream: (streamId, options) =>
        Stream.suspend(() => {
          counts.reads++
          return store.readStream(streamId, options)
        })
    })
    return Effect.updateContext(use(counts), (context: Context.Context<R>) =>
      Context.add(context, EventStore, counted)) as Effect.Effect<A, E, R>
  })

/** Runs an effect with a store before whose next append something else happens. */
export const interfering = <A, E, R>(
  before: (store: EventStore["Service"], append: number) => Effect.Effect<unknown, unknown>,
  use: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | EventStore> =>
  Effect.flatMap(EventStore, (store) => {
    let appends = 0
    const disturbed = EventStore.of({
      ...store,
      append: (options) =>
        Effect.andThen(Effect.orDie(Effect.suspend(() => before(store, ++appends))), store.append(options)),
      appendAll: (options) =>
        Effect.andThen(Effect.orDie(Effect.suspend(() => before(store, ++appends))), store.appendAll(options))
    })
    return Effect.updateContext(use, (context: Context.Context<R>) =>
      Context.add(context, EventStore, disturbed)) as Effect.Effect<A, E, R>
  })

/** Asserts that an error is of this tag with these fields, whatever its cause. */
export const assertError = (error: object, expected: { readonly _tag: string } & Readonly<Record<string, unknown>>) => {
  const { cause: _, ...rest } = { ...error } as Record<string, unknown>
  assert.deepStrictEqual(rest, expected as never)
}
