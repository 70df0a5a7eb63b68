/**
 * The projections of the examples, for `event-store projection …`.
 *
 *     event-store --config examples/event-store.config.ts projection list
 */
import { defineConfig } from "../src/runtime/StoreConfig.ts"
import * as LoanEvents from "./loan/Events.ts"
import * as Loan from "./loan/Loan.ts"
import * as RetailEvents from "./retail/Events.ts"
import * as Retail from "./retail/Retail.ts"

export default defineConfig({
  projections: [...Loan.projections, ...Retail.projections],
  events: [...LoanEvents.types, ...RetailEvents.types]
})
