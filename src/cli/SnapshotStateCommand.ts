/**
 * `event-store snapshot create` and `verify`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { category as categoryOf, checkStreamId, type StreamId } from "../event/StreamId.ts"
import { isIntact } from "../snapshot/SnapshotCodec.ts"
import { EventStore } from "../store/EventStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { type SnapshotDescription, SnapshotStore } from "../store/SnapshotStore.ts"
import { CliFailure, usage } from "./CliFailure.ts"
import { loadEventModule } from "./EventModule.ts"
import { styleOf } from "./internal/eventTable.ts"
import { makeStateKeeper, type StateKeeper } from "./internal/stateKeeper.ts"
import { Out } from "./Out.ts"
import { makeProgress } from "./Progress.ts"
import type { Settings } from "./Settings.ts"
import { type SelectionInput, toSelection } from "./SnapshotCommand.ts"
import { withStore } from "./StoreOpener.ts"
import { renderPairs, renderTable } from "./table.ts"
import { count } from "./Text.ts"

/**
 * Flags of `snapshot create`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CreateInput {
  readonly events: string
  readonly decider: Option.Option<string>
  readonly category: string
  readonly stream: ReadonlyArray<string>
  readonly atLeast: number
}

/**
 * Takes snapshots of the streams of a category.
 *
 * @category commands
 * @since 0.1.0
 */
export const createCommand = Effect.fnUntraced(function*(input: CreateInput, settings: Settings) {
  const out = yield* Out
  const keeper = yield* makeStateKeeper(yield* loadEventModule(input.events), input.decider, input.category)
  const progress = yield* makeProgress("streams", settings)
  const problems: Array<Problem> = []
  const sums = { streams: 0, saved: 0, skipped: 0, failed: 0 }
  for (const streamId of input.stream) yield* checkStream(streamId, input.category)
  yield* Effect.gen(function*() {
    const visit = Effect.fnUntraced(function*(streamId: StreamId) {
      const saved = yield* saveState(keeper, input, streamId).pipe(
        Effect.catchTags({
          StateFailed: ({ reason }) => Effect.succeed(reason),
          StreamTombstoned: () => Effect.succeed(false)
        })
      )
      if (typeof saved === "string") {
        if (sums.failed++ < PROBLEMS_MAX) problems.push({ streamId, revision: undefined, problem: saved })
      } else if (saved) sums.saved++
      else sums.skipped++
      yield* progress.update({ done: ++sums.streams, fraction: undefined })
    })
    if (input.stream.length > 0) {
      for (const streamId of input.stream) yield* visit(streamId as StreamId)
    } else yield* forEachStream(input.category, visit)
  }).pipe(withStore(settings, "read"), Effect.ensuring(progress.clear))
  if (settings.output !== "table") {
    yield* out.data(`${JSON.stringify({ ...sums, fingerprint: keeper.fingerprint, problems })}\n`)
  } else {
    yield* out.data(renderPairs([
      ["streams", count(sums.streams)],
      ["saved", count(sums.saved)],
      ["skipped", `${count(sums.skipped)} (fewer than ${count(input.atLeast)} new events)`],
      ["failed", count(sums.failed)],
      ["fingerprint", keeper.fingerprint]
    ], { color: false }))
    yield* printProblems(problems, settings)
  }
  if (sums.failed > 0) {
    return yield* new CliFailure({
      code: "ES-1607",
      exitCode: 1,
      message: "some states could not be had or kept",
      why: `${count(sums.failed)} of ${count(sums.streams)} streams (above)`,
      fix: "correct the event types or the fold; the other snapshots are saved"
    })
  }
})

/**
 * Flags of `snapshot verify`.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyInput extends SelectionInput {
  readonly events: Option.Option<string>
  readonly decider: Option.Option<string>
}

/**
 * Checks snapshots.
 *
 * @category commands
 * @since 0.1.0
 */
export const verifyCommand = Effect.fnUntraced(function*(input: VerifyInput, settings: Settings) {
  const out = yield* Out
  const keeper = yield* keeperOf(input)
  const progress = yield* makeProgress("snapshots", settings)
  const sums = { snapshots: 0, sound: 0, wrong: 0, unusable: 0, folded: 0 }
  const problems: Array<Problem> = []
  yield* forEachSnapshot(input, (snapshot) =>
    Effect.gen(function*() {
      const verdict = yield* judge(keeper, snapshot)
      sums.snapshots++
      sums[verdict.outcome]++
      if (verdict.isFolded) sums.folded++
      if (verdict.problem !== undefined && problems.length < PROBLEMS_MAX) {
        problems.push({ streamId: snapshot.streamId, revision: snapshot.revision, problem: verdict.problem })
      }
      yield* progress.update({ done: sums.snapshots, fraction: undefined })
    })).pipe(withStore(settings, "read"), Effect.ensuring(progress.clear))
  if (settings.output !== "table") yield* out.data(`${JSON.stringify({ ...sums, problems })}\n`)
  else {
    yield* out.data(renderPairs([
      ["snapshots", count(sums.snapshots)],
      ["sound", `${count(sums.sound)} (${count(sums.folded)} compared with their streams)`],
      ["wrong", count(sums.wrong)],
      ["unusable", `${count(sums.unusable)} (their streams are gone, ended or truncated: never used)`]
    ], { color: false }))
    yield* printProblems(problems, settings)
  }
  if (sums.wrong > 0) {
    return yield* new CliFailure({
      code: "ES-1606",
      exitCode: 2,
      message: "there are snapshots that are broken or wrong",
      why: `${count(sums.wrong)} of ${count(sums.snapshots)} (above)`,
      fix:
        "remove them: event-store snapshot prune --stream NAME --all; if their states are wrong, raise the state's version"
    })
  }
})

// internal

interface Problem {
  readonly streamId: string
  readonly revision: number | undefined
  readonly problem: string
}

/** Problems that are listed; all are counted. */
const PROBLEMS_MAX = 1_000

/** Streams and snapshots of a page. */
const PAGE_SIZE = 500

const checkStream = (streamId: string, expected: string): Effect.Effect<void, CliFailure | InvalidInput> => {
  const fault = checkStreamId(streamId, "--stream")
  if (fault !== undefined) return Effect.fail(fault)
  return categoryOf(streamId) === expected ? Effect.void : Effect.fail(usage(
    "--stream is not of --category",
    `${streamId} is of the category ${categoryOf(streamId)}`,
    `name streams whose names begin with ${expected}-`
  ))
}

/** Saves the state of a stream, unless too little is new in it. */
const saveState = Effect.fnUntraced(
  function*(keeper: StateKeeper, { atLeast, category }: CreateInput, streamId: StreamId) {
    const store = yield* SnapshotStore
    const found = yield* store.load({ streamId, kind: category, fingerprint: keeper.fingerprint })
    // a broken snapshot is one that is not there
    const from = Option.isNone(found)
      ? undefined
      : Option.getOrUndefined(yield* Effect.option(keeper.decode(found.value)))
    const folded = yield* keeper.fold(streamId, { from })
    if (folded === undefined || folded.revision - (from?.revision ?? folded.firstRevision - 1) < atLeast) return false
    yield* store.save(yield* keeper.encode(streamId, folded))
    return true
  }
)

const forEachStream = Effect.fnUntraced(function*<E, R>(
  category: string,
  visit: (streamId: StreamId) => Effect.Effect<void, E, R>
) {
  const store = yield* EventStore
  let cursor: string | undefined
  do {
    const page = yield* store.listStreams({ category, cursor, limit: PAGE_SIZE })
    for (const { isTombstoned, streamId } of page.streams) if (!isTombstoned) yield* visit(streamId)
    cursor = page.next
  } while (cursor !== undefined)
})

const forEachSnapshot = Effect.fnUntraced(function*<E, R>(
  input: SelectionInput,
  visit: (snapshot: SnapshotDescription) => Effect.Effect<void, E, R>
) {
  const store = yield* SnapshotStore
  let cursor: string | undefined
  do {
    const page = yield* store.list({ ...toSelection(input), cursor, limit: PAGE_SIZE })
    for (const snapshot of page.snapshots) yield* visit(snapshot)
    cursor = page.next
  } while (cursor !== undefined)
})

const keeperOf = Effect.fnUntraced(function*({ decider, events, kind }: VerifyInput) {
  if (Option.isNone(events)) return undefined
  if (Option.isNone(kind)) {
    return yield* usage(
      "--events needs --kind",
      "a state is compared with those of its own kind: the category of the command handler",
      "add --kind NAME, or leave --events out to check the digests only"
    )
  }
  return yield* makeStateKeeper(yield* loadEventModule(events.value), decider, kind.value)
})

interface Verdict {
  readonly outcome: "sound" | "wrong" | "unusable"
  readonly isFolded: boolean
  readonly problem?: string
}

const judge = (
  keeper: StateKeeper | undefined,
  { fingerprint, kind, revision, streamId }: SnapshotDescription
): Effect.Effect<Verdict, InvalidInput | StorageError, EventStore | SnapshotStore> =>
  Effect.gen(function*() {
    const found = Option.getOrUndefined(
      yield* (yield* SnapshotStore).load({ streamId, kind, fingerprint, atMost: revision })
    )
    if (found?.revision !== revision) return { outcome: "unusable", isFolded: false } as const
    if (!isIntact(found)) return wrong("its digest does not fit: it is broken")
    if (keeper === undefined || keeper.fingerprint !== fingerprint) {
      return { outcome: "sound", isFolded: false } as const
    }
    const kept = yield* keeper.decode(found)
    const folded = yield* keeper.fold(streamId, { until: revision })
    return folded?.revision === revision && (yield* keeper.isSame(streamId, kept, folded))
      ? { outcome: "sound", isFolded: true } as const
      : wrong("its state is another one than the stream's events add up to")
  }).pipe(Effect.catchTags({
    StateFailed: ({ reason }) => Effect.succeed(wrong(reason)),
    StreamTombstoned: () => Effect.succeed({ outcome: "unusable", isFolded: false } as const)
  }))

const wrong = (problem: string): Verdict => ({ outcome: "wrong", isFolded: false, problem })

const printProblems = Effect.fnUntraced(function*(problems: ReadonlyArray<Problem>, settings: Settings) {
  if (problems.length === 0) return
  const out = yield* Out
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  yield* out.data(`\n${
    renderTable(
      [{ title: "STREAM", cut: "middle" }, { title: "REVISION", align: "right" }, { title: "WHY", cut: "end" }],
      problems.map((
        { problem, revision, streamId }
      ) => [streamId, revision === undefined ? "" : count(revision), problem]),
      style
    )
  }`)
})
