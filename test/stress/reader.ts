/** Follows a store, writes nothing to it, and writes down what it gets. */
import { runWorker } from "./runWorker.ts"

await runWorker({ operations: 0 })
