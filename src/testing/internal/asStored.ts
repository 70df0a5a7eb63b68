/**
 * Events as a store would give them back, without a store.
 */
import * as DateTime from "effect/DateTime"
import type { EventId, ProposedEvent, RecordedEvent } from "../../event/Event.ts"
import type { Position, Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"

/** Records events in a stream of their own; data goes through JSON, as in a store. */
export const asStored = <const Events extends ReadonlyArray<ProposedEvent>>(
  events: Events,
  before = 0
): { readonly [Index in keyof Events]: RecordedEvent } =>
  events.map(({ data, id, metadata, tags, type, version }, index) => ({
    position: (before + index + 1) as Position,
    streamId: STREAM,
    revision: (before + index) as Revision,
    id: (id ?? `00000000-0000-4000-8000-${String(before + index).padStart(12, "0")}`) as EventId,
    type,
    version: version ?? 1,
    data: JSON.parse(JSON.stringify(data)),
    metadata: metadata === undefined ? {} : JSON.parse(JSON.stringify(metadata)),
    tags: tags ?? [],
    recordedAt: DateTime.makeUnsafe(before + index)
  })) as never

// internal

const STREAM = "scenario-1" as StreamId
