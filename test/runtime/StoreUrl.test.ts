import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { parseStoreUrl } from "../../src/runtime/index.ts"

describe("StoreUrl", () => {
  it("memory: names a store in memory", () => {
    assert.deepStrictEqual(parseStoreUrl("memory:"), { _tag: "Memory" })
  })

  it("pglite: names a directory, or none for an embedded store in memory", () => {
    assert.deepStrictEqual(parseStoreUrl("pglite:.event-store"), { _tag: "Pglite", directory: ".event-store" })
    assert.deepStrictEqual(parseStoreUrl("pglite:/var/lib/es"), { _tag: "Pglite", directory: "/var/lib/es" })
    assert.deepStrictEqual(parseStoreUrl("pglite://relative"), { _tag: "Pglite", directory: "relative" })
    assert.deepStrictEqual(parseStoreUrl("pglite:///var/lib/es"), { _tag: "Pglite", directory: "/var/lib/es" })
    assert.deepStrictEqual(parseStoreUrl("pglite:"), { _tag: "Pglite", directory: undefined })
  })

  it("postgres:// and postgresql:// name a database on a server, and stay redacted", () => {
    for (const url of ["postgres://u:secret@h:5432/db", "postgresql://u@h/db?sslmode=require"]) {
      const parsed = parseStoreUrl(url)
      assert.strictEqual(parsed._tag, "Postgres")
      if (parsed._tag === "Postgres") assert.strictEqual(Redacted.value(parsed.url), url)
      assert.notInclude(JSON.stringify(parsed), "secret")
    }
  })

  it("anything else is refused with the forms that are not, and without what it may hold of a password", () => {
    const wrong = [
      "",
      "memory",
      "mysql://u:secret@h/db",
      "postgres://u:secret@h",
      "postgres://u:secret@h:99999/db",
      "pglite:a\0b",
      "/tmp/x",
      "secret"
    ]
    for (const url of wrong) {
      const parsed = parseStoreUrl(url)
      assert.strictEqual(parsed._tag, "StoreUrlInvalid", url)
      if (parsed._tag === "StoreUrlInvalid") {
        assert.include(parsed.message, "expected memory:, pglite:DIRECTORY or postgres://")
        assert.notInclude(parsed.message, "secret")
      }
    }
  })
})
