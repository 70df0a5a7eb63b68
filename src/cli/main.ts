/**
 * Entry of the command `event-store`.
 *
 * @since 0.1.0
 */
import { readFileSync } from "node:fs"

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string
}
const args = process.argv.slice(2)

// the answer to the most frequent question of scripts needs nothing loaded
if (args.length === 1 && (args[0] === "--version" || args[0] === "-v")) {
  process.stdout.write(`event-store ${version}\n`)
} else {
  const { runMain } = await import("./runMain.ts")
  runMain(args, version)
}
