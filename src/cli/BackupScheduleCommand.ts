/**
 * `event-store backup schedule`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { chainOf, list } from "../backup/BackupCatalog.ts"
import type { BackupKeys } from "../backup/BackupKeys.ts"
import { run, type ScheduledRun, upcoming } from "../backup/BackupSchedule.ts"
import { BackupService } from "../backup/BackupService.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { onPlace } from "./BackupCommand.ts"
import { makeBackup, type WritingInput } from "./BackupCreateCommand.ts"
import { refuseUnread, type RetentionInput, toPolicy } from "./BackupKeepCommand.ts"
import { type CliFailure, fromError, usage } from "./CliFailure.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { withStore } from "./StoreOpener.ts"
import { duration, printable, time } from "./Text.ts"

/**
 * Flags of `backup schedule`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScheduleInput extends WritingInput, RetentionInput {
  readonly cron: string
  readonly name: string
  readonly jitter: Option.Option<Duration.Duration>
  readonly missed: "run-once" | "skip"
  readonly fullEvery: number
  readonly dryRun: boolean
}

/**
 * Backs the store up at its times until it is interrupted. The store is opened
 * for each backup only.
 *
 * @category commands
 * @since 0.1.0
 */
export const scheduleCommand = Effect.fnUntraced(function*(input: ScheduleInput, settings: Settings) {
  const out = yield* Out
  const times = { cron: input.cron, timeZone: Option.getOrUndefined(input.timeZone) }
  const next = yield* Effect.fromResult(
    Result.mapError(upcoming(times, yield* DateTime.now, input.dryRun ? SHOWN : 1), wrongUse)
  )
  if (input.dryRun) {
    return yield* out.data(
      settings.output === "table"
        ? next.map((due) => `${time(due, settings.local)}\n`).join("")
        : `${JSON.stringify({ due: next.map(DateTime.formatIso) })}\n`
    )
  }
  const task = (keys: BackupKeys) =>
    Effect.gen(function*() {
      const kind = yield* nextKind(input.fullEvery, keys)
      const outcome = yield* makeBackup(input, keys, kind, { ...settings, progress: false })
      const policy = toPolicy(input)
      if (policy === undefined) return { outcome, removed: [] }
      yield* refuseUnread(yield* list(keys))
      const { removed } = yield* Effect.provide(
        BackupService.use((backups) => backups.prune(policy, { keys })),
        BackupService.layer
      )
      return { outcome, removed }
    }).pipe(withStore(settings, "read"), Effect.scoped)

  const [first] = next
  if (!settings.quiet && first !== undefined) {
    yield* out.note(`the next time is ${time(first, settings.local)}; an interrupt stops it\n`)
  }
  return yield* onPlace(input, settings, (keys) =>
    run({
      ...times,
      name: input.name,
      jitterMillis: Option.getOrElse(Option.map(input.jitter, Duration.toMillis), () => 0),
      missed: input.missed === "skip" ? "skip" : "runOnce",
      task: () => task(keys),
      onRun: (ran) => tell(ran, settings)
    }).pipe(Effect.catchTag("InvalidInput", (error) => Effect.fail(wrongUse(error)))), "write")
})

// internal

/** Times that a dry run prints. */
const SHOWN = 5

const wrongUse = ({ detail, path }: InvalidInput): CliFailure =>
  usage(
    "the schedule makes no sense",
    `--${path === "timeZone" ? "time-zone" : path}: ${detail}`,
    "five fields, such as \"0 3 * * *\" for three at night, and a zone, such as Europe/Berlin"
  )

/** A full one where there is none to go on from, or where the chain is long enough. */
const nextKind = Effect.fnUntraced(function*(fullEvery: number, keys: BackupKeys) {
  if (fullEvery === 1) return "full"
  const { backups } = yield* list(keys)
  const newest = backups.at(-1)
  if (newest === undefined) return "full"
  const chain = yield* Effect.result(chainOf(newest.id, keys))
  return Result.isSuccess(chain) && chain.success.length < fullEvery ? "auto" : "full"
})

type Ran = ScheduledRun<
  Effect.Success<ReturnType<typeof makeBackup>> extends infer A ? {
      readonly outcome: A
      readonly removed: ReadonlyArray<string>
    } :
    never,
  unknown
>

/** A line for each due time: data, so that a log of it can be kept. A reader that went away stops nothing. */
const tell = Effect.fnUntraced(function*(ran: Ran, settings: Settings) {
  const out = yield* Out
  const line = settings.output === "table"
    ? `${time(ran.due, settings.local)}  ${printable(describe(ran))}\n`
    : `${JSON.stringify(toJson(ran))}\n`
  yield* Effect.ignore(out.data(line))
})

const describe = (ran: Ran): string => {
  switch (ran._tag) {
    case "Succeeded": {
      const { outcome, removed } = ran.value
      const made = outcome._tag === "Created"
        ? `${outcome.manifest.kind} backup ${outcome.manifest.id} in ${duration(ran.elapsedMillis)}`
        : `nothing is new since backup ${outcome.newest.id}`
      return removed.length === 0 ? made : `${made}, removed ${removed.join(", ")}`
    }
    case "Failed": {
      const { code, message, why } = fromError(Cause.squash(ran.cause))
      return `failed after ${duration(ran.elapsedMillis)}: error ${code}: ${message}: ${why}`
    }
    case "Elsewhere":
      return "done by another process"
    case "Missed":
      return "missed, and skipped"
    case "Overtaken":
      return "another process took over"
  }
}

const toJson = (ran: Ran) => {
  const due = DateTime.formatIso(ran.due)
  switch (ran._tag) {
    case "Succeeded": {
      const { outcome, removed } = ran.value
      const { id, kind, until } = outcome._tag === "Created" ? outcome.manifest : outcome.newest
      const { elapsedMillis } = ran
      return { due, result: outcome._tag.toLowerCase(), id, kind, until, removed, elapsedMillis }
    }
    case "Failed": {
      const { code, message, why } = fromError(Cause.squash(ran.cause))
      return { due, result: "failed", elapsedMillis: ran.elapsedMillis, error: { code, message, why } }
    }
    case "Elsewhere":
    case "Missed":
    case "Overtaken":
      return { due, result: ran._tag.toLowerCase() }
  }
}
