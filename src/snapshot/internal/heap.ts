import * as Context from "effect/Context"
import { getHeapStatistics } from "node:v8"

/** Reference to the share of the heap's limit that is in use, 0 to 1. */
export const HeapShare = Context.Reference<() => number>("effect-event-store/snapshot/HeapShare", {
  defaultValue: () => () => {
    const { heap_size_limit, used_heap_size } = getHeapStatistics()
    return used_heap_size / heap_size_limit
  }
})
