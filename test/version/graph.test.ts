import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"
import { EventType } from "../../src/event/index.ts"
import { RegistryInvalid, type RegistryProblem, VersionRegistry } from "../../src/version/index.ts"
import { type Edge, findPath } from "../../src/version/internal/graph.ts"
import { failure, Opened } from "./fixtures.ts"

describe("path", () => {
  const leap = { up: () => ({}), down: () => ({}) }
  const A = EventType.history("A", {})
    .version(2, {}, leap).version(3, {}, leap).version(4, {}, leap).version(5, {}, leap)
    .step(1, 3, leap).step(2, 5, leap).step(3, 5, leap)
    .make()
  const registry = Result.getOrThrow(VersionRegistry.makeResult([A]))

  it("is the shortest way, and of several the one with the lowest versions", () => {
    assert.deepStrictEqual(registry.path("A", 1, 5), Result.succeed([1, 2, 5]))
    assert.deepStrictEqual(registry.path("A", 1, 4), Result.succeed([1, 3, 4]))
    assert.deepStrictEqual(registry.path("A", 5, 1), Result.succeed([5, 2, 1]))
    assert.deepStrictEqual(registry.path("A", 3, 3), Result.succeed([3]))
  })

  it("says what is missing", () => {
    assert.strictEqual(failure(registry.path("A", 1, 6))._tag, "UpcastMissing")
    assert.strictEqual(failure(registry.path("A", 9, 9))._tag, "UpcastMissing")
    assert.strictEqual(failure(registry.path("A", 5, 0))._tag, "DowncastMissing")
    assert.strictEqual(failure(registry.path("B", 1, 2))._tag, "EventUnknown")
  })
})

describe("findPath", () => {
  const VERSIONS = [1, 2, 3, 4, 5, 6]

  it.effect("finds in any graph a way that is as short as any, or none where there is none", () =>
    Effect.gen(function*() {
      const pair = Schema.Struct({ from: Schema.Literals(VERSIONS), to: Schema.Literals(VERSIONS) })
      const graphs = Arbitrary.array(Arbitrary.schema(pair), { maxLength: 12 })
      const result = yield* Arbitrary.checkEffect(graphs, (pairs) => {
        const edges = pairs.map((pair): Edge => ({ ...pair, run: (data: never) => data }))
        return VERSIONS.every((from) =>
          VERSIONS.every((to) => {
            const path = findPath(edges, from, to)
            const isWay = path === undefined ||
              path.every((edge, index) => edge.from === (path[index - 1]?.to ?? from)) &&
                (path.at(-1)?.to ?? from) === to
            return isWay && path?.length === shortest(edges, from, to)
          })
        )
      }, { runs: 300 })
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
    }))

  /** Steps of the shortest way, by trying all ways of each length. */
  const shortest = (edges: ReadonlyArray<Edge>, from: number, to: number): number | undefined => {
    let reached = new Set([from])
    for (let length = 0; length <= VERSIONS.length; length++) {
      if (reached.has(to)) return length
      reached = new Set(edges.filter((edge) => reached.has(edge.from)).map((edge) => edge.to))
    }
    return undefined
  }
})

describe("a registry", () => {
  const step = { up: () => ({}) }
  const typeWith = (
    version: number,
    versions: ReadonlyArray<number>,
    steps: ReadonlyArray<readonly [number, number]>,
    name = "A"
  ): EventType.Any => ({
    ...EventType.make(name, {}),
    version,
    history: versions.map((version) => ({ version, schema: undefined, deprecated: undefined })),
    steps: steps.map(([from, to]) => ({ from, to, step: EventType.toStep(step) }))
  })

  it.effect("with a gap is not made, and the path that was tried is printed", () =>
    Effect.gen(function*() {
      const problem = yield* problemOf([typeWith(5, [1, 2, 3, 4], [[1, 2], [2, 4], [3, 5]])])
      assert.deepStrictEqual(problem.map(({ reason }) => reason), ["Gap", "Gap", "Gap"])
      assert.include(problem[0]?.detail, "1 -> 2 -> 4 -x- 5")
    }))

  it.effect("with a version that nobody describes is not made", () =>
    Effect.gen(function*() {
      const problem = yield* problemOf([typeWith(3, [1], [[1, 3]])])
      assert.deepStrictEqual(problem, [{ reason: "Gap", type: "A", detail: "version 2 is not described" }])
    }))

  it.effect("with steps in a circle is not made, and the circle is printed", () =>
    Effect.gen(function*() {
      const problem = yield* problemOf([typeWith(4, [1, 2, 3], [[1, 2], [2, 3], [3, 1], [3, 4]])])
      assert.deepStrictEqual(problem.map(({ reason }) => reason), ["Backward", "Cycle"])
      assert.include(problem[1]?.detail, "1 -> 2 -> 3 -> 1")
      assert.deepStrictEqual((yield* problemOf([typeWith(2, [1], [[1, 1], [1, 2]])])).map(({ reason }) => reason), [
        "Backward",
        "Cycle"
      ])
    }))

  it.effect("with anything twice is not made", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* problemOf([Opened, Opened])).map(({ reason }) => reason), ["DuplicateType"])
      assert.deepStrictEqual((yield* problemOf([typeWith(2, [1, 1], [[1, 2]])])).map(({ reason }) => reason), [
        "DuplicateVersion"
      ])
      assert.deepStrictEqual((yield* problemOf([typeWith(2, [1], [[1, 2], [1, 2]])])).map(({ reason }) => reason), [
        "DuplicateStep"
      ])
    }))

  it.effect("with a step to or from nowhere is not made", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        (yield* problemOf([typeWith(2, [1], [[1, 2], [1, 3], [0, 2]])])).map(({ reason }) => reason),
        [
          "Unreachable",
          "Unreachable"
        ]
      )
    }))

  it.effect("with names, versions or dates that a store would refuse is not made", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* problemOf([typeWith(1, [], [], "")])).map(({ reason }) => reason), ["InvalidName"])
      for (const version of [0, -1, 1.5, 32_768]) {
        assert.deepStrictEqual((yield* problemOf([typeWith(version, [], [])])).map(({ reason }) => reason), [
          "InvalidVersion"
        ])
      }
      const dated = EventType.history("A", {}).deprecate(1, { reason: "x", since: "tomorrow" }).make()
      assert.deepStrictEqual((yield* problemOf([dated])).map(({ reason }) => reason), ["InvalidDeprecation"])
    }))

  it.effect("with data that JSON cannot hold is not made, in any version", () =>
    Effect.gen(function*() {
      const schemas: ReadonlyArray<Schema.Codec<unknown, unknown>> = [
        Schema.Date,
        Schema.BigInt,
        Schema.UndefinedOr(Schema.String),
        Schema.Array(Schema.Option(Schema.String)),
        Schema.Record(Schema.String, Schema.Symbol)
      ]
      for (const schema of schemas) {
        const problem = yield* problemOf([EventType.history("A", { at: schema }).version(2, {}, step).make()])
        assert.deepStrictEqual(problem.map(({ reason }) => reason), ["NotJson"])
        assert.match(problem[0]?.detail ?? "", /^version 1: data\.at/)
      }
      const good = EventType.make("A", {
        at: Schema.DateFromString,
        note: Schema.optional(Schema.String),
        any: Schema.Json,
        big: Schema.toCodecJson(Schema.BigInt)
      })
      assert.isTrue(Result.isSuccess(VersionRegistry.makeResult([good])))
    }))

  it.effect("that writes what it cannot lower is not made", () =>
    Effect.gen(function*() {
      const OneWay = EventType.history("Gone", { a: Schema.String }).version(2, {}, step).make()
      const error = yield* Effect.flip(VersionRegistry.make([OneWay], { write: { Gone: 1, Nobody: 1 } }))
      assert.deepStrictEqual(error.problems.map(({ reason, type }) => `${reason} ${type}`), [
        "InvalidWrite Gone",
        "InvalidWrite Nobody"
      ])
    }))

  it.effect("says everything that is wrong at once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(VersionRegistry.make([Opened, Opened, typeWith(3, [1, 2], [[1, 2]])]))
      assert.instanceOf(error, RegistryInvalid)
      assert.strictEqual(error.message.split("\n").length, 3)
    }))
})

const problemOf = (types: ReadonlyArray<EventType.Any>): Effect.Effect<ReadonlyArray<RegistryProblem>> =>
  VersionRegistry.make(types).pipe(Effect.flip, Effect.map(({ problems }) => problems), Effect.orDie)
