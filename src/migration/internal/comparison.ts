/**
 * Whether the target, read again, is what was sent.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ReadError } from "../../store/EventStoreError.ts"
import { CopyUnequal } from "../CopyError.ts"
import { type EventSet, makeEventSet } from "./digest.ts"
import { countExpected, type Extent, makeStreamPull } from "./streams.ts"

/** Reads all of the target and compares counts and digests, by type, by stream and in all. */
export const verify = Effect.fnUntraced(function*(
  extent: Extent,
  expected: EventSet,
  onPage: (position: number, head: number) => Effect.Effect<void>
): Effect.fn.Return<void, CopyUnequal | ReadError> {
  const { to } = extent
  const actual = makeEventSet()
  const { position: head } = yield* to.head
  yield* Stream.runForEachArray(to.readAll({ until: head }), (page) => {
    for (const event of page) actual.addRecorded(event)
    return onPage(page.at(-1)?.position ?? 0, head)
  })
  const differences = [...compareSets(expected, actual), ...yield* compareStreams(extent)]
  if (differences.length > 0) {
    return yield* new CopyUnequal({ differences: differences.slice(0, DIFFERENCES_MAX) })
  }
})

// internal

/** Differences that are told; one is enough to see that there is one. */
const DIFFERENCES_MAX = 20

const compareSets = (expected: EventSet, actual: EventSet): ReadonlyArray<string> => {
  const names = new Set([...expected.types().keys(), ...actual.types().keys()])
  const counts = [...names].flatMap((name) => {
    const [sent, found] = [expected.types().get(name) ?? 0, actual.types().get(name) ?? 0]
    return sent === found ? [] : [`${name}: ${sent} events were sent, ${found} are there`]
  })
  return expected.digest() === actual.digest()
    ? counts
    : [...counts, `the digest of what was sent is ${expected.digest()}, of what is there ${actual.digest()}`]
}

/** Goes through both lists of streams side by side: they have the same order. */
const compareStreams = Effect.fnUntraced(function*(
  extent: Extent
): Effect.fn.Return<ReadonlyArray<string>, ReadError> {
  const { from, to } = extent
  const differences: Array<string> = []
  const nextSource = makeStreamPull(from)
  const nextTarget = makeStreamPull(to)
  let target = yield* nextTarget
  for (let source = yield* nextSource; source !== undefined; source = yield* nextSource) {
    const events = yield* countExpected(extent, source)
    if (events === 0) continue
    if (target?.streamId !== source.streamId) {
      const isMissing = Option.isNone(yield* to.describeStream(source.streamId))
      return [
        ...differences,
        isMissing ? `stream ${source.streamId} is missing` : `stream ${target?.streamId} is not of the source`
      ]
    }
    if (target.revision + 1 !== events) {
      differences.push(`stream ${source.streamId}: ${events} events were sent, ${target.revision + 1} are there`)
    }
    target = yield* nextTarget
  }
  return target === undefined ? differences : [...differences, `stream ${target.streamId} is not of the source`]
})
