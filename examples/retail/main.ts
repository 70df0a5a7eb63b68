/**
 * The main job, from a file to an answer: imports a log of events into an
 * embedded store, follows it with a live subscription, and folds a few streams.
 *
 *     npm start              the sample of this repository
 *     npm start -- FILE      any NDJSON of events, plain, .gz or .zst
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Fiber, FileSystem, Stream } from "effect"
import { basename, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { importEvents, type ImportSummary } from "../../src/cli/Import.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import { EventStore } from "../../src/store/index.ts"
import * as Orders from "./Orders.ts"

const SAMPLE = fileURLToPath(new URL("../data/retail-sample.ndjson", import.meta.url))

/** Streams that the report folds. */
const FOLDED_STREAMS = 5

/** Lines between two words of progress. */
const PROGRESS_LINES = 50_000

/** What the subscription was told, while the import went on. */
interface Seen {
  events: number
  lastPosition: number
  outOfOrder: number
  readonly types: Map<string, number>
}

/** Follows the log from its start; every event is to come once, in order, without a gap. */
const follow = (seen: Seen) =>
  Effect.flatMap(EventStore, (store) =>
    store.subscribe().pipe(
      Stream.runForEachArray((events) =>
        Effect.sync(() => {
          for (const event of events) {
            if (event.position !== seen.lastPosition + 1) seen.outOfOrder++
            seen.lastPosition = event.position
            seen.events++
            seen.types.set(event.type, (seen.types.get(event.type) ?? 0) + 1)
          }
        })
      )
    ))

/** Waits until the subscription has seen what the import recorded last. */
const caughtUp = (seen: Seen, position: number) =>
  Effect.repeat(Effect.sleep("5 millis"), { while: () => seen.lastPosition < position }).pipe(
    Effect.timeout("30 seconds")
  )

/** The longest orders of the log, folded from their events. */
const foldOrders = Effect.gen(function*() {
  const store = yield* EventStore
  const { streams } = yield* store.listStreams({
    category: "order",
    sort: "events",
    descending: true,
    limit: FOLDED_STREAMS
  })
  return yield* Effect.forEach(streams, ({ streamId }) =>
    Effect.map(
      Stream.runFold(store.readStream(streamId), () => Orders.empty, Orders.evolve),
      (order) => ({ streamId, order })
    ))
})

const number = (value: number): string => Math.round(value).toLocaleString("en-US")

const describeOrder = (streamId: string, order: Orders.Order): string =>
  `  ${streamId.padEnd(16)} ${order.country.padEnd(16)} ${number(order.lines).padStart(5)} lines ` +
  `${number(order.items).padStart(7)} items ${(order.totalCents / 100).toFixed(2).padStart(10)} ${order.currency}`

const report = (
  { elapsedMs, file, folded, location, seen, summary }: {
    readonly file: string
    readonly location: string
    readonly elapsedMs: number
    readonly summary: ImportSummary
    readonly seen: Seen
    readonly folded: Effect.Success<typeof foldOrders>
  }
): string => {
  const types = [...seen.types].sort(([, a], [, b]) => b - a)
  return [
    "",
    `Imported      ${number(summary.appended)} events of ${number(summary.streams)} streams from ${basename(file)}` +
    (summary.skipped > 0 ? ` (${number(summary.skipped)} were there already)` : ""),
    `Rate          ${
      number(summary.appended / elapsedMs * 1000)
    } events/s, every batch on disk (fsync) before it was acknowledged`,
    `Log           positions 1 to ${number(summary.lastPosition)}`,
    `Subscription  saw ${number(seen.events)} events live, ` +
    (seen.outOfOrder === 0 ? "in order, none missing" : `${number(seen.outOfOrder)} OUT OF ORDER`),
    ...types.map(([type, count]) => `  ${type.padEnd(24)} ${number(count).padStart(9)}`),
    ...(folded.length === 0 ? [] : [
      "Orders        the longest ones, folded from their events",
      ...folded.map(({ order, streamId }) => describeOrder(streamId, order))
    ]),
    `Data          ${location}`,
    "",
    "Look around:",
    `  npm run -s event-store -- --url "pglite:${location}" stream list --sort events --desc -n 5`,
    `  npm run -s event-store -- --url "pglite:${location}" maint stats`,
    ""
  ].join("\n")
}

const program = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const given = process.argv[2]
  const file = given === undefined ? SAMPLE : resolve(given)
  const location = yield* fs.makeTempDirectory({ prefix: "event-store-" })
  yield* Console.log(`Opening an embedded store (PostgreSQL in this process, nothing to install) …`)

  const run = Effect.gen(function*() {
    const seen: Seen = { events: 0, lastPosition: 0, outOfOrder: 0, types: new Map() }
    const follower = yield* Effect.forkChild(follow(seen))
    const startedAt = performance.now()
    let told = 0
    const summary = yield* importEvents(fs.stream(file, { chunkSize: 1024 * 1024 }), {
      onProgress: ({ read }) => {
        if (read < told + PROGRESS_LINES) return Effect.void
        told = read
        return Console.log(`${number(read)} lines …`)
      }
    })
    const elapsedMs = performance.now() - startedAt
    yield* caughtUp(seen, summary.lastPosition)
    yield* Fiber.interrupt(follower)
    const folded = yield* foldOrders
    yield* Console.log(report({ file, location, elapsedMs, summary, seen, folded }))
    if (seen.outOfOrder > 0 || seen.events !== summary.appended) {
      return yield* Effect.die(new Error("the subscription did not see exactly what was imported"))
    }
  })
  yield* Effect.provide(run, layerPglite({ directory: location }))
})

NodeRuntime.runMain(
  program.pipe(
    Effect.tapError((error) => Console.error(`The main job failed: ${error.message}`)),
    Effect.provide(NodeServices.layer)
  ),
  { disableErrorReporting: true }
)
