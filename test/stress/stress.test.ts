/**
 * Many processes at once on one log, checked by what each of them saw.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgMigrations } from "../../src/postgres/index.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { start } from "./processes.ts"
import { FILTER_NAMES } from "./requests.ts"
import { wrongsOf } from "./trials.ts"
import { verify } from "./verify.ts"

const server = servers[0]
if (server === undefined) throw new Error("there is no server")

describe(`processes that write and follow at the same time (${server.label})`, () => {
  it.live("three writers and two readers agree on one log, in which nothing is lost, repeated or out of order", () =>
    Effect.gen(function*() {
      const verdict = yield* run({ url: yield* makeDatabase(server.admin), operations: 400 })
      assert.deepStrictEqual(wrongsOf(verdict), [])
      assert.isAbove(verdict.acknowledged, 400)
      assert.isAbove(verdict.deliveries, verdict.events * 2)
    }).pipe(Effect.scoped))

  it.live("commits that take their time, or are rolled back at the last moment, leave no gap and make nobody skip", () =>
    Effect.gen(function*() {
      const url = yield* makeDatabase(server.admin)
      yield* withTroubledCommits(url)
      const verdict = yield* run({ url, operations: 100 })
      assert.deepStrictEqual(wrongsOf(verdict), [])
      assert.isAbove(verdict.acknowledged, 100)
    }).pipe(Effect.scoped))

  it.live("appends that do not wait for each other are found out", () =>
    Effect.gen(function*() {
      const url = yield* makeDatabase(server.admin)
      yield* withoutLock(url)
      const verdict = yield* run({ url, operations: 60, concurrency: 1 })
      assert.include(verdict.violations.map(({ invariant }) => invariant), "G4")
      assert.isTrue(verdict.faults.some((fault) => fault.includes("positions repeat")), verdict.faults.join("\n"))
    }).pipe(Effect.scoped))

  it.live("positions that are given out before the wait are found out", () =>
    Effect.gen(function*() {
      const url = yield* makeDatabase(server.admin)
      yield* withEarlyPositions(url)
      const verdict = yield* run({ url, operations: 60, concurrency: 1 })
      assert.include(verdict.violations.map(({ invariant }) => invariant), "G1")
    }).pipe(Effect.scoped))
})

// internal

/** Lets three writers do so many operations each, with two readers beside them. */
const run = ({ concurrency = 6, operations, url }: {
  readonly url: string
  readonly operations: number
  readonly concurrency?: number
}) =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-stress-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const settings = (name: string, seed: number, followers: typeof FILTER_NAMES) => ({
      url,
      name,
      seed,
      operations,
      followers,
      file: join(directory, name),
      earlier: [],
      concurrency: concurrency * seed
    })
    const processes = yield* Effect.all([
      start("writer", settings("a", 1, ["all"])),
      start("writer", settings("b", 2, ["tag"])),
      start("writer", settings("c", 3, ["category"])),
      start("reader", settings("d", 4, FILTER_NAMES)),
      start("reader", settings("e", 5, ["all", "stream", "query"]))
    ])
    for (const process of processes) yield* process.reported("open")
    for (const process of processes) yield* process.order("begin")
    for (const process of processes) yield* process.reported("idle")
    yield* processes[0].order("end")
    for (const process of processes) yield* process.reported("done")
    return yield* verify({
      url,
      files: processes.map(({ settings }) => settings.file),
      workers: processes.map(({ settings }) => settings.name),
      file: join(directory, "verifier")
    })
  })

/** Makes a schema, and does more to it. */
const prepare = <A, E>(url: string, change: (sql: PgClient.PgClient) => Effect.Effect<A, E>) =>
  Effect.andThen(PgMigrations.apply(), PgClient.PgClient.use(change)).pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })),
    Effect.provide(Reactivity.layer)
  )

/** Three of ten commits fail as if two transactions had met; the others take a moment. */
const withTroubledCommits = (url: string) =>
  prepare(url, (sql) =>
    Effect.andThen(
      sql`
        CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM pg_sleep(random() * 0.01);
          IF random() < 0.3 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF;
          RETURN NULL;
        END $$`,
      sql`
        CREATE CONSTRAINT TRIGGER trouble AFTER UPDATE ON event_store.head DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION trouble()`
    ))

/** Makes a schema in which the append functions are changed, and no index of the events is there to stop them. */
const spoil = (url: string, changes: ReadonlyArray<readonly [text: string | RegExp, by: string]>) =>
  prepare(url, (sql) =>
    Effect.gen(function*() {
      yield* sql`CREATE SEQUENCE event_store.places INCREMENT 100`
      const functions = yield* sql<{ definition: string }>`
      SELECT pg_get_functiondef(oid) AS definition FROM pg_proc
      WHERE pronamespace = 'event_store'::regnamespace AND prosrc LIKE '%UPDATE head%'`
      assert.isAbove(functions.length, 0)
      for (const { definition } of functions) {
        yield* sql.unsafe(changes.reduce((before, [text, by]) => {
          const after = before.replace(text, by)
          assert.notStrictEqual(after, before, `the function has changed: ${String(text)}`)
          return after
        }, definition))
      }
      const indexes = yield* sql<{ name: string }>`
      SELECT i.indexrelid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
      WHERE c.relnamespace = 'event_store'::regnamespace AND c.relname LIKE 'event%' AND i.indisunique`
      for (const { name } of indexes) {
        yield* sql.unsafe(
          name.endsWith("event_tags_pkey")
            ? "ALTER TABLE event_store.event_tags DROP CONSTRAINT event_tags_pkey"
            : `DROP INDEX ${name}`
        )
      }
      // two that make the same stream shall not stop each other
      yield* sql`
      CREATE FUNCTION make_once() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM pg_advisory_xact_lock(hashtext(NEW.name));
        RETURN CASE WHEN EXISTS (SELECT FROM event_store.streams s WHERE s.name = NEW.name) THEN NULL ELSE NEW END;
      END $$`
      yield* sql`
      CREATE TRIGGER make_once BEFORE INSERT ON event_store.streams FOR EACH ROW EXECUTE FUNCTION make_once()`
    }))

const LOCK = /pg_advisory_xact_lock\([^)]*\)/
const HEAD_WAS_READ = /FROM head h WHERE h.id = 1( AND h.restoring IS NULL)?;/

/** Several appends read the same head, and stop there for a moment; the head itself never moves back. */
const withoutLock = (url: string) =>
  spoil(url, [
    [LOCK, "pg_sleep(0)"],
    [HEAD_WAS_READ, "$& PERFORM pg_sleep(0.005);"],
    [/SET position = ([^,]+),/, "SET position = greatest(h.position, $1),"]
  ])

/** A sequence gives the positions, and some appends are slower than others. */
const withEarlyPositions = (url: string) =>
  spoil(url, [
    [LOCK, "pg_sleep(0)"],
    [/SELECT h\.position( \+ 1)?,/, "SELECT nextval('event_store.places'),"],
    [HEAD_WAS_READ, "$& PERFORM pg_sleep(random() * 0.05);"],
    [/SET position = ([^,]+),/, "SET position = greatest(h.position, $1),"]
  ])
