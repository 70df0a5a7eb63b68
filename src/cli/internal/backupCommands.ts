/**
 * `event-store backup …`.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Flags from "../Flags.ts"
import { place, retention } from "./backupFlags.ts"
import { backupRunCommands } from "./backupRunCommands.ts"
import { lazily } from "./lazily.ts"

/**
 * Makes `backup` with its subcommands.
 *
 * @category constructors
 * @since 0.1.0
 */
export const backupCommand = () =>
  Command.make("backup").pipe(
    Command.withDescription(
      "Makes, proves, restores and looks after backups, in directories or buckets of S3. Keys come from files and " +
        "from the environment only."
    ),
    Command.withShortDescription("Makes, proves and restores backups"),
    Command.withExamples([
      { command: "event-store backup create --dest /var/backups/shop", description: "Back the store up" },
      { command: "event-store backup list --dest /var/backups/shop", description: "Which there are" },
      { command: "event-store backup verify --dest s3://backups/shop", description: "Prove every byte of them" }
    ]),
    Command.withSubcommands([
      ...backupRunCommands(),
      listCommand(),
      describeCommand(),
      verifyCommand(),
      catCommand(),
      copyCommand(),
      pruneCommand()
    ])
  )

// internal

const load = () => import("../BackupCommand.ts")

const loadKeep = () => import("../BackupKeepCommand.ts")

const oneBackup = Argument.String("id").pipe(
  Argument.withDescription("Backup (default: the newest)"),
  Argument.optional
)

const severalBackups = (what: string) =>
  Argument.String("id").pipe(Argument.withDescription(`Backups (default: ${what})`), Argument.variadic())

const listCommand = () =>
  Command.make("list", place, lazily(load, (module) => module.listCommand)).pipe(
    Command.withDescription("Lists the backups of a place, the oldest first."),
    Command.withExamples([
      { command: "event-store backup list --dest /var/backups/shop -o json", description: "For a script" }
    ])
  )

const describeCommand = () =>
  Command.make("describe", { ...place, id: oneBackup }, lazily(load, (module) => module.describeCommand)).pipe(
    Command.withDescription("Shows what a backup says of itself, and what it takes to restore it."),
    Command.withExamples([{ command: "event-store backup describe --dest /var/backups/shop" }])
  )

const verifyCommand = () =>
  Command.make(
    "verify",
    { ...place, id: severalBackups("all of the place") },
    lazily(load, (module) => module.verifyCommand)
  )
    .pipe(
      Command.withDescription(
        "Reads backups and all that they go on from, and proves them: signatures, hashes of every byte, the chain, " +
          "counts, positions, revisions, the digest of the events. Exits with 2 when one cannot be relied on."
      ),
      Command.withShortDescription("Proves every byte of backups"),
      Command.withExamples([
        { command: "event-store backup verify --dest /var/backups/shop", description: "All of them" },
        {
          command: "event-store backup verify --dest s3://backups/shop --key-file shop-2026.key --trust shop.pub",
          description: "Encrypted and signed"
        }
      ])
    )

const catCommand = () =>
  Command.make("cat", {
    ...place,
    id: oneBackup,
    kind: Flag.Literals("kind", ["events", "streams", "snapshots", "checkpoints", "states", "parked"]).pipe(
      Flag.withMetavar("KIND"),
      Flag.withDescription("Which rows (default events)"),
      Flag.withDefault("events" as const)
    ),
    after: Flags.natural("after", "POSITION", "Only events after this position").pipe(Flag.optional),
    toPosition: Flags.natural("to-position", "POSITION", "Only events up to this position").pipe(Flag.optional)
  }, lazily(load, (module) => module.catCommand)).pipe(
    Command.withDescription(
      "Prints what a backup holds, with what it goes on from, as NDJSON: events as export writes them."
    ),
    Command.withExamples([
      {
        command: "event-store backup cat --dest /var/backups/shop | event-store import -",
        description: "The long way"
      },
      {
        command: "event-store backup cat --dest /var/backups/shop --kind streams",
        description: "States of the streams"
      }
    ])
  )

const copyCommand = () =>
  Command.make("copy", {
    ...place,
    to: Flag.String("to").pipe(Flag.withMetavar("PLACE"), Flag.withDescription("The second place, as --dest")),
    id: severalBackups("all, with what they go on from")
  }, lazily(loadKeep, (module) => module.copyCommand)).pipe(
    Command.withDescription(
      "Copies backups to a second place and proves there what arrived. A copy that was stopped goes on; repeated, it " +
        "copies what is new and mends what was damaged there. What is encrypted needs no key."
    ),
    Command.withShortDescription("Copies backups to a second place"),
    Command.withExamples([
      { command: "event-store backup copy --dest /var/backups/shop --to s3://backups-paris/shop?region=eu-west-3" }
    ])
  )

const pruneCommand = () =>
  Command.make(
    "prune",
    { ...place, ...retention, dryRun: Flags.dryRun },
    lazily(loadKeep, (module) => module.pruneCommand)
  )
    .pipe(
      Command.withDescription(
        "Removes the backups that no rule keeps and no kept one goes on from, and what has been unfinished for an hour. " +
          "While a backup cannot be read, none is removed."
      ),
      Command.withShortDescription("Removes the backups that no rule keeps"),
      Command.withExamples([
        {
          command:
            "event-store backup prune --dest /var/backups/shop --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --dry-run",
          description: "What would go"
        },
        {
          command: "event-store backup prune --dest /var/backups/shop --keep-last 3 --yes",
          description: "Does not ask"
        }
      ])
    )
