import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import type { RecordedEvent } from "../../event/Event.ts"
import type { Position, Revision } from "../../event/Revision.ts"
import type { BuildKey } from "../../store/CheckpointStore.ts"
import { addEvents } from "../../store/EventDigest.ts"
import type { LogHead } from "../../store/EventStore.ts"
import { Corrupt, StorageError } from "../../store/EventStoreError.ts"
import {
  eventsFor,
  FENCE_MILLIS,
  INLINE_GAP_EVENTS,
  type InlineBatch,
  inlineBehind,
  type InlineEffects,
  inlineFailed,
  type InlineFault,
  type InlineFollower,
  type InlineStand,
  MISSED_ARCHIVED,
  standFault
} from "../../store/InlineAppender.ts"
import type { AppendRequest } from "../../store/Storage.ts"
import { type RequestOutcome, toOutcomes, toStatement } from "./batch.ts"
import type { Send } from "./committer.ts"
import * as statements from "./inlineStatements.ts"
import { firstFailure } from "./projectionSession.ts"
import { loadStates } from "./projectionStatements.ts"
import { judge, sqlState } from "./sqlErrors.ts"
import type { Rows, Statement } from "./statements.ts"
import type { WriterSession } from "./writerSession.ts"

/** Runs a statement of a transaction; those that are asked for at once run in that order. */
export type Ask = (statement: Statement) => Effect.Effect<Rows, SqlError>

/** Why followers cannot be taken along. */
export interface InlineRefusal {
  readonly error: StorageError
  /** Whether it would be the same for any other append. */
  readonly isShared: boolean
  /** Whether it passes by itself, soon. */
  readonly isFenced?: boolean
}

/** What the appends that take followers along are made of. */
export interface InlineOptions {
  readonly writer: WriterSession
  readonly schema: string
  readonly notify: boolean
  readonly followers: ReadonlyArray<InlineFollower>
  /** Called with the last position of every batch. */
  readonly onCommit: (position: number) => void
}

/**
 * Makes what sends a batch and takes followers along, in one transaction. When
 * one of several appends brings an event that cannot be applied, nothing of the
 * batch was written, and they are sent one by one.
 */
export const makeSend = (options: InlineOptions): Send => {
  const send: Send = Effect.fnUntraced(function*(requests, how) {
    const once = options.writer.transact(
      how.patienceMs,
      (ask) => transact(options, requests, how.checkIds, ask)
    ).pipe(Effect.retry({ while: ({ error }) => hasMovedOn(error), times: TRIES - 1 }))
    let done = yield* once
    const until = (yield* Clock.currentTimeMillis) + FENCE_MILLIS.wait
    while ("isFenced" in done && (yield* Clock.currentTimeMillis) < until) {
      yield* Effect.sleep(FENCE_MILLIS.look)
      done = yield* once
    }
    if (!("error" in done)) return done.outcomes
    if (done.isShared || requests.length === 1) return requests.map(() => Result.fail(done.error))
    const outcomes: Array<RequestOutcome> = []
    for (const request of requests) outcomes.push(...(yield* send([request], how)))
    return outcomes
  })
  return send
}

/** The statement that tells, after an append, how log and followers stand: for `takeAlong`. */
export const standing = statements.stands

/**
 * Brings followers to the end of the log, within the transaction that has just
 * appended `requests`; COMMIT makes it hold. Returns why that cannot be.
 */
export const takeAlong = Effect.fnUntraced(function*(
  ask: Ask,
  schema: string,
  followers: ReadonlyArray<InlineFollower>,
  appended: { readonly requests: ReadonlyArray<AppendRequest>; readonly outcomes: ReadonlyArray<RequestOutcome> },
  stands: Rows
): Effect.fn.Return<InlineRefusal | undefined, SqlError> {
  const head = statements.toHead(stands.length === 0 ? yield* ask(statements.head(schema)) : stands)
  if (head === undefined) return shared(corrupt("the head is missing"))
  const events = recordedEvents(appended, head.recordedAt)
  const last = events.at(-1)
  if (last !== undefined && last.position !== head.position) {
    return shared(corrupt("the events of an append do not end the log"))
  }
  const before: LogHead = { position: head.position - events.length as Position, incarnation: head.incarnation }
  const parties = yield* Effect.result(assemble(ask, schema, followers, stands, before, events))
  if (Result.isFailure(parties)) return yield* orRefusal(parties.failure)
  const prepared = yield* Effect.result(prepare(ask, schema, parties.success))
  if (Result.isFailure(prepared)) return yield* orRefusal(prepared.failure)
  return yield* write(ask, schema, prepared.success, head)
})

/** Whether a transaction was undone because another build has become current meanwhile; the next one finds it. */
export const hasMovedOn = (error: SqlError): boolean => sqlState(error.reason) === statements.NOT_MOVED

// internal

const BEGIN: Statement = { text: "BEGIN ISOLATION LEVEL READ COMMITTED", parameters: [] }

const COMMIT: Statement = { text: "COMMIT", parameters: [] }

const ROLLBACK: Statement = { text: "ROLLBACK", parameters: [] }

/** How often a batch is tried while builds take the place of others: that is rare. */
const TRIES = 3

type Done = { readonly outcomes: ReadonlyArray<RequestOutcome> } | InlineRefusal

const transact = Effect.fnUntraced(function*(
  { followers, notify, onCommit, schema }: InlineOptions,
  requests: ReadonlyArray<AppendRequest>,
  checkIds: boolean,
  ask: Ask
): Effect.fn.Return<Done, SqlError> {
  const append = toStatement(schema, requests, { checkIds, notify })
  const [, rows = [], stands = []] = yield* together(ask, [BEGIN, append, standing(schema, followers)])
  const outcomes = toOutcomes(requests, rows)
  const end = <A>(done: A) => Effect.as(ask(ROLLBACK), done)
  // rows that are missing may stand for events that were recorded
  const fault = outcomes.flatMap((outcome) =>
    Result.isFailure(outcome) && outcome.failure._tag === "StorageError" ? [outcome.failure] : []
  )[0]
  if (fault !== undefined) {
    return yield* end(shared(fault))
  }
  if (!outcomes.some(Result.isSuccess)) {
    return yield* end({ outcomes })
  }
  const appended = { requests, outcomes }
  const refusal = yield* takeAlong(ask, schema, followers, appended, stands)
  if (refusal !== undefined) {
    return yield* end(refusal)
  }
  const commit = yield* Effect.result(ask(COMMIT))
  if (Result.isFailure(commit)) {
    return commitRefused(followers, appended, commit.failure) ?? (yield* Effect.fail(commit.failure))
  }
  onCommit(statements.toHead(stands)?.position ?? 0)
  return { outcomes }
})

/** Says of a transaction that could not be committed what its followers have to do with it. */
const commitRefused = (
  followers: ReadonlyArray<InlineFollower>,
  appended: Parameters<typeof takeAlong>[3],
  error: SqlError
): InlineRefusal | undefined => {
  // nobody but their statements can be at fault
  const follower = followers.find(({ hasTables }) => hasTables)
  if (follower === undefined || isOfConnection(error)) return undefined
  const event = eventsFor(follower, recordedEvents(appended, DateTime.makeUnsafe(0))).at(-1)
  return event === undefined
    ? undefined
    : { isShared: false, error: inlineFailed(follower, event, toFault(error, undefined, "CommitRefused")) }
}

/** Asks for all of them at once; fails with the first failure. */
const together = (
  ask: Ask,
  all: ReadonlyArray<Statement>
): Effect.Effect<ReadonlyArray<Rows>, SqlError> =>
  Effect.flatMap(attemptAll(ask, all), (exits) => {
    const failure = firstFailure(exits)
    return failure === undefined
      ? Effect.forEach(exits, (exit) => exit)
      : Effect.fail(failure.error)
  })

const attemptAll = (
  ask: Ask,
  all: ReadonlyArray<Statement>
): Effect.Effect<ReadonlyArray<Exit.Exit<Rows, SqlError>>> =>
  Effect.forEach(all, (statement) => Effect.exit(ask(statement)), { concurrency: "unbounded" })

/** The events that appends have recorded just now, as a reader sees them. */
const recordedEvents = (
  { outcomes, requests }: Parameters<typeof takeAlong>[3],
  recordedAt: RecordedEvent["recordedAt"]
): ReadonlyArray<RecordedEvent> => {
  const events: Array<RecordedEvent> = []
  for (const [at, { writes }] of requests.entries()) {
    const outcome = outcomes[at]
    if (outcome === undefined || Result.isFailure(outcome)) continue
    for (const [index, { events: encoded, streamId }] of writes.entries()) {
      const result = outcome.success[index]
      if (result === undefined || result.alreadyAppended) continue
      for (const [offset, { data, id, metadata, tags, type, version }] of encoded.entries()) {
        events.push({
          position: result.firstPosition + offset as Position,
          streamId,
          revision: result.firstRevision + offset as Revision,
          id,
          type,
          version,
          data: JSON.parse(data) as RecordedEvent["data"],
          metadata: metadata === undefined ? {} : JSON.parse(metadata) as RecordedEvent["metadata"],
          tags,
          recordedAt
        })
      }
    }
  }
  return events
}

/** A follower, and all events that it has to see. */
interface Party {
  readonly follower: InlineFollower
  readonly stand: InlineStand
  readonly events: ReadonlyArray<RecordedEvent>
  /** How many of the events were there before the append. */
  readonly missed: number
}

/** Finds out what each follower has to see: what it has missed, and the events of the append. */
const assemble = Effect.fnUntraced(function*(
  ask: Ask,
  schema: string,
  followers: ReadonlyArray<InlineFollower>,
  stands: Rows,
  before: LogHead,
  events: ReadonlyArray<RecordedEvent>
): Effect.fn.Return<ReadonlyArray<Party>, SqlError | InlineRefusal> {
  const known: Array<Omit<Party, "events" | "missed">> = []
  for (const follower of followers) {
    const stand = statements.findStand(stands, follower)
    const fault = standFault(follower, stand, before)
    if (fault !== undefined) {
      return yield* Effect.fail(stand?.isFenced === true ? { ...shared(fault), isFenced: true } : shared(fault))
    }
    if (stand !== undefined) known.push({ follower, stand })
  }
  const late = known.filter(({ stand }) => stand.checkpoint.position < before.position)
  const gaps = yield* together(
    ask,
    late.map(({ follower, stand }) => statements.gap(schema, follower, stand.checkpoint.position, before.position))
  )
  const parties: Array<Party> = []
  for (const { follower, stand } of known) {
    const index = late.findIndex((one) => one.follower === follower)
    const missed = index < 0 ? [] : statements.toGap(gaps[index] ?? [])
    if (missed.length > INLINE_GAP_EVENTS) {
      const why = `an append makes up for ${INLINE_GAP_EVENTS} events at most`
      return yield* Effect.fail(shared(inlineBehind(follower, stand.checkpoint.position, before, why)))
    }
    const bare = missed.find(({ data }) => data === null)
    if (bare !== undefined && (yield* ask(statements.isArchived(schema, bare.position))).length > 0) {
      return yield* Effect.fail(shared(inlineBehind(follower, stand.checkpoint.position, before, MISSED_ARCHIVED)))
    }
    parties.push({ follower, stand, events: [...missed, ...eventsFor(follower, events)], missed: missed.length })
  }
  return parties
})

/** Asks the followers what is to be written, with the states that they need. */
const prepare = Effect.fnUntraced(function*(
  ask: Ask,
  schema: string,
  parties: ReadonlyArray<Party>
): Effect.fn.Return<ReadonlyArray<Party & { readonly effects: InlineEffects }>, SqlError | InlineRefusal> {
  const begun: Array<Party & { readonly batch: InlineBatch }> = []
  for (const party of parties) {
    const batch = party.follower.begin(party.events, party.stand.build)
    if (Result.isFailure(batch)) return yield* Effect.fail(refuse(party, batch.failure))
    begun.push({ ...party, batch: batch.success })
  }
  const asking = begun.filter(({ batch }) => batch.keys.length > 0)
  const states = yield* together(ask, asking.map(({ batch, ...party }) => loadStates(schema, keyOf(party), batch.keys)))
  const prepared: Array<Party & { readonly effects: InlineEffects }> = []
  for (const party of begun) {
    const rows = states[asking.indexOf(party)] as ReadonlyArray<readonly [string, string]> | undefined
    const effects = party.batch.finish(new Map(rows ?? []))
    if (Result.isFailure(effects)) return yield* Effect.fail(refuse(party, effects.failure))
    prepared.push({ ...party, effects: effects.success })
  }
  return prepared
})

/** Writes what the followers make, and moves their checkpoints to the head. */
const write = Effect.fnUntraced(function*(
  ask: Ask,
  schema: string,
  parties: ReadonlyArray<Party & { readonly effects: InlineEffects }>,
  head: LogHead
): Effect.fn.Return<InlineRefusal | undefined, SqlError> {
  const all: Array<{ readonly statement: Statement; readonly party: Party | undefined; readonly owner?: number }> = []
  const moves: Array<statements.Move> = []
  const add = (several: ReadonlyArray<Statement>) =>
    several.map((statement) => all.push({ statement, party: undefined }))
  for (const party of parties) {
    const { effects, events, stand: { checkpoint } } = party
    if (checkpoint.position === head.position) continue
    const move = {
      ...keyOf(party),
      ...addEvents(checkpoint, events),
      from: checkpoint.position,
      to: head.position
    }
    const { after, before } = statements.around(schema, move, effects)
    add(before)
    for (const [index, statement] of effects.statements.entries()) {
      const owner = effects.owners[index]
      all.push({ statement, party, ...(owner === undefined ? {} : { owner }) })
    }
    add(after)
    moves.push(move)
  }
  if (moves.length > 0) all.push({ statement: statements.move(schema, moves, head.incarnation), party: undefined })
  const failure = firstFailure(yield* attemptAll(ask, all.map(({ statement }) => statement)))
  if (failure === undefined) return undefined
  const { owner, party } = all[failure.index] ?? {}
  return party === undefined || isOfConnection(failure.error)
    ? yield* Effect.fail(failure.error)
    : refuse(party, toFault(failure.error, owner, "StatementFailed"))
})

const keyOf = ({ follower: { name, version }, stand: { build } }: Pick<Party, "follower" | "stand">): BuildKey => ({
  name,
  version,
  build
})

/** Lost, or undone to let others go on: no event's fault. */
const isOfConnection = (error: SqlError): boolean => {
  const verdict = judge(error)
  return verdict === "lost" || verdict === "again"
}

const toFault = (error: SqlError, index: number | undefined, reason: InlineFault["reason"]): InlineFault => {
  const cause: unknown = error.reason.cause
  const detail = cause instanceof Error ? cause.message : error.reason.message ?? error.reason._tag
  return { index, reason, detail: `${detail} (${sqlState(error.reason) ?? "no code"})` }
}

const refuse = ({ events, follower, missed }: Party, fault: InlineFault): InlineRefusal => {
  const index = fault.index ?? events.length - 1
  const event = events[index]
  return event === undefined
    ? shared(corrupt(fault.detail))
    : { isShared: index < missed, error: inlineFailed(follower, event, fault) }
}

const shared = (error: StorageError): InlineRefusal => ({ error, isShared: true })

const orRefusal = (failure: SqlError | InlineRefusal): Effect.Effect<InlineRefusal, SqlError> =>
  "isShared" in failure ? Effect.succeed(failure) : Effect.fail(failure)

const corrupt = (detail: string) => new StorageError({ operation: "append", reason: new Corrupt({ detail }) })
