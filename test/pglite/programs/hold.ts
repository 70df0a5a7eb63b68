/** Opens the directory of its argument, prints "open" or why not, and stays until it is killed. */
import { Effect } from "effect"
import { layer } from "../../../src/pglite/index.ts"

const started = performance.now()
const program = Effect.gen(function*() {
  console.log("open")
  return yield* Effect.never
}).pipe(
  Effect.provide(layer({ directory: process.argv[2] })),
  Effect.catch((error) =>
    Effect.sync(() =>
      console.log(JSON.stringify({ ...error, lines: error.message.split("\n"), ms: performance.now() - started }))
    )
  )
)

const keepAlive = setInterval(() => {}, 1000)
await Effect.runPromise(program)
clearInterval(keepAlive)
