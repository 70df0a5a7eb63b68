import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Projection } from "../../src/projection/index.ts"
import { Deposited, Opened } from "./fixtures.ts"
import { Sink } from "./sink.ts"

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

  it("handlers of states and tables have no effects, and need no services", () => {
    // @ts-expect-error -- an effect is no state
    Projection.state({ ...options, events: [Opened], on: { AccountOpened: () => Effect.succeed(1) } })
    // @ts-expect-error -- nor is a promise
    Projection.state({ ...options, events: [Opened], on: { AccountOpened: () => Promise.resolve(1) } })
    // @ts-expect-error -- whatever the type of the event
    Projection.state({ ...options, events: "all", on: () => Effect.succeed(1) })
    const table = { name: "t", events: [Opened], tables: { owners: "name text" } } as const
    // @ts-expect-error -- nor is it a statement
    Projection.table({ ...table, on: { AccountOpened: () => Effect.succeed(sql`SELECT 1`) } })
    // @ts-expect-error -- nor are several
    Projection.table({ ...table, on: { AccountOpened: () => [Effect.succeed(sql`SELECT 1`)] } })
    const condition = { ...options, events: [Opened], on: { AccountOpened: (n: number) => n } } as const
    // @ts-expect-error -- nor is it a condition
    Projection.state({ ...condition, when: () => Effect.succeed(true) })
    const pure: Projection.Projection = Projection.state(condition)
    const custom = Projection.custom({ name: "c", events: [Opened], apply: () => Effect.asVoid(Sink) })
    // @ts-expect-error -- a storage of its own needs the service
    const without: Projection.Projection = custom
    assert.deepStrictEqual([pure._tag, without._tag], ["Projection", "Projection"])
  })

  it("events of every type have one handler, and a follower of types one each", () => {
    const all = Projection.state({ ...options, events: "all", on: (n, event) => n + event.position })
    assert.strictEqual(all.events, "all")
    assert.deepStrictEqual(all.filter, {})
    // @ts-expect-error -- there are no types to name
    Projection.state({ ...options, events: "all", on: { AccountOpened: (n: number) => n } })
    // @ts-expect-error -- each type needs its own
    Projection.state({ ...options, events: [Opened], on: (n: number) => n })
    // @ts-expect-error -- what was not decoded has no type
    Projection.state({ ...options, events: "all", on: (n, event) => n + event.data.amount })
  })

  it("what changes what it makes is part of its definition, and what does not is not", () => {
    const make = (rest: Partial<Projection.StateOptions<"all", number>>) =>
      Projection.state({ ...options, events: "all", on: (n) => n + 1, ...rest })
    const plain = make({})
    const others = [
      make({ when: () => true }),
      make({ after: [plain] }),
      make({ slices: { count: 2 }, key: (event) => event.streamId }),
      make({ slices: { count: 3 }, key: (event) => event.streamId }),
      make({ retention: { maxAge: "1 day" } }),
      make({ retention: { maxAge: "2 days" } })
    ]
    assert.strictEqual(new Set([plain, ...others].map(({ definition }) => definition)).size, 7)
    const table = (schema: string) =>
      Projection.table({ name: "t", schema, events: "all", tables: { t: "a text" }, on: () => [] }).definition
    assert.notStrictEqual(table("public"), table("reports"))
    assert.strictEqual(
      make({ saveEvery: 10, onError: { action: "park" }, slices: { count: 1 } }).definition,
      plain.definition
    )
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
