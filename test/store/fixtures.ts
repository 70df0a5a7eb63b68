/**
 * What the tests of the contract share: unique names, proposed events, and
 * assertions on whole values.
 */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { ProposedEvent, RecordedEvent } from "../../src/event/Event.ts"
import type { ExpectedRevision } from "../../src/event/Revision.ts"
import {
  type AppendOptions,
  EventStore,
  type ReadAllOptions,
  type ReadStreamOptions
} from "../../src/store/EventStore.ts"
import type { Random } from "../checker/random.ts"

/** Registers tests that are given the store. */
export type StoreTests = Vitest.MethodsNonLive<EventStore>

/** A number of the given length, of letters only, that nobody else has. */
export const unique = (): string => crypto.randomUUID().replaceAll("-", "")

/** The name of a stream that nobody else writes to. */
export const someStream = (category = "thing"): string => `${category}-${crypto.randomUUID()}`

/** A category that nobody else uses. */
export const someCategory = (): string => `c${unique()}`

/** A tag or a type that nobody else uses. */
export const someName = (prefix = "name"): string => `${prefix}:${unique()}`

/** An event with an id of its own. */
export const proposed = (type = "Happened", rest: Partial<ProposedEvent> = {}): ProposedEvent => ({
  id: crypto.randomUUID(),
  type,
  data: { of: type },
  ...rest
})

/** As many events, numbered in their data. */
export const proposedMany = (
  count: number,
  make: (index: number) => Partial<ProposedEvent> = () => ({})
): ReadonlyArray<ProposedEvent> =>
  Array.from({ length: count }, (_, index) => proposed("Happened", { data: { index }, ...make(index) }))

/** Numbers 0 to `count` - 1. */
export const indexes = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index)

export const append = (
  streamId: string,
  expected: ExpectedRevision,
  events: ReadonlyArray<ProposedEvent>,
  condition?: AppendOptions["condition"]
) => EventStore.use((store) => store.append({ streamId, expected, events, condition }))

export const readStream = (streamId: string, options?: ReadStreamOptions) =>
  EventStore.use((store) => Stream.runCollect(store.readStream(streamId, options)))

export const readAll = (options?: ReadAllOptions) =>
  EventStore.use((store) => Stream.runCollect(store.readAll(options)))

/** Position of the last event. */
export const head = EventStore.use((store) => Effect.map(store.head, (head) => head.position))

export const idsOf = (events: ReadonlyArray<{ readonly id?: string | undefined }>): ReadonlyArray<string | undefined> =>
  events.map((event) => event.id)

export const positionsOf = (events: ReadonlyArray<RecordedEvent>): ReadonlyArray<number> =>
  events.map((event) => event.position)

export const revisionsOf = (events: ReadonlyArray<RecordedEvent>): ReadonlyArray<number> =>
  events.map((event) => event.revision)

/** The event without what the store added to it. */
export const proposedOf = ({ data, id, metadata, tags, type, version }: RecordedEvent) => ({
  id,
  type,
  version,
  data,
  metadata,
  tags
})

/** Asserts that the effect fails with an error of this tag and these fields. */
export const assertFailure = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  expected: { readonly _tag: string } & Readonly<Record<string, unknown>>
) => Effect.map(Effect.flip(effect), (error) => assert.deepStrictEqual({ ...error } as unknown, expected))

/** Asserts that the effect is refused as invalid, for this reason and at this path. */
export const assertInvalid = <A, E, R>(effect: Effect.Effect<A, E, R>, reason: string, path?: string) =>
  Effect.map(Effect.flip(effect), (error) => {
    const fields = { ...error } as Readonly<Record<string, unknown>>
    assert.strictEqual(fields["_tag"], "InvalidInput")
    assert.strictEqual(fields["reason"], reason)
    if (path !== undefined) assert.strictEqual(fields["path"], path)
  })

/** Runs the effect and asserts that the log is as long after it as before. */
export const writingNothing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const before = yield* head
    const result = yield* effect
    assert.strictEqual(yield* head, before)
    return result
  })

/** Some elements of the list, each taken or not. */
export const someOf = <A>(random: Random, list: ReadonlyArray<A>, chance = 0.5): ReadonlyArray<A> =>
  list.filter(() => random.chance(chance))

/** One element of a list that has some. */
export const oneOf = <A>(random: Random, list: ReadonlyArray<A>): A => random.pick(list) as A
