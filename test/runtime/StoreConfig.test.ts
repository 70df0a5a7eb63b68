import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { EventType } from "../../src/event/index.ts"
import { Projection, Reactor } from "../../src/projection/index.ts"
import { defineConfig } from "../../src/runtime/StoreConfig.ts"

class Mailer extends Context.Service<Mailer, { readonly send: (to: string) => Effect.Effect<void> }>()("test/Mailer") {}

const Opened = EventType.make("AccountOpened", { owner: Schema.String })

const owners = Projection.state({
  name: "owners",
  events: [Opened],
  state: Schema.Int,
  initial: 0,
  on: { AccountOpened: (count) => count + 1 }
})

const welcome = Reactor.make({
  name: "welcome",
  events: [Opened],
  from: "end",
  react: ({ data }) => Mailer.use((mailer) => mailer.send(data.owner))
})

describe("defineConfig", () => {
  it("returns a configuration as it is", () => {
    const config = { url: "pglite:.event-store", projections: [owners], events: [Opened] }
    assert.strictEqual(defineConfig(config), config)
    assert.deepStrictEqual(defineConfig({}), {})
  })

  it("does not compile without the services that its reactors need", () => {
    const services = Layer.succeed(Mailer, { send: () => Effect.void })
    assert.isDefined(defineConfig({ projections: [owners], reactors: [welcome], services }).services)
    // @ts-expect-error nobody provides the mailer
    assert.isDefined(defineConfig({ projections: [owners], reactors: [welcome] }))
  })
})
