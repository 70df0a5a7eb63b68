/**
 * The read model that all variants fill: what each customer has spent, a row a
 * customer, one upsert an event.
 */

/**
 * Columns of the table.
 */
export const SPENDING_COLUMNS = "customer integer PRIMARY KEY, orders integer NOT NULL, total bigint NOT NULL"

/**
 * Takes the order of a customer into the table of that name.
 */
export const upsertSpending = (table: string, customer: string, total: string): string =>
  `INSERT INTO ${table} AS s (customer, orders, total) VALUES (${customer}, 1, ${total})
  ON CONFLICT (customer) DO UPDATE SET orders = s.orders + 1, total = s.total + excluded.total`

/**
 * Counts the orders in the table of that name.
 */
export const countSpending = (table: string): string => `SELECT coalesce(sum(orders), 0)::int AS orders FROM ${table}`

/**
 * Compares the table with the events that were taken into it.
 */
export const checkSpending = (
  found: Readonly<Record<string, unknown>> | undefined,
  events: number
): void => {
  if (found?.["orders"] === events) return
  throw new Error(`of ${events} events the read model holds ${JSON.stringify(found)}`)
}
