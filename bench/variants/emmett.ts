/**
 * `@event-driven-io/emmett-postgresql` with its own pool; reads with its
 * `readMessagesBatch`, as its consumers do, in pages of 1,000.
 */
import {
  type Account,
  addOrder,
  isAcceptable,
  NO_ORDERS,
  type Order,
  OrderPlaced,
  ORDERS,
  orderTypes
} from "../orders.ts"
import { load } from "../peers/load.ts"
import { checkSpending, countSpending, SPENDING_COLUMNS, upsertSpending } from "../spending.ts"
import type { Projected, Variant } from "../variant.ts"
import { makePool, PAGE_EVENTS, type Pool, withPool } from "./pg.ts"

interface Store {
  readonly appendToStream: (
    streamName: string,
    events: ReadonlyArray<unknown>,
    options: { readonly expectedStreamVersion: bigint }
  ) => Promise<unknown>
  readonly schema: { readonly migrate: () => Promise<unknown> }
  readonly close: () => Promise<void>
}

interface Emmett {
  readonly getPostgreSQLEventStore: (url: string, options: {
    readonly schema: { readonly autoMigration: "None" }
    readonly connectionOptions: { readonly pool: Pool } | { readonly dumbo: Dumbo }
  }) => Store
  readonly readMessagesBatch: (
    execute: unknown,
    options: { readonly after: bigint; readonly batchSize: number }
  ) => Promise<{
    readonly currentGlobalPosition: bigint
    readonly messages: ReadonlyArray<unknown>
    readonly areMessagesLeft: boolean
  }>
}

interface Consumers {
  readonly postgreSQLEventStoreConsumer: (options: {
    readonly connectionString: string
    readonly pool: Dumbo
    readonly stopWhen: { readonly noMessagesLeft: true }
    readonly pulling?: Pulling
  }) => {
    readonly projector: (options: { readonly projection: unknown; readonly processorId: string }) => unknown
    readonly start: () => Promise<void>
    readonly stop: () => Promise<void>
  }
  readonly postgreSQLRawSQLProjection: (options: {
    readonly name: string
    readonly canHandle: ReadonlyArray<string>
    readonly init: () => unknown
    readonly evolve: (event: { readonly data: Order["data"] }) => unknown
  }) => unknown
}

interface Commands {
  readonly CommandHandler: (rules: {
    readonly initialState: () => Account
    readonly evolve: (account: Account, event: { readonly data: Order["data"] }) => Account
    readonly mapToStreamId: (id: string) => string
  }) => (
    store: Store,
    id: string,
    decide: (account: Account) => ReadonlyArray<unknown>
  ) => Promise<{ readonly newState: Account; readonly nextExpectedStreamVersion: bigint }>
}

interface Dumbo {
  readonly execute: unknown
  readonly close: () => Promise<void>
}

interface DumboModule {
  readonly sql: (text: string, ...parameters: ReadonlyArray<unknown>) => unknown
  readonly dumbo: (options: { readonly connectionString: string; readonly pool: Pool }) => Dumbo
}

const connect = async (url: string, connections: number) => {
  const emmett = await load<Emmett>("@event-driven-io/emmett-postgresql")
  const { dumbo } = await load<DumboModule>("@event-driven-io/dumbo")
  const pool = await makePool({ connectionString: url, max: connections })
  const pooled = dumbo({ connectionString: url, pool })
  const store = emmett.getPostgreSQLEventStore(url, {
    schema: { autoMigration: "None" },
    connectionOptions: { dumbo: pooled }
  })
  const close = async () => {
    await store.close()
    await pool.end()
  }
  return { emmett, pooled, store, close }
}

/** How its consumer polls. */
interface Pulling {
  readonly batchSize: number
  readonly pullingFrequencyInMs: number
}

/**
 * The variant, whose consumer polls as it does when it is not told how, or as it is told.
 */
export const make = (pulling: Pulling | undefined): Variant => ({
  setup: async (url) => {
    const { close, store } = await connect(url, 2)
    await store.schema.migrate()
    await close()
  },
  open: async (url, connections) => {
    const { close, emmett, pooled, store } = await connect(url, connections)
    const { CommandHandler } = await load<Commands>("@event-driven-io/emmett")
    const handle = CommandHandler({
      initialState: () => NO_ORDERS,
      evolve: (account, { data }) => addOrder(account, data),
      mapToStreamId: (id) => `${ORDERS}-${id}`
    })
    return {
      append: async (stream, events) => {
        await store.appendToStream(stream, events.map(({ data, metadata, type }) => ({ type, data, metadata })), {
          // its STREAM_DOES_NOT_EXIST is not checked by the database, the version before the first event is
          expectedStreamVersion: 0n
        })
      },
      readAll: async (onEvents) => {
        let count = 0
        for (let after = 0n;;) {
          const batch = await emmett.readMessagesBatch(pooled.execute, { after, batchSize: PAGE_EVENTS })
          count += batch.messages.length
          onEvents(batch.messages.length)
          after = batch.currentGlobalPosition
          if (!batch.areMessagesLeft) return count
        }
      },
      placeOrder: async (id, order) => {
        const decide = (account: Account) =>
          isAcceptable(order, account) ? [{ type: OrderPlaced.name, data: order.data, metadata: order.metadata }] : []
        const { newState, nextExpectedStreamVersion } = await handle(store, id, decide)
        if (BigInt(newState.orders) !== nextExpectedStreamVersion) {
          throw new Error(`the state of ${id} holds ${newState.orders} orders`)
        }
      },
      project: (work, signal) => {
        if (work !== "table") throw new Error(`this variant has no projection ${work}`)
        return fillTable(url, pooled, pulling, signal)
      },
      close
    }
  }
})

/** As fast as it goes: by default a batch has 100 messages, and 50 ms lie between two. */
export default make({ batchSize: PAGE_EVENTS, pullingFrequencyInMs: 1 })

// internal

/** Its consumer, with its projection of raw SQL: all statements of a message, and its checkpoint, in turn. */
const fillTable = async (
  url: string,
  pool: Dumbo,
  pulling: Pulling | undefined,
  signal: AbortSignal
): Promise<Projected> => {
  const { postgreSQLEventStoreConsumer, postgreSQLRawSQLProjection } = await load<Consumers>(
    "@event-driven-io/emmett-postgresql"
  )
  const { sql } = await load<DumboModule>("@event-driven-io/dumbo")
  const table = `spending_${++tables}`
  const upsert = upsertSpending(table, "%s", "%s")
  let events = 0
  const consumer = postgreSQLEventStoreConsumer({
    connectionString: url,
    pool,
    stopWhen: { noMessagesLeft: true },
    ...(pulling === undefined ? {} : { pulling })
  })
  consumer.projector({
    processorId: table,
    projection: postgreSQLRawSQLProjection({
      name: table,
      canHandle: orderTypes.map(({ name }) => name),
      init: () => sql(`CREATE TABLE ${table} (${SPENDING_COLUMNS})`),
      evolve: ({ data }) => {
        events++
        return sql(upsert, data.customer.id, data.total)
      }
    })
  })
  const stop = () => void consumer.stop()
  signal.addEventListener("abort", stop)
  await consumer.start()
  signal.removeEventListener("abort", stop)
  const check = async () =>
    checkSpending((await withPool({ connectionString: url }, (pg) => pg.query(countSpending(table)))).rows[0], events)
  return { events, check }
}

/** How many read models this process has filled. */
let tables = 0
