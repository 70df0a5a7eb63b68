import { assert, describe, it } from "@effect/vitest"
import { NAME_SIZE_BYTES_MAX } from "../../src/event/Limits.ts"
import { checkName, nameFault, utf8SizeBytes } from "../../src/event/Name.ts"

describe("nameFault", () => {
  it("takes any well-formed text without control characters", () => {
    for (
      const name of [
        "a",
        " ",
        "a b",
        "é",
        "e\u0301",
        "🦊",
        "'; --",
        "\\",
        "\"",
        "\u00a0",
        "\ue000",
        "\ufeff",
        "$x",
        "a/b"
      ]
    ) {
      assert.isUndefined(nameFault(name), name)
    }
  })

  it("takes 512 bytes of UTF-8 and not one more, however many characters they are", () => {
    assert.strictEqual(NAME_SIZE_BYTES_MAX, 512)
    for (
      const [longest, more] of [["x".repeat(512), "x"], ["é".repeat(256), "x"], ["🦊".repeat(128), "x"], [
        `${"€".repeat(170)}xx`,
        "x"
      ]]
    ) {
      assert.isUndefined(nameFault(longest))
      assert.strictEqual(nameFault(longest! + more!), "must not be longer than 512 bytes of UTF-8")
    }
  })

  it("refuses the empty name", () => assert.strictEqual(nameFault(""), "must not be empty"))

  it("refuses every control character and both separators of lines, wherever they stand", () => {
    const codes = [...Array(0x20).keys(), ...Array.from({ length: 0x21 }, (_, index) => 0x7f + index), 0x2028, 0x2029]
    for (const code of codes) {
      const character = String.fromCharCode(code)
      for (const name of [character, `${character}a`, `a${character}b`, `a${character}`]) {
        assert.strictEqual(nameFault(name), "must not contain control characters", code.toString(16))
      }
    }
  })

  it("refuses lone surrogates", () => {
    for (const name of ["\ud800", "\udfff", "a\ud83e", "\udd8aa", "\udd8a\ud83e"]) {
      assert.strictEqual(nameFault(name), "must be well-formed Unicode (it has a lone surrogate)")
    }
  })

  it("says what it got instead of a string", () => {
    assert.strictEqual(nameFault(undefined), "expected a string, got undefined")
    assert.strictEqual(nameFault(null), "expected a string, got null")
    assert.strictEqual(nameFault(5), "expected a string, got number")
    assert.strictEqual(nameFault(["a"]), "expected a string, got object")
  })
})

describe("checkName", () => {
  it("names the place and the rule, and not the name", () => {
    const fault = checkName("secret\n", "tags[3]")
    assert.deepStrictEqual({ ...fault }, {
      _tag: "InvalidInput",
      reason: "InvalidIdentifier",
      path: "tags[3]",
      detail: "must not contain control characters"
    } as never)
    assert.strictEqual(fault!.message, "tags[3]: must not contain control characters (InvalidIdentifier)")
    assert.isUndefined(checkName("a", "tags[3]"))
  })
})

describe("utf8SizeBytes", () => {
  it("counts as an encoder does, for well-formed text", () => {
    for (const text of ["", "a", "é", "€", "🦊", "aé€🦊", "\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}"]) {
      assert.strictEqual(utf8SizeBytes(text), Buffer.byteLength(text), text)
    }
  })
})
