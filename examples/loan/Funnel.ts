/**
 * How far applications and offers come: one state for the whole log.
 */
import { Schema } from "effect"
import { Projection } from "../../src/projection/index.ts"
import * as Events from "./Events.ts"

/** How many came to each step; a customer may get several offers, one after the other. */
export const Steps = Schema.Struct({
  submitted: Schema.Int,
  preaccepted: Schema.Int,
  accepted: Schema.Int,
  finalized: Schema.Int,
  approved: Schema.Int,
  declined: Schema.Int,
  cancelled: Schema.Int,
  offersCreated: Schema.Int,
  offersSent: Schema.Int,
  offersSentBack: Schema.Int,
  offersAccepted: Schema.Int,
  offersDeclined: Schema.Int,
  offersCancelled: Schema.Int
})

export type Steps = typeof Steps.Type

const one = (step: keyof Steps) => (steps: Steps): Steps => ({ ...steps, [step]: steps[step] + 1 })

export const funnel = Projection.state({
  name: "loan-funnel",
  events: [
    Events.ApplicationSubmitted,
    Events.ApplicationPreaccepted,
    Events.ApplicationAccepted,
    Events.ApplicationFinalized,
    Events.ApplicationApproved,
    Events.ApplicationDeclined,
    Events.ApplicationCancelled,
    Events.OfferCreated,
    Events.OfferSent,
    Events.OfferSentBack,
    Events.OfferAccepted,
    Events.OfferDeclined,
    Events.OfferCancelled
  ],
  where: { categories: ["loan"] },
  state: Steps,
  initial: {
    submitted: 0,
    preaccepted: 0,
    accepted: 0,
    finalized: 0,
    approved: 0,
    declined: 0,
    cancelled: 0,
    offersCreated: 0,
    offersSent: 0,
    offersSentBack: 0,
    offersAccepted: 0,
    offersDeclined: 0,
    offersCancelled: 0
  },
  on: {
    ApplicationSubmitted: one("submitted"),
    ApplicationPreaccepted: one("preaccepted"),
    ApplicationAccepted: one("accepted"),
    ApplicationFinalized: one("finalized"),
    ApplicationApproved: one("approved"),
    ApplicationDeclined: one("declined"),
    ApplicationCancelled: one("cancelled"),
    OfferCreated: one("offersCreated"),
    OfferSent: one("offersSent"),
    OfferSentBack: one("offersSentBack"),
    OfferAccepted: one("offersAccepted"),
    OfferDeclined: one("offersDeclined"),
    OfferCancelled: one("offersCancelled")
  }
})
