/**
 * `event-store migrate …`.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Flags from "../Flags.ts"
import { lazily } from "./lazily.ts"

/**
 * Makes `migrate` with its subcommands.
 *
 * @category constructors
 * @since 0.1.0
 */
export const migrateCommand = () =>
  Command.make("migrate").pipe(
    Command.withDescription("Moves what is stored to another place or another shape."),
    Command.withExamples([
      { command: "event-store migrate copy --from pglite:.event-store --to postgres://app@db/shop" }
    ]),
    Command.withSubcommands([copyCommand()])
  )

// internal

const storeUrl = (name: string, description: string) =>
  Flag.Redacted(name).pipe(Flag.withMetavar("URL"), Flag.withDescription(description))

const copyCommand = () =>
  Command.make("copy", {
    from: storeUrl("from", "Store to read; it is never written to"),
    to: storeUrl("to", "Store to write; empty, or with the beginning of this copy"),
    fromSchema: Flags.text("from-schema", "NAME", "Database schema of the source, if not --schema"),
    toSchema: Flags.text("to-schema", "NAME", "Database schema of the target, if not --schema"),
    events: Flag.optional(Flags.events),
    keepVersions: Flags.toggle("keep-versions", "Checks that events decode, and copies them as they are stored"),
    unknown: Flag.Literals("unknown", ["fail", "skip", "keep"]).pipe(
      Flag.withMetavar("POLICY"),
      Flag.withDescription("What happens to types and versions that --events does not know (default fail)"),
      Flag.withDefault("fail" as const)
    ),
    streamPrefix: Flags.repeated("stream-prefix", "TEXT", "Only streams whose name starts so"),
    batch: Flags.batch,
    resume: Flag.Boolean("resume").pipe(
      Flag.withDescription("Goes on with a copy that was stopped (the default; --no-resume wants an empty target)"),
      Flag.withDefault(true)
    ),
    dryRun: Flags.dryRun
  }, lazily(() => import("../MigrateCommand.ts"), (module) => module.copyCommand)).pipe(
    Command.withDescription(
      "Copies a store into another, in the order of the log, with ids, tags, metadata and the state of the streams. " +
        "With --events every event is decoded, and written in its newest version. A copy that was stopped goes on, and " +
        "repeating one adds only what is new. At the end the target is read again and compared; exits with 2 when it " +
        "differs. Node runs a .ts module as it is, without enum and namespace; its imports end in .ts."
    ),
    Command.withShortDescription("Copies a store into another, in the newest shapes"),
    Command.withExamples([
      {
        command: "event-store migrate copy --from pglite:.event-store --to postgres://app@db/shop --dry-run",
        description: "What would be copied"
      },
      {
        command: "event-store migrate copy --from postgres://db/old --to postgres://db/new --events src/events.ts",
        description: "Into the newest versions"
      },
      {
        command: "event-store migrate copy --from pglite:all --to pglite:loans --stream-prefix loan-",
        description: "Some of the streams"
      }
    ])
  )
