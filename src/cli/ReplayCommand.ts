/**
 * `event-store event replay`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { resolve } from "node:path"
import type { RecordedEvent } from "../event/Event.ts"
import * as EventReplay from "../projection/EventReplay.ts"
import { parseStoreUrl } from "../runtime/StoreUrl.ts"
import { EventStore } from "../store/EventStore.ts"
import { CliFailure, usage } from "./CliFailure.ts"
import { renderEventLine, styleOf, toNdjson } from "./internal/eventTable.ts"
import { type FilterInput, toFilter } from "./internal/filterFlags.ts"
import { loadProjectionCode } from "./internal/projectionCode.ts"
import { openHost } from "./internal/projectionHost.ts"
import { findEffectLibrary } from "./internal/projectionLibrary.ts"
import { chooseFollower } from "./internal/projectionNames.ts"
import { makeWatch } from "./internal/projectionWatch.ts"
import { type Exports, importModule } from "./internal/userModule.ts"
import { Out } from "./Out.ts"
import { makeProgress, type Progress } from "./Progress.ts"
import type { Settings } from "./Settings.ts"
import { StoreOpener, withStore } from "./StoreOpener.ts"
import { renderPairs, renderTable } from "./table.ts"
import { count, printable, time } from "./Text.ts"

/**
 * Flags of `event replay`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayInput extends FilterInput {
  /** First position (inclusive). */
  readonly from: Option.Option<number>
  /** Last position (inclusive). */
  readonly to: Option.Option<number>
  /** `-`, `projection:NAME`, `reactor:NAME`, `handler:FILE`, or the URL of a store. */
  readonly into: string
  readonly intoSchema: Option.Option<string>
  readonly streamPrefix: string
  readonly speed: EventReplay.ReplaySpeed
  readonly checkpoint: Option.Option<string>
  readonly module: ReadonlyArray<string>
  readonly force: boolean
  readonly dryRun: boolean
}

/**
 * Replays a part of the log: to standard output, a projection, a reactor, a
 * handler, or another store.
 *
 * @category commands
 * @since 0.1.0
 */
export const replayCommand = Effect.fnUntraced(function*(input: ReplayInput, settings: Settings) {
  const target = yield* targetOf(input)
  if (input.dryRun) return yield* printPlan(target, input, settings)
  const progress = yield* makeProgress("events", settings)
  yield* replayInto(target, input, progress, settings).pipe(
    Effect.ensuring(progress.clear),
    Effect.onInterrupt(() => noteStopped(target, input, settings))
  )
})

// internal

type Target =
  | { readonly _tag: "Output" }
  | { readonly _tag: "Projection" | "Reactor"; readonly name: string }
  | { readonly _tag: "Handler"; readonly path: string }
  | { readonly _tag: "Store"; readonly url: string }

/** What the marked ways of the library take. */
type Options = EventReplay.MarkedOptions

const targetOf = (input: ReplayInput): Effect.Effect<Target, CliFailure> => {
  const { into, intoSchema, streamPrefix } = input
  const [, kind, rest = ""] = /^(projection|reactor|handler):(.+)$/s.exec(into) ?? []
  const target: Target = into === "-"
    ? { _tag: "Output" }
    : kind === "projection"
    ? { _tag: "Projection", name: rest }
    : kind === "reactor"
    ? { _tag: "Reactor", name: rest }
    : kind === "handler"
    ? { _tag: "Handler", path: rest }
    : { _tag: "Store", url: into }
  if (target._tag === "Store" && parseStoreUrl(into)._tag === "StoreUrlInvalid") {
    return Effect.fail(usage(
      "--into names no target",
      "it is none of -, projection:NAME, reactor:NAME, handler:FILE and the URL of a store",
      "see: event-store event replay --help"
    ))
  }
  if (target._tag !== "Store" && (streamPrefix !== "" || Option.isSome(intoSchema))) {
    return Effect.fail(usage(
      "--stream-prefix and --into-schema need a store",
      "only a store has streams and a schema",
      "leave them out, or give --into the URL of a store"
    ))
  }
  return Effect.succeed(target)
}

const rangeOf = (input: ReplayInput): EventReplay.ReplayRange => ({
  from: Option.getOrUndefined(input.from),
  to: Option.getOrUndefined(input.to),
  filter: toFilter(input)
})

const replayInto = (target: Target, input: ReplayInput, progress: Progress, settings: Settings) => {
  switch (target._tag) {
    case "Output":
      return toOutput(input, settings)
    case "Store":
      return toStore(target.url, input, progress, settings)
    case "Handler":
      return toHandler(target.path, input, progress, settings)
    case "Projection":
    case "Reactor":
      return toFollower(target._tag, target.name, input, progress, settings)
  }
}

/** Options with progress, for a copy of the library. */
const optionsOf = (input: ReplayInput, progress: Progress, sync: (run: () => void) => Effect.Effect<void>) => {
  let latest: EventReplay.ReplayProgress | undefined
  const options: Options = {
    ...rangeOf(input),
    speed: input.speed,
    checkpoint: Option.getOrUndefined(input.checkpoint),
    onProgress: (report) =>
      sync(() => {
        latest = report
      })
  }
  const draw = Effect.forever(Effect.andThen(
    Effect.suspend(() =>
      latest === undefined
        ? Effect.void
        : progress.update({ done: latest.events, fraction: latest.position / Math.max(1, latest.end) })
    ),
    Effect.sleep(DRAW_MILLIS)
  ))
  return { options, draw }
}

const DRAW_MILLIS = 250

/** Runs while progress is drawn. */
const drawn = <A, E, R>(draw: Effect.Effect<never>, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(self, draw)

const toOutput = Effect.fnUntraced(function*(input: ReplayInput, settings: Settings) {
  const out = yield* Out
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  const print = (event: RecordedEvent) =>
    out.data(settings.output === "table" ? renderEventLine(event, style) : toNdjson(event))
  const { checkpoint, speed } = input
  const report = yield* EventReplay.toHandler(print, {
    ...rangeOf(input),
    speed,
    checkpoint: Option.getOrUndefined(checkpoint)
  }).pipe(withStore(settings, "read"))
  if (!settings.quiet) {
    yield* out.note(`${count(report.events)} events, up to position ${count(report.position)}\n`)
  }
})

const toStore = Effect.fnUntraced(
  function*(url: string, input: ReplayInput, progress: Progress, settings: Settings) {
    const opener = yield* StoreOpener
    const schema = Option.getOrElse(input.intoSchema, () => settings.schema)
    const opened = yield* opener.store({ ...settings, url: Redacted.make(url), schema }, "write")
    const target = Context.get(yield* Layer.build(opened), EventStore)
    const { draw, options } = optionsOf(input, progress, Effect.sync)
    const report = yield* drawn(draw, EventReplay.toStore(target, { ...options, streamPrefix: input.streamPrefix }))
      .pipe(
        withStore(settings, "read")
      )
    yield* printReport(report, settings)
  },
  Effect.scoped
)

const toHandler = Effect.fnUntraced(
  function*(path: string, input: ReplayInput, progress: Progress, settings: Settings) {
    const handle = yield* handlerOf(path, yield* importModule(path))
    const host = yield* openHost(settings, {
      library: yield* findEffectLibrary(resolve(path)),
      services: undefined
    })
    const { Effect: Theirs, EventReplay: Replay } = host.library
    const { draw, options } = optionsOf(input, progress, Theirs.sync)
    const call = (event: RecordedEvent) =>
      Theirs.suspend(() => {
        const made: unknown = handle(event)
        return Theirs.isEffect(made)
          ? Theirs.asVoid(made)
          : Theirs.tryPromise({ try: async () => void (await made), catch: (cause) => cause })
      })
    const report = yield* drawn(draw, host.run(Replay.toHandler(call, options)))
    yield* printReport(report, settings)
  },
  Effect.scoped
)

const handlerOf = (path: string, exports: Exports): Effect.Effect<(event: RecordedEvent) => unknown, CliFailure> => {
  const found = exports["default"] ?? exports["handle"]
  return typeof found === "function"
    ? Effect.succeed(found as (event: RecordedEvent) => unknown)
    : Effect.fail(
      new CliFailure({
        code: "ES-1711",
        exitCode: 65,
        message: "the module exports no handler",
        why: `${path} exports neither a function by default nor one that is called handle`,
        fix: "export default (event) => …: it may return a promise or an Effect, which is waited for",
        details: { path }
      })
    )
}

/** The projection or reactor of that name, and where it is run. */
const openFollower = Effect.fnUntraced(
  function*(kind: "Projection" | "Reactor", name: string, { module }: ReplayInput, settings: Settings) {
    const code = yield* loadProjectionCode(settings, module)
    const host = yield* openHost(settings, code)
    const follower = yield* chooseFollower(name, undefined, code, host)
    return follower._tag === kind ? { follower, host } : yield* usage(
      "--into names a target of the other kind",
      `${printable(name)} is a ${follower._tag.toLowerCase()}`,
      `give it as ${follower._tag.toLowerCase()}:${printable(name)}`
    )
  }
)

const toFollower = Effect.fnUntraced(
  function*(kind: "Projection" | "Reactor", name: string, input: ReplayInput, progress: Progress, settings: Settings) {
    const { follower, host } = yield* openFollower(kind, name, input, settings)
    const { Effect: Theirs, EventReplay: Replay } = host.library
    const { draw, options } = optionsOf(input, progress, Theirs.sync)
    if (follower._tag === "Reactor") {
      const report = yield* drawn(draw, host.run(Replay.toReactor(follower, { ...options, force: input.force })))
      return yield* printReport(report, settings)
    }
    const { checkpoint: kept, speed } = options
    const watch = makeWatch(host, progress)
    const { build: { build, version }, checkpoint } = yield* drawn(
      watch.draw,
      host.run(
        Replay.toProjection(follower, { ...rangeOf(input), speed, checkpoint: kept, onProgress: watch.onProgress })
      )
    )
    yield* progress.clear
    const out = yield* Out
    yield* out.data(
      settings.output === "table"
        ? renderPairs([
          ["projection", `${name}, version ${version}, build ${build}`],
          ["events", count(checkpoint.count)],
          ["position", count(checkpoint.position)]
        ], { color: false })
        : `${JSON.stringify({ name, version, build, events: checkpoint.count, position: checkpoint.position })}\n`
    )
    if (!settings.quiet) {
      yield* out.note(
        `nobody sees it; to read it: event-store projection show ${printable(name)} ` +
          `--projection-version ${version} --build ${build}\n` +
          `to remove it: event-store projection rebuild ${printable(name)} --cancel\n`
      )
    }
  },
  Effect.scoped
)

const printReport = Effect.fnUntraced(function*(
  { after, events, position }: EventReplay.ReplayReport,
  settings: Settings
) {
  const out = yield* Out
  yield* out.data(
    settings.output === "table"
      ? renderPairs([
        ["events", count(events)],
        ["after", `position ${count(after)}`],
        ["up to", `position ${count(position)}`]
      ], { color: false })
      : `${JSON.stringify({ events, after, position })}\n`
  )
})

const noteStopped = Effect.fnUntraced(function*(target: Target, { checkpoint }: ReplayInput, settings: Settings) {
  if (settings.quiet) return
  yield* (yield* Out).note(
    Option.isSome(checkpoint)
      ? "interrupted; to go on where it stopped, run the same command again\n"
      : target._tag === "Projection"
      ? "interrupted: what is live was not touched, and what was built of the replay is removed\n"
      : "interrupted; with --checkpoint NAME a replay goes on where it stopped\n"
  )
})

/** What a follower would be shown, by the copy of the library that defines it. */
const planFor = Effect.fnUntraced(
  function*(kind: "Projection" | "Reactor", name: string, input: ReplayInput, settings: Settings) {
    const { follower, host } = yield* openFollower(kind, name, input, settings)
    return yield* host.run(host.library.EventReplay.plan(rangeOf(input), follower))
  },
  Effect.scoped
)

const printPlan = Effect.fnUntraced(function*(target: Target, input: ReplayInput, settings: Settings) {
  const out = yield* Out
  const plan = target._tag === "Projection" || target._tag === "Reactor"
    ? yield* planFor(target._tag, target.name, input, settings)
    : yield* withStore(settings, "read")(EventReplay.plan(rangeOf(input)))
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  const place = (at: EventReplay.ReplayPlace | undefined) =>
    at === undefined ? "none" : `position ${count(at.position)}, ${time(at.recordedAt, style.local)}`
  if (settings.output !== "table") return yield* out.data(`${JSON.stringify(plan)}\n`)
  yield* out.data(renderPairs([
    ["events", `${count(plan.events)} (dry run: nothing was replayed)`],
    ["streams", count(plan.streams)],
    ["first", place(plan.first)],
    ["last", place(plan.last)]
  ], style))
  const types = Object.entries(plan.types)
  if (types.length === 0) return
  yield* out.data(`\n${
    renderTable(
      [{ title: "TYPE", cut: "middle" }, { title: "EVENTS", align: "right" }],
      types.map(([type, events]) => [type, count(events)]),
      style
    )
  }`)
})
