/**
 * Projections that several processes share: units by country, divided by stream,
 * and counts of sales that are not divided.
 */
import { Schema } from "effect"
import { Projection } from "../../src/projection/index.ts"
import { indexes } from "../store/fixtures.ts"
import { salesByCountry, Sold } from "./sales.ts"

export const SLICES = 6

const COUNTERS = 3

export const spreadProjections = (category: string, table: string) => {
  const sales = salesByCountry({ category, name: "sales", table })
  const divided = { ...sales.projection, slices: { count: SLICES }, definition: `in ${SLICES} slices` }
  const counters = indexes(COUNTERS).map((index) =>
    Projection.state({
      name: `counter ${index}`,
      events: [Sold],
      where: { categories: [category] },
      state: Schema.Int,
      initial: 0,
      on: { Sold: (count) => count + 1 }
    })
  )
  return { divided, counters, physical: sales.physical, all: [divided, ...counters] }
}
