/**
 * Entry of the command `event-store`.
 *
 * @since 0.1.0
 */
import { readFileSync } from "node:fs"
import { setFlagsFromString } from "node:v8"

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string
}
const args = process.argv.slice(2)

/** Commands that carry whole logs. */
const WHOLE_LOGS = ["archive", "backup", "promote"]

// the answer to the most frequent question of scripts needs nothing loaded
if (args.length === 1 && (args[0] === "--version" || args[0] === "-v")) {
  process.stdout.write(`event-store ${version}\n`)
} else {
  // all rows of a log go by: garbage is collected before it piles up to more than all the rest
  if (WHOLE_LOGS.some((command) => args.includes(command))) setFlagsFromString("--heap-growing-percent=20")
  const { runMain } = await import("./runMain.ts")
  runMain(args, version)
}
