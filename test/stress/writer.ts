/** Writes random appends to a store and follows it, and writes down what it asks and gets. */
import { runWorker } from "./runWorker.ts"

await runWorker()
