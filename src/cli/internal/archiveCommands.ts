/**
 * `event-store archive …`.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Flags from "../Flags.ts"
import { place } from "./backupFlags.ts"
import { writing } from "./backupRunCommands.ts"
import { lazily } from "./lazily.ts"

/**
 * Makes `archive` with its subcommands.
 *
 * @category constructors
 * @since 0.1.0
 */
export const archiveCommand = () =>
  Command.make("archive").pipe(
    Command.withDescription(
      "Moves data and metadata of old months into backups, from where they are read as before, and back. Name the place " +
        "with --dest, --archive, EVENT_STORE_ARCHIVE, or archive in the configuration: commands that read need it, too."
    ),
    Command.withShortDescription("Moves old months into backups, readable as before"),
    Command.withExamples([
      { command: "event-store archive move --older-than 52w --dest /var/backups/shop", description: "Last year's" },
      { command: "event-store archive status", description: "What is archived, and what could be" }
    ]),
    Command.withSubcommands([moveCommand(), statusCommand(), verifyCommand(), bringBackCommand()])
  )

// internal

const load = () => import("../ArchiveCommand.ts")

const archivePlace = {
  dest: Flags.text("dest", "PLACE", "Place of backups: a directory, or s3://BUCKET/PREFIX (default: --archive)"),
  keyFile: place.keyFile,
  trust: place.trust
}

const moveCommand = () =>
  Command.make("move", {
    ...archivePlace,
    before: Flags.time("before", "Months that end at this time or before (UTC)"),
    olderThan: Flags.span("older-than", "Months that ended so long ago"),
    compress: writing.compress,
    signWith: writing.signWith,
    dryRun: Flags.dryRun
  }, lazily(load, (module) => module.moveCommand)).pipe(
    Command.withDescription(
      "Archives months. Makes a backup when none reaches that far, proves it, compares every event byte by byte, and then " +
        "takes data and metadata of each month out of the store, in one step. One that was stopped goes on. Positions, " +
        "ids, streams, types, tags and times stay. Needs the rights of the owner."
    ),
    Command.withShortDescription("Archives months that are old enough"),
    Command.withExamples([
      { command: "event-store archive move --before 2026-01-01 --dest /var/backups/shop --dry-run" },
      {
        command: "event-store archive move --older-than 52w --dest s3://backups/shop --yes",
        description: "Once a month"
      }
    ])
  )

const statusCommand = () =>
  Command.make("status", {}, lazily(load, (module) => module.statusCommand)).pipe(
    Command.withDescription("Shows which months are archived, where, and which could be."),
    Command.withExamples([{ command: "event-store archive status -o json", description: "For a script" }])
  )

const verifyCommand = () =>
  Command.make("verify", archivePlace, lazily(load, (module) => module.verifyCommand)).pipe(
    Command.withDescription(
      "Reads all that is archived, proves it, and compares it with what the store has kept of each event. Exits with 2 " +
        "when something cannot be relied on."
    ),
    Command.withShortDescription("Proves all that is archived"),
    Command.withExamples([{ command: "event-store archive verify --dest /var/backups/shop" }])
  )

const bringBackCommand = () =>
  Command.make("bring-back", {
    ...archivePlace,
    from: Flag.String("from").pipe(
      Flag.withMetavar("MONTH"),
      Flag.withDescription("Months from this one on, 2026-01 say (default: all)"),
      Flag.filter((month) => /^\d{4}-(0[1-9]|1[0-2])$/.test(month), () => "a month such as 2026-01"),
      Flag.optional
    ),
    release: Flags.toggle("release", "Lets the place remove the backups then; no copy of the database may need them"),
    dryRun: Flags.dryRun
  }, lazily(load, (module) => module.bringBackCommand)).pipe(
    Command.withDescription("Puts data and metadata of archived months back into the store, the newest month first."),
    Command.withExamples([
      { command: "event-store archive bring-back --dest /var/backups/shop", description: "All of them" },
      { command: "event-store archive bring-back --from 2026-03", description: "March 2026 and later" }
    ])
  )
