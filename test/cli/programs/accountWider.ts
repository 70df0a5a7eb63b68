/** The same types and a new one. */
import { EventType } from "../../../src/event/index.ts"

export { account } from "./account.ts"

export const Closed = EventType.make("AccountClosed", {})
