/**
 * `event-store backup create`, `schedule`, `drill` and `restore`, and
 * `event-store promote`.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import type { BackupCodec } from "../../backup/BackupManifest.ts"
import * as Flags from "../Flags.ts"
import { place, retention } from "./backupFlags.ts"
import { lazily } from "./lazily.ts"

/**
 * Makes the commands that write backups and stores.
 *
 * @category constructors
 * @since 0.1.0
 */
export const backupRunCommands = () => [createCommand(), scheduleCommand(), drillCommand(), restoreCommand()] as const

/**
 * Makes `promote`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const promoteCommand = () =>
  Command.make("promote", {
    from: storeUrl("from", "Store to move; nothing is removed from it"),
    to: storeUrl("to", "Empty store that it is moved into"),
    fromSchema: Flags.text("from-schema", "NAME", "Database schema of the source, if not --schema"),
    toSchema: Flags.text("to-schema", "NAME", "Database schema of the target, if not --schema"),
    dryRun: Flags.dryRun
  }, lazily(() => import("../PromoteCommand.ts"), (module) => module.promoteCommand)).pipe(
    Command.withDescription(
      "Moves a whole store into another storage, in any direction: the log with its positions, revisions, ids and " +
        "times, streams, snapshots, checkpoints and states. One that was stopped goes on; at the end the target is read " +
        "again and compared. Stop writing to the source first: what comes later is not moved. To change the events on " +
        "the way, use: event-store migrate copy."
    ),
    Command.withShortDescription("Moves a whole store into another storage"),
    Command.withExamples([
      {
        command: "event-store promote --from pglite:.event-store --to postgres://app@db/shop",
        description: "From the embedded store to a server"
      },
      {
        command: "event-store promote --from postgres://app@db/shop --to pglite:.copy",
        description: "And back, for a look at home"
      }
    ])
  )

// internal

const loadRun = () => import("../BackupCreateCommand.ts")

const loadSchedule = () => import("../BackupScheduleCommand.ts")

const loadDrill = () => import("../BackupDrillCommand.ts")

const loadRestore = () => import("../BackupRestoreCommand.ts")

const storeUrl = (name: string, description: string) =>
  Flag.Redacted(name).pipe(Flag.withMetavar("URL"), Flag.withDescription(description))

const oneBackup = Argument.String("id").pipe(
  Argument.withDescription("Backup (default: the newest)"),
  Argument.optional
)

const LEVELS: Readonly<Record<BackupCodec, readonly [min: number, usual: number, max: number]>> = {
  none: [0, 0, 0],
  gzip: [1, 6, 9],
  zstd: [1, 3, 22]
}

const toCompression = (text: string) => {
  const [, codec, digits] = /^(none|gzip|zstd)(?::(\d{1,2}))?$/.exec(text) ?? []
  if (codec === undefined) return Option.none()
  const [min, usual, max] = LEVELS[codec as BackupCodec]
  const level = digits === undefined ? usual : Number(digits)
  return level < min || level > max ? Option.none() : Option.some({ codec: codec as BackupCodec, level })
}

/**
 * How a backup is written.
 *
 * @category flags
 * @since 0.1.0
 */
export const writing = {
  compress: Flag.String("compress").pipe(
    Flag.withMetavar("CODEC"),
    Flag.withDescription("zstd:1 to zstd:22, gzip:1 to gzip:9, none (default zstd:3)"),
    Flag.filterMap(toCompression, () => "a codec such as zstd, zstd:9, gzip:6 or none"),
    Flag.optional
  ),
  signWith: Flags.text("sign-with", "FILE", "Signs with this private key (EVENT_STORE_BACKUP_SIGNING_KEY_FILE)"),
  copyTo: Flags.text("copy-to", "PLACE", "Copies it there as well, and proves it")
}

const createCommand = () =>
  Command.make("create", {
    ...place,
    incremental: Flags.toggle("incremental", "Only what is new since the newest backup"),
    ...writing
  }, lazily(loadRun, (module) => module.createCommand)).pipe(
    Command.withDescription(
      "Backs the store up while others write to it: a prefix of the log with all that belongs to it. With a key file " +
        "it is encrypted with the first one. One that was stopped leaves nothing that counts as a backup."
    ),
    Command.withShortDescription("Backs the store up while others write"),
    Command.withExamples([
      { command: "event-store backup create --dest /var/backups/shop", description: "All of it" },
      {
        command: "event-store backup create --dest s3://backups/shop --incremental --key-file shop-2026.key",
        description: "What is new, encrypted"
      }
    ])
  )

const scheduleCommand = () =>
  Command.make("schedule", {
    ...place,
    cron: Flag.String("cron").pipe(
      Flag.withMetavar("CRON"),
      Flag.withDescription("When: minute, hour, day, month, weekday; 0 3 * * * is three at night")
    ),
    name: Flag.String("name").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Processes with one name and place share the work (default backup)"),
      Flag.filter((name) => /^[a-z0-9][a-z0-9-]{0,63}$/.test(name), () =>
        "1 to 64 lower-case letters, digits and dashes"),
      Flag.withDefault("backup")
    ),
    jitter: Flags.span("jitter", "Begins up to so much later, at random (default 0s)"),
    missed: Flag.Literals("missed", ["run-once", "skip"]).pipe(
      Flag.withMetavar("POLICY"),
      Flag.withDescription("What becomes of times at which nobody watched (default run-once)"),
      Flag.withDefault("run-once" as const)
    ),
    fullEvery: Flag.Int("full-every").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Every Nth backup is a full one, the others incremental (default 1)"),
      Flag.filter((value) =>
        value >= 1 && value <= 1_000, () => "a whole number from 1 to 1000"),
      Flag.withDefault(1)
    ),
    ...writing,
    ...retention,
    dryRun: Flags.toggle("dry-run", "Prints the next five times and does nothing")
  }, lazily(loadSchedule, (module) => module.scheduleCommand)).pipe(
    Command.withDescription(
      "Backs the store up at its times until it is interrupted, and prunes afterwards when a --keep flag says so. Of " +
        "several processes with one place and name, one does it; when it dies, another takes over."
    ),
    Command.withShortDescription("Backs the store up at its times"),
    Command.withExamples([
      {
        command:
          "event-store backup schedule --dest /var/backups/shop --cron \"0 3 * * *\" --time-zone Europe/Berlin --full-every 7 --keep-daily 14",
        description: "Every night; a full one every week"
      }
    ])
  )

const drillCommand = () =>
  Command.make("drill", {
    ...place,
    id: oneBackup,
    scratch: Flag.Literals("scratch", ["pglite", "memory"]).pipe(
      Flag.withMetavar("KIND"),
      Flag.withDescription("Where it is restored: pglite in a temporary directory (default), or memory"),
      Flag.withDefault("pglite" as const)
    ),
    projection: Flags.repeated("projection", "NAME", "Builds this projection anew there, and compares"),
    allProjections: Flags.toggle("all-projections", "Builds those of the configuration and the built-in ones"),
    module: Flags.repeated("module", "FILE", "Module that exports projections (.ts, .js)")
  }, lazily(loadDrill, (module) => module.drillCommand)).pipe(
    Command.withDescription(
      "Restores a backup into an embedded store that is thrown away, and compares it with the backup, row by row. " +
        "Projections that are named are built there from the first event, proved, and compared with what the backup " +
        "holds of them. Exits with 2 when something differs."
    ),
    Command.withShortDescription("Restores a backup for practice and compares"),
    Command.withExamples([
      { command: "event-store backup drill --dest /var/backups/shop", description: "The newest" },
      {
        command: "event-store backup drill --dest /var/backups/shop --projection revenue",
        description: "And what a projection makes of it"
      }
    ])
  )

const restoreCommand = () =>
  Command.make("restore", {
    ...place,
    dest: Flag.optional(place.dest),
    id: oneBackup,
    toPosition: Flags.natural("to-position", "POSITION", "Only events up to this position").pipe(Flag.optional),
    toTime: Flags.time("to-time", "Only what was recorded up to this time"),
    stream: Flags.repeated("stream", "NAME", "Only this stream; appended with new positions and times"),
    category: Flags.repeated("category", "NAME", "Only streams of this category; appended"),
    type: Flags.repeated("type", "NAME", "Only events of this type; appended"),
    tag: Flags.repeated("tag", "TAG", "Only events with this tag; appended"),
    streamPrefix: Flags.text("stream-prefix", "TEXT", "Appends to streams with this before their names"),
    abandon: Flags.toggle("abandon", "Clears a restore that was broken off: the store is empty then"),
    dryRun: Flags.dryRun
  }, lazily(loadRestore, (module) => module.restoreCommand)).pipe(
    Command.withDescription(
      "Restores a backup into the store of --url, which must be empty: exactly the log as it was, all or nothing, as " +
        "a history of its own. With a selection or --stream-prefix the events are appended to a store that may have " +
        "others. Shows its plan first and asks."
    ),
    Command.withShortDescription("Restores a backup into an empty store"),
    Command.withExamples([
      {
        command: "event-store backup restore --dest /var/backups/shop --url postgres://app@db/shop_restored",
        description: "The newest, all of it"
      },
      {
        command:
          "event-store backup restore --dest s3://backups/shop --to-time 2026-11-21T08:30:00Z --url pglite:before",
        description: "As it was then"
      },
      {
        command:
          "event-store backup restore --dest /var/backups/shop --stream order-42 --stream-prefix restored- --url postgres://app@db/shop",
        description: "One stream, beside what is there"
      }
    ])
  )
