// TypeScript's and Effect's findings in one pass, with no change to node_modules:
// the compiler that @effect/tsgo brings is TypeScript 7 with Effect's diagnostics inside.
import { execFileSync, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const tsgo = fileURLToPath(new URL("../node_modules/@effect/tsgo/dist/effect-tsgo.cjs", import.meta.url))
const compiler = execFileSync(process.execPath, [tsgo, "get-exe-path"], { encoding: "utf8" }).trim()
const { status } = spawnSync(compiler, ["--project", "tsconfig.json", ...process.argv.slice(2)], { stdio: "inherit" })
process.exitCode = status ?? 1
