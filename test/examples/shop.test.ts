import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Stream } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Events from "../../examples/shop/Events.ts"
import { Order, OrderId } from "../../examples/shop/Order.ts"
import { oversold, sell } from "../../examples/shop/Sale.ts"
import * as Shop from "../../examples/shop/Shop.ts"
import * as Stock from "../../examples/shop/Stock.ts"
import { CommandHandler } from "../../src/command/index.ts"
import { layerMemory, layerPglite } from "../../src/runtime/index.ts"
import { EventStore } from "../../src/store/index.ts"
import { GeneratedEvents, VersionRegistry } from "../../src/version/index.ts"

const SAMPLE = fileURLToPath(new URL("../../examples/data/retail-sample.ndjson", import.meta.url))

const sample = Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => fs.stream(SAMPLE)))

interface Line {
  readonly type: string
  readonly data: { readonly quantity: number; readonly unitPrice: number }
}

/** The same totals from the lines alone: no store, no shapes, no folding. */
const expectedTotals = (): Shop.Totals => {
  const lines = readFileSync(SAMPLE, "utf8").trimEnd().split("\n").map((line): Line => JSON.parse(line))
  const items = lines.filter(({ type }) => type === "ItemAdded").map(({ data }) => data)
  return {
    orders: lines.filter(({ type }) => type === "OrderPlaced").length,
    lines: items.length,
    pieces: items.reduce((sum, { quantity }) => sum + quantity, 0),
    totalPence: items.reduce((sum, { quantity, unitPrice }) => sum + quantity * Math.round(unitPrice * 100), 0)
  }
}

const place = Effect.gen(function*() {
  const orders = yield* CommandHandler.make(Order, { category: "order" })
  const id = yield* OrderId.generate
  yield* orders.execute(id, Order.commands.place({ id, country: "Spain", currency: "GBP" }))
  return { id, orders }
})

const buyers = Array.from({ length: 50 }, () => ({
  country: "Spain",
  currency: "GBP",
  quantity: 1,
  unitPricePence: 100
}))

describe("the shop example", () => {
  it.live("folds the orders of the sample into the totals that its lines say", () =>
    Effect.gen(function*() {
      const { imported, totals } = yield* Shop.run(sample)
      assert.strictEqual(imported.appended, 2_000)
      assert.deepStrictEqual(totals, expectedTotals())
      assert.deepStrictEqual(totals, { orders: 84, lines: 1_898, pieces: 18_369, totalPence: 3_743_626 })
    }).pipe(Effect.provide([layerMemory, NodeServices.layer])))

  for (const [name, layer] of [["memory", layerMemory], ["an embedded store", layerPglite()]] as const) {
    it.live(`many buyers at the same time get every piece that is there and not one more, in ${name}`, () =>
      Effect.gen(function*() {
        const sale = yield* sell("LANTERN", buyers)
        assert.deepStrictEqual(sale, {
          sku: "LANTERN",
          buyers: 50,
          stock: 25,
          wanted: 50,
          sold: 25,
          refused: 25,
          oversold: 0
        })
        const store = yield* EventStore
        const outcomes = yield* Stream.runCollect(
          store.readAll({ filter: { types: ["OrderCheckedOut", "OrderCancelled"] } })
        )
        assert.deepStrictEqual(
          [...Map.groupBy(outcomes, ({ type }) => type)].map(([type, events]) => [type, events.length]).sort(),
          [["OrderCancelled", 25], ["OrderCheckedOut", 25]]
        )
      }).pipe(Effect.provide(layer)))
  }

  it.live("a sale of the sample's favourite sells no more than there is", () =>
    Effect.gen(function*() {
      const { sale } = yield* Shop.run(sample)
      assert.isAbove(sale.wanted, sale.stock)
      assert.isAbove(sale.refused, 0)
      assert.isAtMost(sale.sold, sale.stock)
      assert.strictEqual(sale.oversold, 0)
    }).pipe(Effect.provide([layerMemory, NodeServices.layer])))

  it.live("what was written past the rule is found in the log", () =>
    Effect.gen(function*() {
      yield* sell("LANTERN", buyers.slice(0, 4))
      const store = yield* EventStore
      const registry = yield* VersionRegistry.make(Events.orderTypes)
      const smuggled = Events.ItemAdded.make({ sku: "LANTERN", quantity: 3, unitPricePence: 1 }, {
        tags: [Events.skuTag("LANTERN")]
      })
      const events = yield* registry.encodeAll([smuggled])
      yield* store.append({ streamId: "order-smuggled", expected: "any", events })
      assert.strictEqual(yield* oversold("LANTERN"), 3)
    }).pipe(Effect.provide(layerMemory)))

  it.live("what one buyer put aside is not there for the next one", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const registry = yield* VersionRegistry.make([Events.StockCounted])
      const counted = Events.StockCounted.make({ sku: "LANTERN", pieces: 5 }, { tags: [Events.skuTag("LANTERN")] })
      yield* store.append({
        streamId: "stock-LANTERN",
        expected: "any",
        events: yield* registry.encodeAll([counted])
      })
      const items = yield* Stock.addItem
      const [first, second] = [yield* place, yield* place]
      const wish = { sku: "LANTERN", quantity: 3, unitPricePence: 100 }
      yield* items.execute({ ...wish, id: first.id })
      const refused = yield* Effect.flip(items.execute({ ...wish, id: second.id }))
      assert.strictEqual(refused.message, "3 of LANTERN are wanted and 2 left")
    }).pipe(Effect.provide(layerMemory)))

  it.live("nothing is added to an order that was checked out, and none is checked out that is empty", () =>
    Effect.gen(function*() {
      yield* sell("LANTERN", buyers.slice(0, 2))
      const items = yield* Stock.addItem
      const { id, orders } = yield* place
      const empty = yield* Effect.flip(orders.execute(id, Order.commands.checkOut(id)))
      assert.strictEqual(empty.message, "the order is empty")
      yield* orders.execute(id, Order.commands.cancel(id))
      const late = yield* Effect.flip(items.execute({ id, sku: "LANTERN", quantity: 1, unitPricePence: 100 }))
      assert.strictEqual(late.message, "the order is not open")
    }).pipe(Effect.provide(layerMemory)))

  it.live("every event that any version could have stored is decoded and folded", () =>
    Effect.gen(function*() {
      const registry = yield* VersionRegistry.make(Events.orderTypes)
      const report = yield* GeneratedEvents.check(registry, { fold: { initial: Order.initial, evolve: Order.evolve } })
      assert.isAbove(report.events, 0)
    }))

  it.live("says so when the file holds no orders", () =>
    Effect.gen(function*() {
      const line = JSON.stringify({ stream: "loan-1", type: "ApplicationSubmitted", data: {} })
      const error = yield* Effect.flip(Shop.run(Stream.make(new TextEncoder().encode(line))))
      assert.strictEqual(error._tag, "NoOrders")
    }).pipe(Effect.provide(layerMemory)))
})
