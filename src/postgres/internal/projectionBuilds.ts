import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { PROJECTION_BUILD_MAX } from "../../event/Limits.ts"
import type { Position } from "../../event/Revision.ts"
import {
  BuildMissing,
  type BuildRemoval,
  BuildsExhausted,
  type CheckpointStore,
  HistoryChanged,
  historyChanged,
  judgeClaim,
  type LeaseAnswer,
  type ProjectionChanged
} from "../../store/CheckpointStore.ts"
import { Corrupt, StorageError } from "../../store/EventStoreError.ts"
import * as builds from "./buildStatements.ts"
import { quoteName } from "./identifiers.ts"
import { pairs, RECORD_COLUMNS, toBuild, toRecord } from "./projectionRows.ts"
import type { Ask, Sessions } from "./projectionSession.ts"
import * as statements from "./projectionStatements.ts"
import { toStorageError } from "./sqlErrors.ts"
import { runner } from "./statements.ts"
import { findParent, toParent } from "./transferStatements.ts"

/** Takes a lease; registers the projection, and its current build, when they are not known yet. */
export const acquire = (
  sessions: Sessions,
  schema: string,
  claim: Parameters<CheckpointStore["Service"]["acquire"]>[0]
): ReturnType<CheckpointStore["Service"]["acquire"]> => {
  const attempt = Effect.fnUntraced(function*(run: Ask): Effect.fn.Return<
    LeaseAnswer | HistoryChanged,
    ProjectionChanged | BuildMissing | StorageError | SqlError
  > {
    const key = yield* holdBuild(run, schema, claim)
    const exact = { ...claim, ...key }
    yield* run(statements.register(schema, exact))
    // an inline append may move row and head together: the head is read once the row is ours
    yield* run(statements.lock(schema, exact))
    const [row] = yield* run(statements.lock(schema, exact))
    if (row === undefined) return yield* Effect.fail(missing)
    const record = toRecord(row)
    const [position, incarnation, now] = row.slice(RECORD_COLUMNS) as unknown as readonly [Position, string, Date]
    const verdict = judgeClaim(record, claim, { position, incarnation }, now.getTime())
    if (verdict === "held") return { _tag: "Held", record }
    if (verdict instanceof HistoryChanged) {
      const [[parent = null, until = null] = []] = yield* run(findParent(schema))
      const head = { position, incarnation, parent: toParent(parent as string | null, until as number | null) }
      const told = historyChanged(record, record.checkpoint, head)
      yield* run(statements.haltUnclaimed(schema, exact, told.message))
      return told
    }
    if (verdict !== "free") return yield* Effect.fail(verdict)
    const [granted] = yield* run(statements.grant(schema, exact))
    if (granted === undefined) return yield* Effect.fail(missing)
    const { leaseMillis, name, owner } = claim
    const taken = toRecord(granted)
    return {
      _tag: "Acquired",
      lease: { name, ...key, slice: taken.slice, owner, epoch: taken.epoch, leaseMillis, incarnation },
      record: taken
    }
  })
  // what was noted is committed before it is answered
  return Effect.flatMap(
    transaction(sessions, "acquireLease", attempt),
    (answer) => answer instanceof HistoryChanged ? Effect.fail(answer) : Effect.succeed(answer)
  )
}

/** What the contract says of builds. */
export const makeBuilds = (
  sql: PgClient.PgClient,
  sessions: Sessions,
  schema: string
): Pick<CheckpointStore["Service"], "findLive" | "addBuild" | "listBuilds" | "removeBuild"> => {
  const run = runner(sql)
  return {
    findLive: (name) =>
      Effect.map(
        run("findLive", builds.findLive(schema, name)),
        ([row]) => row === undefined ? Option.none() : Option.some(Number(row[0]))
      ),
    addBuild: ({ name, version }) =>
      transaction(
        sessions,
        "addBuild",
        Effect.fnUntraced(function*(run) {
          yield* run(builds.lockName(schema, { name, version }))
          const [row] = yield* run(builds.addBuild(schema, { name, version }))
          return row === undefined ? yield* new BuildsExhausted({ name, version }) : toBuild(row)
        })
      ),
    listBuilds: (name) => Effect.map(run("listBuilds", builds.listBuilds(schema, name)), (rows) => rows.map(toBuild)),
    removeBuild: (key, options = {}) =>
      Effect.gen(function*() {
        const answer = yield* transaction(sessions, "removeBuild", (run) => fence(run, schema, key, options))
        if (typeof answer === "string") return answer
        yield* transaction(sessions, "removeBuild", (run) => remove(run, schema, key, answer))
        return "removed"
      })
  }
}

// internal

/** How long the removal of a table waits for those who use it. */
const DROP_WAIT = "5s"

const missing = new StorageError({
  operation: "acquireLease",
  reason: new Corrupt({ detail: "the head of the log, or the projection's row, is missing" })
})

const transaction = <A, E>(
  sessions: Sessions,
  operation: string,
  use: (run: Ask) => Effect.Effect<A, E | SqlError>
): Effect.Effect<A, Exclude<E, SqlError> | StorageError> =>
  Effect.mapError(
    sessions.interact(use),
    (error) => isSqlError(error) ? toStorageError(operation, error) : error as Exclude<E, SqlError>
  )

/** The build that a claim means, which stays until the transaction ends; one is registered when none is current. */
const holdBuild = Effect.fnUntraced(function*(
  run: Ask,
  schema: string,
  { build, name, version }: Parameters<CheckpointStore["Service"]["acquire"]>[0]
) {
  const [held] = yield* run(builds.holdBuild(schema, { name, version, build }))
  if (held !== undefined) return builds.splitNumber(Number(held[0]))
  if (build !== undefined) return yield* new BuildMissing({ name, version, build })
  yield* run(builds.lockName(schema, { name, version }))
  yield* run(builds.registerCurrent(schema, { name, version }))
  const [registered] = yield* run(builds.holdBuild(schema, { name, version }))
  return registered === undefined
    ? yield* new BuildMissing({ name, version, build: PROJECTION_BUILD_MAX })
    : builds.splitNumber(Number(registered[0]))
})

/** Ends the leases of a build that may be removed; its tables, or why it stays. */
const fence = Effect.fnUntraced(function*(
  run: Ask,
  schema: string,
  key: Parameters<CheckpointStore["Service"]["removeBuild"]>[0],
  { onlyIdle = false }: NonNullable<Parameters<CheckpointStore["Service"]["removeBuild"]>[1]>
) {
  yield* run(builds.lockName(schema, key))
  const [row] = yield* run(builds.judgeRemoval(schema, key))
  if (row === undefined) return "missing" satisfies BuildRemoval
  const [isLive, status, isRetired, tables, isLeased] = row as unknown as RemovalRow
  if (isLive) return "live" satisfies BuildRemoval
  if (status === "current" && !isRetired) return "current" satisfies BuildRemoval
  if (onlyIdle && isLeased) return "leased" satisfies BuildRemoval
  if (status !== "removed") {
    for (const statement of builds.fenceRemoved(schema, key)) yield* run(statement)
  }
  return tables
})

type RemovalRow = readonly [
  isLive: boolean,
  status: string,
  isRetired: boolean,
  tables: ReadonlyArray<string>,
  isLeased: boolean
]

/** Tables first: whoever is about to commit has them, and waits for the rows. */
const remove = Effect.fnUntraced(function*(
  run: Ask,
  schema: string,
  key: Parameters<CheckpointStore["Service"]["removeBuild"]>[0],
  tables: ReadonlyArray<string>
) {
  yield* run({ text: `SET LOCAL lock_timeout = '${DROP_WAIT}'`, parameters: [] })
  for (const [space, name] of pairs(tables)) {
    yield* run({ text: `DROP TABLE IF EXISTS ${quoteName(space)}.${quoteName(name)}`, parameters: [] })
  }
  for (const statement of builds.deleteRemoved(schema, key)) yield* run(statement)
})
