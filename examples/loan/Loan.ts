/**
 * The loan applications of a Dutch bank: imported as the bank's system wrote
 * them, read in the newest shapes, folded and checked against today's rules.
 */
import { Effect, Schema, type Stream } from "effect"
import { importEvents, type ImportSummary } from "../../src/cli/Import.ts"
import { count, duration } from "../../src/cli/Text.ts"
import { restore } from "./BankLog.ts"
import { replay, type Replayed } from "./Replay.ts"

/** Represents a file without loan applications. */
export class NoApplications
  extends Schema.TaggedError<NoApplications>("examples/loan/NoApplications")("NoApplications", {
    lines: Schema.Int
  })
{
  override get message(): string {
    return `none of its ${count(this.lines)} lines belongs to a stream of the category loan`
  }
}

export interface Outcome extends Replayed {
  readonly imported: ImportSummary
  readonly elapsedMs: number
}

/** Imports a file of events and replays every application that the store then holds. */
export const run = Effect.fnUntraced(function*<E, R>(file: Stream.Stream<Uint8Array, E, R>, name: string) {
  const startedAt = performance.now()
  const imported = yield* importEvents(restore(file, name))
  const replayed = yield* replay
  if (replayed.applications === 0) return yield* new NoApplications({ lines: imported.read })
  return { ...replayed, imported, elapsedMs: performance.now() - startedAt } satisfies Outcome
})

/** Tells the outcome to people. */
export const describe = (name: string, outcome: Outcome): string => {
  const { allowed, applications, approvedCents, elapsedMs, events, imported, lifted, refusals, regular, totals } =
    outcome
  const open = totals.submitted - totals.approved - totals.declined - totals.cancelled
  return [
    `Imported   ${count(imported.appended)} events from ${name}` +
    (imported.skipped > 0 ? ` (${count(imported.skipped)} were there already)` : ""),
    `Replayed   ${count(events)} events of ${count(applications)} applications; ` +
    `${count(lifted)} were stored in version 1 and lifted to version 3`,
    `           import and replay took ${duration(elapsedMs)}`,
    `Submitted  ${count(totals.submitted).padStart(8)}`,
    `Approved   ${count(totals.approved).padStart(8)}  who asked for EUR ${
      count(Math.round(approvedCents / 100))
    } in all`,
    `Declined   ${count(totals.declined).padStart(8)}`,
    `Cancelled  ${count(totals.cancelled).padStart(8)}`,
    `Open       ${count(open).padStart(8)}`,
    `Allowed    ${count(allowed)} of ${count(events)} events (${share(allowed, events)}); ` +
    `${count(regular)} of ${count(applications)} applications kept every rule`,
    ...(refusals.length === 0 ? [] : ["Refused    what the deciders would not have let happen, and where first"]),
    ...refusals.map(({ command, events, first, reason }) =>
      `  ${count(events).padStart(6)}  ${command.padEnd(20)} ${
        reason.padEnd(38)
      } ${first.streamId} at ${first.revision}`
    )
  ].join("\n")
}

const share = (part: number, whole: number): string => `${(100 * part / whole).toFixed(2)} %`
