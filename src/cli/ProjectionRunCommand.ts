/**
 * `event-store projection run`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Result from "effect/Result"
import { START } from "../event/Revision.ts"
import type { Follower } from "../projection/Reactor.ts"
import type { RunnerOptions } from "../projection/RunnerOptions.ts"
import type { Checkpoint } from "../store/CheckpointStore.ts"
import { CliFailure, fromError } from "./CliFailure.ts"
import { loadProjectionCode } from "./internal/projectionCode.ts"
import { openHost, type ProjectionHost } from "./internal/projectionHost.ts"
import { type AnyOfInput, chooseFollowers } from "./internal/projectionNames.ts"
import { printProjections } from "./internal/projectionReport.ts"
import { makeWatch } from "./internal/projectionWatch.ts"
import { Out } from "./Out.ts"
import { makeProgress, type Progress } from "./Progress.ts"
import type { Settings } from "./Settings.ts"
import { renderTable } from "./table.ts"
import { count, printable } from "./Text.ts"

/**
 * Arguments and flags of `projection run`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunInput extends AnyOfInput {
  /** Ends at the head of the log. */
  readonly once: boolean
  /** Most events of a commit. */
  readonly batch: number
}

/**
 * Runs projections: up to the head of the log, or until it is interrupted.
 *
 * @category commands
 * @since 0.1.0
 */
export const runCommand = Effect.fnUntraced(function*(input: RunInput, settings: Settings) {
  const code = yield* loadProjectionCode(settings, input.module)
  yield* Effect.scoped(Effect.gen(function*() {
    const host = yield* openHost(settings, code)
    const chosen = yield* chooseFollowers(input, code, host)
    const progress = yield* makeProgress("events", settings)
    const { draw, onProgress } = makeWatch(host, progress)
    const drawing = yield* Effect.forkChild(draw)
    const options = { batchEvents: input.batch, onProgress }
    const ended = <A, E, R>(self: Effect.Effect<A, E, R>) =>
      self.pipe(
        Effect.ensuring(Effect.andThen(Fiber.interrupt(drawing), progress.clear)),
        Effect.onInterrupt(() => noteStopped(host, chosen, input, settings))
      )
    if (input.once) return yield* ended(catchUp(host, chosen, options, progress, settings))
    return yield* ended(follow(host, chosen, options, settings))
  }))
})

// internal

type Options = Pick<RunnerOptions, "batchEvents" | "onProgress">

const follow = Effect.fnUntraced(function*(
  { library: { ProjectionRunner }, run }: ProjectionHost,
  chosen: ReadonlyArray<Follower<unknown>>,
  options: Options,
  settings: Settings
) {
  if (!settings.quiet) {
    const out = yield* Out
    yield* out.note(`runs ${chosen.map(({ name }) => printable(name)).join(", ")}; an interrupt stops it\n`)
  }
  const [only, ...others] = chosen
  if (only !== undefined && others.length === 0) return yield* run(ProjectionRunner.run(only, options))
  yield* run(ProjectionRunner.runAll(chosen, options))
  return yield* new CliFailure({
    code: "ES-1904",
    exitCode: 1,
    message: "no projection runs any more",
    why: "each of them ended with an error (above)",
    fix: "mend them and run the same command again; see: event-store projection list"
  })
})

interface Outcome {
  readonly follower: Follower<unknown>
  readonly result: Result.Result<Checkpoint, unknown>
  /** Events that it had not seen before. */
  readonly newEvents: number
}

const catchUp = Effect.fnUntraced(function*(
  host: ProjectionHost,
  chosen: ReadonlyArray<Follower<unknown>>,
  options: Options,
  progress: Progress,
  settings: Settings
) {
  const before = yield* checkpointsOf(host, chosen)
  const results = yield* host.run(host.library.ProjectionRunner.runAllOnce(chosen, options))
  const after = yield* checkpointsOf(host, chosen)
  const outcomes = chosen.flatMap((follower, index) => {
    const result = results[index]
    const newEvents = (after[index]?.count ?? 0) - (before[index]?.count ?? 0)
    return result === undefined ? [] : [{ follower, result, newEvents: Math.max(0, newEvents) }]
  })
  yield* progress.clear
  const failure = failureOf(outcomes)
  // one that fails has nothing to show
  if (failure !== undefined && outcomes.length === 1) return yield* failure
  yield* print(outcomes, yield* progress.elapsedMs, settings)
  if (failure !== undefined) return yield* failure
})

type Progressed = Pick<Checkpoint, "position" | "count">

const NOTHING: Progressed = { position: START, count: 0 }

/** How far they have come; all slices of one together. */
const checkpointsOf = Effect.fnUntraced(function*(host: ProjectionHost, followers: ReadonlyArray<Follower<unknown>>) {
  return yield* Effect.forEach(
    followers,
    ({ name, version }) =>
      Effect.map(host.run(host.checkpoints.findSlices({ name, version })), (slices) => {
        const [first, ...others] = slices.map(({ checkpoint }): Progressed => checkpoint)
        return others.reduce(
          (a, b) => ({ position: b.position < a.position ? b.position : a.position, count: a.count + b.count }),
          first ?? NOTHING
        )
      })
  )
})

/** The leases are given back by now; where they stand is only asked for a moment. */
const noteStopped = Effect.fnUntraced(function*(
  host: ProjectionHost,
  followers: ReadonlyArray<Follower<unknown>>,
  input: RunInput,
  settings: Settings
) {
  if (settings.quiet) return
  const out = yield* Out
  const reached = yield* checkpointsOf(host, followers).pipe(Effect.timeoutOption("1 second"), Effect.option)
  const places = Option.getOrElse(Option.flatten(reached), () => [])
  for (const [index, { name, version }] of followers.entries()) {
    const position = places[index]?.position
    if (position !== undefined) {
      yield* out.note(`${printable(name)}, version ${version}, has come to position ${count(position)}\n`)
    }
  }
  const names = input.all ? "--all" : followers.map(({ name }) => printable(name)).join(" ")
  yield* out.note(`to go on where it stopped: event-store projection run ${names}${input.once ? " --once" : ""}\n`)
})

const print = Effect.fnUntraced(function*(outcomes: ReadonlyArray<Outcome>, elapsedMs: number, settings: Settings) {
  const rows = outcomes.map(({ follower: { name, version }, newEvents, result }) => ({
    name,
    version,
    position: result._tag === "Success" ? result.success.position : null,
    events: result._tag === "Success" ? result.success.count : null,
    newEvents,
    elapsedMs,
    error: result._tag === "Success" ? null : errorToJson(result.failure)
  }))
  yield* printProjections(rows, settings, (style) =>
    renderTable(
      [
        { title: "PROJECTION", cut: "middle" },
        { title: "VERSION", align: "right" },
        { title: "POSITION", align: "right" },
        { title: "NEW EVENTS", align: "right" },
        { title: "RATE", align: "right" },
        { title: "RESULT", cut: "end" }
      ],
      rows.map(({ error, name, newEvents, position, version }) => [
        name,
        String(version),
        position === null ? "" : count(position),
        count(newEvents),
        `${count(Math.round(newEvents / Math.max(elapsedMs, 1) * 1000))}/s`,
        error === null ? "at the head" : `${error.code}: ${error.why}`
      ]),
      style
    ))
})

const errorToJson = (error: unknown) => {
  const { code, message, why } = fromError(error)
  return { code, message, why }
}

const failureOf = (outcomes: ReadonlyArray<Outcome>): CliFailure | undefined => {
  const failed = outcomes.flatMap(({ follower, result }) =>
    result._tag === "Failure" ? [{ name: follower.name, failure: fromError(result.failure) }] : []
  )
  if (failed.length === 0 || outcomes.length === 1) return failed[0]?.failure
  return new CliFailure({
    code: "ES-1904",
    exitCode: 1,
    message: "some projections have not come to the head of the log",
    why: failed.map(({ failure, name }) => `${name}: ${failure.why}`).join("; "),
    fix: "the others have; mend these (above) and run the same command again",
    details: { failed: failed.map(({ failure, name }) => ({ name, code: failure.code })) }
  })
}
