import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { layerPglite } from "../../src/runtime/index.ts"
import { makeCliOn } from "../cli/harness.ts"

const at = (path: string) => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url))

/** What is looked at of an answer of `verify`. */
interface Verified {
  readonly isComplete: boolean
  readonly seen: { readonly events: number }
}

describe("the configuration of the examples", () => {
  it.live("the command runs, lists, shows and verifies the projections of the examples on what it imported", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeCliOn(layerPglite())
      const json = (...args: ReadonlyArray<string>) =>
        Effect.map(
          cli(["projection", ...args, "--config", at("event-store.config.ts"), "--json"]),
          ({ code, err, out }) => {
            assert.strictEqual(code, 0, err)
            return JSON.parse(out)
          }
        )
      for (const sample of ["data/retail-sample.ndjson", "data/loan-sample.ndjson"]) {
        assert.strictEqual((yield* cli(["import", at(sample)])).code, 0)
      }
      const names = ["loan-funnel", "loan-throughput", "retail-revenue", "retail-stock", "retail-customers"]
      const ran = yield* json("run", "--all", "--once")
      assert.deepStrictEqual(ran.projections.map(({ name }: { readonly name: string }) => name), names)
      const listed = yield* json("list")
      const known = listed.projections.map(({ lagEvents, name }: Record<string, unknown>) => `${name} ${lagEvents}`)
      assert.includeMembers(known, names.map((name) => `${name} 0`))
      const verified = yield* json("verify", ...names)
      assert.deepStrictEqual(
        verified.projections.map(({ isComplete, seen }: Verified) => [isComplete, seen.events]),
        [[true, 1_074], [true, 400], [true, 1_999], [true, 1_911], [true, 1_999]]
      )
      const { state } = yield* json("show", "loan-funnel")
      assert.deepStrictEqual([state.approved, state.offersAccepted], [38, 38])
      assert.strictEqual((yield* json("show", "retail-stock", "17021")).state.sold, 600)
    }).pipe(Effect.scoped))
})
