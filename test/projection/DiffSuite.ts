/**
 * What a comparison of two builds promises: one text for all storages.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { Projection, ProjectionDiff, ProjectionRebuild, ProjectionRunner } from "../../src/projection/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { runAll } from "../postgres/fixtures.ts"
import { someCategory } from "../store/fixtures.ts"
import { account, appendAccounts, appendDeposits, balances } from "./fixtures.ts"
import { appendSales, salesByCountry, type SalesOptions, Sold } from "./sales.ts"

const { runOnce } = ProjectionRunner

const NOTHING = { onlyBefore: 0, onlyAfter: 0, changed: 0 }

const countsOf = ({ parts: [part] }: ProjectionDiff.Difference) => {
  const { changed = -1, onlyAfter = -1, onlyBefore = -1, same = -1 } = part ?? {}
  return { onlyBefore, onlyAfter, changed, same }
}

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`ProjectionDiff (${storage})`, (it) => {
    it.effect("two builds of the same events are the same, and both are said to be at the same place", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 9)
        const projection = balances(category)
        yield* runOnce(projection)
        yield* ProjectionRebuild.build(projection)
        const found = yield* ProjectionDiff.diffBuilds(projection)
        const { name } = projection
        assert.isTrue(found.isSame)
        assert.isTrue(found.isSamePosition)
        assert.deepStrictEqual(countsOf(found), { ...NOTHING, same: 3 })
        assert.deepStrictEqual(found.before.build, { name, version: 1, build: 1 })
        assert.deepStrictEqual(found.after.build, { name, version: 1, build: 2 })
        assert.strictEqual(found.after.events, 12)
        yield* ProjectionRebuild.swap(projection)
        yield* appendDeposits(category, 3, 1)
        yield* runOnce(projection)
        const later = yield* ProjectionDiff.diffBuilds(projection)
        assert.isFalse(later.isSamePosition)
        assert.deepStrictEqual(countsOf(later), { ...NOTHING, changed: 1, same: 2 })
        assert.strictEqual(later.before.build.build, 1)
      }))

    it.effect("states that are missing, more, or different are counted and shown, by key in the order of its bytes", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 4, 8)
        const before = balances(category)
        yield* runOnce(before)
        yield* runOnce({ ...balances(category, { version: 2 }), name: before.name })
        const after = { ...balances(category, { version: 2 }), name: before.name }
        const store = yield* CheckpointStore
        const { definition, name } = after
        const claim = { name, version: 2, definition, owner: "x", leaseMillis: 60_000, statuses: ["running"] } as const
        const answer = yield* store.acquire(claim)
        if (answer._tag !== "Acquired") return assert.fail("held")
        const at = (index: number) => account(category, index)
        const { checkpoint } = answer.record
        const changed = "{\"owner\":\"owner 1\",\"deposits\":9,\"amount\":99}"
        const same = (yield* store.loadStates({ name, version: 1 }, [at(2)])).get(at(2)) ?? ""
        const reordered = JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(same)).toReversed()))
        yield* store.commit(answer.lease, {
          from: checkpoint.position,
          to: checkpoint,
          states: new Map([
            [at(0), undefined],
            [at(1), changed],
            [at(2), reordered],
            ["\u{10000}", "1"],
            ["\uffff", "2"]
          ])
        })
        yield* store.release(answer.lease)
        const found = yield* ProjectionDiff.diff(before, after)
        assert.isFalse(found.isSame)
        assert.isTrue(found.isSamePosition)
        assert.deepStrictEqual(countsOf(found), { onlyBefore: 1, onlyAfter: 2, changed: 1, same: 2 })
        const { samples } = found.parts[0]!
        assert.deepStrictEqual(
          samples.map(({ key }) => JSON.parse(key)),
          [at(0), at(1), "\uffff", "\u{10000}"].map((key) => ({ key }))
        )
        assert.deepStrictEqual(samples[1]!.columns, ["amount", "deposits"])
        assert.strictEqual(samples[1]!.after, changed)
        assert.isUndefined(samples[0]!.after)
        assert.isUndefined(samples[2]!.before)
        const few = yield* ProjectionDiff.diff(before, after, { samples: 1 })
        assert.strictEqual(few.parts[0]!.samples.length, 1)
        assert.deepStrictEqual(countsOf(few), countsOf(found))
      }))

    it.effect("a new version is compared with the one that is live, before its swap and after it, without its code", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 9)
        const old = balances(category)
        const next = { ...balances(category, { version: 2 }), name: old.name }
        yield* runOnce(old)
        yield* ProjectionRebuild.build(next)
        const sidesOf = ({ after, before }: ProjectionDiff.Difference) => [before.build.version, after.build.version]
        const found = yield* ProjectionDiff.diffBuilds(next)
        assert.deepStrictEqual(sidesOf(found), [1, 2])
        assert.deepStrictEqual(countsOf(found), { ...NOTHING, same: 3 })
        yield* ProjectionRebuild.swap(next)
        assert.deepStrictEqual(sidesOf(yield* ProjectionDiff.diffBuilds(next)), [1, 2])
        const table = salesByCountry({ category, name: old.name, version: 2 })
        assert.strictEqual((yield* Effect.flip(ProjectionDiff.diffBuilds(table.projection)))._tag, "ProjectionInvalid")
      }))

    it.effect("what is not there, and what cannot be compared, is said", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        assert.strictEqual((yield* Effect.flip(ProjectionDiff.diffBuilds(projection)))._tag, "BuildMissing")
        yield* runOnce(projection)
        assert.strictEqual((yield* Effect.flip(ProjectionDiff.diffBuilds(projection)))._tag, "BuildMissing")
        const { projection: table } = salesByCountry({ category, name: projection.name, version: 2 })
        yield* CheckpointStore.use((store) =>
          store.acquire({
            name: table.name,
            version: 2,
            definition: "",
            owner: "x",
            leaseMillis: 1,
            statuses: ["running"]
          })
        )
        assert.strictEqual((yield* Effect.flip(ProjectionDiff.diff(projection, table)))._tag, "ProjectionInvalid")
      }))
  })
}

/** Registers the tests for a storage that has tables. */
export const tableSuite = <E>(
  storage: string,
  layer: Layer.Layer<CheckpointStore | EventStore | PgClient.PgClient, E>
): void => {
  /** Sales in two builds, of which the second is not live. */
  const twoBuilds = (rest: Omit<SalesOptions, "category"> = {}) =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* appendSales(category, 12)
      const sales = salesByCountry({ category, ...rest })
      yield* runOnce(sales.projection)
      yield* ProjectionRebuild.build(sales.projection)
      return { ...sales, second: `public.${Projection.tableName(sales.table, 1, 2)}` }
    })

  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Diff of tables (${storage})`, (it) => {
    it.effect("rows are told by their primary key: missing, more, changed with the columns that differ", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { physical, projection, second } = yield* twoBuilds()
        const same = yield* ProjectionDiff.diffBuilds(projection)
        assert.isTrue(same.isSame)
        assert.isTrue(same.isSamePosition)
        assert.deepStrictEqual(countsOf(same), { ...NOTHING, same: 4 })
        yield* runAll(sql, [
          `DELETE FROM ${physical} WHERE country = 'DE'`,
          `DELETE FROM ${second} WHERE country = 'FR'`,
          `UPDATE ${second} SET units = units + 1 WHERE country = 'constructor'`
        ])
        const found = yield* ProjectionDiff.diffBuilds(projection)
        assert.isFalse(found.isSame)
        assert.deepStrictEqual(countsOf(found), { onlyBefore: 1, onlyAfter: 1, changed: 1, same: 1 })
        const [part] = found.parts
        assert.deepStrictEqual(part!.key, ["country"])
        assert.deepStrictEqual(
          part!.samples.map(({ after, before, columns, key }) => ({
            key: JSON.parse(key),
            before: before === undefined ? undefined : JSON.parse(before),
            after: after === undefined ? undefined : JSON.parse(after),
            columns
          })),
          [
            { key: { country: "DE" }, before: undefined, after: { country: "DE", units: 15, events: 3 }, columns: [] },
            { key: { country: "FR" }, before: { country: "FR", units: 18, events: 3 }, after: undefined, columns: [] },
            {
              key: { country: "constructor" },
              before: { country: "constructor", units: 21, events: 3 },
              after: { country: "constructor", units: 22, events: 3 },
              columns: ["units"]
            }
          ]
        )
        const none = yield* ProjectionDiff.diffBuilds(projection, { samples: 0 })
        assert.deepStrictEqual(none.parts[0]!.samples, [])
        assert.deepStrictEqual(countsOf(none), countsOf(found))
        for (const samples of [-1, 0.5, 10_001]) {
          const error = yield* Effect.flip(ProjectionDiff.diffBuilds(projection, { samples }))
          assert.strictEqual(error._tag, "InvalidInput")
        }
      }))

    it.effect("rows without a primary key are compared whole, and counted as often as they stand there", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const body = "country text UNIQUE, units bigint, events bigint, note json"
        const { physical, projection, second } = yield* twoBuilds({ body })
        yield* runAll(sql, [
          `INSERT INTO ${physical} VALUES (NULL, 1, 1, '{}'), (NULL, 1, 1, '{}'), (NULL, NULL, 1, NULL)`,
          `INSERT INTO ${second} VALUES (NULL, 1, 1, '{}'), (NULL, NULL, 2, NULL)`
        ])
        const found = yield* ProjectionDiff.diffBuilds(projection)
        assert.deepStrictEqual(countsOf(found), { onlyBefore: 2, onlyAfter: 1, changed: 0, same: 5 })
        const [part] = found.parts
        assert.deepStrictEqual(part!.key, [])
        assert.deepStrictEqual(part!.samples.map(({ after, before }) => JSON.parse(after ?? before ?? "")), [
          { country: null, units: "1", events: "1", note: "{}" },
          { country: null, units: null, events: "1", note: null },
          { country: null, units: null, events: "2", note: null }
        ])
      }))

    it.effect("tables of a new version are compared with those that are live, and those that only one has are named", () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const category = someCategory()
        yield* appendSales(category, 12)
        const old = salesByCountry({ category })
        yield* runOnce(old.projection)
        yield* runAll(sql, [`DELETE FROM ${old.physical} WHERE country = 'DE'`])
        const next = Projection.table({
          name: old.projection.name,
          version: 2,
          events: [Sold],
          where: { categories: [category] },
          tables: {
            [old.table]: "country text PRIMARY KEY, units bigint NOT NULL, events bigint NOT NULL",
            [`${old.table}_more`]: "country text"
          },
          on: {
            Sold: ({ data: { country, units } }, tables) =>
              Projection.sql`INSERT INTO ${tables[old.table]!} AS t VALUES (${country}, ${units}::bigint, 1)
                ON CONFLICT (country) DO UPDATE SET units = t.units + excluded.units, events = t.events + 1`
          }
        })
        yield* ProjectionRebuild.build(next)
        const found = yield* ProjectionDiff.diffBuilds(next)
        assert.deepStrictEqual([found.before.build.version, found.after.build.version], [1, 2])
        assert.deepStrictEqual(countsOf(found), { ...NOTHING, onlyAfter: 1, same: 3 })
        assert.deepStrictEqual([found.tablesOnlyBefore, found.tablesOnlyAfter], [[], [`${old.table}_more`]])
        assert.isFalse(found.isSame)
        yield* ProjectionRebuild.swap(next)
        assert.deepStrictEqual(countsOf(yield* ProjectionDiff.diffBuilds(next)), { ...NOTHING, onlyAfter: 1, same: 3 })
      }))

    it.effect("versions with other columns are compared in those that both have, and the others are named", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 12)
        const old = salesByCountry({ category })
        yield* runOnce(old.projection)
        const next = salesByCountry({
          category,
          name: old.projection.name,
          table: old.table,
          version: 2,
          body: "\"it's\" text, events bigint NOT NULL, units numeric NOT NULL, country text PRIMARY KEY"
        })
        yield* ProjectionRebuild.build(next.projection)
        const found = yield* ProjectionDiff.diff(old.projection, next.projection)
        assert.isTrue(found.isSame)
        assert.deepStrictEqual(countsOf(found), { ...NOTHING, same: 4 })
        assert.deepStrictEqual(found.parts[0]!.columnsOnlyBefore, [])
        assert.deepStrictEqual(found.parts[0]!.columnsOnlyAfter, ["it's"])
      }))
  })
}
