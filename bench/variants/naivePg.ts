/**
 * One INSERT an event through `pg`, each its own transaction; several events of
 * a call in one transaction. No check of revisions but the unique index.
 */
import { checkSpending, countSpending, SPENDING_COLUMNS, upsertSpending } from "../spending.ts"
import type { BenchEvent, Projected, Variant } from "../variant.ts"
import { CREATE_TABLE, INSERT, SELECT_PAGE } from "./naiveTable.ts"
import { type Client, makePool, PAGE_EVENTS, type Pool, transaction, withPool } from "./pg.ts"

/**
 * The variant, with prepared statements by name or without.
 */
export const make = (isNamed: boolean): Variant => ({
  setup: (url) => withPool({ connectionString: url }, async (pool) => void await pool.query(CREATE_TABLE)),
  open: async (url, connections) => {
    const pool = await makePool({ connectionString: url, max: connections })
    const insert = async (client: Client, stream: string, revision: number, event: BenchEvent): Promise<void> => {
      const values = [
        stream,
        revision,
        event.id,
        event.type,
        JSON.stringify(event.data),
        JSON.stringify(event.metadata)
      ]
      await (isNamed ? client.query({ name: "insert", text: INSERT, values }) : client.query(INSERT, values))
    }
    return {
      append: async (stream, events) => {
        const [first] = events
        if (events.length === 1 && first !== undefined) return await insert(pool, stream, 0, first)
        await transaction(pool, async (client) => {
          for (const [revision, event] of events.entries()) await insert(client, stream, revision, event)
        })
      },
      readAll: async (onEvents) => {
        let count = 0
        for (let position: unknown = 0;;) {
          const values = [position, PAGE_EVENTS]
          const { rows } = await (isNamed
            ? pool.query({ name: "page", text: SELECT_PAGE, values })
            : pool.query(SELECT_PAGE, values))
          count += rows.length
          onEvents(rows.length)
          position = rows.at(-1)?.["position"]
          if (rows.length < PAGE_EVENTS) return count
        }
      },
      project: (work, signal) => {
        if (work !== "table") throw new Error(`this variant has no projection ${work}`)
        return fillTable(pool, signal)
      },
      close: () => pool.end()
    }
  }
})

export default make(false)

// internal

/** A page of events in a transaction with its checkpoint; one upsert after the other. */
const fillTable = async (pool: Pool, signal: AbortSignal): Promise<Projected> => {
  const table = `spending_${++tables}`
  await pool.query(`CREATE TABLE ${table} (${SPENDING_COLUMNS})`)
  await pool.query(`CREATE TABLE ${table}_checkpoint (position bigint NOT NULL)`)
  await pool.query(`INSERT INTO ${table}_checkpoint VALUES (0)`)
  const upsert = upsertSpending(table, "$1", "$2")
  let events = 0
  for (let position: unknown = 0, isEnd = false; !isEnd && !signal.aborted;) {
    const { rows } = await pool.query(SELECT_PAGE, [position, PAGE_EVENTS])
    position = rows.at(-1)?.["position"] ?? position
    await transaction(pool, async (client) => {
      for (const { data } of rows) {
        const { customer, total } = data as { readonly customer: { readonly id: number }; readonly total: number }
        await client.query(upsert, [customer.id, total])
      }
      await client.query(`UPDATE ${table}_checkpoint SET position = $1`, [position])
    })
    events += rows.length
    isEnd = rows.length < PAGE_EVENTS
  }
  const check = async () => checkSpending((await pool.query(countSpending(table))).rows[0], events)
  return { events, check }
}

/** How many read models this process has filled. */
let tables = 0
