/**
 * The loan applications of a Dutch bank: imported as the bank's system wrote
 * them, read in the newest shapes, folded and checked against today's rules, and
 * followed by two projections.
 */
import { Effect, Option, Schema, type Stream } from "effect"
import { importEvents, type ImportSummary } from "../../src/cli/Import.ts"
import { count, duration } from "../../src/cli/Text.ts"
import { ProjectionState } from "../../src/projection/index.ts"
import { catchUp } from "../ReadModels.ts"
import { restore } from "./BankLog.ts"
import { funnel, type Steps } from "./Funnel.ts"
import { replay, type Replayed } from "./Replay.ts"
import { OUTCOMES, readTimes, throughput, type Times } from "./Throughput.ts"

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
  readonly funnel: Steps
  readonly throughput: Readonly<Record<typeof OUTCOMES[number], Times>>
  /** How many events each projection has seen, by name. */
  readonly seen: Readonly<Record<string, number>>
  readonly elapsedMs: number
}

/** The projections of this example. */
export const projections = [funnel, throughput]

/** Imports a file of events, replays every application that the store then holds, and builds the read models. */
export const run = Effect.fnUntraced(function*<E, R>(file: Stream.Stream<Uint8Array, E, R>, name: string) {
  const startedAt = performance.now()
  const imported = yield* importEvents(restore(file, name))
  const replayed = yield* replay
  if (replayed.applications === 0) return yield* new NoApplications({ lines: imported.read })
  const seen = yield* catchUp(projections)
  return {
    ...replayed,
    imported,
    seen,
    funnel: Option.getOrElse(yield* ProjectionState.get(funnel), () => funnel.initial),
    throughput: yield* readTimes,
    elapsedMs: performance.now() - startedAt
  } satisfies Outcome
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
    `           import, replay and read models took ${duration(elapsedMs)}`,
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
    ),
    ...describeReadModels(outcome)
  ].join("\n")
}

const describeReadModels = ({ funnel, seen, throughput }: Outcome): ReadonlyArray<string> => [
  "Funnel     from submission to approval, and of the offers",
  ...APPLICATION_STEPS.map((step) => stepLine(step, funnel[step], funnel.submitted)),
  ...OFFER_STEPS.map(([step, name]) => stepLine(name, funnel[step], funnel.offersCreated)),
  `Times      from submission to decision ${["median", "90 %", "99 %"].map((name) => name.padStart(14)).join("")}`,
  ...OUTCOMES.map((outcome) => {
    const { applications, p50Millis, p90Millis, p99Millis } = throughput[outcome]
    return `  ${count(applications).padStart(9)}  ${outcome.padEnd(26)} ${
      [p50Millis, p90Millis, p99Millis].map((millis) => days(millis).padStart(14)).join("")
    }`
  }),
  `Proved     ${
    Object.entries(seen).map(([name, events]) => `${name} saw ${count(events)} events`).join(", ")
  }: those of the log, each one once`
]

const APPLICATION_STEPS = ["submitted", "preaccepted", "accepted", "finalized", "approved"] as const

const OFFER_STEPS = [
  ["offersCreated", "offers created"],
  ["offersSent", "offers sent"],
  ["offersSentBack", "offers sent back"],
  ["offersAccepted", "offers accepted"]
] as const

const stepLine = (name: string, events: number, first: number): string =>
  `  ${count(events).padStart(9)}  ${name.padEnd(18)} ${(first === 0 ? "" : share(events, first)).padStart(9)}`

const DAY_MILLIS = 24 * 60 * 60 * 1000

/** Days above a day, where minutes do not matter. */
const days = (millis: number): string =>
  millis < DAY_MILLIS ? duration(millis) : `${(millis / DAY_MILLIS).toFixed(1)} days`

const share = (part: number, whole: number): string => `${(100 * part / whole).toFixed(2)} %`
