/**
 * `event-store stream …`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { RecordedEvent } from "../event/Event.ts"
import { EventStore, type StreamDescription, type StreamSort } from "../store/EventStore.ts"
import { notFound } from "./CliFailure.ts"
import { toEventLine } from "./EventLine.ts"
import { confirm } from "./internal/confirm.ts"
import {
  renderEventLine,
  renderEvents,
  renderStream,
  renderStreams,
  styleOf,
  toNdjson,
  toStreamJson
} from "./internal/eventTable.ts"
import { toFilter } from "./internal/filterFlags.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { onStore } from "./StoreOpener.ts"
import { count, printable } from "./Text.ts"

/**
 * Flags of `stream list`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListInput {
  readonly prefix: Option.Option<string>
  readonly category: Option.Option<string>
  readonly sort: StreamSort
  readonly desc: boolean
  readonly limit: number
  readonly cursor: Option.Option<string>
}

/**
 * Lists streams, a page at a time.
 *
 * @category commands
 * @since 0.1.0
 */
export const listCommand = Effect.fnUntraced(function*(input: ListInput, settings: Settings) {
  const out = yield* Out
  const store = yield* EventStore
  const { next, streams } = yield* store.listStreams({
    prefix: Option.getOrUndefined(input.prefix),
    category: Option.getOrUndefined(input.category),
    sort: input.sort,
    descending: input.desc,
    limit: input.limit,
    cursor: Option.getOrUndefined(input.cursor)
  })
  switch (settings.output) {
    case "table":
      yield* out.data(renderStreams(streams, yield* style(settings)))
      break
    case "json":
      yield* out.data(`${JSON.stringify({ streams: streams.map(toStreamJson), next })}\n`)
      break
    case "ndjson":
      for (const stream of streams) yield* out.data(`${JSON.stringify(toStreamJson(stream))}\n`)
  }
  if (next !== undefined && settings.output !== "json" && !settings.quiet) {
    yield* out.note(`there are more: add --cursor ${next}\n`)
  }
}, onStore("read"))

/**
 * Arguments and flags of `stream inspect`.
 *
 * @category models
 * @since 0.1.0
 */
export interface InspectInput {
  readonly stream: string
  readonly from: Option.Option<number>
  readonly reverse: boolean
  readonly limit: number
}

/**
 * Shows what is known of a stream, then its events.
 *
 * @category commands
 * @since 0.1.0
 */
export const inspectCommand = Effect.fnUntraced(function*(input: InspectInput, settings: Settings) {
  const out = yield* Out
  const store = yield* EventStore
  const stream = yield* describe(input.stream)
  const events = stream.isTombstoned ? [] : yield* Stream.runCollect(store.readStream(input.stream, {
    from: Option.getOrUndefined(input.from),
    direction: input.reverse ? "backwards" : "forwards",
    limit: input.limit
  }))
  switch (settings.output) {
    case "table":
      yield* printInspection(stream, events, settings)
      break
    case "json":
      yield* out.data(`${JSON.stringify({ stream: toStreamJson(stream), events: events.map(toEventLine) })}\n`)
      break
    case "ndjson":
      for (const event of events) yield* out.data(toNdjson(event))
  }
  if (stream.isTombstoned && !settings.quiet) {
    yield* out.note(`its events are still in the log: event-store export --stream ${printable(stream.streamId)}\n`)
  }
}, onStore("read"))

/**
 * Arguments and flags of `stream tail`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TailInput {
  readonly stream: Option.Option<string>
  readonly category: ReadonlyArray<string>
  readonly type: ReadonlyArray<string>
  readonly tag: ReadonlyArray<string>
  readonly fromPosition: Option.Option<number>
  readonly limit: Option.Option<number>
}

/**
 * Prints events as they are recorded.
 *
 * @category commands
 * @since 0.1.0
 */
export const tailCommand = Effect.fnUntraced(function*(input: TailInput, settings: Settings) {
  const out = yield* Out
  const store = yield* EventStore
  const shown = yield* style(settings)
  const filter = toFilter({
    stream: Option.toArray(input.stream),
    category: input.category,
    type: input.type,
    tag: input.tag,
    since: Option.none(),
    until: Option.none()
  })
  // read before the feed starts, so that there is a place to resume from even when nothing comes
  let position: number = Option.isSome(input.fromPosition) ? input.fromPosition.value : (yield* store.head).position
  const events = store.subscribe({ after: position, filter })
  yield* Stream.runForEach(
    Option.isSome(input.limit) ? Stream.take(events, input.limit.value) : events,
    (event) =>
      Effect.map(out.data(settings.output === "table" ? renderEventLine(event, shown) : toNdjson(event)), () => {
        position = event.position
      })
  ).pipe(
    Effect.ensuring(
      Effect.suspend(() => settings.quiet ? Effect.void : out.note(`to resume: --from-position ${position}\n`))
    )
  )
}, onStore("read"))

/**
 * Arguments and flags of `stream truncate`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TruncateInput {
  readonly stream: string
  readonly before: number
  readonly dryRun: boolean
}

/**
 * Hides the events of a stream before a revision.
 *
 * @category commands
 * @since 0.1.0
 */
export const truncateCommand = Effect.fnUntraced(function*(input: TruncateInput, settings: Settings) {
  const out = yield* Out
  const before = yield* describe(input.stream)
  if (input.dryRun) {
    const hidden = Math.max(0, Math.min(input.before, before.revision + 1) - before.truncateBefore)
    return yield* out.data(`would hide ${count(hidden)} events of ${printable(input.stream)}; nothing was written\n`)
  }
  const stream = yield* (yield* EventStore).truncateBefore(input.stream, input.before)
  yield* printStream(stream, settings)
}, onStore("write"))

/**
 * Arguments and flags of `stream tombstone`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TombstoneInput {
  readonly stream: string
  readonly dryRun: boolean
}

/**
 * Ends a stream for good, after a confirmation.
 *
 * @category commands
 * @since 0.1.0
 */
export const tombstoneCommand = Effect.fnUntraced(function*(input: TombstoneInput, settings: Settings) {
  const out = yield* Out
  const stream = yield* describe(input.stream)
  const what = `end the stream ${printable(input.stream)} with its ${count(stream.revision + 1)} events for good`
  if (input.dryRun) return yield* out.data(`would ${what}; nothing was written\n`)
  if (!stream.isTombstoned) yield* confirm(what, input.stream, settings)
  // a stream that has grown since it was described is another one than was confirmed
  const options = stream.isTombstoned ? undefined : { expected: stream.revision }
  yield* printStream(yield* (yield* EventStore).tombstone(input.stream, options), settings)
}, onStore("write"))

// internal

const style = (settings: Settings) =>
  Effect.gen(function*() {
    return styleOf(settings, yield* Out, (yield* TerminalCapabilities).canColor)
  })

const describe = (streamId: string) =>
  Effect.gen(function*() {
    const found = yield* (yield* EventStore).describeStream(streamId)
    return yield* Option.match(found, {
      onSome: Effect.succeed,
      onNone: () =>
        Effect.fail(notFound(
          "ES-1302",
          "there is no such stream",
          `no event was ever recorded in ${printable(streamId)}`,
          "look for its name: event-store stream list --prefix …",
          { stream: streamId }
        ))
    })
  })

const printStream = Effect.fnUntraced(function*(stream: StreamDescription, settings: Settings) {
  const out = yield* Out
  yield* out.data(
    settings.output === "table"
      ? renderStream(stream, yield* style(settings))
      : `${JSON.stringify(toStreamJson(stream))}\n`
  )
})

const printInspection = Effect.fnUntraced(function*(
  stream: StreamDescription,
  events: ReadonlyArray<RecordedEvent>,
  settings: Settings
) {
  const out = yield* Out
  const shown = yield* style(settings)
  yield* out.data(renderStream(stream, shown))
  if (events.length === 0) return
  yield* out.data(`\n${renderEvents(events, shown)}`)
  const visible = stream.revision + 1 - stream.truncateBefore
  if (events.length < visible && !settings.quiet) {
    yield* out.note(`${count(events.length)} of ${count(visible)} events; -n shows more\n`)
  }
})
