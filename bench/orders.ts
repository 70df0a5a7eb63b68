/**
 * The decider of the commands: customers who place orders.
 */
import { Schema } from "effect"
import { Decider } from "../src/decider/index.ts"
import { EventType } from "../src/event/index.ts"

/**
 * Category of the streams.
 */
export const ORDERS = "order"

const shape = {
  orderId: Schema.String,
  customer: Schema.Struct({ id: Schema.Int, name: Schema.String, email: Schema.String }),
  items: Schema.Array(Schema.Struct({ sku: Schema.String, quantity: Schema.Int, price: Schema.Finite })),
  currency: Schema.String,
  total: Schema.Finite,
  note: Schema.String
}

/**
 * The event of all the benchmarks, with its shape.
 */
export const OrderPlaced = EventType.make("OrderPlaced", shape)

/**
 * Every type of event that a store is filled with; all have the shape of an order.
 */
export const orderTypes = [
  OrderPlaced,
  EventType.make("OrderPaid", shape),
  EventType.make("OrderShipped", shape),
  EventType.make("OrderDelivered", shape)
] as const

/**
 * A command: place this order.
 */
export interface Order {
  readonly data: EventType.EventOf<typeof OrderPlaced>["data"]
  readonly metadata: Readonly<Record<string, string | number>>
}

/**
 * What the orders of one stream add up to.
 */
export interface Account {
  readonly orders: number
  readonly total: number
}

/**
 * The state of a stream without orders.
 */
export const NO_ORDERS: Account = { orders: 0, total: 0 }

/**
 * The rule of the commands: an order has a positive total.
 */
export const isAcceptable = ({ data }: Order, { total }: Account): boolean => data.total > 0 && Number.isFinite(total)

/**
 * The state after an order.
 */
export const addOrder = (account: Account, { total }: { readonly total: number }): Account => ({
  orders: account.orders + 1,
  total: account.total + total
})

/**
 * Takes every acceptable order.
 */
export const Orders = Decider.make({
  events: [OrderPlaced],
  initial: NO_ORDERS,
  decide: (order: Order, account: Account) => isAcceptable(order, account) ? [OrderPlaced.make(order.data)] : [],
  evolve: (account: Account, { data }) => addOrder(account, data),
  state: { schema: Schema.Struct({ orders: Schema.Int, total: Schema.Finite }), version: 1 }
})
