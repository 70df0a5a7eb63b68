import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { EventType } from "../../src/event/index.ts"
import { SchemaLock } from "../../src/version/index.ts"
import { Opened, Paid } from "./fixtures.ts"

const locked = SchemaLock.lock([Paid, Opened])
const tagsOf = (differences: ReadonlyArray<SchemaLock.Difference>): ReadonlyArray<string> =>
  differences.map(({ _tag, type, version }) => `${_tag} ${type} ${version}`)

describe("lock", () => {
  it("holds the JSON Schema of every version, ascending by name and version", () => {
    assert.deepStrictEqual(locked.types.map(({ name, shapes }) => [name, shapes.map(({ version }) => version)]), [
      ["AccountOpened", [1]],
      ["InvoicePaid", [1, 2, 3, 4]]
    ])
    assert.deepStrictEqual(locked.types[0]?.shapes[0], {
      version: 1,
      schema: {
        $defs: {},
        additionalProperties: true,
        properties: { owner: { minLength: 1, type: "string" } },
        required: ["owner"],
        type: "object"
      },
      checks: []
    })
  })

  it("is the same text for the same types, whatever their order", () => {
    const text = SchemaLock.toText(locked)
    assert.strictEqual(SchemaLock.toText(SchemaLock.lock([Opened, Paid])), text)
    assert.deepStrictEqual(SchemaLock.fromText(text), Result.succeed(locked))
    assert.isTrue(text.endsWith("}\n"))
  })

  it("says beside the shape what JSON Schema cannot: checks, and what values are read as", () => {
    const checksOf = (fields: Schema.Struct.Fields & EventType.ShapeInput) =>
      SchemaLock.lock([EventType.make("A", fields)]).types[0]?.shapes[0]?.checks
    assert.deepStrictEqual(
      checksOf({
        code: Schema.String.check(Schema.isPattern(/^a/i), Schema.isMinLength(6)),
        even: Schema.Int.check(Schema.makeFilter((int) => int % 2 === 0, { expected: "an even number" })),
        at: Schema.DateTimeUtcFromString,
        price: Schema.FiniteFromString.check(Schema.isGreaterThan(0)),
        note: Schema.OptionFromNullOr(Schema.String)
      }),
      [
        "data.at: read as DateTimeUtc",
        `data.code: isMinLength {"minLength":6}`,
        `data.code: isPattern {"flags":"i","source":"^a"}`,
        "data.even: an even number",
        "data.note: read as Option",
        "data.price: read as isFinite",
        `data.price: read as isGreaterThan {"exclusiveMinimum":0}`,
        "data.price: read as number"
      ]
    )
    assert.deepStrictEqual(checksOf({ a: Schema.NonEmptyString, b: Schema.Int, c: Schema.Literals(["x"]) }), [])
  })

  it("does not care whether fields are read as a class", () => {
    const fields = { id: Schema.Int, name: Schema.String.check(Schema.isPattern(/^a/)) }
    class Line extends Schema.Class<Line>("LineEncoded")(fields) {}
    const [plain, classes] = [Schema.Struct(fields), Line].map((line) =>
      SchemaLock.lock([EventType.make("A", { lines: Schema.Array(line) })]).types[0]?.shapes[0]?.checks
    )
    assert.deepStrictEqual(classes, plain)
    assert.deepStrictEqual(plain, [`data.lines[].name: isPattern {"flags":"","source":"^a"}`])
  })

  it("describes a schema that holds itself", () => {
    interface Tree {
      readonly name: string
      readonly children: ReadonlyArray<Tree>
    }
    const name = Schema.String.check(Schema.isPattern(/^a/))
    const Tree = Schema.Struct({ name, children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree)) })
      .annotate({ identifier: "Tree" })
    assert.deepStrictEqual(
      SchemaLock.lock([EventType.make("A", { tree: Tree })]).types[0]?.shapes[0]?.checks,
      [`data.tree.name: isPattern {"flags":"","source":"^a"}`]
    )
  })

  it("is read back, or says why not", () => {
    for (const text of ["", "{", "[]", `{"format":2,"types":[]}`, `{"format":1}`]) {
      assert.strictEqual(Result.getOrThrow(Result.flip(SchemaLock.fromText(text)))._tag, "LockInvalid", text)
    }
  })

  it("that holds a version twice is none, as after a bad merge", () => {
    const shape = { version: 1, schema: null, checks: [] }
    for (
      const types of [
        [{ name: "A", shapes: [shape, { ...shape, schema: {} }] }],
        [{ name: "A", shapes: [shape] }, { name: "A", shapes: [shape] }]
      ]
    ) {
      const text = SchemaLock.toText({ format: 1, types })
      assert.strictEqual(
        Result.getOrThrow(Result.flip(SchemaLock.fromText(text))).message,
        `This is not a schema lock: "A", version 1, is in it twice`
      )
    }
  })
})

describe("check", () => {
  it("finds nothing when nothing changed, nor when only prose changed", () => {
    assert.deepStrictEqual(SchemaLock.check(locked, [Opened, Paid]), [])
    const prose = EventType.make(
      "AccountOpened",
      Schema.Struct({
        owner: Schema.NonEmptyString.annotate({ description: "who", title: "Owner", examples: ["Ada"] })
      }).annotate({ description: "opened" })
    )
    assert.deepStrictEqual(SchemaLock.check(locked, [prose, Paid]), [])
  })

  it("finds a version that was edited in place, and says where", () => {
    const edited = EventType.make("AccountOpened", { owner: Schema.String, age: Schema.Int })
    const [difference, ...others] = SchemaLock.check(locked, [edited, Paid])
    assert.deepStrictEqual(others, [])
    assert.deepStrictEqual(
      difference?._tag === "EditedInPlace"
        ? difference.changes.map(({ after, before, pointer }) => [pointer, before, after])
        : [],
      [
        ["/schema/properties/age", undefined, {
          maximum: 9007199254740991,
          minimum: -9007199254740991,
          type: "integer"
        }],
        ["/schema/properties/owner/minLength", 1, undefined],
        ["/schema/required", ["owner"], ["owner", "age"]]
      ]
    )
    assert.isTrue(difference !== undefined && SchemaLock.isBreaking(difference))
    assert.include(
      difference === undefined ? "" : SchemaLock.describe(difference),
      "/schema/properties/owner/minLength: 1 became nothing"
    )
  })

  it("finds every kind of edit", () => {
    const before = {
      a: Schema.String,
      b: Schema.optionalKey(Schema.Finite),
      c: Schema.Array(Schema.Literals(["x", "y"])),
      e: Schema.String.check(Schema.isMinLength(5), Schema.makeFilter((text) => text !== ""))
    }
    const lock = SchemaLock.lock([EventType.make("A", before)])
    const edits: ReadonlyArray<Schema.Struct.Fields & EventType.ShapeInput> = [
      { ...before, a: Schema.Finite },
      { ...before, a: Schema.optionalKey(Schema.String) },
      { ...before, a: Schema.NullOr(Schema.String) },
      { ...before, a: Schema.String.check(Schema.isMaxLength(5)) },
      { ...before, a: Schema.String.check(Schema.makeFilter((text) => text !== "")) },
      { ...before, a: Schema.String.check(Schema.isPattern(/^a/)) },
      { ...before, a: Schema.DateTimeUtcFromString },
      { ...before, a: Schema.Trim },
      { ...before, e: before.e.check(Schema.makeFilter((text) => text !== "a")) },
      { ...before, e: Schema.String.check(Schema.isMinLength(6), Schema.makeFilter((text) => text !== "")) },
      { ...before, b: Schema.Finite },
      { ...before, b: Schema.optionalKey(Schema.Int) },
      { ...before, c: Schema.Array(Schema.Literals(["x"])) },
      { ...before, d: Schema.optionalKey(Schema.Json) },
      { ...before, title: Schema.optionalKey(Schema.String) },
      { a: before.a, b: before.b, e: before.e }
    ]
    for (const [index, fields] of edits.entries()) {
      assert.deepStrictEqual(
        tagsOf(SchemaLock.check(lock, [EventType.make("A", fields)])),
        ["EditedInPlace A 1"],
        `edit ${index}`
      )
    }
  })

  it("finds versions and types that are gone, and those that are new", () => {
    const Closed = EventType.make("AccountClosed", {})
    const next = EventType.make("InvoicePaid", {}, { version: 2, upcast: { 1: () => ({}) } })
    const differences = SchemaLock.check(locked, [Closed, next])
    assert.deepStrictEqual(tagsOf(differences), [
      "New AccountClosed 1",
      "Removed AccountOpened 1",
      "EditedInPlace InvoicePaid 1",
      "EditedInPlace InvoicePaid 2",
      "Removed InvoicePaid 3",
      "Removed InvoicePaid 4"
    ])
    assert.deepStrictEqual(differences.map(SchemaLock.isBreaking), [false, true, true, true, true, true])
    assert.deepStrictEqual(differences.slice(0, 2).map(SchemaLock.describe), [
      "AccountClosed, version 1, is new: lock it",
      "AccountOpened, version 1, is locked and gone: keep it in the history as long as it is stored"
    ])
  })

  it("takes a schema that is described for the first time as new", () => {
    const upcast = { 1: (data: { readonly b: string }) => ({ a: data.b }) }
    const lock = SchemaLock.lock([EventType.make("A", { a: Schema.String }, { version: 2, upcast })])
    const described = EventType.history("A", { b: Schema.String })
      .version(2, { a: Schema.String }, { up: ({ b }) => ({ a: b }) })
      .make()
    assert.deepStrictEqual(tagsOf(SchemaLock.check(lock, [described])), ["New A 1"])
    assert.deepStrictEqual(
      tagsOf(
        SchemaLock.check(SchemaLock.lock([described]), [
          EventType.make("A", { a: Schema.String }, { version: 2, upcast })
        ])
      ),
      ["EditedInPlace A 1"]
    )
  })
})
