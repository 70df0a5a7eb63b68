/**
 * `event-store schema lock` and `event-store schema check`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import type { Difference, Lock } from "../version/SchemaLock.ts"
import { CliFailure, notFound, usage } from "./CliFailure.ts"
import { type EventModule, loadEventModule, makeRegistry } from "./EventModule.ts"
import { styleOf, type TableStyle } from "./internal/eventTable.ts"
import { renderFailures } from "./internal/failureTable.ts"
import { writeText } from "./internal/writeText.ts"
import { Out } from "./Out.ts"
import { makeProgress } from "./Progress.ts"
import type { Settings } from "./Settings.ts"
import { examineStore, type StoredReport } from "./StoredVersions.ts"
import { withStore } from "./StoreOpener.ts"
import { renderTable } from "./table.ts"
import { count, printable } from "./Text.ts"

/**
 * Flags of `schema lock`.
 *
 * @category models
 * @since 0.1.0
 */
export interface LockInput {
  readonly events: string
  readonly out: string
  readonly force: boolean
}

/**
 * Writes the shapes of all versions to a file.
 *
 * **Details**
 *
 * A lock that is there and whose shapes were edited or removed since is kept,
 * unless `force` is given: writing over it would hide what it is there to show.
 *
 * @category commands
 * @since 0.1.0
 */
export const lockCommand = Effect.fnUntraced(function*({ events, force, out: path }: LockInput, settings: Settings) {
  const out = yield* Out
  const module = yield* loadEventModule(events)
  yield* makeRegistry(module, {})
  const { SchemaLock } = module.library
  const before = yield* readLock(module, path)
  const differences = Option.match(before, {
    onNone: () => [],
    onSome: (lock) => SchemaLock.check(lock, module.types)
  })
  const breaking = differences.filter(SchemaLock.isBreaking)
  if (breaking.length > 0 && !force) {
    yield* printDifferences(module, differences, settings)
    return yield* new CliFailure({
      code: "ES-1604",
      exitCode: 2,
      message: "the lock was not written: it would forget shapes that may be stored",
      why: `${count(breaking.length)} locked versions were edited in place or removed (above)`,
      fix: "add a version instead; if it was never stored, lock it all the same with --force"
    })
  }
  const lock = SchemaLock.lock(module.types)
  const text = SchemaLock.toText(lock)
  yield* writeText(path, text)
  const versions = lock.types.reduce((sum, { shapes }) => sum + shapes.length, 0)
  const summary = { path, types: lock.types.length, versions, changed: differences.length }
  yield* out.data(
    settings.output === "table"
      ? `${printable(path)}: ${count(lock.types.length)} types in ${count(versions)} versions are locked\n`
      : `${JSON.stringify(summary)}\n`
  )
})

/**
 * Flags of `schema check`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CheckInput {
  readonly events: string
  readonly lock: string
  /** Fails on versions that are not locked yet, too. */
  readonly ci: boolean
  /** Examines the store too. */
  readonly db: boolean
  readonly sample: Option.Option<number>
  /** What types that the module does not export mean. */
  readonly unknown: "fail" | "skip"
}

/**
 * Compares the event types with the lock, and with what is stored.
 *
 * @category commands
 * @since 0.1.0
 */
export const checkCommand = Effect.fnUntraced(function*(input: CheckInput, settings: Settings) {
  if (Option.isSome(input.sample) && !input.db) {
    return yield* usage("--sample needs --db", "only events of a store are sampled", "add --db, or leave --sample out")
  }
  const module = yield* loadEventModule(input.events)
  const registry = yield* makeRegistry(module, { unknownType: input.unknown })
  const lock = yield* Effect.flatMap(
    readLock(module, input.lock),
    Option.match({ onNone: () => Effect.fail(lockMissing(input)), onSome: Effect.succeed })
  )
  const differences = module.library.SchemaLock.check(lock, module.types)
  const stored = input.db
    ? yield* examine(registry, Option.getOrUndefined(input.sample), settings)
    : undefined
  yield* print(module, differences, stored, settings)
  const { isBreaking } = module.library.SchemaLock
  const failing = input.ci ? differences : differences.filter(isBreaking)
  if (failing.length > 0) {
    return yield* new CliFailure({
      code: "ES-1604",
      exitCode: 2,
      message: failing.some(isBreaking)
        ? "shapes that may be stored were edited in place or removed"
        : "versions are not locked yet",
      why: `${count(failing.length)} versions differ from ${input.lock} (above)`,
      fix: failing.some(isBreaking)
        ? "take the edit back and add a version with a step to it"
        : `run: event-store schema lock --events ${input.events} --out ${input.lock}`
    })
  }
  if (stored !== undefined && stored.failed > 0) {
    return yield* new CliFailure({
      code: "ES-1605",
      exitCode: 2,
      message: "stored events cannot be read",
      why: `${count(stored.failed)} of ${count(stored.failed + stored.decoded)} events do not decode (above)`,
      fix: "complete the history of these types, or correct the steps that fail"
    })
  }
})

// internal

const examine = Effect.fnUntraced(function*(
  registry: Effect.Success<ReturnType<typeof makeRegistry>>,
  sample: number | undefined,
  settings: Settings
) {
  const progress = yield* makeProgress("events", settings)
  return yield* examineStore(registry, {
    sample,
    onProgress: (position, head) => progress.update({ done: position, fraction: position / Math.max(head, 1) })
  }).pipe(withStore(settings, "read"), Effect.ensuring(progress.clear))
})

/** `none` when there is no such file; fails when it is something else than a lock. */
const readLock = (
  { library: { SchemaLock } }: EventModule,
  path: string
): Effect.Effect<Option.Option<Lock>, CliFailure | PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    if (!(yield* fs.exists(path))) return Option.none()
    const lock = SchemaLock.fromText(yield* fs.readFileString(path))
    return lock._tag === "Success"
      ? Option.some(lock.success)
      : yield* new CliFailure({
        code: "ES-1705",
        exitCode: 65,
        message: "the file is not a schema lock",
        why: `${path}: ${lock.failure.reason}`,
        fix: "name the file that schema lock wrote, or fetch it again from version control"
      })
  })

const lockMissing = ({ events, lock }: CheckInput): CliFailure =>
  notFound(
    "ES-1305",
    "there is no schema lock",
    `the file ${lock} does not exist`,
    `make and commit it: event-store schema lock --events ${events} --out ${lock}`,
    { path: lock }
  )

const print = Effect.fnUntraced(function*(
  module: EventModule,
  differences: ReadonlyArray<Difference>,
  stored: StoredReport | undefined,
  settings: Settings
) {
  const out = yield* Out
  const described = describeAll(module, differences)
  switch (settings.output) {
    case "json":
      return yield* out.data(
        `${JSON.stringify({ equal: differences.length === 0, differences: described, ...(stored && { stored }) })}\n`
      )
    case "ndjson": {
      const lines = [
        ...described.map((difference) => ({ kind: "difference", ...difference })),
        ...(stored?.versions ?? []).map((version) => ({ kind: "version", ...version })),
        ...(stored?.failures ?? []).map((failure) => ({ kind: "failure", ...failure }))
      ]
      return yield* out.data(lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
    }
    case "table": {
      yield* printDifferences(module, differences, settings)
      if (differences.length === 0) yield* out.data("the event types are as they were locked\n")
      if (stored === undefined) return
      const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
      yield* out.data(`\n${renderVersions(stored, style)}`)
      if (stored.failures.length > 0) yield* out.data(`\n${renderFailures(stored, style)}`)
    }
  }
})

const describeAll = ({ library: { SchemaLock } }: EventModule, differences: ReadonlyArray<Difference>) =>
  differences.map((difference) => ({
    ...difference,
    breaking: SchemaLock.isBreaking(difference),
    text: SchemaLock.describe(difference)
  }))

const printDifferences = Effect.fnUntraced(function*(
  module: EventModule,
  differences: ReadonlyArray<Difference>,
  settings: Settings
) {
  const out = yield* Out
  const described = describeAll(module, differences)
  if (settings.output !== "table") {
    return yield* out.data(`${JSON.stringify({ equal: differences.length === 0, differences: described })}\n`)
  }
  for (const { text } of described) yield* out.data(`${text.split("\n").map(printable).join("\n")}\n`)
})

const renderVersions = ({ versions }: StoredReport, style: TableStyle): string =>
  renderTable(
    [
      { title: "TYPE", cut: "middle" },
      { title: "VERSION", align: "right" },
      { title: "EVENTS", align: "right" },
      { title: "DECODED", align: "right" },
      { title: "FAILED", align: "right" },
      { title: "STATE" }
    ],
    versions.map(({ decoded, events, failed, state, type, version }) => [
      type,
      String(version),
      count(events),
      count(decoded),
      count(failed),
      events === 0 ? `${state}, not stored` : state
    ]),
    style
  )
