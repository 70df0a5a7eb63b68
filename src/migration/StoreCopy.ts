/**
 * Copies one store into another, in the newest shapes if wanted.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { RecordedEvent } from "../event/Event.ts"
import type { TypedEvent } from "../event/EventType.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { AppendError, ReadError } from "../store/EventStoreError.ts"
import type { PassedThrough, Registry } from "../version/Registry.ts"
import * as AppendPipeline from "./AppendPipeline.ts"
import { type CopyError, type EventNotCopied, SameStore, type TargetDiffers, TargetNotEmpty } from "./CopyError.ts"
import { type CopyPlan, type CopyProgress, type CopyReport, FAILURES_MAX } from "./CopyReport.ts"
import { verify } from "./internal/comparison.ts"
import { type EventSet, makeEventSet } from "./internal/digest.ts"
import { type AnyRegistry, makeTransform, type Outgoing } from "./internal/outgoing.ts"
import { makeWalker } from "./internal/resume.ts"
import { copyStreamStates } from "./internal/streams.ts"
import { makeTally, type Tally, toReport } from "./internal/tally.ts"

export * from "./CopyReport.ts"

/**
 * What is copied, and how.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopyOptions<E extends TypedEvent = never, P extends PassedThrough = PassedThrough> {
  /** The source; only read. */
  readonly from: EventStore["Service"]
  readonly to: EventStore["Service"]
  /**
   * Every event is decoded with it first; its policy says what happens to types
   * and versions that it does not know. Without it events are copied as stored.
   */
  readonly registry?: Pick<Registry<E, P>, "decode" | "encode"> | undefined
  /** `newest` writes older versions in the newest shape, `keep` as they are stored; `newest` when absent. */
  readonly versions?: "newest" | "keep" | undefined
  /** Only streams whose name starts with one of these; all when absent or empty. */
  readonly streamPrefixes?: ReadonlyArray<string> | undefined
  /** Whether a target that holds the beginning of the copy is gone on with; true when absent. */
  readonly resume?: boolean | undefined
  /** Most events on their way to the target at a time; 1,000 when absent. */
  readonly batchSizeEvents?: number | undefined
  /** Told after every page of the source, and then of the target. */
  readonly onProgress?: ((progress: CopyProgress) => Effect.Effect<void>) | undefined
}

/**
 * What {@link plan} takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlanOptions<E extends TypedEvent = never, P extends PassedThrough = PassedThrough>
  extends Omit<CopyOptions<E, P>, "to">
{
  /** Taken to be empty when absent. */
  readonly to?: EventStore["Service"] | undefined
}

/**
 * Copies the source, as it is now, into the target.
 *
 * **Details**
 *
 * Events keep their order, ids, streams, tags and metadata; what is recorded
 * anew is their position, and when the source recorded them first stays in
 * `metadata.recordedAt`. Streams keep their metadata, truncations and
 * tombstones. An event that is in the newest version is copied as it is stored,
 * with the keys that its schema does not name.
 *
 * The target has to be empty, or hold the beginning of the same copy: then the
 * copy goes on there, so one that was stopped can be started again, and one of a
 * source that has grown adds what is new. At the end the target is read again
 * and compared with what was sent: counts by type and by stream, and a digest
 * over all of it.
 *
 * An event that cannot be copied ends the copy; what stands before it is kept.
 * {@link plan} finds all such events beforehand.
 *
 * @category operations
 * @since 0.1.0
 */
export const copy: <E extends TypedEvent = never, P extends PassedThrough = PassedThrough>(
  options: CopyOptions<E, P>
) => Effect.Effect<CopyReport, CopyError> = Effect.fn("StoreCopy.copy")(
  function*<E extends TypedEvent, P extends PassedThrough>(options: CopyOptions<E, P>) {
    const { batchSizeEvents = BATCH_SIZE_EVENTS, from, onProgress = () => Effect.void, to } = options
    const { head, until } = yield* heads(from, to, options.resume)
    const source = makeSource(options)
    const { sent, tally } = source
    yield* Effect.scoped(Effect.gen(function*() {
      const walker = makeWalker(to, head)
      const appender = yield* makeAppender(to, batchSizeEvents, tally)
      yield* Stream.runForEachArray(from.readAll({ until }), (page) =>
        Effect.gen(function*() {
          const { failure, outgoing } = source.take(page)
          const rest = yield* walker.skip(outgoing)
          tally.present += outgoing.length - rest.length
          yield* appender.send(rest)
          if (failure !== undefined) {
            // what stands before is kept
            yield* appender.settle
            return yield* failure
          }
          yield* onProgress(progressOf("copy", page.at(-1)?.position ?? 0, until, tally))
        }))
      yield* appender.settle
      yield* walker.end
    }))
    const { includes, isLeftOut } = source
    const extent = { from, to, until, includes, isLeftOut, leftOut: tally.leftOutOf }
    yield* copyStreamStates(extent)
    yield* verify(extent, sent, (position, head) => onProgress(progressOf("verify", position, head, tally)))
    return toReport(tally, until, sent.digest())
  }
)

/**
 * Does everything that {@link copy} does except writing: finds every event that
 * cannot be copied, and what of the copy the target has already.
 *
 * @category operations
 * @since 0.1.0
 */
export const plan: <E extends TypedEvent = never, P extends PassedThrough = PassedThrough>(
  options: PlanOptions<E, P>
) => Effect.Effect<CopyPlan, SameStore | TargetNotEmpty | TargetDiffers | ReadError> = Effect.fn("StoreCopy.plan")(
  function*<E extends TypedEvent, P extends PassedThrough>(options: PlanOptions<E, P>) {
    const { from, onProgress = () => Effect.void, to } = options
    const { head, until } = yield* heads(from, to, options.resume)
    const source = makeSource(options)
    const { sent, tally } = source
    const failures: Array<EventNotCopied> = []
    let failed = 0
    const walker = to === undefined ? undefined : makeWalker(to, head)
    yield* Stream.runForEachArray(from.readAll({ until }), (page) =>
      Effect.gen(function*() {
        let left: ReadonlyArray<RecordedEvent> = page
        while (left.length > 0) {
          const { failure, outgoing } = source.take(left)
          // a copy ends at the first failure, so the target has nothing that comes after
          const rest = walker === undefined || failed > 0 ? outgoing : yield* walker.skip(outgoing)
          tally.present += outgoing.length - rest.length
          tally.copied += rest.length
          if (failure === undefined) break
          if (failed++ < FAILURES_MAX) failures.push(failure)
          left = left.filter(({ position }) => position > failure.position)
        }
        yield* onProgress(progressOf("copy", page.at(-1)?.position ?? 0, until, tally))
      }))
    if (walker !== undefined) yield* walker.end
    return { ...toReport(tally, until, sent.digest()), failed, failures }
  }
)

// internal

/** Enough to fill the store's batches while one is on its way. */
const BATCH_SIZE_EVENTS = 1_000

const heads = Effect.fnUntraced(function*(
  from: EventStore["Service"],
  to: EventStore["Service"] | undefined,
  resume = true
) {
  const source = yield* from.head
  if (to === undefined) return { until: source.position, head: source.position }
  const target = yield* to.head
  if (target.incarnation === source.incarnation) {
    return yield* new SameStore({ incarnation: source.incarnation })
  }
  if (!resume && target.position > 0) return yield* new TargetNotEmpty({ position: target.position })
  return { until: source.position, head: target.position }
})

const progressOf = (
  phase: CopyProgress["phase"],
  position: number,
  head: number,
  { copied, present }: Tally
): CopyProgress => ({ phase, position, head, copied, present })

/** What is read, and what becomes of it. */
interface Source {
  readonly tally: Tally
  /** Everything that the target is to hold. */
  readonly sent: EventSet
  readonly includes: (streamId: string) => boolean
  readonly isLeftOut: (event: RecordedEvent) => boolean
  /** Puts events into the shape in which they are sent, up to the first that has none. */
  readonly take: (events: ReadonlyArray<RecordedEvent>) => {
    readonly outgoing: ReadonlyArray<Outgoing>
    readonly failure: EventNotCopied | undefined
  }
}

const makeSource = <E extends TypedEvent, P extends PassedThrough>(
  { registry, streamPrefixes = [], versions = "newest" }: PlanOptions<E, P>
): Source => {
  // whatever its types are, the registry only ever gets back what came out of it
  const transform = makeTransform(registry as AnyRegistry | undefined, versions)
  const includes = (streamId: string) =>
    streamPrefixes.length === 0 || streamPrefixes.some((prefix) => streamId.startsWith(prefix))
  const tally = makeTally()
  const sent = makeEventSet()
  return {
    tally,
    sent,
    includes,
    isLeftOut: (event) => {
      const transformed = transform(event)
      return transformed._tag === "Success" && transformed.success === undefined
    },
    take: (events) => {
      const outgoing: Array<Outgoing> = []
      for (const event of events) {
        if (!includes(event.streamId)) continue
        const transformed = transform(event)
        if (transformed._tag === "Failure") return { outgoing, failure: transformed.failure }
        tally.take(event, transformed.success)
        if (transformed.success === undefined) continue
        sent.addSent(event.streamId, transformed.success.encoded)
        outgoing.push(transformed.success)
      }
      return { outgoing, failure: undefined }
    }
  }
}

const makeAppender = Effect.fnUntraced(function*(to: EventStore["Service"], capacity: number, tally: Tally) {
  const pipeline = yield* AppendPipeline.make<AppendError>(capacity)
  const append = ({ items, streamId }: AppendPipeline.Run<Outgoing>) =>
    Effect.map(to.append({ streamId, expected: "any", events: items.map(({ event }) => event) }), () => {
      tally.copied += items.length
    })
  return {
    send: (events: ReadonlyArray<Outgoing>) =>
      Effect.forEach(
        AppendPipeline.toRuns(events, capacity),
        (run) => pipeline.submit(AppendPipeline.weightOf(run), append(run)),
        { discard: true }
      ),
    settle: pipeline.settle
  }
})
