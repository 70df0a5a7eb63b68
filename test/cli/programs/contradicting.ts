/** Two types with one name. */
import { Schema } from "effect"
import { EventType } from "../../../src/event/index.ts"

export const One = EventType.make("AccountOpened", { owner: Schema.String })

export const Other = EventType.make("AccountOpened", { name: Schema.String })
