/**
 * `event-store export`.
 *
 * @since 0.1.0
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { badArgument } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import { createGzip, createZstdCompress } from "node:zlib"
import { EventStore } from "../store/EventStore.ts"
import { exportEvents } from "./Export.ts"
import { type FilterInput, toFilter } from "./internal/filterFlags.ts"
import { Out } from "./Out.ts"
import { makeProgress } from "./Progress.ts"
import type { Settings } from "./Settings.ts"
import { withStore } from "./StoreOpener.ts"
import { count, duration } from "./Text.ts"

/**
 * Flags of `export`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExportInput extends FilterInput {
  readonly out: Option.Option<string>
  readonly after: Option.Option<number>
  readonly toPosition: Option.Option<number>
  readonly limit: Option.Option<number>
}

/**
 * Exports the log to a file, or to standard output.
 *
 * @category commands
 * @since 0.1.0
 */
export const exportCommand = Effect.fnUntraced(function*(input: ExportInput, settings: Settings) {
  const out = yield* Out
  const progress = yield* makeProgress("events", settings)
  const filter = toFilter(input)
  let events = 0
  let position = 0
  const run = Effect.gen(function*() {
    const { position: head } = yield* (yield* EventStore).head
    const after = Option.getOrElse(input.after, () => 0)
    const until = Math.min(head, Option.getOrElse(input.toPosition, () => head))
    const text = exportEvents({
      filter,
      after,
      until,
      limit: Option.getOrUndefined(input.limit),
      onProgress: (more, at) => {
        events += more
        position = at
      }
    }).pipe(
      Stream.tap(() => progress.update({ done: events, fraction: (position - after) / Math.max(until - after, 1) }))
    )
    yield* Option.match(input.out, {
      onNone: () => Stream.runForEach(text, out.data),
      onSome: (path) => writeFile(path, text)
    })
  }).pipe(withStore(settings, "read"), Effect.ensuring(progress.clear))
  yield* run
  if (Option.isSome(input.out) && !settings.quiet) {
    const elapsed = duration(yield* progress.elapsedMs)
    yield* out.note(`${count(events)} events written to ${input.out.value} in ${elapsed}\n`)
  }
})

// internal

/** Writes beside the file and renames at the end, so that the path never holds half an export. */
const writeFile = <E, R>(path: string, text: Stream.Stream<string, E, R>) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const temporary = `${path}.${process.pid}.tmp`
    yield* Effect.scoped(Effect.gen(function*() {
      const file = yield* fs.open(temporary, { flag: "wx" })
      yield* Stream.runForEach(compress(path, Stream.encodeText(text)), (bytes) => file.writeAll(bytes))
      yield* file.sync
    })).pipe(Effect.onError(() => Effect.ignore(fs.remove(temporary))))
    yield* fs.rename(temporary, path)
  })

const compress = <E, R>(path: string, bytes: Stream.Stream<Uint8Array, E, R>) =>
  path.endsWith(".zst")
    ? through(bytes, createZstdCompress)
    : path.endsWith(".gz")
    ? through(bytes, createGzip)
    : bytes

const through = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>, evaluate: () => Duplex) =>
  NodeStream.pipeThroughDuplex(bytes, {
    evaluate,
    onError: (cause) => badArgument({ module: "zlib", method: "compress", description: "compression failed", cause })
  })
