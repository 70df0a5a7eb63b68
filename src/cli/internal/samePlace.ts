/**
 * Whether two URLs name one embedded store.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { existsSync, realpathSync } from "node:fs"
import { resolve } from "node:path"
import { parseStoreUrl } from "../../runtime/StoreUrl.ts"
import { type CliFailure, usage } from "../CliFailure.ts"

/**
 * Refuses a source and a target that are one directory: one process opens it
 * once. Stores on a server are known by their incarnations.
 *
 * @category operations
 * @since 0.1.0
 */
export const refuseSamePlace = (
  from: Redacted.Redacted,
  to: Redacted.Redacted
): Effect.Effect<void, CliFailure> => {
  const place = placeOf(from)
  return place !== undefined && place === placeOf(to)
    ? Effect.fail(usage(
      "--from and --to are the same directory",
      `both name ${place}, which one process opens once`,
      "choose another directory for the copy"
    ))
    : Effect.void
}

// internal

const placeOf = (url: Redacted.Redacted): string | undefined => {
  const parsed = parseStoreUrl(Redacted.value(url))
  if (parsed._tag !== "Pglite" || parsed.directory === undefined) return undefined
  return existsSync(parsed.directory) ? realpathSync(parsed.directory) : resolve(parsed.directory)
}
