import * as NodeServices from "@effect/platform-node/NodeServices"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, FileSystem, Layer, Stream } from "effect"
import {
  layerConfig,
  layerMemory,
  layerPglite,
  layerPostgres,
  layerUrl,
  type PostgresStoreOptions
} from "../../src/runtime/index.ts"
import { EventStore, StoreAdmin } from "../../src/store/index.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"

/** Appends one event and reads it back; answers what the store says of itself. */
const useOnce = Effect.gen(function*() {
  const store = yield* EventStore
  const admin = yield* StoreAdmin
  yield* store.append({ streamId: "thing-1", expected: "any", events: [{ type: "Happened", data: { n: 1 } }] })
  const events = yield* Stream.runCollect(store.readStream("thing-1"))
  return { storage: admin.storage, durability: store.durability, events: events.length }
})

const used = <E>(layer: Layer.Layer<EventStore | StoreAdmin, E>) => Effect.provide(useOnce, layer)

const inDirectory = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped()).pipe(
  Effect.provide(NodeServices.layer)
)

describe("EventStoreLayer", () => {
  it.live("the same program runs on every store, which says what an append outlives", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* used(layerMemory), { storage: "memory", durability: "memory", events: 1 })
      assert.deepStrictEqual(yield* used(layerPglite()), { storage: "pglite", durability: "memory", events: 1 })
      for (const server of servers) {
        const url = yield* makeDatabase(server.admin)
        // the servers of ordinary tests do without fsync, and the store does not hide it
        assert.deepStrictEqual(yield* used(layerPostgres({ url })), {
          storage: "postgres",
          durability: "processCrash",
          events: 1
        })
      }
    }))

  it.live("an embedded store in a directory outlives power failures unless told otherwise, and keeps its events", () =>
    Effect.gen(function*() {
      const directory = yield* inDirectory
      assert.deepStrictEqual(yield* used(layerPglite({ directory })), {
        storage: "pglite",
        durability: "powerLoss",
        events: 1
      })
      assert.deepStrictEqual(yield* used(layerPglite({ directory, durability: "processCrash" })), {
        storage: "pglite",
        durability: "processCrash",
        events: 2
      })
    }))

  it.live("a URL names the store, from the environment too", () =>
    Effect.gen(function*() {
      const directory = yield* inDirectory
      assert.strictEqual((yield* used(layerUrl("memory:"))).storage, "memory")
      assert.strictEqual((yield* used(layerUrl(`pglite:${directory}/a`))).durability, "powerLoss")
      const environment = ConfigProvider.fromEnvRecord({
        EVENT_STORE_URL: `pglite:${directory}/a`,
        EVENT_STORE_SCHEMA: "other"
      })
      const answer = yield* used(layerConfig).pipe(
        Effect.provideService(ConfigProvider.ConfigProvider, environment)
      )
      assert.strictEqual(answer.events, 1)
    }))

  it.live("what the URL of a server says of a connection holds, unless an option says otherwise", () =>
    Effect.gen(function*() {
      const url = yield* makeDatabase(servers[0]!.admin)
      const said = (options: PostgresStoreOptions) =>
        Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          const [row] = yield* sql`SELECT current_setting('application_name') AS name`
          return [row?.["name"], sql.config.connectTimeout]
        }).pipe(Effect.provide(Layer.fresh(layerPostgres(options))))
      assert.deepStrictEqual(yield* said({ url }), ["event-store", "10 seconds"])
      const named = `${url}?application_name=shop&connect_timeout=2`
      assert.deepStrictEqual(yield* said({ url: named }), ["shop", undefined])
      assert.deepStrictEqual(yield* said({ url: named, applicationName: "mine" }), ["mine", undefined])
    }))

  it.live("a wrong URL, an absent server and an absent schema are typed failures of the layer", () =>
    Effect.gen(function*() {
      const failures = yield* Effect.forEach(
        [
          layerUrl("mysql://h/db"),
          layerPostgres({ url: "postgres://nobody@127.0.0.1:1/none" }),
          layerPglite({ migrate: false }),
          layerPglite({ schema: "No Schema" })
        ],
        (layer) =>
          Effect.flip(
            used(layer as Layer.Layer<EventStore | StoreAdmin, { readonly _tag: string; readonly message: string }>)
          )
      )
      assert.deepStrictEqual(failures.map(({ _tag }) => _tag), [
        "StoreUrlInvalid",
        "StorageError",
        "StorageError",
        "StorageError"
      ])
      assert.include(failures[1]?.message, "Unavailable")
      assert.include(failures[2]?.message, "schema apply")
      assert.include(failures[3]?.message, "[a-z_][a-z0-9_]{0,47}")
    }))

  it.live("two schemas of one database are two stores", () =>
    Effect.gen(function*() {
      const directory = yield* inDirectory
      for (const schema of ["first_store", "second_store"]) {
        const answer = yield* used(layerPglite({ directory, schema }))
        assert.strictEqual(answer.events, 1)
      }
    }))

  it.live("two stores in one graph of layers are two stores, and one used twice is one", () =>
    Effect.gen(function*() {
      class First extends Context.Service<First, EventStore["Service"]>()("test/First") {}
      class Second extends Context.Service<Second, EventStore["Service"]>()("test/Second") {}
      class Again extends Context.Service<Again, EventStore["Service"]>()("test/Again") {}
      const first = layerPglite()
      const named = Layer.mergeAll(
        Layer.effect(First, EventStore).pipe(Layer.provide(first)),
        Layer.effect(Second, EventStore).pipe(Layer.provide(layerPglite({ schema: "second_store" }))),
        Layer.effect(Again, EventStore).pipe(Layer.provide(first))
      )
      const heads = yield* Effect.gen(function*() {
        yield* (yield* First).append({ streamId: "a-1", expected: "any", events: [{ type: "A", data: 1 }] })
        return [
          (yield* (yield* First).head).position,
          (yield* (yield* Second).head).position,
          (yield* (yield* Again).head).position
        ]
      }).pipe(Effect.provide(named))
      assert.deepStrictEqual(heads as ReadonlyArray<number>, [1, 0, 1])
    }))
})
