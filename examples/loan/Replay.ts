/**
 * Folds every application of the log, and asks the deciders of each event
 * whether they would have let it happen.
 */
import { Effect, Result, Stream } from "effect"
import { isDeepStrictEqual } from "node:util"
import type { Proposed, Recorded } from "../../src/event/index.ts"
import { EventStore } from "../../src/store/index.ts"
import { VersionRegistry } from "../../src/version/index.ts"
import * as Application from "./Application.ts"
import * as Events from "./Events.ts"
import * as Work from "./Work.ts"

export interface Totals {
  readonly submitted: number
  readonly approved: number
  readonly declined: number
  readonly cancelled: number
}

/** What the deciders would have refused, and where it happened first. */
export interface Refusal {
  readonly command: string
  readonly reason: string
  readonly events: number
  readonly first: { readonly streamId: string; readonly revision: number }
}

export interface Replayed {
  readonly totals: Totals
  readonly events: number
  readonly applications: number
  /** Events that were stored in an older version, and lifted. */
  readonly lifted: number
  /** Events that the deciders would have let happen. */
  readonly allowed: number
  /** Applications of which every event was allowed. */
  readonly regular: number
  /** Most frequent first. */
  readonly refusals: ReadonlyArray<Refusal>
  /** What the applications that were approved asked for together. */
  readonly approvedCents: number
}

/** Replays the streams of the category `loan`. */
export const replay = Effect.gen(function*() {
  const store = yield* EventStore
  const registry = yield* VersionRegistry.make(Events.types)
  const tally: Tally = { events: 0, lifted: 0, cases: new Map(), refusals: new Map() }
  yield* store.readAll({ filter: { categories: ["loan"] } }).pipe(
    Stream.runForEachArray((page) =>
      Effect.map(registry.decodeAll(page), (events) => {
        for (const event of events) take(tally, event)
      })
    )
  )
  return summarise(tally)
})

/** One application while its events go by. */
interface Case {
  application: Application.Application
  work: Work.Work
  refused: number
}

interface Tally {
  events: number
  lifted: number
  readonly cases: Map<string, Case>
  readonly refusals: Map<string, { -readonly [K in keyof Refusal]: Refusal[K] }>
}

/** What happened counts, whether it was allowed or not: the fold goes on with it. */
const take = (tally: Tally, event: Recorded<Events.LoanEvent>): void => {
  const of = tally.cases.get(event.streamId) ??
    { application: Application.Application.initial, work: Work.Work.initial, refused: 0 }
  tally.cases.set(event.streamId, of)
  tally.events++
  if (event.storedVersion < event.version) tally.lifted++
  const refused = refusalOf(event, of)
  if (refused !== undefined) {
    of.refused++
    const known = tally.refusals.get(refused.message)
    if (known === undefined) {
      const { command, reason } = refused
      tally.refusals.set(refused.message, { command, reason, events: 1, first: event })
    } else known.events++
  }
  of.application = Application.Application.evolve(of.application, event)
  of.work = Work.Work.evolve(of.work, event)
}

/** Decides anew on the command that the event came of, in the state that it came in. */
const refusalOf = (event: Events.LoanEvent, { application, work }: Case): Application.NotAllowed | undefined => {
  const command = commandOf(event)
  const decided = "task" in command ? Work.decide(command, work) : Application.decide(command, application)
  if (Result.isFailure(decided)) return decided.failure
  return isSame(decided.success, event)
    ? undefined
    : new Application.NotAllowed({ command: command._tag, reason: "something else would have happened" })
}

const isSame = ([decided, ...more]: ReadonlyArray<Proposed<Events.LoanEvent>>, event: Events.LoanEvent): boolean =>
  more.length === 0 && decided?.type === event.type && isDeepStrictEqual(decided.data, event.data)

const commandOf = (event: Events.LoanEvent): Application.Command | Work.Command => {
  switch (event.type) {
    case "ApplicationSubmitted":
      return { _tag: "SubmitApplication", ...event.data }
    case "WorkItemScheduled":
      return { _tag: "ScheduleWork", ...event.data }
    case "WorkItemStarted":
      return { _tag: "StartWork", ...event.data }
    case "WorkItemCompleted":
      return { _tag: "CompleteWork", ...event.data }
    default:
      return { _tag: COMMANDS[event.type] }
  }
}

const COMMANDS = {
  ApplicationPartlySubmitted: "SubmitPartly",
  ApplicationPreaccepted: "PreacceptApplication",
  ApplicationAccepted: "AcceptApplication",
  ApplicationFinalized: "FinalizeApplication",
  ApplicationApproved: "ApproveApplication",
  ApplicationRegistered: "RegisterApplication",
  ApplicationActivated: "ActivateApplication",
  ApplicationDeclined: "DeclineApplication",
  ApplicationCancelled: "CancelApplication",
  OfferSelected: "SelectOffer",
  OfferCreated: "CreateOffer",
  OfferSent: "SendOffer",
  OfferSentBack: "ReceiveOffer",
  OfferAccepted: "AcceptOffer",
  OfferDeclined: "DeclineOffer",
  OfferCancelled: "CancelOffer"
} as const

const summarise = ({ cases, events, lifted, refusals }: Tally): Replayed => {
  const all = [...cases.values()]
  const having = (outcome: Application.Application["outcome"]) =>
    all.filter(({ application }) => application.outcome === outcome)
  const refused = [...refusals.values()].sort((a, b) => b.events - a.events)
  return {
    totals: {
      submitted: all.filter(({ application }) => application.phase !== "None").length,
      approved: having("Approved").length,
      declined: having("Declined").length,
      cancelled: having("Cancelled").length
    },
    events,
    applications: all.length,
    lifted,
    allowed: events - refused.reduce((sum, refusal) => sum + refusal.events, 0),
    regular: all.filter(({ refused }) => refused === 0).length,
    refusals: refused.map(({ first, ...refusal }) => ({
      ...refusal,
      first: { streamId: first.streamId, revision: first.revision }
    })),
    approvedCents: having("Approved").reduce((sum, { application }) => sum + application.requestedCents, 0)
  }
}
