/**
 * `event-store import`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import { usage } from "./CliFailure.ts"
import { checkEvents, importEvents, type ImportOptions, type ImportProgress, type ImportSummary } from "./Import.ts"
import { makeRejectFiles } from "./internal/rejectFiles.ts"
import { Out } from "./Out.ts"
import { makeProgress, type Progress } from "./Progress.ts"
import type { Settings } from "./Settings.ts"
import { withStore } from "./StoreOpener.ts"
import { renderPairs } from "./table.ts"
import { count, duration } from "./Text.ts"

/**
 * Arguments and flags of `import`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImportInput {
  /** A path, or `-` for standard input. */
  readonly file: string
  readonly batch: number
  readonly namespace: string
  readonly dryRun: boolean
  readonly continueOnError: boolean
  readonly rejects: Option.Option<string>
}

/**
 * Imports a file, or standard input.
 *
 * @category commands
 * @since 0.1.0
 */
export const importCommand = Effect.fnUntraced(function*(input: ImportInput, settings: Settings) {
  if (Option.isSome(input.rejects) && !input.continueOnError) {
    return yield* usage(
      "--rejects needs --continue-on-error",
      "without it the first bad line ends the import, so there is one at most",
      "add --continue-on-error, or leave --rejects out"
    )
  }
  const { source, sizeBytes } = yield* open(input.file)
  const progress = yield* makeProgress("events", settings)
  let latest: ImportProgress | undefined
  const run = Effect.gen(function*() {
    const onReject = input.continueOnError ? yield* makeRejectFiles(Option.getOrUndefined(input.rejects)) : undefined
    const options: ImportOptions<PlatformError> = {
      batchSizeEvents: input.batch,
      namespace: input.namespace,
      onReject,
      onProgress: (state) => {
        latest = state
        return progress.update({
          done: state.read,
          fraction: sizeBytes === undefined ? undefined : state.sizeBytes / sizeBytes
        })
      }
    }
    return yield* input.dryRun
      ? checkEvents(source, options)
      : withStore(settings, "write")(importEvents(source, options))
  }).pipe(
    Effect.scoped,
    Effect.onInterrupt(() => Effect.andThen(progress.clear, noteInterrupted(input, latest))),
    Effect.tapCause(() => progress.clear)
  )
  const summary = yield* run
  yield* progress.clear
  yield* print(input, settings, summary, progress)
})

// internal

/** Bytes read from a file at a time. */
const CHUNK_SIZE_BYTES = 256 * 1024

const open = Effect.fnUntraced(function*(file: string) {
  if (file === "-") {
    const stdio = yield* Stdio.Stdio
    return { source: stdio.stdin, sizeBytes: undefined }
  }
  const fs = yield* FileSystem.FileSystem
  // fails for a missing file before a store is made
  const { size } = yield* fs.stat(file)
  return { source: fs.stream(file, { chunkSize: CHUNK_SIZE_BYTES }), sizeBytes: Number(size) }
})

const noteInterrupted = (input: ImportInput, progress: ImportProgress | undefined) =>
  Effect.flatMap(Out, (out) => {
    const kept = input.dryRun ? 0 : (progress?.appended ?? 0) + (progress?.skipped ?? 0)
    return out.note(
      `interrupted: at least ${count(kept)} events of ${nameOf(input)} are recorded and kept\n` +
        `to go on where it stopped, run the same command again\n`
    )
  })

const nameOf = ({ file }: ImportInput): string => file === "-" ? "standard input" : file

const print = Effect.fnUntraced(function*(
  input: ImportInput,
  settings: Settings,
  summary: ImportSummary,
  progress: Progress
) {
  const out = yield* Out
  if (settings.output !== "table") return yield* out.data(`${JSON.stringify(summary)}\n`)
  const elapsedMs = yield* progress.elapsedMs
  const rate = Math.round(summary.read / Math.max(elapsedMs, 1) * 1000)
  yield* out.data(renderPairs([
    ["read", `${count(summary.read)} lines of ${nameOf(input)} in ${duration(elapsedMs)} (${count(rate)}/s)`],
    ["appended", input.dryRun ? "0 (dry run: nothing was written)" : count(summary.appended)],
    ["skipped", summary.skipped === 0 ? "0" : `${count(summary.skipped)} (recorded already)`],
    [
      "rejected",
      summary.rejected === 0 || Option.isNone(input.rejects)
        ? count(summary.rejected)
        : `${count(summary.rejected)} (in ${input.rejects.value})`
    ],
    ["streams", count(summary.streams)],
    ["position", count(summary.lastPosition)]
  ], { color: false }))
})
