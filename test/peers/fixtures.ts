/**
 * What the tests of others' bugs share: a projection that is judged after
 * everything that happened to it, and commits that take as long as a test wants.
 */
import type { PgClient } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { PgTransaction } from "../../src/postgres/index.ts"
import { ProjectionControl, type ProjectionRunner } from "../../src/projection/index.ts"
import { layerPostgres } from "../../src/runtime/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { openSql, runAll, scalar } from "../postgres/fixtures.ts"
import { appendAccounts, assertFold, balances, checkpointOf } from "../projection/fixtures.ts"
import { head } from "../store/fixtures.ts"
import { type FaultProxy, makeFaultProxy } from "../support/faultProxy.ts"
import { makeDatabase } from "../support/postgres.ts"
import { waitFor } from "../support/waitFor.ts"

/** The services of a process. */
export interface Process {
  readonly inside: <A, E>(effect: Effect.Effect<A, E, EventStore | CheckpointStore>) => Effect.Effect<A, E>
  readonly store: EventStore["Service"]
  readonly transact: PgTransaction.PgTransaction["Service"]["transact"]
}

/** Opens a store as a process of its own would. */
export const openProcess = (url: string, applicationName = "process"): Effect.Effect<Process, unknown, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layerPostgres({ url, applicationName }))), (context) => ({
    inside: (effect) =>
      effect.pipe(
        Effect.provideService(EventStore, Context.get(context, EventStore)),
        Effect.provideService(CheckpointStore, Context.get(context, CheckpointStore))
      ),
    store: Context.get(context, EventStore),
    transact: Context.get(context, PgTransaction.PgTransaction).transact
  }))

/** A database with plain SQL, a process on it, and a proxy for those that shall meet faults. */
export const openDatabase = (admin: string): Effect.Effect<
  Process & { readonly url: string; readonly sql: PgClient.PgClient; readonly proxy: FaultProxy },
  unknown,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const url = yield* makeDatabase(admin)
    const process = yield* openProcess(url)
    const sql = yield* openSql(url, { applicationName: "test" })
    return { ...process, url, sql, proxy: yield* makeFaultProxy(url) }
  })

/** Category of the accounts whose balances are projected. */
export const CATEGORY = "account"

/** The balances, by account. */
export const projection = balances(CATEGORY, { name: "balances" })

/** Small pages and commits, so that what goes wrong between two of them does. */
export const SMALL: ProjectionRunner.RunnerOptions = { batchEvents: 3 }

/** Opens three accounts with a few deposits. */
export const openAccounts = appendAccounts(CATEGORY, 3, 6)

/** A deposit into an account, to append. */
export const deposit = (account: string, amount = 1) => ({
  streamId: `${CATEGORY}-${account}`,
  expected: "any" as const,
  events: [{ type: "MoneyDeposited", version: 2, data: { amount } }]
})

/** Waits until the projection has seen the whole log, and asserts that it saw each event once. */
export const assertCaughtUp = Effect.gen(function*() {
  const end = yield* head
  yield* ProjectionControl.awaitPosition(projection, end, "30 seconds")
  yield* assertFold(CATEGORY, projection)
  return yield* checkpointOf(projection)
})

/** Makes commits of appends to streams of the category `slow` wait until the lock is free. */
export const makeCommitsSlow = (sql: PgClient.PgClient): Effect.Effect<void, unknown> =>
  runAll(sql, [
    `CREATE FUNCTION public.wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.name LIKE 'slow-%' THEN PERFORM pg_advisory_xact_lock_shared(${SLOW_LOCK}); END IF; RETURN NULL; END $$`,
    `CREATE CONSTRAINT TRIGGER wait_for_test AFTER INSERT OR UPDATE ON event_store.streams
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.wait_for_test()`
  ])

/** A session that keeps slow commits waiting until it lets them go. */
export const holdCommits = (
  url: string
): Effect.Effect<{ readonly release: Effect.Effect<void> }, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const holder = yield* openSql(url, { maxConnections: 1 })
    const connection = yield* holder.reserve
    const run = (text: string) => connection.executeUnprepared(text, [], undefined)
    yield* run(`SELECT pg_advisory_lock(${SLOW_LOCK})`)
    return { release: Effect.orDie(Effect.asVoid(run(`SELECT pg_advisory_unlock(${SLOW_LOCK})`))) }
  })

/** Waits until so many commits wait. */
export const awaitSlowCommits = (sql: PgClient.PgClient, count = 1): Effect.Effect<unknown, unknown> =>
  waitFor(
    scalar(
      sql,
      `SELECT count(*)::int FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT l.granted
        AND d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = ${SLOW_LOCK}`
    ),
    (waiting) => waiting === count
  )

/** Makes every append with an event of the type `Refused` fail in the database, after its position was given out. */
export const makeRefusals = (sql: PgClient.PgClient): Effect.Effect<void, unknown> =>
  runAll(sql, [
    `CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.type = 'Refused' THEN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$`,
    `CREATE TRIGGER refuse BEFORE INSERT ON event_store.events FOR EACH ROW EXECUTE FUNCTION public.refuse()`
  ])

/** Asserts that positions go up by one from the first. */
export const assertGapless = (positions: ReadonlyArray<number>): void => {
  const [first = 0] = positions
  assert.deepStrictEqual(positions, positions.map((_, index) => first + index))
}

// internal

const SLOW_LOCK = 4_242
