import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Projection } from "../../src/projection/index.ts"
import { Deposited, Opened } from "./fixtures.ts"

const { json, sql } = Projection

const options = { name: "p", state: Schema.Int, initial: 0 } as const

describe("Projection", () => {
  it("the definition is the same for the same types and filter, in whatever order they stand", () => {
    const on = { AccountOpened: (n: number) => n, MoneyDeposited: (n: number) => n }
    const one = Projection.state({ ...options, events: [Opened, Deposited], where: { categories: ["a", "b"] }, on })
    const same = Projection.state({ ...options, events: [Deposited, Opened], where: { categories: ["b", "a"] }, on })
    assert.strictEqual(one.definition, same.definition)
    const others = [
      Projection.state({ ...options, events: [Opened], where: { categories: ["a", "b"] }, on }),
      Projection.state({ ...options, events: [Opened, Deposited], where: { categories: ["a"] }, on }),
      Projection.state({ ...options, events: [Opened, Deposited], where: { streamIds: ["a", "b"] }, on }),
      Projection.state({ ...options, events: [Opened, Deposited], where: { tags: ["a", "b"] }, on }),
      Projection.state({ ...options, events: [Opened, Deposited], on, key: () => "" }),
      Projection.state({ ...options, events: [Opened, Deposited], on })
    ]
    assert.strictEqual(new Set([one, ...others].map(({ definition }) => definition)).size, 7)
  })

  it("reads its types only, narrowed by what is said", () => {
    const projection = Projection.state({
      ...options,
      events: [Opened],
      where: { tags: ["x:1"] },
      on: { AccountOpened: (n) => n + 1 }
    })
    assert.deepStrictEqual(projection.filter, { types: ["AccountOpened"], tags: ["x:1"] })
    assert.strictEqual(projection.version, 1)
  })

  it("every type has a handler, and each handler the data of its type", () => {
    Projection.state({
      ...options,
      events: [Opened, Deposited],
      // @ts-expect-error -- MoneyDeposited has no handler
      on: { AccountOpened: (n: number) => n }
    })
    Projection.state({
      ...options,
      events: [Opened],
      on: {
        // @ts-expect-error -- an account that was opened has no amount
        AccountOpened: (n, { data }) => n + Number(data.amount)
      }
    })
    Projection.table({
      name: "t",
      events: [Opened],
      tables: { owners: "name text" },
      on: {
        // @ts-expect-error -- there is no such table
        AccountOpened: ({ data }, { accounts }) => sql`INSERT INTO ${accounts} VALUES (${data.owner})`
      }
    })
  })

  it("sql makes parameters of values, and text of names", () => {
    const table = new Projection.SqlName("\"s\".\"t_v1\"")
    assert.deepStrictEqual(sql`INSERT INTO ${table} VALUES (${1}, ${"a"}, ${null}, ${json({ a: [1] })})`, {
      text: "INSERT INTO \"s\".\"t_v1\" VALUES ($1, $2, $3, $4)",
      parameters: [1, "a", null, "{\"a\":[1]}"]
    })
    assert.deepStrictEqual(sql`SELECT 1`, { text: "SELECT 1", parameters: [] })
  })
})
