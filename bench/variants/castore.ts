/**
 * `@castore/event-storage-adapter-postgres`. It has no global order and hence
 * nothing to read the whole log with. Its pool has postgres.js's 10 connections,
 * which it has no setting for (64 are no faster), and is closed by a private
 * field: it has no call for that either.
 */
import { load } from "../peers/load.ts"
import type { BenchEvent, Variant } from "../variant.ts"

interface Adapter {
  readonly pushEvent: (event: EventDetail, options: { readonly eventStoreId: string }) => Promise<unknown>
  readonly pushEventGroup: (options: object, ...events: ReadonlyArray<GroupedEvent>) => Promise<unknown>
  readonly groupEvent: (event: EventDetail) => GroupedEvent
  readonly _sql: { readonly end: () => Promise<void> }
}

interface GroupedEvent {
  context?: { readonly eventStoreId: string }
}

interface EventDetail {
  readonly aggregateId: string
  readonly version: number
  readonly type: string
  readonly payload: unknown
  readonly metadata: unknown
}

interface Castore {
  readonly PostgresEventStorageAdapter: {
    new(options: { readonly connectionString: string }): Adapter
    readonly createEventTable: (options: {
      readonly connectionString: string
      readonly aggregateId: { readonly type: "VARCHAR"; readonly length: number }
    }) => Promise<unknown>
  }
}

const NAME = "@castore/event-storage-adapter-postgres"
const CONTEXT = { eventStoreId: "order" }

const detail = (aggregateId: string, version: number, { data, metadata, type }: BenchEvent): EventDetail => ({
  aggregateId,
  version,
  type,
  payload: data,
  metadata
})

const variant: Variant = {
  setup: async (url) => {
    const { PostgresEventStorageAdapter } = await load<Castore>(NAME)
    await PostgresEventStorageAdapter.createEventTable({
      connectionString: url,
      aggregateId: { type: "VARCHAR", length: 64 }
    })
  },
  open: async (url) => {
    const { PostgresEventStorageAdapter } = await load<Castore>(NAME)
    const adapter = new PostgresEventStorageAdapter({ connectionString: url })
    return {
      append: async (stream, events) => {
        const [first] = events
        if (events.length === 1 && first !== undefined) {
          await adapter.pushEvent(detail(stream, 1, first), CONTEXT)
          return
        }
        const group = events.map((event, index) => {
          const grouped = adapter.groupEvent(detail(stream, index + 1, event))
          grouped.context = CONTEXT
          return grouped
        })
        await adapter.pushEventGroup({}, ...group)
      },
      close: () => adapter._sql.end()
    }
  }
}

export default variant
