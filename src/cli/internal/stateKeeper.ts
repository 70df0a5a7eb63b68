/**
 * The states of a decider's streams, as a command handler keeps them.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { isDeepStrictEqual } from "node:util"
import type { RecordedEvent } from "../../event/Event.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import { EventStore } from "../../store/EventStore.ts"
import type { StorageError, StreamTombstoned } from "../../store/EventStoreError.ts"
import type { StoredSnapshot } from "../../store/SnapshotStore.ts"
import { CliFailure, usage } from "../CliFailure.ts"
import type { AnyDecider, EventModule } from "../EventModule.ts"

/**
 * Represents a stream whose state cannot be had or kept; others can.
 *
 * @category errors
 * @since 0.1.0
 */
export class StateFailed
  extends Schema.TaggedError<StateFailed>("effect-event-store/cli/internal/stateKeeper/StateFailed")(
    "StateFailed",
    { reason: Schema.String }
  )
{
  override get message(): string {
    return this.reason
  }
}

/**
 * A state of a stream, and how far it has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface Folded {
  readonly state: unknown
  readonly revision: Revision
  readonly firstRevision: Revision
  /** How long reading and folding took, in milliseconds. */
  readonly loadMillis: number
}

/**
 * Folds, writes and reads states of one kind.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateKeeper {
  readonly fingerprint: string
  /** Folds a stream, from a state on and up to a revision; `undefined` when there is nothing to fold. */
  readonly fold: (
    streamId: StreamId,
    options: { readonly from?: Folded | undefined; readonly until?: Revision | undefined }
  ) => Effect.Effect<Folded | undefined, StateFailed | InvalidInput | StreamTombstoned | StorageError, EventStore>
  readonly encode: (streamId: StreamId, folded: Folded) => Effect.Effect<StoredSnapshot, StateFailed>
  readonly decode: (snapshot: StoredSnapshot) => Effect.Effect<Folded, StateFailed>
  /** Whether two states are the same, as they are and as they are written. */
  readonly isSame: (streamId: StreamId, one: Folded, other: Folded) => Effect.Effect<boolean>
}

/**
 * Makes the keeper of a decider that a module exports: the only one, or the one that is named.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeStateKeeper = Effect.fnUntraced(function*(
  module: EventModule,
  name: Option.Option<string>,
  kind: string
): Effect.fn.Return<StateKeeper, CliFailure> {
  const { decider, name: exported } = yield* choose(module, name)
  if (decider.state === undefined) {
    return yield* noSnapshots(module, `${exported} has no state: a schema and a version`)
  }
  const { library: { runPromise, SnapshotCodec, VersionRegistry } } = module
  const registry = VersionRegistry.makeResult(decider.events)
  if (registry._tag === "Failure") return yield* noSnapshots(module, registry.failure.message)
  const { decode: decodeEvent, fingerprint } = registry.success
  const made = SnapshotCodec.make({ ...decider.state, kind, fingerprint })
  if (made._tag === "Failure") return yield* noSnapshots(module, made.failure.join("; "))
  const codec = made.success
  // the effects are of the user's copy of Effect, and so are their failures
  const run = <A>(effect: () => Effect.Effect<A, unknown>) =>
    Effect.tryPromise({
      try: () => runPromise(effect()),
      catch: (error) => new StateFailed({ reason: messageOf(error) })
    })
  const encode: StateKeeper["encode"] = (streamId, { loadMillis, ...folded }) =>
    Effect.flatMap(DateTime.now, (takenAt) => run(() => codec.encode({ ...folded, streamId, takenAt, loadMillis })))
  return {
    fingerprint: codec.fingerprint,
    fold: makeFold(decider, (event) => {
      const decoded = decodeEvent(event)
      return decoded._tag === "Failure"
        ? new StateFailed({ reason: decoded.failure.message })
        : decoded.success._tag === "Some"
        ? decoded.success.value
        : undefined
    }),
    encode,
    decode: (snapshot) =>
      Effect.map(run(() => codec.decode(snapshot)), (state) => ({
        state,
        revision: snapshot.revision,
        firstRevision: snapshot.firstRevision,
        loadMillis: 0
      })),
    isSame: (streamId, one, other) =>
      isDeepStrictEqual(one.state, other.state) ? Effect.succeed(true) : Effect.match(
        Effect.all([encode(streamId, one), encode(streamId, other)]),
        { onFailure: () => false, onSuccess: ([a, b]) => Buffer.compare(a.bytes, b.bytes) === 0 }
      )
  }
})

// internal

const choose = ({ deciders, path }: EventModule, name: Option.Option<string>) => {
  const names = deciders.map((each) => each.name)
  const chosen = Option.isNone(name) && deciders.length === 1
    ? deciders[0]
    : deciders.find((each) => Option.contains(name, each.name))
  if (chosen !== undefined) return Effect.succeed(chosen)
  return Effect.fail(
    deciders.length === 0
      ? new CliFailure({
        code: "ES-1706",
        exitCode: 65,
        message: "the module exports no decider",
        why: `${path} exports event types only, and a state needs their fold`,
        fix: "export what Decider.make or Aggregate.make returned"
      })
      : usage(
        Option.isNone(name) ? "--decider is missing" : "--decider names no export",
        `${path} exports ${names.join(", ")}`,
        `add --decider ${names[0]}`
      )
  )
}

const noSnapshots = ({ path }: EventModule, why: string): CliFailure =>
  new CliFailure({
    code: "ES-1707",
    exitCode: 65,
    message: "no snapshots can be taken of this decider's states",
    why: `${path}: ${why}`,
    fix: "give Decider.make a state: { schema, version }"
  })

type DecodeEvent = (event: RecordedEvent) => StateFailed | Parameters<AnyDecider["evolve"]>[1] | undefined

const makeFold = (decider: AnyDecider, decode: DecodeEvent): StateKeeper["fold"] =>
  Effect.fnUntraced(function*(streamId, { from, until = Number.MAX_SAFE_INTEGER as Revision }) {
    const store = yield* EventStore
    const startedMs = yield* Clock.currentTimeMillis
    let state = from === undefined ? decider.initial : from.state
    let revision = from?.revision
    let firstRevision = from?.firstRevision
    const events = Stream.takeWhile(
      store.readStream(streamId, { from: revision === undefined ? 0 : revision + 1 }),
      (event) => event.revision <= until
    )
    yield* Stream.runForEachArray(events, (page) => {
      for (const event of page) {
        const typed = decode(event)
        if (typed instanceof StateFailed) return Effect.fail(typed)
        try {
          if (typed !== undefined) state = decider.evolve(state, typed)
        } catch (cause) {
          return Effect.fail(new StateFailed({ reason: evolveThrew(event, cause) }))
        }
        revision = event.revision
        firstRevision ??= event.revision
      }
      return Effect.void
    })
    const loadMillis = (yield* Clock.currentTimeMillis) - startedMs
    return revision === undefined || firstRevision === undefined
      ? undefined
      : { state, revision, firstRevision, loadMillis }
  })

/** By its class only: a message may hold data. */
const evolveThrew = ({ revision, type, version }: RecordedEvent, cause: unknown): string =>
  `evolve threw ${
    cause instanceof Error ? cause.name : typeof cause
  } on ${type}, version ${version} at revision ${revision}`

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)
