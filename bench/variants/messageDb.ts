/**
 * The SQL functions of `@eventide/message-db` through `pg`: `write_message` to
 * append, `get_category_messages` to read.
 *
 * **Details**
 *
 * All streams of the benchmarks are of the category `order`, so that category
 * is the whole log. The package's own installer needs `psql`: its files are run
 * here in the same order, without its roles.
 */
import { readdirSync, readFileSync } from "node:fs"
import type { BenchEvent, Variant } from "../variant.ts"
import { type Client, makePool, PAGE_EVENTS, transaction, withPool } from "./pg.ts"

const DATABASE = new URL("../peers/node_modules/@eventide/message-db/database/", import.meta.url)

const FILES = [
  "schema/message-store.sql",
  "extensions/pgcrypto.sql",
  "tables/messages.sql",
  "types/message.sql",
  ...[
    "message-store-version",
    "hash-64",
    "acquire-lock",
    "category",
    "is-category",
    "id",
    "cardinal-id",
    "stream-version",
    "write-message",
    "get-stream-messages",
    "get-category-messages",
    "get-last-stream-message"
  ].map((name) => `functions/${name}.sql`),
  ...readdirSync(new URL("indexes/", DATABASE)).map((name) => `indexes/${name}`)
]

const SEARCH_PATH = "-c search_path=message_store,public"

const WRITE = "SELECT write_message($1, $2, $3, $4, $5, $6)"

const variant: Variant = {
  setup: (url) =>
    withPool({ connectionString: url, options: SEARCH_PATH }, async (pool) => {
      for (const file of FILES) await pool.query(readFileSync(new URL(file, DATABASE), "utf8"))
    }),
  open: async (url, connections) => {
    const pool = await makePool({ connectionString: url, max: connections, options: SEARCH_PATH })
    const write = async (client: Client, stream: string, revision: number, event: BenchEvent): Promise<void> => {
      await client.query(WRITE, [
        event.id,
        stream,
        event.type,
        JSON.stringify(event.data),
        JSON.stringify(event.metadata),
        revision - 1
      ])
    }
    return {
      append: async (stream, events) => {
        const [first] = events
        if (events.length === 1 && first !== undefined) return await write(pool, stream, 0, first)
        await transaction(pool, async (client) => {
          for (const [revision, event] of events.entries()) await write(client, stream, revision, event)
        })
      },
      readAll: async (onEvents) => {
        let count = 0
        for (let position = 1;;) {
          const { rows } = await pool.query("SELECT * FROM get_category_messages('order', $1, $2)", [
            position,
            PAGE_EVENTS
          ])
          // its rows carry JSON as text
          for (const row of rows) {
            JSON.parse(String(row["data"]))
            JSON.parse(String(row["metadata"]))
          }
          count += rows.length
          onEvents(rows.length)
          position = Number(rows.at(-1)?.["global_position"]) + 1
          if (rows.length < PAGE_EVENTS) return count
        }
      },
      close: () => pool.end()
    }
  }
}

export default variant
