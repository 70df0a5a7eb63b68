import * as Clock from "effect/Clock"
import { uuidV4Unsafe } from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import type { Position } from "../../event/Revision.ts"
import { digestOf, type EventDigest } from "../../store/EventDigest.ts"
import { Corrupt, StorageError } from "../../store/EventStoreError.ts"
import type {
  CheckpointRow,
  EventRow,
  OtherKind,
  RestoreError,
  RestorePlan,
  TransferRows
} from "../../store/LogTransfer.ts"
import type { StorageRestore, StorageWrite } from "../../store/LogTransferStorage.ts"
import { RestoreDiffers, RestoreOvertaken, RestoreTargetNotEmpty } from "../../store/RestoreError.ts"
import { takeAppendLock } from "./identifiers.ts"
import type { Ask, Sessions } from "./projectionSession.ts"
import { firstFailure } from "./projectionSession.ts"
import { digestLog } from "./projectionStatements.ts"
import * as statements from "./restoreStatements.ts"
import { toStorageError } from "./sqlErrors.ts"
import type { Rows, Statement } from "./statements.ts"
import { describeStore, type Mark, toMark, toState } from "./transferStatements.ts"

/** Begins a restore, or goes on with the one that was broken off. */
export const beginRestore = (
  sessions: Sessions,
  schema: string,
  plan: RestorePlan
): Effect.Effect<StorageRestore, RestoreTargetNotEmpty | StorageError> =>
  Effect.gen(function*() {
    const startedAt = (yield* Clock.currentTimeMillis) * MICROS
    const fresh: Mark = {
      ...plan,
      position: 0,
      recordedAt: 0,
      startedAt,
      idHorizon: null,
      token: uuidV4Unsafe()
    }
    const mark = yield* transaction(sessions, (ask) => claim(ask, schema, fresh))
    return makeSession(sessions, schema, plan, mark)
  })

/** Clears what a restore has left; false when there is none. */
export const abandonRestore = (sessions: Sessions, schema: string): Effect.Effect<boolean, StorageError> =>
  transaction(
    sessions,
    Effect.fnUntraced(function*(ask: Ask) {
      const { mark } = yield* lock(ask, schema)
      if (mark === undefined) return false
      yield* dropStaged(ask, schema)
      yield* ask(statements.unmark(schema))
      return true
    })
  )

// internal

const MICROS = 1_000

/** Events that one transaction writes, and characters of their JSON; bounds the memory of a statement. */
const STEP_EVENTS = 5_000
const STEP_SIZE = 8 * 1024 * 1024

/** An id may claim to be so much later than its event before others are looked up for it, in milliseconds: an hour. */
const ID_AHEAD_MS = 3_600_000

const OPERATION = "restore"

const transaction = <A, E>(
  sessions: Sessions,
  use: (ask: Ask) => Effect.Effect<A, E | SqlError>
): Effect.Effect<A, Exclude<E, SqlError> | StorageError> =>
  Effect.mapError(
    sessions.interact(use),
    (error) => isSqlError(error) ? toStorageError(OPERATION, error) : error as Exclude<E, SqlError>
  )

/** Locks the log and says how it stands. */
const lock = Effect.fnUntraced(function*(ask: Ask, schema: string) {
  yield* ask({ text: takeAppendLock(schema), parameters: [] })
  const [row] = yield* ask(statements.lockHead(schema))
  if (row === undefined) return yield* headMissing
  return { position: row[0] as number, mark: toMark(row[1]), isFilled: row[2] === true }
})

const headMissing = new StorageError({
  operation: OPERATION,
  reason: new Corrupt({ detail: "the head of the log is missing" })
})

const claim = Effect.fnUntraced(function*(ask: Ask, schema: string, fresh: Mark) {
  const { isFilled, mark: before, position } = yield* lock(ask, schema)
  if (position > 0 || isFilled) {
    const detail = position > 0 ? `${position} events` : "snapshots or projections"
    return yield* new RestoreTargetNotEmpty({ position: position as Position, detail })
  }
  const goesOn = before !== undefined && before.source === fresh.source && before.position <= fresh.until
  if (!goesOn) yield* dropStaged(ask, schema)
  const mark = goesOn ? { ...before, until: fresh.until, token: fresh.token } : fresh
  yield* ask(statements.setMark(schema, mark))
  return mark
})

const dropStaged = Effect.fnUntraced(function*(ask: Ask, schema: string) {
  const months = yield* ask(statements.stagedMonths(schema))
  for (const [month] of months) yield* ask(statements.dropStaged(schema, month as string))
})

const makeSession = (sessions: Sessions, schema: string, plan: RestorePlan, begin: Mark): StorageRestore => {
  let mark = begin
  const staged = new Set<string>()
  const monthOf = statements.makeMonthFinder()

  const write = Effect.fnUntraced(function*(rows: ReadonlyArray<EventRow>) {
    const last = rows.at(-1)
    if (last === undefined) return
    const next = { ...mark, position: last.position, recordedAt: last.recordedAt, idHorizon: horizonOf(mark, rows) }
    const months = Map.groupBy(rows, ({ recordedAt }) => monthOf(recordedAt))
    const steps: Array<Statement> = []
    for (const [month, ofMonth] of months) {
      if (!staged.has(month)) steps.push(statements.stageMonth(schema, month))
      steps.push(statements.insertEvents(schema, month, ofMonth))
    }
    steps.push(statements.moveMark(schema, mark, next))
    const { commit, exits } = yield* sessions.transact(steps, (exits) => exits.every(Exit.isSuccess) && isMoved(exits))
    const failure = firstFailure(commit === undefined ? exits : [commit])
    if (failure !== undefined) return yield* Effect.fail(failure.error)
    if (commit === undefined) return yield* new RestoreOvertaken({ source: plan.source })
    for (const month of months.keys()) staged.add(month)
    mark = next
  })

  return {
    position: begin.position,
    recordedAt: begin.recordedAt,
    writeEvents: (rows) => inWords(Effect.forEach(toSteps(rows), write, { discard: true })),
    finish: <E>(
      { digest, incarnation, rest }: {
        readonly incarnation: string
        readonly digest: EventDigest
        readonly rest: (write: StorageWrite) => Effect.Effect<void, E>
      }
    ) =>
      Effect.suspend(() => {
        const finishing = { schema, plan, mark, digest, incarnation }
        return finish(sessions, finishing, rest)
      })
  }
}

const isMoved = (exits: ReadonlyArray<Exit.Exit<Rows, SqlError>>): boolean => {
  const last = exits.at(-1)
  return last !== undefined && Exit.isSuccess(last) && last.value.length === 1
}

const inWords = <A, E>(self: Effect.Effect<A, E | SqlError>): Effect.Effect<A, Exclude<E, SqlError> | StorageError> =>
  Effect.mapError(
    self,
    (error) => isSqlError(error) ? toStorageError(OPERATION, error) : error as Exclude<E, SqlError>
  )

/** Cuts rows into parts that one transaction writes. */
const toSteps = (rows: ReadonlyArray<EventRow>): ReadonlyArray<ReadonlyArray<EventRow>> => {
  const steps: Array<ReadonlyArray<EventRow>> = []
  let from = 0
  let size = 0
  for (const [index, { data, metadata }] of rows.entries()) {
    size += data.length + metadata.length
    if (index + 1 === rows.length || index + 1 - from >= STEP_EVENTS || size >= STEP_SIZE) {
      steps.push(rows.slice(from, index + 1))
      from = index + 1
      size = 0
    }
  }
  return steps
}

/** The latest time that an id claims ahead of its event: retries of such events are looked for in all months. */
const horizonOf = ({ idHorizon }: Mark, rows: ReadonlyArray<EventRow>): number | null => {
  let horizon = idHorizon
  for (const { id, recordedAt } of rows) {
    if (id.charCodeAt(14) !== SEVEN) continue
    const time = Number.parseInt(id.slice(0, 8), 16) * 0x1_0000 + Number.parseInt(id.slice(9, 13), 16)
    if (time > recordedAt / MICROS + ID_AHEAD_MS && time <= YEAR_9999_MS && (horizon === null || time > horizon)) {
      horizon = time
    }
  }
  return horizon
}

const SEVEN = "7".charCodeAt(0)

/** What PostgreSQL and Date can both say; a forged time is looked up like no time. */
const YEAR_9999_MS = 253_402_300_799_999

interface Finishing {
  readonly schema: string
  readonly plan: RestorePlan
  readonly mark: Mark
  readonly digest: EventDigest
  readonly incarnation: string
}

const finish = <E>(
  sessions: Sessions,
  finishing: Finishing,
  rest: (write: StorageWrite) => Effect.Effect<void, E>
): Effect.Effect<void, E | RestoreError> =>
  Effect.gen(function*() {
    const { incarnation, schema } = finishing
    const found = yield* transaction(sessions, (ask) => ask(statements.stagedMonths(schema)))
    const months = found.map(([month]) => month as string)
    for (const month of months) {
      yield* transaction(
        sessions,
        (ask) => Effect.forEach(statements.indexMonth(schema, month), ask, { discard: true })
      ).pipe(
        Effect.catchTag("StorageError", (error) => Effect.fail(asDifference(error)))
      )
    }
    yield* transaction(sessions, (ask) => apply(ask, finishing, months, rest)).pipe(
      // whoever did not hear the answer to the commit asks
      Effect.catch((error) =>
        error instanceof StorageError && error.isRetryable
          ? Effect.flatMap(
            Effect.result(transaction(sessions, (ask) => ask(describeStore(schema)))),
            (answer) =>
              answer._tag === "Success" && answer.success[0] !== undefined &&
                toState(answer.success[0]).incarnation === incarnation
                ? Effect.void
                : Effect.fail(error)
          )
          : Effect.fail(error)
      )
    )
    yield* Effect.ignore(sessions.interact((ask) => Effect.forEach(statements.analyze(schema), ask, { discard: true })))
  })

/** Ids or revisions that stand in a month twice cannot be of a sound log. */
const asDifference = (error: StorageError): StorageError | RestoreDiffers =>
  error.reason._tag === "Refused" && error.reason.code === "23505"
    ? new RestoreDiffers({ detail: error.reason.detail, expected: "each once", actual: "repeated" })
    : error

const apply = Effect.fnUntraced(function*<E>(
  ask: Ask,
  { digest, incarnation, mark, plan, schema }: Finishing,
  months: ReadonlyArray<string>,
  rest: (write: StorageWrite) => Effect.Effect<void, E>
) {
  yield* ask(statements.DURABLE)
  const { isFilled } = yield* lock(ask, schema)
  if (isFilled) return yield* new RestoreTargetNotEmpty({ position: 0 as Position, detail: "snapshots or projections" })
  const cleared = yield* ask(statements.clearMark(schema, mark))
  if (cleared.length === 0) return yield* new RestoreOvertaken({ source: plan.source })
  for (const month of months) {
    for (const statement of statements.attachMonth(schema, month)) yield* ask(statement)
  }
  yield* compare(ask, schema, plan, digest, months)
  const [[broken, example] = [0, null]] = yield* ask(statements.fillStreams(schema))
  if (Number(broken) > 0) {
    const expected = "0, 1, 2, … without gaps"
    return yield* new RestoreDiffers({ detail: "revisions of streams", expected, actual: `others in ${example}` })
  }
  yield* ask(statements.fillTags(schema))
  yield* rest(writeWith(ask, schema))
  if (plan.until > 0) yield* ask(statements.setHead(schema, plan, mark, incarnation))
  else yield* ask(statements.setHead(schema, plan, { ...mark, recordedAt: 0 }, incarnation))
})

const compare = Effect.fnUntraced(function*(
  ask: Ask,
  schema: string,
  { until }: RestorePlan,
  expected: EventDigest,
  months: ReadonlyArray<string>
) {
  const [[count, first, second] = [0, 0, 0]] = yield* ask(digestLog(schema, { filter: undefined, until }))
  const digest = digestOf(Number(first), Number(second))
  if (count !== expected.count || digest !== expected.digest) {
    return yield* new RestoreDiffers({
      detail: "count and digest of the events",
      expected: `${expected.count} ${expected.digest}`,
      actual: `${count} ${digest}`
    })
  }
  if (months.length < 2) return
  const [[repeated] = [0]] = yield* ask(statements.repeatedIds(schema))
  if (Number(repeated) > 0) {
    return yield* new RestoreDiffers({ detail: "ids", expected: "each once", actual: `${repeated} repeated` })
  }
})

/** Bytes of a statement that writes other rows. */
const WRITE_SIZE = 8 * 1024 * 1024
const WRITE_ROWS = 2_000

const writeWith = (ask: Ask, schema: string): StorageWrite => {
  const insert = {
    streams: (rows: ReadonlyArray<TransferRows["streams"]>) => count(ask(statements.updateStreams(schema, rows))),
    snapshots: (rows: ReadonlyArray<TransferRows["snapshots"]>) => count(ask(statements.insertSnapshots(schema, rows))),
    checkpoints: (rows: ReadonlyArray<CheckpointRow>) =>
      Effect.as(
        Effect.forEach(rows, (row) =>
          Effect.andThen(
            row.slice === 0 ? ask(statements.insertBuild(schema, row)) : Effect.void,
            ask(statements.insertCheckpoint(schema, row))
          ), { discard: true }),
        rows.length
      ),
    states: (rows: ReadonlyArray<TransferRows["states"]>) => count(ask(statements.insertStates(schema, rows))),
    parked: (rows: ReadonlyArray<TransferRows["parked"]>) => count(ask(statements.insertParked(schema, rows)))
  }
  return (kind, rows) =>
    inWords(Effect.map(
      Effect.forEach(toParts(rows), (part) => insert[kind](part as never)),
      (counts) => counts.reduce((sum, one) => sum + one, 0)
    ))
}

const count = (rows: Effect.Effect<Rows, SqlError>): Effect.Effect<number, SqlError> =>
  Effect.map(rows, ({ length }) => length)

const toParts = <Row extends TransferRows[OtherKind]>(
  rows: ReadonlyArray<Row>
): ReadonlyArray<ReadonlyArray<Row>> => {
  const parts: Array<ReadonlyArray<Row>> = []
  let from = 0
  let size = 0
  for (const [index, row] of rows.entries()) {
    size += "bytes" in row ? row.bytes.length : "state" in row ? row.state.length : 0
    if (index + 1 === rows.length || index + 1 - from >= WRITE_ROWS || size >= WRITE_SIZE) {
      parts.push(rows.slice(from, index + 1))
      from = index + 1
      size = 0
    }
  }
  return parts
}
