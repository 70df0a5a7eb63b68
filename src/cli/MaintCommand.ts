/**
 * `event-store maint …`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import { EventStore } from "../store/EventStore.ts"
import { StoreAdmin } from "../store/StoreAdmin.ts"
import { CliFailure } from "./CliFailure.ts"
import { styleOf } from "./internal/eventTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { onAdmin, onStore } from "./StoreOpener.ts"
import { renderPairs, renderTable } from "./table.ts"
import { bytes, count, printable } from "./Text.ts"

/**
 * Counts what is in the store.
 *
 * @category commands
 * @since 0.1.0
 */
export const statsCommand = Effect.fnUntraced(function*(_: object, settings: Settings) {
  const out = yield* Out
  const store = yield* EventStore
  const statistics = yield* store.statistics
  if (settings.output !== "table") return yield* out.data(`${JSON.stringify(statistics)}\n`)
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  yield* out.data(renderPairs([
    ["events", count(statistics.events)],
    ["streams", count(statistics.streams)],
    ["positions", `${count(statistics.firstPosition)} to ${count(statistics.lastPosition)}`],
    ["size", bytes(statistics.bytes)],
    ["survives", DURABILITY[store.durability]]
  ], style))
  const types = Object.entries(statistics.types).map(([type, events]) => [type, count(events)])
  if (types.length === 0) return
  yield* out.data(
    `\n${renderTable([{ title: "TYPE", cut: "middle" }, { title: "EVENTS", align: "right" }], types, style)}`
  )
}, onStore("read"))

/**
 * Reads the whole log and names every broken invariant.
 *
 * @category commands
 * @since 0.1.0
 */
export const verifyLogCommand = Effect.fnUntraced(function*(_: object, settings: Settings) {
  const out = yield* Out
  const problems = yield* (yield* StoreAdmin).verifyLog
  if (settings.output !== "table") yield* out.data(`${JSON.stringify({ sound: problems.length === 0, problems })}\n`)
  else for (const problem of problems) yield* out.data(`${printable(problem)}\n`)
  if (problems.length === 0) {
    if (settings.output === "table") yield* out.data("the log is sound\n")
    return
  }
  return yield* new CliFailure({
    code: "ES-1602",
    exitCode: 2,
    message: "the log is not sound",
    why: `${count(problems.length)} invariants are broken`,
    fix: "stop writing and restore a backup; the lines above name the places"
  })
}, onAdmin("read"))

/**
 * Flags of `maint index`.
 *
 * @category models
 * @since 0.1.0
 */
export interface IndexInput {
  readonly kind: "type" | "data"
}

/**
 * Makes an index that not every store wants.
 *
 * @category commands
 * @since 0.1.0
 */
export const indexCommand = Effect.fnUntraced(function*({ kind }: IndexInput, settings: Settings) {
  const out = yield* Out
  yield* (yield* StoreAdmin).createIndex(kind)
  yield* out.data(
    settings.output === "table" ? `the index on ${kind} is there\n` : `${JSON.stringify({ index: kind })}\n`
  )
}, onAdmin("read"))

// internal

const DURABILITY = {
  memory: "nothing: the store is in the memory of a process",
  processCrash: "the death of the process",
  powerLoss: "a power failure"
}
