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

  it("describes what is stored, not what it becomes in the program", () => {
    const [text, date] = [Schema.String, Schema.DateTimeUtcFromString].map((at) =>
      SchemaLock.lock([EventType.make("A", { at })])
    )
    assert.deepStrictEqual(date, text)
  })

  it("is read back, or says why not", () => {
    for (const text of ["", "{", "[]", `{"format":2,"types":[]}`, `{"format":1}`]) {
      assert.strictEqual(Result.getOrThrow(Result.flip(SchemaLock.fromText(text)))._tag, "LockInvalid", text)
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
      c: Schema.Array(Schema.Literals(["x", "y"]))
    }
    const lock = SchemaLock.lock([EventType.make("A", before)])
    const edits: ReadonlyArray<Schema.Struct.Fields & EventType.ShapeInput> = [
      { ...before, a: Schema.Finite },
      { ...before, a: Schema.optionalKey(Schema.String) },
      { ...before, a: Schema.NullOr(Schema.String) },
      { ...before, a: Schema.String.check(Schema.isMaxLength(5)) },
      { ...before, a: Schema.String.check(Schema.makeFilter((text) => text !== "")) },
      { ...before, b: Schema.Finite },
      { ...before, b: Schema.optionalKey(Schema.Int) },
      { ...before, c: Schema.Array(Schema.Literals(["x"])) },
      { ...before, d: Schema.optionalKey(Schema.Json) },
      { ...before, title: Schema.optionalKey(Schema.String) },
      { a: before.a, b: before.b }
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
