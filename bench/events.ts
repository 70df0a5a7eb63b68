/**
 * The events that all variants get: a stream name, ids and bodies of a common
 * size.
 */
import { randomBytes, randomUUID } from "node:crypto"
import type { Order } from "./orders.ts"
import type { BenchEvent } from "./variant.ts"

/**
 * Names a stream that has no events yet: `order-<uuid>`.
 */
export const freshStream = (): string => `order-${randomUUID()}`

/**
 * Makes an event of about 295 bytes of data and 115 bytes of metadata, no two
 * alike.
 */
export const makeEvent = (): BenchEvent => {
  const order = makeOrder()
  return { id: uuidV7(), type: TYPES[serial % TYPES.length] ?? "OrderPlaced", ...order }
}

/**
 * Makes what such an event is about, which is also what a command asks for.
 */
export const makeOrder = (): Order => {
  serial++
  return {
    data: {
      orderId: `b7e1c2d4-0a53-4a8e-9a11-${String(serial).padStart(12, "0")}`,
      customer: { id: serial % 50_000, name: "Ada Lovelace", email: "ada.lovelace@example.org" },
      items: [
        { sku: `sku-${serial % 1_000}`, quantity: 1 + (serial % 5), price: 12.5 },
        { sku: "sku-0815", quantity: 2, price: 7.25 }
      ],
      currency: "EUR",
      total: 27 + (serial % 100),
      note: "leave it with the neighbours, please"
    },
    metadata: {
      correlationId: "5f0c9b1e-7d8a-4c62-8f53-2b6a1d9e4c70",
      user: serial % 10_000,
      source: "checkout",
      host: "web-1",
      build: "v42"
    }
  }
}

/**
 * Makes several events.
 */
export const makeEvents = (count: number): ReadonlyArray<BenchEvent> => Array.from({ length: count }, makeEvent)

/**
 * The same event with a tag that no other event has and one that many have.
 */
export const withTags = (event: BenchEvent): BenchEvent => ({
  ...event,
  tags: [`order:${event.id}`, `customer:${serial % 1_000}`]
})

// internal

let serial = 0

const TYPES = ["OrderPlaced", "OrderPaid", "OrderShipped", "OrderDelivered"]

/** Random bytes are drawn for 256 ids at a time: one draw costs more than an id. */
let pool = new Uint8Array(0)
let used = 0

const uuidV7 = (): string => {
  if (used + RANDOM_BYTES > pool.length) {
    pool = randomBytes(256 * RANDOM_BYTES)
    used = 0
  }
  const random = Buffer.from(pool.buffer, pool.byteOffset + used, RANDOM_BYTES)
  used += RANDOM_BYTES
  random[0] = 0x70 | ((random[0] ?? 0) & 0x0f)
  random[2] = 0x80 | ((random[2] ?? 0) & 0x3f)
  const time = Date.now().toString(16).padStart(12, "0")
  const tail = random.toString("hex")
  return `${time.slice(0, 8)}-${time.slice(8)}-${tail.slice(0, 4)}-${tail.slice(4, 8)}-${tail.slice(8)}`
}

/** Two groups of two bytes and one of six. */
const RANDOM_BYTES = 10
