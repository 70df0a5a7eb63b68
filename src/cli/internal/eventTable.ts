/**
 * Events and streams as tables and as JSON.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import type { RecordedEvent } from "../../event/Event.ts"
import type { StreamDescription } from "../../store/EventStore.ts"
import { toEventLine } from "../EventLine.ts"
import type { Out } from "../Out.ts"
import type { Settings } from "../Settings.ts"
import { cutTo, renderPairs, renderTable } from "../table.ts"
import { count, printable, time } from "../Text.ts"

/**
 * How a table is drawn.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableStyle {
  readonly width: number
  readonly color: boolean
  readonly local: boolean
}

/**
 * The style that settings and output ask for.
 *
 * @category getters
 * @since 0.1.0
 */
export const styleOf = (settings: Settings, out: Out["Service"], canColor: boolean): TableStyle => ({
  width: out.columns,
  color: settings.color === "always" || (settings.color === "auto" && canColor),
  local: settings.local
})

/**
 * Events, one a line, under titles.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderEvents = (events: ReadonlyArray<RecordedEvent>, style: TableStyle): string =>
  renderTable(
    [
      { title: "POSITION", align: "right" },
      { title: "STREAM", cut: "middle" },
      { title: "REVISION", align: "right" },
      { title: "TYPE", cut: "middle" },
      { title: "RECORDED AT" },
      { title: "DATA", cut: "end" }
    ],
    events.map((event) => [
      count(event.position),
      event.streamId,
      count(event.revision),
      event.version === 1 ? event.type : `${event.type} v${event.version}`,
      time(event.recordedAt, style.local),
      JSON.stringify(event.data)
    ]),
    style
  )

/**
 * One event of a live feed, in one line: it cannot know the width of those that
 * come.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderEventLine = (event: RecordedEvent, style: TableStyle): string => {
  const line = printable(
    `${event.position}  ${time(event.recordedAt, style.local)}  ${event.streamId}@${event.revision}  ${event.type}  ${
      JSON.stringify(event.data)
    }`
  )
  return `${style.width === 0 ? line : cutTo(line, style.width, "end")}\n`
}

/**
 * Everything of one event, a part a line.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderEvent = (event: RecordedEvent, style: TableStyle): string =>
  renderPairs([
    ["id", event.id],
    ["position", count(event.position)],
    ["stream", event.streamId],
    ["revision", count(event.revision)],
    ["type", event.version === 1 ? event.type : `${event.type} (version ${event.version})`],
    ["recorded at", time(event.recordedAt, style.local)],
    ["tags", event.tags.length === 0 ? "none" : event.tags.join(", ")],
    ["metadata", JSON.stringify(event.metadata)],
    ["data", JSON.stringify(event.data)]
  ], style)

/**
 * Streams, one a line, under titles.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderStreams = (streams: ReadonlyArray<StreamDescription>, style: TableStyle): string =>
  renderTable(
    [
      { title: "STREAM", cut: "middle" },
      { title: "EVENTS", align: "right" },
      { title: "FIRST AT" },
      { title: "LAST AT" },
      { title: "LAST POSITION", align: "right" },
      { title: "STATE", cut: "end" }
    ],
    streams.map((stream) => [
      stream.streamId,
      count(stream.revision + 1),
      time(stream.firstRecordedAt, style.local),
      time(stream.lastRecordedAt, style.local),
      count(stream.lastPosition),
      stateOf(stream)
    ]),
    style
  )

/**
 * What is known of one stream, a part a line.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderStream = (stream: StreamDescription, style: TableStyle): string =>
  renderPairs([
    ["stream", stream.streamId],
    ["category", stream.category],
    ["state", stateOf(stream)],
    ["events", `${count(stream.revision + 1)} (revision ${count(stream.revision)})`],
    ["positions", `${count(stream.firstPosition)} to ${count(stream.lastPosition)}`],
    ["recorded", `${time(stream.firstRecordedAt, style.local)} to ${time(stream.lastRecordedAt, style.local)}`],
    ["metadata", JSON.stringify(stream.metadata)]
  ], style)

/**
 * A stream for machines.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toStreamJson = ({ streamId, ...stream }: StreamDescription) => ({
  stream: streamId,
  events: stream.revision + 1,
  ...stream,
  firstRecordedAt: DateTime.formatIso(stream.firstRecordedAt),
  lastRecordedAt: DateTime.formatIso(stream.lastRecordedAt)
})

/**
 * An event for machines, as a line of NDJSON.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toNdjson = (event: RecordedEvent): string => `${JSON.stringify(toEventLine(event))}\n`

// internal

const stateOf = (stream: StreamDescription): string =>
  stream.isTombstoned
    ? "tombstoned"
    : stream.truncateBefore > 0
    ? `truncated before ${stream.truncateBefore}`
    : "open"
