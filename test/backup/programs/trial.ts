/** A process of a trial; see `worker.ts`. */
import { runWorker } from "../trials/worker.ts"

await runWorker()
