/**
 * One INSERT an event through `pg`, each its own transaction; several events of
 * a call in one transaction. No check of revisions but the unique index.
 */
import type { BenchEvent, Variant } from "../variant.ts"
import { CREATE_TABLE, INSERT, SELECT_PAGE } from "./naiveTable.ts"
import { type Client, makePool, PAGE_EVENTS, transaction, withPool } from "./pg.ts"

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
      close: () => pool.end()
    }
  }
})

export default make(false)
