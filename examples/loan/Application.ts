/**
 * Decides on a loan application and the offers that are made for it.
 */
import { Result, Schema } from "effect"
import { Decider } from "../../src/decider/index.ts"
import type { Proposed } from "../../src/event/index.ts"
import * as Events from "./Events.ts"

/** Where an application is on its way through the bank. */
type Phase = "None" | "Submitted" | "PartlySubmitted" | "Preaccepted" | "Accepted" | "Finalized"

/** An application as its events tell it. */
export interface Application {
  readonly phase: Phase
  readonly outcome: "Open" | "Approved" | "Declined" | "Cancelled"
  readonly requestedCents: number
  readonly isRegistered: boolean
  readonly isActivated: boolean
  /** Whether an offer was chosen that is not made yet. */
  readonly isOfferSelected: boolean
  /** The offer that the customer has; one at a time. */
  readonly offer: "None" | "Created" | "Sent" | "SentBack" | "Accepted"
}

export interface SubmitApplication {
  readonly _tag: "SubmitApplication"
  readonly requested: { readonly amountCents: number; readonly currency: string }
  readonly receivedAt: string
}

/** What may be asked for; all but the first say nothing but their name. */
export type Command = SubmitApplication | { readonly _tag: keyof typeof milestones }

/** Represents a command that the state of the application does not allow. Nothing happens then. */
export class NotAllowed extends Schema.TaggedError<NotAllowed>("examples/loan/NotAllowed")("NotAllowed", {
  command: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.command} is not allowed: ${this.reason}`
  }
}

/** Says why a state does not allow something; `undefined` when it does. */
type Rule = (application: Application) => string | undefined

const initial: Application = {
  phase: "None",
  outcome: "Open",
  requestedCents: 0,
  isRegistered: false,
  isActivated: false,
  isOfferSelected: false,
  offer: "None"
}

/** The first reason against it that any of the rules has. */
const all = (...rules: ReadonlyArray<Rule>): Rule => (application) => {
  for (const rule of rules) {
    const reason = rule(application)
    if (reason !== undefined) return reason
  }
  return undefined
}

const not = (reason: string, isForbidden: (application: Application) => boolean): Rule => (application) =>
  isForbidden(application) ? reason : undefined

const isOpen: Rule = not("the application has its outcome", ({ outcome }) => outcome !== "Open")

const isNotRefused: Rule = not(
  "the application was declined or cancelled",
  ({ outcome }) => outcome === "Declined" || outcome === "Cancelled"
)

const isIn = (...phases: ReadonlyArray<Phase>): Rule => ({ phase }) =>
  phases.includes(phase) ? undefined : `the application is not ${phases.map(inWords).join(" or ")}`

/** `SentBack` is `sent back`. */
const inWords = (state: string): string => state.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase()

const isPastSubmission = not("the application was not submitted", ({ phase }) => phase === "None")

const hasOffer = (...states: ReadonlyArray<Application["offer"]>): Rule => ({ offer }) =>
  states.includes(offer) ? undefined : `the offer is not ${states.map(inWords).join(" or ")}`

/** The customer has signed: the loan may be paid out. */
const isSigned = all(isNotRefused, isIn("Finalized"), hasOffer("SentBack", "Accepted"))

/** The commands that say nothing but their name: what each needs, and what happens then. */
const milestones = {
  SubmitPartly: { needs: all(isOpen, isIn("Submitted")), happens: Events.ApplicationPartlySubmitted },
  PreacceptApplication: { needs: all(isOpen, isIn("PartlySubmitted")), happens: Events.ApplicationPreaccepted },
  AcceptApplication: { needs: all(isOpen, isIn("Preaccepted")), happens: Events.ApplicationAccepted },
  FinalizeApplication: { needs: all(isOpen, isIn("Accepted")), happens: Events.ApplicationFinalized },
  ApproveApplication: { needs: all(isOpen, isSigned), happens: Events.ApplicationApproved },
  RegisterApplication: {
    needs: all(isSigned, not("the application is registered", ({ isRegistered }) => isRegistered)),
    happens: Events.ApplicationRegistered
  },
  ActivateApplication: {
    needs: all(isSigned, not("the application is activated", ({ isActivated }) => isActivated)),
    happens: Events.ApplicationActivated
  },
  DeclineApplication: { needs: all(isOpen, isPastSubmission), happens: Events.ApplicationDeclined },
  CancelApplication: { needs: all(isOpen, isPastSubmission), happens: Events.ApplicationCancelled },
  SelectOffer: {
    needs: all(
      isOpen,
      isIn("Accepted", "Finalized"),
      not("an offer was selected already", ({ isOfferSelected }) => isOfferSelected)
    ),
    happens: Events.OfferSelected
  },
  CreateOffer: {
    needs: all(
      isOpen,
      isIn("Finalized"),
      not("no offer was selected", ({ isOfferSelected }) => !isOfferSelected),
      not("the customer has an offer already", ({ offer }) => offer !== "None")
    ),
    happens: Events.OfferCreated
  },
  SendOffer: { needs: hasOffer("Created"), happens: Events.OfferSent },
  ReceiveOffer: { needs: hasOffer("Sent"), happens: Events.OfferSentBack },
  AcceptOffer: { needs: all(isNotRefused, hasOffer("SentBack")), happens: Events.OfferAccepted },
  DeclineOffer: { needs: hasOffer("Created", "Sent", "SentBack"), happens: Events.OfferDeclined },
  CancelOffer: { needs: hasOffer("Created", "Sent", "SentBack"), happens: Events.OfferCancelled }
}

/** Says what happens because of a command, or why it is not allowed. */
export const decide = (
  command: Command,
  application: Application
): Result.Result<ReadonlyArray<Proposed<Events.LoanEvent>>, NotAllowed> => {
  if (command._tag === "SubmitApplication") {
    const { receivedAt, requested } = command
    return application.phase === "None"
      ? Result.succeed([Events.ApplicationSubmitted.make({ requested, receivedAt })])
      : Result.fail(new NotAllowed({ command: command._tag, reason: "the application was submitted already" }))
  }
  const { happens, needs } = milestones[command._tag]
  const reason = needs(application)
  return reason === undefined
    ? Result.succeed([happens.make({})])
    : Result.fail(new NotAllowed({ command: command._tag, reason }))
}

/** Takes one event further; the work on an application changes nothing of it. */
const evolve = (application: Application, event: Events.LoanEvent): Application => {
  switch (event.type) {
    case "ApplicationSubmitted":
      return { ...application, phase: "Submitted", requestedCents: event.data.requested.amountCents }
    case "ApplicationPartlySubmitted":
      return { ...application, phase: "PartlySubmitted" }
    case "ApplicationPreaccepted":
      return { ...application, phase: "Preaccepted" }
    case "ApplicationAccepted":
      return { ...application, phase: "Accepted" }
    case "ApplicationFinalized":
      return { ...application, phase: "Finalized" }
    case "ApplicationApproved":
      return { ...application, outcome: "Approved" }
    case "ApplicationDeclined":
      return { ...application, outcome: "Declined" }
    case "ApplicationCancelled":
      return { ...application, outcome: "Cancelled" }
    case "ApplicationRegistered":
      return { ...application, isRegistered: true }
    case "ApplicationActivated":
      return { ...application, isActivated: true }
    case "OfferSelected":
      return { ...application, isOfferSelected: true }
    case "OfferCreated":
      return { ...application, isOfferSelected: false, offer: "Created" }
    case "OfferSent":
      return { ...application, offer: "Sent" }
    case "OfferSentBack":
      return { ...application, offer: "SentBack" }
    case "OfferAccepted":
      return { ...application, offer: "Accepted" }
    case "OfferDeclined":
    case "OfferCancelled":
      return { ...application, offer: "None" }
    default:
      return application
  }
}

export const Application = Decider.make({ events: Events.types, initial, decide, evolve })
