import { InvalidInput } from "../../event/InvalidInput.ts"
import { checkStreamId, type StreamId } from "../../event/StreamId.ts"

/** The stream of an id in a category, or what is wrong with the id. */
export const toStreamId = (category: string, id: unknown): StreamId | InvalidInput => {
  if (typeof id !== "string" || id === "") {
    return new InvalidInput({ reason: "InvalidIdentifier", path: "id", detail: "expected a name that is not empty" })
  }
  const streamId = `${category}-${id}`
  return checkStreamId(streamId, "id") ?? streamId as StreamId
}
