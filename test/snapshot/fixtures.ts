/**
 * What the tests of snapshots share: a state with more in it than JSON has, a
 * store of snapshots that fails on request, and loads as a command does them.
 */
import { Effect, Layer, Logger, Option, Schema, type Scope, Stream } from "effect"
import type { RecordedEvent } from "../../src/event/Event.ts"
import { Revision } from "../../src/event/Revision.ts"
import { StreamId } from "../../src/event/StreamId.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import * as MemorySnapshotStore from "../../src/memory/MemorySnapshotStore.ts"
import * as Snapshots from "../../src/snapshot/Snapshots.ts"
import * as SnapshotStrategy from "../../src/snapshot/SnapshotStrategy.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { StorageError, Unavailable } from "../../src/store/EventStoreError.ts"
import { SnapshotStore, type StoredSnapshot } from "../../src/store/SnapshotStore.ts"
import { waitFor } from "../support/waitFor.ts"

/** What became of the events of a stream: the count, the sum, and the amounts by kind. */
export const Tally = Schema.Struct({
  count: Schema.Int,
  sum: Schema.BigInt,
  by: Schema.ReadonlyMap(Schema.String, Schema.Number),
  last: Schema.Option(Schema.String)
})

export type Tally = typeof Tally.Type

export const initial: Tally = { count: 0, sum: 0n, by: new Map(), last: Option.none() }

/** Depends on the order of the events and on each of them. */
const evolve = (state: Tally, event: RecordedEvent): Tally => {
  const { amount, kind } = event.data as { readonly amount: number; readonly kind: string }
  return {
    count: state.count + 1,
    sum: state.sum * 31n % 1_000_000_007n + BigInt(amount),
    by: new Map(state.by).set(kind, (state.by.get(kind) ?? 0) + amount),
    last: Option.some(kind)
  }
}

/** What every test's snapshots are made with, if nothing else is said. */
export const OPTIONS: Snapshots.SnapshotsOptions<Tally> = {
  kind: "tally",
  schema: Tally,
  version: 1,
  fingerprint: "types-1",
  strategy: SnapshotStrategy.everyEvents(1)
}

export const makeSnapshots = (options: Partial<Snapshots.SnapshotsOptions<Tally>> = {}) =>
  Snapshots.make({ ...OPTIONS, ...options })

/** What goes wrong in the store of snapshots, until it is set to something else. */
export interface Faults {
  load: "none" | "fail" | "die" | "hang"
  save: "none" | "failBefore" | "failAfter" | "hang"
  /** Saves that were asked for. */
  saves: number
  /** Prunes that were asked for. */
  prunes: number
  /** Changes what is loaded. */
  edit: (snapshot: StoredSnapshot) => StoredSnapshot
}

export const makeFaults = (): Faults => ({
  load: "none",
  save: "none",
  saves: 0,
  prunes: 0,
  edit: (snapshot) => snapshot
})

const down = new StorageError({ operation: "test", reason: new Unavailable({ detail: "down" }) })

/** Puts the faults between the snapshots and their store. */
const withFaults = (faults: Faults, store: SnapshotStore["Service"]): SnapshotStore["Service"] => ({
  ...store,
  load: (options) =>
    Effect.suspend(() => {
      switch (faults.load) {
        case "none":
          return Effect.map(store.load(options), Option.map(faults.edit))
        case "fail":
          return Effect.fail(down)
        case "die":
          return Effect.die("a driver's fault")
        case "hang":
          return Effect.never
      }
    }),
  save: (snapshot) =>
    Effect.suspend(() => {
      faults.saves++
      switch (faults.save) {
        case "none":
          return store.save(snapshot)
        case "failBefore":
          return Effect.fail(down)
        case "failAfter":
          return Effect.andThen(store.save(snapshot), Effect.fail(down))
        case "hang":
          return Effect.never
      }
    }),
  prune: (options) =>
    Effect.suspend(() => {
      faults.prunes++
      return store.prune(options)
    })
})

/** A log in memory, the store of its snapshots, and what goes wrong there. */
export const layerMemory = (faults: Faults): Layer.Layer<EventStore | SnapshotStore> =>
  Layer.effect(SnapshotStore, Effect.map(SnapshotStore, (store) => withFaults(faults, store))).pipe(
    Layer.provide(MemorySnapshotStore.layer),
    Layer.provideMerge(MemoryEventStore.layer)
  )

export const streamId = StreamId.make("tally-1")

/** Appends events with these amounts. */
export const appendAmounts = (amounts: ReadonlyArray<number>, to: string = streamId) =>
  EventStore.use((log) =>
    log.append({
      streamId: to,
      expected: "any",
      events: amounts.map((amount) => ({ type: "Counted", data: { amount, kind: `k${amount % 5}` } }))
    })
  )

/** Every event that can be read, folded. */
export const foldAll = (of: string = streamId) =>
  Effect.gen(function*() {
    const log = yield* EventStore
    return yield* Stream.runFold(log.readStream(of), () => initial, evolve)
  })

/** Loads as a command does, and reports: the snapshot, and the events after it. */
export const loadAndReport = (
  snapshots: Snapshots.Snapshots<Tally>,
  options: { readonly of?: StreamId; readonly loadMillis?: number; readonly appended?: number } = {}
) =>
  Effect.gen(function*() {
    const { appended = 0, loadMillis = 1, of = streamId } = options
    const log = yield* EventStore
    const found = Option.getOrUndefined(yield* snapshots.load(of))
    const events = yield* Stream.runCollect(log.readStream(of, { from: found === undefined ? 0 : found.revision + 1 }))
    const state = events.reduce(evolve, found?.state ?? initial)
    const revision = events.at(-1)?.revision ?? found?.revision
    if (revision !== undefined) {
      yield* snapshots.report({
        streamId: of,
        state,
        revision,
        snapshotRevision: found?.revision ?? -1,
        firstRevision: found?.firstRevision ?? events[0]?.revision,
        eventsReplayed: events.length,
        loadMillis,
        appended
      })
    }
    return { state, snapshotRevision: found?.revision, eventsReplayed: events.length }
  })

/** Waits until nothing is left to be saved. */
export const idle = (snapshots: Snapshots.Snapshots<Tally>) =>
  waitFor(snapshots.statistics, (statistics) => statistics.isIdle)

/** Revisions of the snapshots in the store, with their fingerprints. */
export const storedSnapshots = Effect.flatMap(
  SnapshotStore,
  (store) => Effect.map(store.list(), (page) => page.snapshots)
)

export const storedRevisions = Effect.map(
  storedSnapshots,
  (snapshots) => snapshots.map(({ revision }) => revision as number)
)

export const revision = (value: number): Revision => Revision.make(value)

/** Runs a test against a log in memory whose store of snapshots fails on request. */
export const withStore = <A, E>(
  test: (faults: Faults) => Effect.Effect<A, E, EventStore | SnapshotStore | Scope.Scope>
) => {
  const faults = makeFaults()
  return Effect.provide(Effect.scoped(test(faults)), layerMemory(faults))
}

/** Runs the effect and gives the messages that it logged. */
export const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const messages: Array<string> = []
    const logger = Logger.make(({ message }) => void messages.push(String(message)))
    return Effect.map(Effect.provide(effect, Logger.layer([logger])), () => messages)
  })

/** A codec of the user's own, here JSON in disguise. */
export const binary = (name: string) => ({
  name,
  encode: (state: Tally): Uint8Array =>
    new TextEncoder().encode(JSON.stringify(Schema.encodeSync(Schema.toCodecJson(Tally))(state))),
  decode: (bytes: Uint8Array): Tally =>
    Schema.decodeUnknownSync(Schema.toCodecJson(Tally))(JSON.parse(new TextDecoder().decode(bytes)))
})
