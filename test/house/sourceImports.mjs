// Preloaded into examples: `effect-event-store` means this checkout's source, built or not.
import { existsSync } from "node:fs"
import { registerHooks } from "node:module"

const source = new URL("../../src/", import.meta.url)
const name = "effect-event-store"

registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== name && !specifier.startsWith(`${name}/`)) return next(specifier, context)
    const module = specifier === name ? "" : `${specifier.slice(name.length + 1)}/`
    const index = new URL(`${module}index.ts`, source)
    return next(existsSync(index) ? index.href : new URL(`${module.slice(0, -1)}.ts`, source).href, context)
  }
})
