/**
 * What a rehearsal of a projection promises: one text for all storages.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, type Layer, Schedule, Schema } from "effect"
import { Projection, ProjectionRebuild, ProjectionRehearsal, ProjectionRunner } from "../../src/projection/index.ts"
import type { StateProjection } from "../../src/projection/Projection.ts"
import type { Follower } from "../../src/projection/Reactor.ts"
import { CheckpointStore, type ProjectionCommit } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { sliceOf } from "../../src/store/Slice.ts"
import { runAll } from "../postgres/fixtures.ts"
import { head, someCategory } from "../store/fixtures.ts"
import { buildsOf } from "./builds.ts"
import {
  account,
  allStates,
  appendAccounts,
  appendDeposits,
  type Balance,
  balances,
  checkpointOf,
  someProjectionName,
  types
} from "./fixtures.ts"
import { appendSales, salesByCountry } from "./sales.ts"

const { rehearse } = ProjectionRehearsal
const { runOnce } = ProjectionRunner

const partOf = ({ stored }: ProjectionRehearsal.Rehearsal) => {
  if (stored._tag !== "Equal" && stored._tag !== "Differs") return assert.fail(stored._tag)
  const { changed = -1, name, onlyAfter = -1, onlyBefore = -1, same = -1, samples = [] } = stored.parts[0] ?? {}
  return { name, onlyBefore, onlyAfter, changed, same, keys: samples.map(({ key }) => JSON.parse(key).key) }
}

/** Writes what no runner would have written. */
const forge = (projection: Follower<unknown>, slice: number, commit: Partial<ProjectionCommit>) =>
  Effect.gen(function*() {
    const checkpoints = yield* CheckpointStore
    const { definition, name, version } = projection
    const answer = yield* checkpoints.acquire({
      name,
      version,
      definition,
      slice,
      slices: projection.slices?.count ?? 1,
      owner: "forger",
      leaseMillis: 60_000,
      statuses: ["running"]
    })
    if (answer._tag === "Held") return assert.fail("held")
    const { incarnation: _, ...to } = answer.record.checkpoint
    yield* checkpoints.commit(answer.lease, { from: to.position, to, ...commit })
    yield* checkpoints.release(answer.lease)
  })

/** Balances by account, in slices. */
const divided = (category: string, count: number): StateProjection<Balance> => {
  const whole = balances(category)
  return { ...whole, slices: { count }, definition: `${whole.definition} in ${count}` }
}

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`ProjectionRehearsal (${storage})`, (it) => {
    it.effect("what is stored is compared where it has come to, and the new build goes on to the end", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 9)
        const projection = balances(category)
        const then = yield* runOnce(projection)
        const states = yield* allStates(projection)
        yield* appendDeposits(category, 3, 6)
        const report = yield* rehearse(projection, { batchEvents: 4 })
        assert.deepInclude(report as object, { isSound: true, isComplete: true, parked: 0, name: projection.name })
        assert.strictEqual(report.checkpoint.position, yield* head)
        assert.deepInclude(report.checkpoint as object, { count: 18, digest: report.log.digest })
        assert.deepInclude(report.stored as object, { _tag: "Equal", position: then.position, parked: 0 })
        assert.deepStrictEqual(partOf(report), {
          name: "states",
          onlyBefore: 0,
          onlyAfter: 0,
          changed: 0,
          same: 3,
          keys: []
        })
        // nothing is left of it, and nothing was touched
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 live"])
        assert.deepStrictEqual(yield* checkpointOf(projection), then)
        assert.deepStrictEqual(yield* allStates(projection), states)
      }))

    it.effect("states that differ are named, those that are missing and those too many", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 4, 8)
        const projection = balances(category)
        yield* runOnce(projection)
        yield* forge(projection, 0, {
          states: new Map([
            [account(category, 0), undefined],
            [account(category, 1), "{\"owner\":\"owner 1\",\"deposits\":9,\"amount\":99}"],
            ["nobody", "{\"owner\":\"\",\"deposits\":0,\"amount\":0}"]
          ])
        })
        const report = yield* rehearse(projection)
        assert.deepInclude(report as object, { isSound: false, isComplete: true })
        assert.strictEqual(report.stored._tag, "Differs")
        assert.deepStrictEqual(partOf(report), {
          name: "states",
          onlyBefore: 1,
          onlyAfter: 1,
          changed: 1,
          same: 2,
          keys: [account(category, 0), account(category, 1), "nobody"]
        })
        assert.strictEqual(partOf(yield* rehearse(projection, { samples: 1 })).keys.length, 1)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 live"])
      }))

    it.effect("a projection that is not stored, or of another definition, is built and proved, and it is said", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 4)
        const projection = balances(category)
        const absent = yield* rehearse(projection)
        assert.deepInclude(absent as object, { isSound: true, isComplete: true })
        assert.deepStrictEqual(absent.stored, { _tag: "Absent" })
        assert.deepStrictEqual(yield* buildsOf(projection), [])
        yield* runOnce(projection)
        const other = yield* rehearse({ ...projection, definition: "something else" })
        assert.isTrue(other.isSound)
        assert.deepInclude(other.stored as object, { _tag: "OtherDefinition", definition: projection.definition })
      }))

    it.effect("slices that stand apart are compared each where it has come to", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 9, 18)
        const projection = divided(category, 3)
        yield* runOnce(projection)
        const before = yield* head
        yield* appendDeposits(category, 9, 18)
        // one slice goes on alone
        const other = { ...projection, name: someProjectionName() }
        yield* runOnce(other)
        const checkpoints = yield* CheckpointStore
        const [, ahead] = yield* checkpoints.findSlices(other)
        const keys = (yield* allStates(projection)).map(([key]) => key)
        const states = yield* checkpoints.loadStates(other, keys)
        const { incarnation: _, ...to } = ahead!.checkpoint
        yield* forge(projection, 1, {
          to,
          states: new Map([...states].filter(([key]) => sliceOf(key, 3) === 1))
        })
        const report = yield* rehearse(projection)
        assert.deepInclude(report as object, { isSound: true, isComplete: true })
        assert.deepInclude(report.stored as object, { _tag: "Equal", position: before })
        assert.strictEqual(partOf(report).same, 9)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 live"])
        yield* forge(projection, 2, { states: new Map([[keys.find((key) => sliceOf(key, 3) === 2)!, undefined]]) })
        assert.deepInclude(partOf(yield* rehearse(projection)), { onlyAfter: 1, same: 8 })
      }))

    it.effect("what cannot be applied fails as it does for a runner, and what parks is counted", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 6)
        const retry = Schedule.recurs(0)
        const make = (action: "halt" | "park") =>
          Projection.state({
            name: someProjectionName(),
            events: types,
            where: { categories: [category] },
            onError: { action },
            state: Schema.Int,
            initial: 0,
            key: ({ streamId }) => streamId,
            on: {
              AccountOpened: (n) => n + 1,
              MoneyDeposited: (n, { revision }) => {
                if (revision === 3) throw new RangeError("three")
                return n + 1
              }
            }
          })
        const halting = make("halt")
        const failure = yield* Effect.flip(rehearse(halting, { retry }))
        assert.deepInclude(failure as object, { _tag: "ProjectionHalted", name: halting.name })
        assert.deepStrictEqual(yield* buildsOf(halting), [])
        const parking = make("park")
        yield* runOnce(parking, { retry })
        const report = yield* rehearse(parking, { retry })
        assert.deepInclude(report as object, { isSound: true, isComplete: true })
        assert.isAbove(report.parked, 0)
        assert.deepInclude(report.stored as object, { _tag: "Equal", parked: report.parked })
      }))

    it.effect("one whose storage is its own is refused, and not written to", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 1)
        let applied = 0
        const custom = Projection.custom({
          name: someProjectionName(),
          events: types,
          where: { categories: [category] },
          apply: () => Effect.sync(() => void applied++)
        })
        const failure = yield* Effect.flip(rehearse(custom))
        assert.deepInclude(failure as object, { _tag: "ProjectionInvalid", name: custom.name })
        assert.strictEqual(applied, 0)
      }))
  })
}

/** Registers the tests of tables for one storage. */
export const tableSuite = <E, R extends CheckpointStore | EventStore | PgClient.PgClient>(
  storage: string,
  layer: Layer.Layer<R, E>
): void => {
  it.layer(layer as Layer.Layer<CheckpointStore | EventStore | PgClient.PgClient, E>, {
    timeout: "60 seconds",
    excludeTestServices: true
  })(`ProjectionRehearsal of tables (${storage})`, (it) => {
    it.effect("tables are built anew and compared with those that are there", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 12)
        const { physical, projection } = salesByCountry({ category })
        assert.deepStrictEqual((yield* rehearse(projection)).stored, { _tag: "Absent" })
        yield* runOnce(projection)
        yield* appendSales(category, 5)
        const equal = yield* rehearse(projection)
        assert.deepInclude(equal as object, { isSound: true, isComplete: true })
        assert.deepInclude(partOf(equal), { onlyBefore: 0, onlyAfter: 0, changed: 0 })
        yield* runAll(yield* PgClient.PgClient, [`UPDATE ${physical} SET units = units + 1 WHERE country = 'DE'`])
        const differs = yield* rehearse(projection)
        assert.strictEqual(differs.stored._tag, "Differs")
        assert.deepInclude(partOf(differs), { changed: 1, onlyBefore: 0 })
        assert.isFalse(differs.isSound)
        assert.deepStrictEqual(yield* ProjectionRebuild.cancel(projection), 0)
      }))
  })
}
