/**
 * `@rotorsoft/act-pg`. One set of metadata a commit is all its API takes.
 */
import { load } from "../peers/load.ts"
import type { Variant } from "../variant.ts"
import { PAGE_EVENTS } from "./pg.ts"

interface Store {
  readonly seed: () => Promise<void>
  readonly commit: (
    stream: string,
    messages: ReadonlyArray<{ readonly name: string; readonly data: unknown }>,
    meta: unknown,
    expectedVersion: number
  ) => Promise<unknown>
  readonly query: (
    callback: (event: { readonly id: number }) => void,
    query: { readonly after: number; readonly limit: number }
  ) => Promise<number>
  readonly dispose: () => Promise<void>
}

interface ActPg {
  readonly PostgresStore: new(config: Readonly<Record<string, unknown>>) => Store
}

const connect = async (url: string, max: number): Promise<Store> => {
  const { PostgresStore } = await load<ActPg>("@rotorsoft/act-pg")
  const { hostname, password, pathname, port, username } = new URL(url)
  return new PostgresStore({
    host: hostname,
    port: Number(port || "5432"),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
    max
  })
}

const variant: Variant = {
  setup: async (url) => {
    const store = await connect(url, 1)
    await store.seed()
    await store.dispose()
  },
  open: async (url, connections) => {
    const store = await connect(url, connections)
    return {
      append: async (stream, events) => {
        const messages = events.map(({ data, type }) => ({ name: type, data }))
        await store.commit(stream, messages, events[0]?.metadata, -1)
      },
      readAll: async (onEvents) => {
        let count = 0
        for (let after = -1;;) {
          const read = await store.query((event) => {
            after = event.id
          }, { after, limit: PAGE_EVENTS })
          count += read
          onEvents(read)
          if (read < PAGE_EVENTS) return count
        }
      },
      close: () => store.dispose()
    }
  }
}

export default variant
