/**
 * `event-store projection parked …`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CheckpointStore, type ParkedEvent, type ProjectionRecord } from "../store/CheckpointStore.ts"
import { EventStore } from "../store/EventStore.ts"
import { CliFailure, notFound } from "./CliFailure.ts"
import { toEventLine } from "./EventLine.ts"
import { confirm } from "./internal/confirm.ts"
import { renderEvent, styleOf } from "./internal/eventTable.ts"
import { loadProjectionCode } from "./internal/projectionCode.ts"
import { openHost } from "./internal/projectionHost.ts"
import { builtInCode, chooseFollower, findRecord, notKnown, unknownProjection } from "./internal/projectionNames.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { withStore } from "./StoreOpener.ts"
import { renderPairs, renderTable } from "./table.ts"
import { count, printable, time } from "./Text.ts"

/**
 * Which projection's parked events are meant, and which of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParkedInput {
  readonly name: string
  readonly projectionVersion: Option.Option<number>
  readonly key: Option.Option<string>
}

/**
 * Arguments and flags of `projection parked list`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListInput extends ParkedInput {
  readonly after: Option.Option<number>
  readonly limit: number
}

/**
 * Lists parked events by position.
 *
 * @category commands
 * @since 0.1.0
 */
export const listCommand = Effect.fnUntraced(function*(input: ListInput, settings: Settings) {
  const { events, record } = yield* Effect.gen(function*() {
    const record = yield* requireRecord(input)
    const { name, version } = record
    const events = yield* (yield* CheckpointStore).listParked({ name, version }, {
      key: Option.getOrUndefined(input.key),
      after: Option.getOrUndefined(input.after),
      limit: input.limit
    })
    return { events, record }
  }).pipe(withStore(settings, "read"))
  const out = yield* Out
  const next = events.length === input.limit ? events.at(-1)?.position : undefined
  switch (settings.output) {
    case "json": {
      const { name, version } = record
      return yield* out.data(
        `${JSON.stringify({ name, version, parked: events.map(toJson), next: next ?? null })}\n`
      )
    }
    case "ndjson":
      for (const event of events) yield* out.data(`${JSON.stringify(toJson(event))}\n`)
      break
    case "table": {
      const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
      yield* out.data(
        events.length === 0 ? "nothing is parked\n" : renderTable(
          [
            { title: "POSITION", align: "right" },
            { title: "KEY", cut: "middle" },
            { title: "STREAM", cut: "middle" },
            { title: "REVISION", align: "right" },
            { title: "TYPE", cut: "middle" },
            { title: "ATTEMPTS", align: "right" },
            { title: "PARKED AT" },
            { title: "WHY", cut: "end" }
          ],
          events.map((event) => [
            count(event.position),
            event.key,
            event.streamId,
            count(event.revision),
            event.type,
            count(event.attempts),
            time(event.parkedAt, style.local),
            event.reason
          ]),
          style
        )
      )
    }
  }
  if (next !== undefined && !settings.quiet) yield* out.note(`there may be more: add --after ${next}\n`)
})

/**
 * Arguments of `projection parked show`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShowInput {
  readonly name: string
  readonly projectionVersion: Option.Option<number>
  readonly position: number
}

/**
 * Shows one parked event: why it waits, and the event itself.
 *
 * @category commands
 * @since 0.1.0
 */
export const showCommand = Effect.fnUntraced(function*({ position, ...input }: ShowInput, settings: Settings) {
  const out = yield* Out
  yield* Effect.gen(function*() {
    const { name, version } = yield* requireRecord(input)
    const [parked] = yield* (yield* CheckpointStore).listParked({ name, version }, { after: position - 1, limit: 1 })
    if (parked?.position !== position) {
      return yield* notFound(
        "ES-1906",
        "there is no such parked event",
        `nothing at position ${position} waits in ${printable(name)}`,
        `see: event-store projection parked list ${printable(name)}`,
        { name, position }
      )
    }
    const event = yield* (yield* EventStore).findEvent(parked.id)
    if (settings.output !== "table") {
      const line = Option.isSome(event) ? toEventLine(event.value) : null
      return yield* out.data(`${JSON.stringify({ ...toJson(parked), event: line })}\n`)
    }
    const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
    yield* out.data(renderPairs([
      ["key", parked.key],
      ["attempts", parked.attempts === 0 ? "0 (it waits behind another one of its key)" : count(parked.attempts)],
      ["why", parked.reason],
      ["parked at", time(parked.parkedAt, style.local)]
    ], style))
    if (Option.isSome(event)) yield* out.data(`\n${renderEvent(event.value, style)}`)
  }).pipe(withStore(settings, "read"))
})

/**
 * Arguments and flags of `projection parked replay` and `discard`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChangeInput extends ParkedInput {
  readonly module: ReadonlyArray<string>
  readonly dryRun: boolean
}

/**
 * Applies parked events in order.
 *
 * @category commands
 * @since 0.1.0
 */
export const replayCommand = Effect.fnUntraced(function*(input: ChangeInput, settings: Settings) {
  const out = yield* Out
  const code = yield* loadProjectionCode(settings, input.module)
  const replayed = yield* Effect.scoped(Effect.gen(function*() {
    const host = yield* openHost(settings, code)
    const follower = yield* chooseFollower(input.name, Option.getOrUndefined(input.projectionVersion), code, host)
    const { name, version } = follower
    if (input.dryRun) {
      const waiting = yield* countParked(
        input,
        host.run(host.checkpoints.findSlices({ name, version })),
        (page) => host.run(host.checkpoints.listParked({ name, version }, page))
      )
      yield* out.data(`would apply ${count(waiting)} parked events of ${printable(name)}; nothing was written\n`)
      return undefined
    }
    return yield* host.run(
      host.library.ProjectionControl.replayParked(follower, { key: Option.getOrUndefined(input.key) })
    )
  }))
  if (replayed === undefined) return
  const { applied, remaining } = replayed
  yield* out.data(
    settings.output === "table"
      ? renderPairs([["applied", count(applied)], ["still parked", count(remaining)]], { color: false })
      : `${JSON.stringify({ name: input.name, applied, remaining })}\n`
  )
  if (remaining > 0) {
    return yield* new CliFailure({
      code: "ES-1907",
      exitCode: 1,
      message: "some parked events failed again",
      why: `${count(remaining)} are still parked`,
      fix: `see why: event-store projection parked list ${printable(input.name)}`,
      details: { applied, remaining }
    })
  }
})

/**
 * Forgets parked events without applying them.
 *
 * @category commands
 * @since 0.1.0
 */
export const discardCommand = Effect.fnUntraced(function*(input: ChangeInput, settings: Settings) {
  const out = yield* Out
  const code = yield* loadProjectionCode(settings, input.module)
  const discarded = yield* Effect.scoped(Effect.gen(function*() {
    const host = yield* openHost(settings, code)
    const follower = yield* chooseFollower(input.name, Option.getOrUndefined(input.projectionVersion), code, host)
    const { name, version } = follower
    const slices = yield* host.run(host.checkpoints.findSlices({ name, version }))
    if (slices.length === 0) return yield* notKnown(name, code, yield* host.run(host.checkpoints.list))
    const waiting = yield* countParked(
      input,
      Effect.succeed(slices),
      (page) => host.run(host.checkpoints.listParked({ name, version }, page))
    )
    const what = `forget ${count(waiting)} parked events of ${printable(name)}, which will never be applied`
    if (input.dryRun) {
      yield* out.data(`would ${what}; nothing was written\n`)
      return undefined
    }
    yield* confirm(what, name, settings, "projection")
    return yield* host.run(
      host.library.ProjectionControl.discardParked(follower, { key: Option.getOrUndefined(input.key) })
    )
  }))
  if (discarded === undefined) return
  yield* out.data(
    settings.output === "table"
      ? `${count(discarded)} parked events forgotten; only a rebuild makes ${
        printable(input.name)
      } the fold of all events\n`
      : `${JSON.stringify({ name: input.name, discarded })}\n`
  )
})

// internal

const requireRecord = Effect.fnUntraced(function*({ name, projectionVersion }: Omit<ParkedInput, "key">) {
  const record = yield* findRecord(name, Option.getOrUndefined(projectionVersion))
  return record === undefined ? yield* unknownProjection(name, yield* builtInCode) : record
})

/** Most parked events of one projection, by the runner's bound. */
const PARKED_MAX = 10_000

const countParked = <E, E2>(
  { key }: ParkedInput,
  slices: Effect.Effect<ReadonlyArray<ProjectionRecord>, E>,
  list: (page: { readonly key: string; readonly limit: number }) => Effect.Effect<ReadonlyArray<ParkedEvent>, E2>
): Effect.Effect<number, E | E2> =>
  Option.isSome(key)
    ? Effect.map(list({ key: key.value, limit: PARKED_MAX }), (page) => page.length)
    : Effect.map(slices, (all) => all.reduce((sum, { parked }) => sum + parked, 0))

const toJson = ({ parkedAt, streamId, ...event }: ParkedEvent) => ({
  ...event,
  stream: streamId,
  parkedAt: DateTime.formatIso(parkedAt)
})
