import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { findUserLibrary } from "../../src/cli/internal/userLibrary.ts"
import * as SchemaLock from "../../src/version/SchemaLock.ts"
import { Opened, Paid } from "../version/fixtures.ts"
import { makeCli } from "./harness.ts"

/** An event type of another copy of effect: it looks the same and has other classes. */
const foreign = `class Node { _tag = "String" }
const schema = { ast: new Node() }
export const Opened = { name: "Opened", version: 1, schema, history: [], steps: [], deprecated: undefined, make: () => ({}) }
`

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "event-store-copy-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

describe("the library for a module's event types", () => {
  it.effect("is the command's own when both have one copy of effect", () =>
    Effect.gen(function*() {
      const library = yield* findUserLibrary([Opened, Paid], "/anywhere.ts")
      expect(library.SchemaLock.lock).toBe(SchemaLock.lock)
    }))

  it.effect("is never the command's own otherwise: schemas of another copy would be decoded wrongly", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeCli
      const path = join(yield* directory, "events.mjs")
      writeFileSync(path, foreign)
      const lock = join(yield* directory, "lock.json")
      const { code, err, out } = yield* cli(["schema", "lock", "--events", path, "--out", lock])
      expect([code, out]).toStrictEqual([65, ""])
      expect(err).toContain("ES-1704")
      expect(err).toContain("install effect-event-store")
    }))
})
