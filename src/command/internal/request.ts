/**
 * What a command asks for besides itself: its identity, and what goes on its events.
 */
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import { normalizeEventId } from "../../event/EncodedEvent.ts"
import type { EventId, EventMetadata } from "../../event/Event.ts"
import { InvalidInput } from "../../event/InvalidInput.ts"
import { nameFault } from "../../event/Name.ts"
import type { Correlation } from "../Correlation.ts"
import { digestCommand, eventIdsOf } from "./digest.ts"

/** What `execute` may be given besides the command. */
export interface RequestOptions {
  readonly commandId?: string | undefined
  readonly metadata?: EventMetadata | undefined
}

/** The identity of a command that has one. */
export interface Identity {
  readonly commandId: string
  readonly digest: string
  readonly eventId: (index: number) => EventId
}

/** A command's identity, and the metadata of its events. */
export interface Request {
  readonly identity: Identity | undefined
  readonly metadata: EventMetadata | undefined
}

/** Checks the options of a command and makes its request, or says what is wrong. */
export const makeRequest = (
  command: unknown,
  { commandId, metadata }: RequestOptions,
  { causationId, correlationId }: Correlation
): Request | InvalidInput => {
  if (commandId === undefined) {
    return {
      identity: undefined,
      metadata: correlationId === undefined && causationId === undefined
        ? metadata
        : {
          ...(correlationId === undefined ? {} : { correlationId }),
          ...(causationId === undefined ? {} : { causationId }),
          ...metadata
        }
    }
  }
  const fault = nameFault(commandId)
  if (fault !== undefined) return new InvalidInput({ reason: "InvalidIdentifier", path: "commandId", detail: fault })
  const taken = [COMMAND_ID, COMMAND_DIGEST].find((name) => metadata?.[name] !== undefined)
  if (taken !== undefined) {
    const detail = "a command with an id says this itself"
    return new InvalidInput({ reason: "InvalidIdentifier", path: `metadata.${taken}`, detail })
  }
  const digest = digestCommand(command)
  if (digest === undefined) {
    const detail = "a command with an id holds data only, so that it can be told from others"
    return new InvalidInput({ reason: "NotJson", path: "command", detail })
  }
  return {
    identity: { commandId, digest, eventId: eventIdsOf(commandId) },
    metadata: {
      correlationId: correlationId ?? commandId,
      causationId: causationId ?? commandId,
      ...metadata,
      ...stamp({ commandId, digest })
    }
  }
}

/** The id of the event with this number: of the command, the decision's own, or a new one. */
export const eventIdOf = (identity: Identity | undefined, index: number, own: string | undefined): EventId =>
  identity?.eventId(index) ?? (own === undefined ? uuidV7Unsafe() as EventId : normalizeEventId(own) ?? own as EventId)

/** Metadata of an event: what the decision says of it goes before what the command says, but for the command's identity. */
export const metadataOf = (
  { identity, metadata }: Request,
  own: EventMetadata | undefined
): EventMetadata | undefined => {
  if (own === undefined || metadata === undefined) return own ?? metadata
  return identity === undefined ? { ...metadata, ...own } : { ...metadata, ...own, ...stamp(identity) }
}

/** Whether an event was written by this command, and by no other with its id. */
export const isOf = ({ digest }: Identity, { metadata }: { readonly metadata: EventMetadata }): boolean =>
  metadata[COMMAND_DIGEST] === digest

// internal

const COMMAND_ID = "commandId"
const COMMAND_DIGEST = "commandDigest"

const stamp = ({ commandId, digest }: Pick<Identity, "commandId" | "digest">): EventMetadata => ({
  [COMMAND_ID]: commandId,
  [COMMAND_DIGEST]: digest
})
