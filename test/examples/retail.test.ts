import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer as withLayer } from "@effect/vitest"
import { DateTime, Effect, FileSystem, Layer, Result, Stream } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { zstdDecompressSync } from "node:zlib"
import { type Account, balanceMills, customers } from "../../examples/retail/Customers.ts"
import * as Events from "../../examples/retail/Events.ts"
import * as Retail from "../../examples/retail/Retail.ts"
import { revenue, revenueByDay } from "../../examples/retail/Revenue.ts"
import { change, type Movement, stock } from "../../examples/retail/Stock.ts"
import { ProjectionQuery } from "../../src/projection/index.ts"
import { layerMemory, layerPglite, layerPostgres } from "../../src/runtime/index.ts"
import { ProjectionSpec } from "../../src/testing/index.ts"
import { VersionRegistry } from "../../src/version/index.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const SAMPLE = at("../../examples/data/retail-sample.ndjson")
const WHOLE = at("../../../shared/data/retail.ndjson.zst")

const open = (path: string) =>
  Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => fs.stream(path, { chunkSize: 1024 * 1024 })))

const bytes = (...lines: ReadonlyArray<unknown>) =>
  Stream.make(new TextEncoder().encode(lines.map((line) => JSON.stringify(line)).join("\n")))

const textOf = (path: string): string => {
  const content = readFileSync(path)
  return (path.endsWith(".zst") ? zstdDecompressSync(content) : content).toString()
}

/** A row of the table, with exact amounts. */
interface Day {
  readonly orders: number
  readonly lines: number
  readonly soldMills: bigint
  readonly creditNotes: number
  readonly returnedLines: number
  readonly returnedMills: bigint
}

const NO_DAY: Day = { orders: 0, lines: 0, soldMills: 0n, creditNotes: 0, returnedLines: 0, returnedMills: 0n }

interface Models {
  readonly revenue: ReadonlyMap<string, Day>
  readonly stock: ReadonlyMap<string, Movement>
  readonly customers: ReadonlyMap<string, Account>
}

interface Line {
  readonly stream: string
  readonly type: string
  readonly time: string
  readonly data: { readonly country: string; readonly sku: string; readonly quantity: number }
  readonly metadata: { readonly customerId?: string }
}

/** The digits of a price as the line has them, so that nothing is rounded. */
const priceMills = (line: string): bigint => {
  const [, whole = "0", fraction = ""] = /"unitPrice":(\d+)(?:\.(\d{1,3}))?[,}]/.exec(line) ?? []
  return BigInt(whole + fraction.padEnd(3, "0"))
}

/** What the lines of a file make of all three models: no store, no shapes, no projections. */
const expectedModels = (text: string): Models => {
  const documents = new Map<string, string>()
  const days = new Map<string, Day>()
  const items = new Map<string, Movement>()
  const accounts = new Map<string, Account>()
  const merge = <A extends Day | Movement | Account>(all: Map<string, A>, key: string, none: A, part: Partial<A>) => {
    const sum: Record<string, number | bigint> = { ...all.get(key) ?? none }
    for (const [name, value] of Object.entries<number | bigint>(part as never)) {
      sum[name] = (sum[name] as never) + (value as never)
    }
    all.set(key, sum as never)
  }
  for (const text_ of text.trimEnd().split("\n")) {
    const { data, metadata: { customerId }, stream, time, type }: Line = JSON.parse(text_)
    const mills = BigInt(data.quantity ?? 0) * priceMills(text_)
    const day = (part: Partial<Day>) => merge(days, documents.get(stream)!, NO_DAY, part)
    const item = (sku: string, part: Partial<Movement>) => merge(items, sku, stock.initial, part)
    const account = (part: Partial<Account>) => {
      if (customerId !== undefined) merge(accounts, customerId, customers.initial, part)
    }
    switch (type) {
      case "OrderPlaced":
      case "CreditNoteIssued": {
        const [orders, creditNotes] = type === "OrderPlaced" ? [1, 0] : [0, 1]
        documents.set(stream, `${data.country} ${time.slice(0, 10)}`)
        day({ orders, creditNotes })
        account({ orders, creditNotes })
        break
      }
      case "ItemAdded":
        day({ lines: 1, soldMills: mills })
        item(data.sku, { sold: data.quantity, lines: 1 })
        account({ billedMills: Number(mills) })
        break
      case "ItemReturned":
        day({ returnedLines: 1, returnedMills: mills })
        item(data.sku, { returned: data.quantity, returnedLines: 1 })
        account({ creditedMills: Number(mills) })
        break
      case "StockAdjusted":
        item(stream.replace("stock-", ""), { adjusted: data.quantity, adjustments: 1 })
    }
  }
  return { revenue: days, stock: items, customers: accounts }
}

const readModels = Effect.gen(function*() {
  const mills = (pounds: string) => BigInt(pounds.replace(".", ""))
  const days = yield* Stream.runCollect(
    ProjectionQuery.stream(revenueByDay, { sort: [{ field: "country" }, { field: "day" }], limit: 1_000 })
  )
  const items = yield* Stream.runCollect(ProjectionQuery.stream(ProjectionQuery.state(stock), { limit: 1_000 }))
  const accounts = yield* Stream.runCollect(ProjectionQuery.stream(ProjectionQuery.state(customers), { limit: 1_000 }))
  const models: Models = {
    revenue: new Map(days.map((row) => [`${row.country} ${row.day}`, {
      orders: row.orders,
      lines: row.lines,
      soldMills: mills(row.sold),
      creditNotes: row.credit_notes,
      returnedLines: row.returned_lines,
      returnedMills: mills(row.returned)
    }])),
    stock: new Map(items.map(({ key, state }) => [key, state])),
    customers: new Map(accounts.map(({ key, state }) => [key, state]))
  }
  return models
})

const inOrder = <A>(all: ReadonlyMap<string, A>) => [...all].sort(([a], [b]) => (a < b ? -1 : 1))

/** Row by row, state by state. */
const assertModels = (actual: Models, expected: Models) => {
  assert.deepStrictEqual(inOrder(actual.revenue), inOrder(expected.revenue))
  assert.deepStrictEqual(inOrder(actual.stock), inOrder(expected.stock))
  assert.deepStrictEqual(inOrder(actual.customers), inOrder(expected.customers))
}

describe("the retail example", () => {
  it.live("makes of the sample what its lines say, and its totals are known", () =>
    Effect.gen(function*() {
      const { best, seen, totals } = yield* Retail.run(open(SAMPLE))
      assertModels(yield* readModels, expectedModels(textOf(SAMPLE)))
      assert.deepStrictEqual(totals, {
        revenue: {
          countries: 7,
          days: 1,
          orders: 84,
          lines: 1_898,
          creditNotes: 5,
          returnedLines: 12,
          soldMills: 37_436_260,
          returnedMills: 202_930
        },
        stock: {
          items: 1_008,
          sold: 18_369,
          returned: 143,
          adjusted: 56,
          lines: 1_898,
          returnedLines: 12,
          adjustments: 1
        },
        customers: { customers: 70, orders: 83, billedMills: 32_552_160, creditNotes: 5, creditedMills: 202_930 }
      })
      assert.deepStrictEqual(seen, { "retail-revenue": 1_999, "retail-stock": 1_911, "retail-customers": 1_999 })
      // by what they are worth, not by their text
      assert.deepStrictEqual(best.days.map(({ country, sold }) => [country, sold]).slice(0, 2), [
        ["United Kingdom", "33293.550"],
        ["Norway", "1919.140"]
      ])
      assert.deepStrictEqual(best.items.map(({ movement }) => change(movement)), [-600, -480, -465, -432, -314])
      assert.deepStrictEqual(best.customers.map(({ account }) => balanceMills(account)).slice(0, 2), [
        3_702_120,
        2_474_740
      ])
    }).pipe(Effect.provide(Layer.merge(layerPglite(), NodeServices.layer))))

  it.live("a projection goes on where it was: the same file again changes nothing, new lines add to it", () =>
    Effect.gen(function*() {
      const first = yield* Retail.run(open(SAMPLE))
      const again = yield* Retail.run(open(SAMPLE))
      assert.deepStrictEqual([again.imported.appended, again.totals], [0, first.totals])
      const data = { sku: "17021", quantity: 2, unitPrice: 0.5 }
      const more = yield* Retail.run(bytes({ stream: "order-536365", type: "ItemAdded", data }))
      assert.strictEqual(more.totals.revenue.soldMills, first.totals.revenue.soldMills + 1_000)
      assert.strictEqual(more.totals.stock.sold, first.totals.stock.sold + 2)
    }).pipe(Effect.provide(Layer.merge(layerPglite(), NodeServices.layer))))

  it.live("says so when there is no invoice, and when the store has no tables", () =>
    Effect.gen(function*() {
      const foreign = bytes({ stream: "loan-1", type: "ApplicationSubmitted", data: {} })
      const noInvoices = yield* Effect.flip(Effect.provide(Retail.run(foreign), layerPglite()))
      assert.strictEqual(noInvoices._tag, "NoInvoices")
      const noTables = yield* Effect.flip(Effect.provide(Retail.run(foreign), layerMemory))
      assert.strictEqual(noTables._tag, "NoTables")
    }))

  it.live(
    "makes of the whole log what its lines say, on PostgreSQL, and sees as many events of each type as are known",
    (context) =>
      Effect.gen(function*() {
        if (!existsSync(WHOLE)) return context.skip("../shared/data/retail.ndjson.zst is not there")
        const url = yield* makeDatabase(servers[0]!.admin)
        yield* Effect.gen(function*() {
          const { totals } = yield* Retail.run(open(WHOLE))
          const { customers, revenue, stock } = totals
          assert.deepStrictEqual(
            [revenue.orders, revenue.lines, revenue.creditNotes, revenue.returnedLines, stock.adjustments],
            [19_963, 530_143, 3_836, 9_288, 2_475]
          )
          assert.deepStrictEqual([stock.lines, stock.returnedLines], [530_143, 9_288])
          // who bought as a guest has no account
          assert.deepStrictEqual([customers.orders, customers.creditNotes], [19_963 - 1_427, 3_836 - 182])
          assertModels(yield* readModels, expectedModels(textOf(WHOLE)))
        }).pipe(Effect.provide(Layer.merge(layerPostgres({ url }), NodeServices.layer)))
      }).pipe(Effect.scoped),
    900_000
  )
})

const time = (day: string) => ({ metadata: { time: `${day}T08:26:00.000Z` } })

const item = (sku: string, quantity: number, unitPriceMills: number, customerId?: string) =>
  Events.ItemAdded.make(
    { sku, quantity, unitPriceMills },
    customerId === undefined ? {} : { metadata: { customerId } }
  )

const DOCUMENT = { country: "Spain", currency: "GBP" }

withLayer(layerPglite(), { timeout: "60 seconds", excludeTestServices: true })(
  "the projections of the retail example",
  (it) => {
    it.effect("a line counts on the day of its order, and a credit note on its own", () =>
      ProjectionSpec.table(revenue)
        .given(
          { ...Events.OrderPlaced.make(DOCUMENT, time("2010-12-01")), streamId: "order-1" },
          { ...item("LANTERN", 3, 2_550), ...time("2010-12-02"), streamId: "order-1" },
          { ...Events.CreditNoteIssued.make(DOCUMENT, time("2010-12-03")), streamId: "credit-1" },
          {
            ...Events.ItemReturned.make({ sku: "LANTERN", quantity: 1, unitPriceMills: 2_550 }),
            streamId: "credit-1"
          }
        )
        .thenTables({
          revenue: [
            {
              country: "Spain",
              day: "2010-12-01",
              orders: 1,
              lines: 1,
              sold: 7.65,
              credit_notes: 0,
              returned_lines: 0,
              returned: 0
            },
            {
              country: "Spain",
              day: "2010-12-03",
              orders: 0,
              lines: 0,
              sold: 0,
              credit_notes: 1,
              returned_lines: 1,
              returned: 2.55
            }
          ],
          revenue_documents: [
            { stream: "order-1", country: "Spain", day: "2010-12-01" },
            { stream: "credit-1", country: "Spain", day: "2010-12-03" }
          ]
        }))

    it.effect("an order that says no time, or none that can be read, counts on the day on which it was recorded", () =>
      ProjectionSpec.table(revenue)
        .given(
          { ...Events.OrderPlaced.make(DOCUMENT), recordedAt: DateTime.makeUnsafe("2011-02-03T23:59:59.999Z") },
          {
            ...Events.OrderPlaced.make(DOCUMENT, { metadata: { time: "soon" } }),
            streamId: "order-2",
            recordedAt: DateTime.makeUnsafe("2011-02-04T00:00:00.000Z")
          }
        )
        .thenRows("revenue_documents", [
          { stream: "order-1", country: "Spain", day: "2011-02-03" },
          { stream: "order-2", country: "Spain", day: "2011-02-04" }
        ]))

    it.effect("a line without an order stops the projection, so no revenue is left out in silence", () =>
      ProjectionSpec.table(revenue)
        .given(item("LANTERN", 1, 1))
        .thenHalts({ type: "ItemAdded", reason: "StatementFailed" }))

    it.effect("stock is what came and went by item, whatever the stream", () =>
      ProjectionSpec.state(stock)
        .given(
          { ...item("LANTERN", 3, 2_550), streamId: "order-1" },
          { ...item("LANTERN", 2, 2_550), streamId: "order-2" },
          {
            ...Events.ItemReturned.make({ sku: "LANTERN", quantity: 1, unitPriceMills: 2_550 }),
            streamId: "credit-1"
          },
          { ...Events.StockAdjusted.make({ quantity: -4, reason: "broken" }), streamId: "stock-LANTERN" },
          { ...Events.StockAdjusted.make({ quantity: 7, reason: null }), streamId: "stock-MUG" }
        )
        .thenStates({
          LANTERN: { sold: 5, returned: 1, adjusted: -4, lines: 2, returnedLines: 1, adjustments: 1 },
          MUG: { sold: 0, returned: 0, adjusted: 7, lines: 0, returnedLines: 0, adjustments: 1 }
        }))

    it.effect("a customer owes what was billed less what was credited, and a guest has no account", () =>
      ProjectionSpec.state(customers)
        .given(
          Events.OrderPlaced.make(DOCUMENT, { metadata: { customerId: "ann" } }),
          item("LANTERN", 3, 2_551, "ann"),
          { ...Events.CreditNoteIssued.make(DOCUMENT, { metadata: { customerId: "ann" } }), streamId: "credit-1" },
          {
            ...Events.ItemReturned.make({ sku: "LANTERN", quantity: 1, unitPriceMills: 2_551 }, {
              metadata: { customerId: "ann" }
            }),
            streamId: "credit-1"
          },
          { ...item("LANTERN", 1, 2_551), streamId: "order-2" }
        )
        .thenStates({ ann: { orders: 1, billedMills: 7_653, creditNotes: 1, creditedMills: 2_551 } }))

    it.effect("a price is never rounded: three places are kept, and a fourth one stops the projections", () => {
      const stored = (unitPrice: number) => ({
        type: "ItemAdded",
        version: 1,
        data: { sku: "PADS", quantity: 1_000, unitPrice },
        metadata: { customerId: "ann" }
      })
      return Effect.gen(function*() {
        yield* ProjectionSpec.state(customers).givenStored(stored(0.001), stored(0.29), stored(38_970))
          .thenState("ann", { orders: 0, billedMills: 38_970_291_000, creditNotes: 0, creditedMills: 0 })
        yield* ProjectionSpec.state(customers).givenStored(stored(0.0001)).thenHalts({ reason: "Undecodable" })
      })
    })

    it.effect("an older program still gets the prices that it knows", () =>
      Effect.gen(function*() {
        const registry = yield* VersionRegistry.make(Events.types)
        const prices = [1, 290, 2_550, 38_970_000, 999_999_999]
        const lowered = prices.map((mills) => Result.getOrThrow(registry.lower(item("PADS", 1, mills), 1)).data)
        assert.deepStrictEqual(
          lowered.map((data) => (data as { readonly unitPrice: number }).unitPrice),
          [0.001, 0.29, 2.55, 38_970, 999_999.999]
        )
      }))
  }
)

describe("pounds and mills", () => {
  it("are the same amounts", () => {
    const mills = [0, 1, 999, 1_000, 2_550, -1, -2_550, 10 ** 15]
    const pounds = ["0.000", "0.001", "0.999", "1.000", "2.550", "-0.001", "-2.550", "1000000000000.000"]
    assert.deepStrictEqual(mills.map(Events.toPounds), pounds)
    assert.deepStrictEqual(pounds.map(Events.fromPounds), mills)
  })
})
