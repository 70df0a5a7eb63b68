/**
 * One command on several streams: load all, decide, append to all.
 */
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { RecordedEvent } from "../../event/Event.ts"
import type { Proposed, TypedEvent } from "../../event/EventType.ts"
import { InvalidInput } from "../../event/InvalidInput.ts"
import type { Position, Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { AppendAllOptions, AppendResult, EventStore } from "../../store/EventStore.ts"
import { IdempotencyConflict, RevisionConflict } from "../../store/EventStoreError.ts"
import type { CommandError, LoadError } from "../CommandError.ts"
import type { Executed } from "../Executed.ts"
import { answer } from "./answers.ts"
import { ruleFailed, type Sight, tagOf } from "./folding.ts"
import type { Backing } from "./handlers.ts"
import { findFirstEvent, restore } from "./original.ts"
import { type Proposal, type ProposalError, propose, toAppended } from "./proposal.ts"
import type { Identity, Request } from "./request.ts"
import { toStreamId } from "./streamIds.ts"

/** What a decision over several streams is made of. */
export interface Roles<Command, Rejection> {
  readonly store: EventStore["Service"]
  readonly retry: Schedule.Schedule<unknown, RevisionConflict>
  readonly backings: ReadonlyArray<RoleBacking>
  readonly ids: (command: Command) => Readonly<Record<string, string>>
  readonly decide: (
    command: Command,
    states: Readonly<Record<string, unknown>>
  ) => DecidedRoles | Result.Result<DecidedRoles, Rejection> | Effect.Effect<DecidedRoles, Rejection>
}

/** A role, and what stands behind its handler. */
export interface RoleBacking extends Backing<unknown, TypedEvent> {
  readonly role: string
  readonly category: string
}

/** What was decided, by role. */
export type DecidedRoles = Readonly<Record<string, ReadonlyArray<Proposed<TypedEvent>> | undefined>>

/** What was done, by role. */
export interface OutcomeOfRoles {
  readonly streams: Readonly<Record<string, Executed<unknown, TypedEvent>>>
  readonly position: Position | undefined
  readonly alreadyExecuted: boolean
}

/** One stream with the roles that it plays. */
interface Part {
  readonly backing: RoleBacking
  readonly roles: ReadonlyArray<string>
  readonly sight: Sight<unknown>
}

/** Executes a command on the streams that it names. */
export const executeRoles = <Command, Rejection>(
  self: Roles<Command, Rejection>,
  command: Command,
  request: Request
): Effect.Effect<OutcomeOfRoles, Rejection | CommandError> =>
  Effect.gen(function*() {
    const parts = yield* loadParts(self, command)
    let conflict: RevisionConflict | undefined
    const attempt = Effect.suspend(() => attemptRoles(self, command, request, parts)).pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          conflict = error instanceof RevisionConflict ? error : undefined
        })
      )
    )
    const again = Effect.suspend(() => Effect.andThen(readOn(parts, conflict), attempt))
    const isConflict = (error: unknown) => error === conflict && conflict !== undefined
    return yield* Effect.catchIf(attempt, isConflict, () =>
      Effect.retry(again, { schedule: self.retry as Schedule.Schedule<unknown, unknown>, while: isConflict }))
  })

// internal

/** Streams that are loaded at the same time. */
const LOADS = 8

const loadParts = <Command, Rejection>(
  { backings, ids }: Roles<Command, Rejection>,
  command: Command
): Effect.Effect<ReadonlyArray<Part>, LoadError> =>
  Effect.suspend(() => {
    let roles: ReadonlyArray<{ readonly backing: RoleBacking; readonly streamId: StreamId | InvalidInput }>
    try {
      const named = ids(command)
      roles = backings.map((backing) => ({ backing, streamId: toStreamId(backing.category, named[backing.role]) }))
    } catch (cause) {
      return Effect.fail(ruleFailed("ids", tagOf(command), undefined, cause))
    }
    const fault = roles.find(({ streamId }) => streamId instanceof InvalidInput)?.streamId
    if (fault instanceof InvalidInput) return Effect.fail(fault)
    return Effect.forEach(Map.groupBy(roles, ({ streamId }) => streamId), ([streamId, [first, ...others]]) =>
      first === undefined || streamId instanceof InvalidInput ? Effect.succeed([]) : Effect.map(
        first.backing.loader.load(streamId),
        (sight) => [{
          backing: first.backing,
          roles: [first, ...others].map(({ backing }) =>
            backing.role
          ),
          sight
        }]
      ), { concurrency: LOADS }).pipe(Effect.map((parts) =>
        parts.flat()
      ))
  })

const readOn = (parts: ReadonlyArray<Part>, conflict: RevisionConflict | undefined): Effect.Effect<void, LoadError> =>
  Effect.forEach(
    parts,
    ({ backing: { loader }, sight }) =>
      conflict?.streamId === sight.streamId && (conflict.actual ?? -1) < sight.revision
        ? loader.readAgain(sight)
        : loader.readOn(sight, conflict?.streamId === sight.streamId ? conflict.actual : undefined),
    { concurrency: LOADS, discard: true }
  )

const attemptRoles = <Command, Rejection>(
  self: Roles<Command, Rejection>,
  command: Command,
  request: Request,
  parts: ReadonlyArray<Part>
): Effect.Effect<OutcomeOfRoles, Rejection | CommandError> => {
  const states = Object.fromEntries(parts.flatMap(({ roles, sight }) => roles.map((role) => [role, sight.state])))
  const broken = (cause: unknown) => ruleFailed("decide", tagOf(command), undefined, cause)
  const decided = answer(() => self.decide(command, states), broken)
  const confirm = (otherwise: Effect.Effect<OutcomeOfRoles, Rejection | CommandError>) =>
    confirmRoles(self, command, request, parts, otherwise)
  return Effect.matchEffect(decided, {
    onFailure: (rejection) => confirm(Effect.fail(rejection)),
    onSuccess: (events) => {
      const fault = faultOf(events, states)
      if (fault !== undefined) return confirm(Effect.fail(broken(fault)))
      const plan = planOf(parts, request, events)
      if ("_tag" in plan) return confirm(Effect.fail(plan))
      if (plan.count === 0) return confirm(Effect.succeed(outcomeOf(parts, plan, undefined)))
      return Effect.matchEffect(self.store.appendAll(plan.options), {
        onFailure: (error) =>
          error instanceof IdempotencyConflict
            ? orOriginal(self, request, parts, Effect.fail(error))
            : Effect.fail(error),
        onSuccess: ({ alreadyAppended, position, writes }) =>
          alreadyAppended
            ? orOriginal(self, request, parts, restoreRoles(self.store, parts, writes[0].firstPosition, position))
            : Effect.as(learn(parts, plan), outcomeOf(parts, plan, writes))
      })
    }
  })
}

/** What makes a decision none: events for a role that there is not would be lost. */
const faultOf = (decided: unknown, states: Readonly<Record<string, unknown>>): TypeError | undefined => {
  if (typeof decided !== "object" || decided === null) return new TypeError("a decision is an object of events by role")
  const other = Object.entries(decided).find(([role, events]) =>
    !Object.hasOwn(states, role) || (events !== undefined && !Array.isArray(events))
  )
  return other && new TypeError(`${other[0]} is no role, or what is decided for it is no array`)
}

/** What is to be appended, and what it makes of each stream. */
interface Plan {
  readonly proposals: ReadonlyMap<Part, Proposal<unknown, TypedEvent>>
  readonly options: AppendAllOptions
  readonly count: number
}

const planOf = (
  parts: ReadonlyArray<Part>,
  request: Request,
  decided: DecidedRoles
): Plan | ProposalError => {
  const proposals = new Map<Part, Proposal<unknown, TypedEvent>>()
  let count = 0
  for (const part of parts) {
    const events = part.roles.flatMap((role) => decided[role] ?? [])
    const proposal = propose(part.backing.rules, request, part.sight, events, count)
    if (proposal._tag === "Failure") return proposal.failure
    count += events.length
    proposals.set(part, proposal.success)
  }
  const claims = parts.map((part) => ({
    streamId: part.sight.streamId,
    expected: part.sight.revision < 0 ? "noStream" as const : part.sight.revision,
    events: proposals.get(part)?.encoded ?? []
  }))
  return {
    proposals,
    count,
    options: {
      writes: claims.filter(({ events }) => events.length > 0),
      streamConditions: claims.filter(({ events }) => events.length === 0)
    }
  }
}

const learn = (parts: ReadonlyArray<Part>, { proposals }: Plan): Effect.Effect<void> =>
  Effect.forEach(parts, (part) => {
    const { backing, sight } = part
    const { events = [], state = sight.state } = proposals.get(part) ?? {}
    if (sight.firstRevision < 0 && events.length > 0) sight.firstRevision = sight.revision + 1
    sight.revision += events.length
    sight.state = state
    return backing.loader.report(sight, events.length)
  }, { discard: true })

const outcomeOf = (
  parts: ReadonlyArray<Part>,
  { proposals }: Plan,
  writes: ReadonlyArray<AppendResult> | undefined
): OutcomeOfRoles => {
  const executed = parts.flatMap((part) => {
    const { roles, sight } = part
    const result = writes?.find(({ streamId }) => streamId === sight.streamId)
    const one: Executed<unknown, TypedEvent> = {
      streamId: sight.streamId,
      state: proposals.get(part)?.state ?? sight.state,
      events: result === undefined ? [] : toAppended(proposals.get(part)?.events ?? [], result),
      revision: result?.revision ?? (sight.revision < 0 ? undefined : sight.revision as Revision),
      position: result?.position,
      alreadyExecuted: false
    }
    return roles.map((role) => [role, one] as const)
  })
  return { streams: Object.fromEntries(executed), position: writes?.at(-1)?.position, alreadyExecuted: false }
}

/** Nothing is answered on states that may be older than the log: they are read on first, and decided anew if they were. */
const confirmRoles = <Command, Rejection>(
  self: Roles<Command, Rejection>,
  command: Command,
  request: Request,
  parts: ReadonlyArray<Part>,
  otherwise: Effect.Effect<OutcomeOfRoles, Rejection | CommandError>
): Effect.Effect<OutcomeOfRoles, Rejection | CommandError> => {
  const stale = parts.filter(({ sight }) => !sight.isCurrent).map((part) => ({ part, before: part.sight.revision }))
  if (stale.length === 0) return orOriginal(self, request, parts, otherwise)
  return Effect.flatMap(
    readOn(stale.map(({ part }) => part), undefined),
    () =>
      stale.every(({ before, part }) => part.sight.revision === before)
        ? orOriginal(self, request, parts, otherwise)
        : attemptRoles(self, command, request, parts)
  )
}

/** What the command did before, if it did; else the answer. */
const orOriginal = <Command, Rejection>(
  { store }: Roles<Command, Rejection>,
  { identity }: Request,
  parts: ReadonlyArray<Part>,
  otherwise: Effect.Effect<OutcomeOfRoles, Rejection | CommandError>
): Effect.Effect<OutcomeOfRoles, Rejection | CommandError> => {
  if (identity === undefined) return otherwise
  const isHere = ({ streamId }: RecordedEvent) => parts.some(({ sight }) => sight.streamId === streamId)
  return Effect.flatMap(findFirstEvent(store, identity, isHere), (first) =>
    first._tag === "None"
      ? otherwise
      : Effect.flatMap(lastPosition(store, identity, first.value.position), (last) =>
        restoreRoles(store, parts, first.value.position, last)))
}

/** The events of an append stand next to each other in the log. */
const lastPosition = (
  store: EventStore["Service"],
  { eventId }: Identity,
  first: Position
): Effect.Effect<Position, CommandError> =>
  Stream.takeWhile(store.readAll({ after: first - 1 }), ({ id, position }) => id === eventId(position - first)).pipe(
    Stream.runFold(() => first, (_last, { position }) => position)
  )

const restoreRoles = (
  store: EventStore["Service"],
  parts: ReadonlyArray<Part>,
  first: Position,
  last: Position
): Effect.Effect<OutcomeOfRoles, LoadError> =>
  Effect.forEach(parts, ({ backing: { rules }, roles, sight: { streamId } }) =>
    Effect.map(
      restore(store, rules, streamId, {
        isPast: ({ position }) => position <= last,
        isOwn: ({ position }) => position >= first
      }),
      (executed) => roles.map((role) => [role, executed] as const)
    ), { concurrency: LOADS }).pipe(
      Effect.map((streams) => ({
        streams: Object.fromEntries(streams.flat()),
        position: last,
        alreadyExecuted: true
      }))
    )
