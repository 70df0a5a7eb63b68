import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { sha256 } from "../../src/event/Sha256.ts"

describe("sha256", () => {
  it("gives the digest that Node gives, at every length around a block's end", () => {
    for (let length = 0; length <= 200; length++) {
      const text = "aé€😀".repeat(length).slice(0, length)
      assert.strictEqual(sha256(text), createHash("sha256").update(text, "utf8").digest("hex"), `length ${length}`)
    }
  })
})
