/** The same types, after somebody edited version 1 of one in place, removed the other and added a third. */
import { Schema } from "effect"
import { EventType } from "../../../src/event/index.ts"

export const Opened = EventType.make("AccountOpened", { owner: Schema.NonEmptyString, vip: Schema.Boolean })

export const Closed = EventType.make("AccountClosed", {})
