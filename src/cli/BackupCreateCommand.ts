/**
 * `event-store backup create`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { copy } from "../backup/BackupCopy.ts"
import type { BackupKeys } from "../backup/BackupKeys.ts"
import { type BackupCompression, backupSize } from "../backup/BackupManifest.ts"
import type { CreateOptions, CreateOutcome } from "../backup/BackupOptions.ts"
import { BackupService } from "../backup/BackupService.ts"
import { BackupStorage } from "../backup/BackupStorage.ts"
import type { BuildLeftOut } from "../store/LogTransfer.ts"
import { onPlace, type PlaceInput } from "./BackupCommand.ts"
import { loadSigningKey } from "./internal/backupKeyFiles.ts"
import { openPlace } from "./internal/backupPlace.ts"
import { renderBackups, toJson } from "./internal/backupReport.ts"
import { onTransfer, watching } from "./internal/backupWatch.ts"
import { styleOf } from "./internal/eventTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { onStore } from "./StoreOpener.ts"
import { count, printable } from "./Text.ts"

/**
 * Flags that say how a backup is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface WritingInput extends PlaceInput {
  readonly compress: Option.Option<BackupCompression>
  readonly signWith: Option.Option<string>
  readonly copyTo: Option.Option<string>
}

/**
 * Flags of `backup create`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CreateInput extends WritingInput {
  readonly incremental: boolean
}

/**
 * Backs the store up.
 *
 * @category commands
 * @since 0.1.0
 */
export const createCommand = Effect.fnUntraced(function*(input: CreateInput, settings: Settings) {
  const outcome = yield* onPlace(
    input,
    settings,
    (keys) => makeBackup(input, keys, input.incremental ? "incremental" : "full", settings),
    "write"
  )
  yield* print(outcome, settings)
}, onStore("read"))

/**
 * Makes a backup of the open store in the open place, and copies it to a second
 * place when one is named.
 *
 * @category operations
 * @since 0.1.0
 */
export const makeBackup = Effect.fnUntraced(function*(
  input: WritingInput,
  keys: BackupKeys,
  kind: CreateOptions["kind"],
  settings: Settings
) {
  const signing = yield* loadSigningKey(input.signWith, settings)
  const encryption = keys.encryption?.[0]
  const outcome = yield* watching(settings, (set) =>
    Effect.provide(
      BackupService.use((backups) =>
        backups.create({
          kind,
          keys,
          onProgress: onTransfer(set, "backed up"),
          ...(Option.isSome(input.compress) ? { compression: input.compress.value } : {}),
          ...(encryption === undefined ? {} : { encryption }),
          ...(signing === undefined ? {} : { signing })
        })
      ),
      BackupService.layer
    ))
  if (Option.isNone(input.copyTo)) return outcome
  const from = yield* BackupStorage
  const to = yield* openPlace(input.copyTo.value, "--copy-to", "write")
  yield* copy({ from, to, ids: [outcome._tag === "Created" ? outcome.manifest.id : outcome.newest.id], keys })
  return outcome
})

/**
 * Says which projections a backup or a restored store does not have.
 *
 * @category operations
 * @since 0.1.0
 */
export const noteLeftOut = Effect.fnUntraced(function*(builds: ReadonlyArray<BuildLeftOut>, settings: Settings) {
  if (settings.quiet) return
  const out = yield* Out
  for (const { projection, reason, version } of builds) {
    yield* out.note(`left out: projection ${printable(projection)}, version ${version}: ${REASONS[reason]}\n`)
  }
})

// internal

const REASONS: Readonly<Record<BuildLeftOut["reason"], string>> = {
  tables: "it has tables of its own, and is built again from the log",
  history: "its checkpoint is of another history",
  ahead: "it has seen events after this point, and is built again"
}

const print = Effect.fnUntraced(function*(outcome: CreateOutcome, settings: Settings) {
  const out = yield* Out
  const manifest = outcome._tag === "Created" ? outcome.manifest : outcome.newest
  const leftOut = outcome._tag === "Created" ? outcome.leftOut : []
  const { plainBytes } = backupSize(manifest)
  const elapsedMillis = Math.max(1, manifest.completedAt.epochMilliseconds - manifest.startedAt.epochMilliseconds)
  if (settings.output !== "table") {
    return yield* out.data(`${JSON.stringify({ created: outcome._tag === "Created", ...toJson(manifest), leftOut })}\n`)
  }
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  if (outcome._tag === "Unchanged") {
    return yield* out.data(`nothing is new since backup ${manifest.id} (position ${count(manifest.until)})\n`)
  }
  yield* out.data(renderBackups([manifest], style))
  yield* noteLeftOut(leftOut, settings)
  if (!settings.quiet) {
    const rate = Math.round(manifest.events.count / elapsedMillis * 1000)
    yield* out.note(
      `${count(manifest.events.count)} events (${count(rate)}/s), ${count(plainBytes)} bytes of rows; ` +
        `prove it: event-store backup verify, drill\n`
    )
  }
})
