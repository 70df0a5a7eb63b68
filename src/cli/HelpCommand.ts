/**
 * `event-store help …`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { EXIT_CODES } from "./CliFailure.ts"
import { Out } from "./Out.ts"
import { outputFormat } from "./Settings.ts"

/**
 * Arguments of `help`.
 *
 * @category models
 * @since 0.1.0
 */
export interface HelpInput {
  readonly topic: "exit-codes" | "import-format"
}

/**
 * Explains a topic.
 *
 * @category commands
 * @since 0.1.0
 */
export const helpCommand = Effect.fnUntraced(function*({ topic }: HelpInput) {
  const out = yield* Out
  const output = yield* outputFormat
  yield* out.data(
    topic === "import-format"
      ? IMPORT_FORMAT
      : output === "table"
      ? EXIT_CODES.map(([code, meaning]) => `${String(code).padStart(3)}  ${meaning}\n`).join("")
      : `${JSON.stringify(Object.fromEntries(EXIT_CODES))}\n`
  )
})

// internal

const IMPORT_FORMAT = `One JSON object a line, in UTF-8; plain, gzip or zstd.

  stream    name of the stream: 1 to 512 bytes; the category ends at the first dash
  type      what happened, in the past tense
  data      any JSON value
  metadata  a JSON object                                       (may be left out)
  tags      strings; taken from metadata.tags when left out     (may be left out)
  time      when it happened; kept as metadata.time             (may be left out)
  id        a UUID; made of the line's content when left out    (may be left out)
  version   version of the type's shape, 1 when left out        (may be left out)

What export writes is read too: recordedAt is kept as metadata.recordedAt, and
export shows it as recordedAt again; position, revision and importedAt are given
anew. Any other key is refused, and so is what JSON would change in silence: a
key that stands twice, a number that a double does not hold, text that is not
Unicode.

With --rejects FILE, FILE holds the bad lines as they stood and FILE.reasons one
line for each: {"line","reason","detail"}.
`
