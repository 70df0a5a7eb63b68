/** A process of a trial; see `runner.ts`. */
import { runProcess } from "../trials/runner.ts"

await runProcess()
