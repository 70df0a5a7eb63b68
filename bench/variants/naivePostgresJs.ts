/**
 * One INSERT an event through `postgres` (postgres.js), which prepares every
 * statement; several events of a call in one transaction, pipelined.
 */
import { load } from "../peers/load.ts"
import type { BenchEvent, Variant } from "../variant.ts"
import { CREATE_TABLE, INSERT, SELECT_PAGE } from "./naiveTable.ts"
import { PAGE_EVENTS } from "./pg.ts"

type Query = (
  text: string,
  values?: ReadonlyArray<unknown>,
  options?: { readonly prepare: boolean }
) => Promise<ReadonlyArray<Readonly<Record<string, unknown>>>>

interface Sql {
  readonly unsafe: Query
  readonly begin: (use: (sql: { readonly unsafe: Query }) => Promise<unknown>) => Promise<unknown>
  readonly end: () => Promise<void>
}

const connect = async (url: string, max: number): Promise<Sql> => {
  const module = await load<{
    readonly default: (url: string, options: { readonly max: number; readonly onnotice: () => void }) => Sql
  }>("postgres")
  return module.default(url, { max, onnotice: () => {} })
}

const PREPARED = { prepare: true }

const variant: Variant = {
  setup: async (url) => {
    const sql = await connect(url, 1)
    await sql.unsafe(CREATE_TABLE)
    await sql.end()
  },
  open: async (url, connections) => {
    const sql = await connect(url, connections)
    // the driver turns objects into JSON by the types of the prepared statement
    const values = (stream: string, revision: number, event: BenchEvent) => [
      stream,
      revision,
      event.id,
      event.type,
      event.data,
      event.metadata
    ]
    return {
      append: async (stream, events) => {
        const [first] = events
        if (events.length === 1 && first !== undefined) {
          await sql.unsafe(INSERT, values(stream, 0, first), PREPARED)
          return
        }
        await sql.begin((inner) =>
          Promise.all(events.map((event, revision) => inner.unsafe(INSERT, values(stream, revision, event), PREPARED)))
        )
      },
      readAll: async (onEvents) => {
        let count = 0
        for (let position: unknown = 0;;) {
          const rows = await sql.unsafe(SELECT_PAGE, [position, PAGE_EVENTS], PREPARED)
          count += rows.length
          onEvents(rows.length)
          position = rows.at(-1)?.["position"]
          if (rows.length < PAGE_EVENTS) return count
        }
      },
      close: () => sql.end()
    }
  }
}

export default variant
