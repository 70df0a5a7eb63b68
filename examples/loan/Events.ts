/**
 * The events of a loan application, and every shape that they ever had.
 *
 * **Details**
 *
 * The bank's own system is where version 1 comes from. Its activities have Dutch
 * names, and its amounts are whole euros. Names of types never change, so what
 * changed since is the data only: old events keep the shape in which they were
 * stored, and whoever reads them gets the newest one.
 */
import { Schema } from "effect"
import { EventType } from "../../src/event/index.ts"
import { Step } from "../../src/version/index.ts"

/** What the bank's system calls its work, and what the bank calls it in English. */
const TASKS = {
  "W_Afhandelen leads": "HandleLead",
  "W_Completeren aanvraag": "CompleteApplication",
  "W_Nabellen offertes": "CallAfterOffer",
  "W_Valideren aanvraag": "ValidateApplication",
  "W_Nabellen incomplete dossiers": "CallIncompleteFile",
  "W_Beoordelen fraude": "AssessFraud",
  "W_Wijzigen contractgegevens": "ChangeContract"
} as const

/** The part of the process that a task belongs to. */
const PHASES = {
  HandleLead: "Intake",
  CompleteApplication: "Intake",
  CallAfterOffer: "Offer",
  ValidateApplication: "Validation",
  CallIncompleteFile: "Validation",
  AssessFraud: "Validation",
  ChangeContract: "Contract"
} as const

export type Activity = keyof typeof TASKS

export type Task = typeof TASKS[Activity]

type Phase = typeof PHASES[Task]

/** A task with its phase before it, as version 2 writes it: `Intake/HandleLead`. */
type Code = `${Phase}/${Task}`

const ACTIVITY_OF = Object.fromEntries(Object.entries(TASKS).map(([activity, task]) => [task, activity])) as Readonly<
  Record<Task, Activity>
>

const Activity = Schema.Literals(Object.keys(TASKS) as ReadonlyArray<Activity>)
const Task = Schema.Literals(Object.values(TASKS))
const Phase = Schema.Literals(["Intake", "Offer", "Validation", "Contract"])
const Code = Schema.Literals(Object.values(TASKS).map((task): Code => `${PHASES[task]}/${task}`))

const toCode = (activity: Activity): Code => `${PHASES[TASKS[activity]]}/${TASKS[activity]}`

const taskOf = (code: Code): Task => code.slice(code.indexOf("/") + 1) as Task

const phaseOf = (code: Code): Phase => code.slice(0, code.indexOf("/")) as Phase

/**
 * An event of the work on an application. The three of them have one history:
 * the Dutch activity, then a code in English, then the parts of the code.
 */
const workItem = <const Name extends string>(name: Name) =>
  EventType.history(name, { activity: Activity })
    .version(2, { code: Code }, (start) =>
      start.pipe(
        Step.rename("activity", "code"),
        Step.convert("code", toCode, (code) => ACTIVITY_OF[taskOf(code)])
      ))
    .version(3, { phase: Phase, task: Task }, (start) =>
      start.pipe(
        Step.split("code", { phase: phaseOf, task: taskOf }, ({ phase, task }): Code => `${phase}/${task}`)
      ))
    .deprecate(1, { reason: "names of activities are those of the old system", since: "2012-03-15" })
    .make()

export const WorkItemScheduled = workItem("WorkItemScheduled")
export const WorkItemStarted = workItem("WorkItemStarted")
export const WorkItemCompleted = workItem("WorkItemCompleted")

/** In whole euros; the bound keeps the amount in cents exact. */
const euros = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000_000 }))

/** Whole euros, then cents, then an amount of money as one value. */
export const ApplicationSubmitted = EventType.history("ApplicationSubmitted", {
  amountRequested: euros,
  currency: Schema.String,
  registeredAt: Schema.String
})
  .version(2, { amountCents: Schema.Int, currency: Schema.String, registeredAt: Schema.String }, (start) =>
    start.pipe(
      Step.rename("amountRequested", "amountCents"),
      Step.convert("amountCents", (euros) => euros * 100, (cents) => Math.round(cents / 100))
    ))
  .version(
    3,
    { requested: Schema.Struct({ amountCents: Schema.Int, currency: Schema.String }), receivedAt: Schema.String },
    (start) =>
      start.pipe(
        Step.wrap(["amountCents", "currency"], "requested"),
        Step.rename("registeredAt", "receivedAt")
      )
  )
  .make()

export const ApplicationPartlySubmitted = EventType.make("ApplicationPartlySubmitted", {})
export const ApplicationPreaccepted = EventType.make("ApplicationPreaccepted", {})
export const ApplicationAccepted = EventType.make("ApplicationAccepted", {})
export const ApplicationFinalized = EventType.make("ApplicationFinalized", {})
export const ApplicationApproved = EventType.make("ApplicationApproved", {})
export const ApplicationRegistered = EventType.make("ApplicationRegistered", {})
export const ApplicationActivated = EventType.make("ApplicationActivated", {})
export const ApplicationDeclined = EventType.make("ApplicationDeclined", {})
export const ApplicationCancelled = EventType.make("ApplicationCancelled", {})

export const OfferSelected = EventType.make("OfferSelected", {})
export const OfferCreated = EventType.make("OfferCreated", {})
export const OfferSent = EventType.make("OfferSent", {})
export const OfferSentBack = EventType.make("OfferSentBack", {})
export const OfferAccepted = EventType.make("OfferAccepted", {})
export const OfferDeclined = EventType.make("OfferDeclined", {})
export const OfferCancelled = EventType.make("OfferCancelled", {})

/** Every type that a stream of the category `loan` holds. */
export const types = [
  ApplicationSubmitted,
  ApplicationPartlySubmitted,
  ApplicationPreaccepted,
  ApplicationAccepted,
  ApplicationFinalized,
  ApplicationApproved,
  ApplicationRegistered,
  ApplicationActivated,
  ApplicationDeclined,
  ApplicationCancelled,
  OfferSelected,
  OfferCreated,
  OfferSent,
  OfferSentBack,
  OfferAccepted,
  OfferDeclined,
  OfferCancelled,
  WorkItemScheduled,
  WorkItemStarted,
  WorkItemCompleted
] as const

export type LoanEvent = EventType.EventOf<typeof types[number]>
