/**
 * What the variants use of the driver `pg`.
 */
import { load } from "../peers/load.ts"

export interface Client {
  readonly query: {
    (text: string, values?: ReadonlyArray<unknown>): Promise<Result>
    (config: { readonly name: string; readonly text: string; readonly values: ReadonlyArray<unknown> }): Promise<Result>
  }
}

export interface Pool extends Client {
  readonly connect: () => Promise<Client & { readonly release: () => void }>
  readonly end: () => Promise<void>
}

interface Result {
  readonly rows: ReadonlyArray<Readonly<Record<string, unknown>>>
}

interface PoolOptions {
  readonly connectionString: string
  readonly max: number
  readonly options?: string
}

/**
 * Makes a pool that opens at most so many connections.
 */
export const makePool = async (options: PoolOptions): Promise<Pool> => {
  const module = await load<{ readonly default: { readonly Pool: new(options: PoolOptions) => Pool } }>("pg")
  return new module.default.Pool(options)
}

/**
 * Runs something on a pool of one connection.
 */
export const withPool = async <A>(options: Omit<PoolOptions, "max">, use: (pool: Pool) => Promise<A>): Promise<A> => {
  const pool = await makePool({ ...options, max: 1 })
  try {
    return await use(pool)
  } finally {
    await pool.end()
  }
}

/**
 * Runs something between BEGIN and COMMIT.
 */
export const transaction = async (pool: Pool, use: (client: Client) => Promise<void>): Promise<void> => {
  const client = await pool.connect()
  try {
    await client.query("BEGIN")
    await use(client)
    await client.query("COMMIT")
  } catch (error) {
    await client.query("ROLLBACK")
    throw error
  } finally {
    client.release()
  }
}

/**
 * Rows of one page of a log: where more no longer makes reads faster.
 */
export const PAGE_EVENTS = 1_000
