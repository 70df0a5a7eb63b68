/**
 * Where an import puts the lines that it does not take.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import type { RejectedLine } from "../Import.ts"
import { Out } from "../Out.ts"

/**
 * Makes the taker of rejected lines. Without a path it notes each on standard
 * error.
 *
 * **Details**
 *
 * The file holds the lines as they stood, so that it can be corrected and
 * imported. Beside it, `PATH.reasons` has one line for each of them, in the same
 * order: `{"line","reason","detail"}` with the number of the line in the input,
 * and `"truncated": true` where the line was too long to be kept whole.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeRejectFiles = Effect.fnUntraced(function*(
  path: string | undefined
): Effect.fn.Return<
  (rejected: RejectedLine) => Effect.Effect<void, PlatformError>,
  PlatformError,
  FileSystem.FileSystem | Out | Scope.Scope
> {
  const out = yield* Out
  if (path === undefined) {
    return ({ detail, line, reason }) => out.note(`line ${line}: ${detail} (${reason})\n`)
  }
  const fs = yield* FileSystem.FileSystem
  const lines = yield* fs.open(path, { flag: "w" })
  const reasons = yield* fs.open(`${path}.reasons`, { flag: "w" })
  return ({ detail, line, reason, text }) => {
    const truncated = reason === "LineTooLong" ? { truncated: true } : undefined
    return Effect.andThen(
      lines.writeAll(Buffer.concat([typeof text === "string" ? Buffer.from(text) : text, LINE_FEED])),
      reasons.writeAll(Buffer.from(`${JSON.stringify({ line, reason, detail, ...truncated })}\n`))
    )
  }
})

// internal

const LINE_FEED = Buffer.from("\n")
