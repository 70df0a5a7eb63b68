import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Ref, Result, Schema, SchemaTransformation } from "effect"
import { EventType } from "../../src/event/index.ts"
import { GeneratedEvents, Step, VersionRegistry } from "../../src/version/index.ts"
import { Opened, Paid } from "./fixtures.ts"

describe("generate", () => {
  it.effect("gives events of every version with a schema, and every one decodes", () =>
    Effect.gen(function*() {
      const registry = yield* VersionRegistry.make([Opened, Paid])
      const events = yield* GeneratedEvents.generate(registry.types, { count: 20, seed: 1 })
      assert.strictEqual(events.length, 5 * 20)
      const versions = new Set(events.map(({ type, version }) => `${type} ${version}`))
      assert.deepStrictEqual([...versions], [
        "AccountOpened 1",
        "InvoicePaid 1",
        "InvoicePaid 2",
        "InvoicePaid 3",
        "InvoicePaid 4"
      ])
      for (const event of events) assert.isTrue(Option.isSome(Result.getOrThrow(registry.decode(event))))
    }))

  it.effect("gives the same events for the same seed", () =>
    Effect.gen(function*() {
      const [first, second] = yield* Effect.all(
        [1, 2].map(() => GeneratedEvents.generate([Paid], { count: 5, seed: "x" }))
      )
      assert.deepStrictEqual(first, second)
    }))

  it.effect("stores what the program's values become, and never what a store would refuse", () =>
    Effect.gen(function*() {
      const Seen = EventType.make("Seen", {
        at: Schema.DateTimeUtcFromString,
        n: Schema.Number,
        note: Schema.optional(Schema.String)
      })
      const events = yield* GeneratedEvents.generate([Seen], { count: 200, seed: 1 })
      for (const { data } of events) {
        assert.isTrue(
          Schema.is(Schema.Struct({ at: Schema.String, n: Schema.Finite, note: Schema.optionalKey(Schema.String) }))(
            data
          )
        )
      }
    }))

  it.effect("leaves out values that are stored as no number", () =>
    Effect.gen(function*() {
      const trueOnly = Schema.Number.pipe(
        Schema.decodeTo(Schema.Boolean, SchemaTransformation.transform({ decode: Boolean, encode: (b) => b ? 1 : NaN }))
      )
      const Flagged = EventType.make("Flagged", { flag: trueOnly })
      const events = yield* GeneratedEvents.generate([Flagged], { count: 50, seed: 1 })
      assert.deepStrictEqual(new Set(events.map(({ data }) => JSON.stringify(data))), new Set([`{"flag":1}`]))
    }))

  it.effect("says for which version no data could be made", () =>
    Effect.gen(function*() {
      const Never = EventType.make("Never", { a: Schema.String.check(Schema.makeFilter(() => false)) })
      assert.deepInclude({ ...yield* Effect.flip(GeneratedEvents.generate([Never])) }, {
        _tag: "GenerationFailed",
        type: "Never",
        version: 1
      })
    }))
})

describe("check", () => {
  it.effect("passes when everything takes every event, and says what it saw", () =>
    Effect.gen(function*() {
      const registry = yield* VersionRegistry.make([Opened, Paid])
      const projected = yield* Ref.make(0)
      const report = yield* GeneratedEvents.check(registry, {
        count: 20,
        fold: {
          initial: { paid: 0 },
          evolve: (state, event) =>
            event.type === "InvoicePaid" ? { paid: state.paid + event.data.money.amount } : state,
          state: Schema.Struct({ paid: Schema.Number })
        },
        project: (event) => Ref.update(projected, (count) => count + event.storedVersion - event.storedVersion + 1)
      })
      assert.strictEqual(report.versions.length, 5)
      assert.deepStrictEqual(report.unknown, [])
      assert.isAtLeast(report.events, 5 * 20)
      assert.strictEqual(yield* Ref.get(projected), report.events)
    }))

  it.effect("lists versions of which nothing is known", () =>
    Effect.gen(function*() {
      const registry = yield* VersionRegistry.make([EventType.make("A", {}, { version: 2, upcast: { 1: () => ({}) } })])
      const { unknown } = yield* GeneratedEvents.check(registry, { count: 1 })
      assert.deepStrictEqual(unknown, [{ type: "A", version: 1 }])
    }))

  it.effect("finds a step that does not take every old event, with the smallest one", () =>
    Effect.gen(function*() {
      const Named = EventType.history("Named", { name: Schema.String })
        .version(2, { first: Schema.String, last: Schema.String }, {
          up: ({ name }) => {
            const [first = "", last] = name.split(" ")
            return { first, last: last as string }
          }
        })
        .make()
      const failed = yield* Effect.flip(GeneratedEvents.check(yield* VersionRegistry.make([Named]), { seed: 1 }))
      assert.deepInclude({ ...failed }, { _tag: "GeneratedEventFailed", type: "Named", version: 1, stage: "decode" })
      assert.deepStrictEqual("history" in failed ? failed.history : [], [{
        type: "Named",
        version: 1,
        data: { name: "" }
      }])
    }))

  it.effect("finds a step that says it is reversible and is not", () =>
    Effect.gen(function*() {
      const Lossy = EventType.history("Lossy", { n: Schema.Finite })
        .version(2, { n: Schema.Int }, { up: ({ n }) => ({ n: Math.trunc(n % 1000) }), down: ({ n }) => ({ n }) })
        .make()
      const failed = yield* Effect.flip(GeneratedEvents.check(yield* VersionRegistry.make([Lossy]), { seed: 1 }))
      assert.deepInclude({ ...failed }, { type: "Lossy", version: 1, stage: "undo" })
      const down = (): never => {
        throw new Error("no")
      }
      const Throwing = EventType.history("Throwing", { n: Schema.Int })
        .version(2, { n: Schema.Int }, (start) => start.pipe(Step.convert("n", (n) => n, down)))
        .make()
      const thrown = yield* Effect.flip(GeneratedEvents.check(yield* VersionRegistry.make([Throwing]), { seed: 1 }))
      assert.deepInclude({ ...thrown }, { type: "Throwing", version: 1, stage: "undo" })
    }))

  it.effect("finds a fold that throws or leaves a wrong state, at events that come from the past only", () =>
    Effect.gen(function*() {
      const registry = yield* VersionRegistry.make([Paid])
      const throwing = yield* Effect.flip(GeneratedEvents.check(registry, {
        seed: 1,
        fold: {
          initial: 0,
          evolve: (state, event) => {
            if (event.data.by === "unknown") throw new Error("who?")
            return state
          }
        }
      }))
      assert.deepInclude({ ...throwing }, { type: "InvoicePaid", version: 1, stage: "evolve" })
      const wrong = yield* Effect.flip(GeneratedEvents.check(registry, {
        seed: 1,
        fold: {
          initial: "",
          evolve: (_, { data }) => data.by,
          state: Schema.Literals(["Ada"]) as unknown as Schema.Codec<string>
        }
      }))
      assert.deepInclude({ ...wrong }, { version: 1, stage: "state" })
    }))

  it.effect("finds a fold that fails in some orders only", () =>
    Effect.gen(function*() {
      const registry = yield* VersionRegistry.make([Opened, Paid])
      const failed = yield* Effect.flip(GeneratedEvents.check(registry, {
        seed: 1,
        fold: {
          initial: "none",
          evolve: (state, { type }) => {
            if (state === "InvoicePaid" && type === "AccountOpened") throw new Error("too late")
            return type
          }
        }
      }))
      assert.deepStrictEqual("history" in failed ? failed.history.map(({ type }) => type) : [], [
        "InvoicePaid",
        "AccountOpened"
      ])
    }))

  it.effect("finds a projection that fails", () =>
    Effect.gen(function*() {
      const registry = yield* VersionRegistry.make([Opened])
      const throwing = (): never => {
        throw new Error("no table")
      }
      for (const project of [() => Effect.fail("no table"), () => Effect.die("no table"), throwing]) {
        const failed = yield* Effect.flip(GeneratedEvents.check(registry, { project, seed: 1 }))
        assert.deepInclude({ ...failed }, { type: "AccountOpened", version: 1, stage: "project" })
        assert.include(failed.message, "no table")
      }
    }))
})
