/**
 * When an event happened, which is not when it was imported.
 */
import { DateTime, Option } from "effect"
import type { RecordedEvent } from "../src/event/index.ts"

/** `time` of an imported event, as its line has it; when it was recorded, if it has none. */
export const occurredAt = ({ metadata, recordedAt }: Pick<RecordedEvent, "metadata" | "recordedAt">): DateTime.Utc => {
  const time = metadata["time"]
  return typeof time === "string" ? Option.getOrElse(DateTime.make(time), () => recordedAt) : recordedAt
}
