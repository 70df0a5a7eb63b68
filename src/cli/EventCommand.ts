/**
 * `event-store event …`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { EventMetadata } from "../event/Event.ts"
import { EVENT_SIZE_BYTES_MAX } from "../event/Limits.ts"
import type { ExpectedRevision } from "../event/Revision.ts"
import { EventStore } from "../store/EventStore.ts"
import { CliFailure, notFound } from "./CliFailure.ts"
import { isFault, parseJson, toEventLine } from "./EventLine.ts"
import { renderEvent, styleOf } from "./internal/eventTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { onStore } from "./StoreOpener.ts"
import { renderPairs } from "./table.ts"
import { count, printable } from "./Text.ts"

/**
 * Arguments of `event get`.
 *
 * @category models
 * @since 0.1.0
 */
export interface GetInput {
  /** A UUID, or a position in the log. */
  readonly event: string
}

/**
 * Shows one event.
 *
 * @category commands
 * @since 0.1.0
 */
export const getCommand = Effect.fnUntraced(function*({ event: which }: GetInput, settings: Settings) {
  const out = yield* Out
  const store = yield* EventStore
  const found = /^\d+$/.test(which) ? yield* findByPosition(store, Number(which)) : yield* store.findEvent(which)
  if (Option.isNone(found)) {
    return yield* notFound(
      "ES-1304",
      "there is no such event",
      `nothing is recorded as ${printable(which)}`,
      "give the id of an event, or its position in the log (1, 2, 3, …)",
      { event: which }
    )
  }
  const { canColor } = yield* TerminalCapabilities
  yield* out.data(
    settings.output === "table"
      ? renderEvent(found.value, styleOf(settings, out, canColor))
      : `${JSON.stringify(toEventLine(found.value))}\n`
  )
}, onStore("read"))

/**
 * Arguments and flags of `event append`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendInput {
  readonly stream: string
  readonly type: string
  /** JSON, or `-` for standard input. */
  readonly data: string
  readonly metadata: Option.Option<string>
  readonly tag: ReadonlyArray<string>
  readonly expected: ExpectedRevision
  readonly id: Option.Option<string>
  readonly eventVersion: number
}

/**
 * Appends one event.
 *
 * @category commands
 * @since 0.1.0
 */
export const appendCommand = Effect.fnUntraced(function*(input: AppendInput, settings: Settings) {
  const out = yield* Out
  const data = yield* parse(input.data === "-" ? yield* readInput : input.data, "--data")
  const metadata = Option.isSome(input.metadata) ? yield* parse(input.metadata.value, "--metadata") : undefined
  const result = yield* (yield* EventStore).append({
    streamId: input.stream,
    expected: input.expected,
    events: [{
      id: Option.getOrUndefined(input.id),
      type: input.type,
      version: input.eventVersion,
      data,
      metadata: metadata as EventMetadata | undefined,
      tags: input.tag
    }]
  })
  const { streamId, ...places } = result
  if (settings.output !== "table") return yield* out.data(`${JSON.stringify({ stream: streamId, ...places })}\n`)
  yield* out.data(renderPairs([
    ["stream", streamId],
    ["revision", count(result.revision)],
    ["position", result.alreadyAppended ? `${count(result.position)} (recorded already)` : count(result.position)]
  ], { color: false }))
}, onStore("write"))

// internal

const findByPosition = (store: EventStore["Service"], position: number) =>
  position < 1 || !Number.isSafeInteger(position)
    ? Effect.succeedNone
    : store.readPage({ after: position - 1, until: position, limit: 1 }).pipe(
      Effect.map(({ events }) => Option.fromUndefinedOr(events[0])),
      Effect.catchTag("PositionAheadOfLog", () => Effect.succeedNone)
    )

const invalid = (name: string, detail: string, reason: string) =>
  new CliFailure({
    code: "ES-1503",
    exitCode: 65,
    message: `${name} cannot be taken`,
    why: detail,
    fix: "give one JSON value; quote it for the shell",
    details: { reason }
  })

const parse = (text: string, name: string) => {
  const parsed = parseJson(text)
  return isFault(parsed) ? Effect.fail(invalid(name, parsed.detail, parsed.reason)) : Effect.succeed(parsed.value)
}

/** Escapes make JSON up to six times as long as what it stands for. */
const INPUT_SIZE_BYTES_MAX = 6 * EVENT_SIZE_BYTES_MAX

const readInput = Effect.gen(function*() {
  const { stdin } = yield* Stdio.Stdio
  let size = 0
  const chunks = yield* Stream.runCollect(Stream.takeUntil(stdin, (chunk) => {
    size += chunk.length
    return size > INPUT_SIZE_BYTES_MAX
  }))
  if (size > INPUT_SIZE_BYTES_MAX) return yield* invalid("--data", "standard input is too long", "EventTooLarge")
  const bytes = Buffer.concat(chunks)
  const text = bytes.toString("utf8")
  return Buffer.from(text).equals(bytes) ? text : yield* invalid("--data", "standard input is not UTF-8", "InvalidUtf8")
})
