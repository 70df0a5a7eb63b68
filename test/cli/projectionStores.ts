/**
 * What the tests of `event-store projection` share: stores with sales in them,
 * and a configuration of a user.
 */
import { expect } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import type { StoreServices } from "../../src/cli/StoreOpener.ts"
import { layerMemory, layerPglite, layerPostgres } from "../../src/runtime/index.ts"
import type { StoreAdmin } from "../../src/store/StoreAdmin.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { makeCliOn, ndjson } from "./harness.ts"

/** Flags that take `programs/sales.config.ts`. */
export const config = ["--config", fileURLToPath(new URL("programs/sales.config.ts", import.meta.url))]

/** Flags that take no configuration. */
export const without = ["--config", "none"]

/** An event as import takes it. */
export const sale = (country: string, cents: number, stream = `shop-${country}`) => ({
  stream,
  type: "Sold",
  data: { country, cents }
})

/** Sales that every projection can apply. */
const sales = [sale("DE", 500), sale("FR", 250), sale("DE", 100), {
  stream: "note",
  type: "TaskFailed",
  data: {}
}]

/** A store to run commands on. */
export type Store = Layer.Layer<StoreServices | StoreAdmin, unknown>

/** The command on a store that holds these lines. */
export const makeFilled = (store: Store, lines: ReadonlyArray<unknown> = sales) =>
  Effect.gen(function*() {
    const made = yield* makeCliOn(Layer.fresh(store))
    yield* made.cli(["import", "-"], { stdin: ndjson(...lines) })
    const json = (args: ReadonlyArray<string>) =>
      Effect.map(made.cli([...args, "--json"]), ({ code, err, out }) => {
        expect([args, code, err]).toStrictEqual([args, 0, ""])
        return JSON.parse(out)
      })
    return { ...made, json }
  })

/** Every storage: its name, the store, and whether it has tables. */
export const stores: ReadonlyArray<readonly [storage: string, store: Store, hasTables: boolean]> = [
  ["memory", layerMemory, false],
  ["pglite", layerPglite(), true],
  ...servers.map(({ admin, label }) =>
    [label, Layer.unwrap(Effect.map(makeDatabase(admin), (url) => layerPostgres({ url }))), true] as const
  )
]
