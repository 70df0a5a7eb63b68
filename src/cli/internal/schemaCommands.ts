/**
 * `event-store schema …`: the database schema, and the shapes of events.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Flags from "../Flags.ts"
import { withEvents } from "./eventsPath.ts"
import { lazily } from "./lazily.ts"

/**
 * Makes `schema` with its subcommands.
 *
 * @category constructors
 * @since 0.1.0
 */
export const schemaCommand = () => {
  const load = () => import("../SchemaCommand.ts")
  return Command.make("schema").pipe(
    Command.withDescription("Shows, applies and verifies the database schema; locks and checks the shapes of events."),
    Command.withExamples([{ command: "event-store schema status", description: "What is applied and what is not" }]),
    Command.withSubcommands([
      Command.make("status", {}, lazily(load, (module) => module.statusCommand)).pipe(
        Command.withDescription("Says which migrations and functions are there."),
        Command.withExamples([{ command: "event-store schema status -o json", description: "For a script" }])
      ),
      Command.make("apply", {
        roles: Flags.toggle("roles", "Makes the roles of sql/privileges.sql too"),
        dryRun: Flags.dryRun
      }, lazily(load, (module) => module.applyCommand)).pipe(
        Command.withDescription("Brings the schema up to date; does nothing to one that is."),
        Command.withExamples([
          { command: "event-store schema apply --dry-run", description: "What would be applied" },
          { command: "event-store schema apply --url postgres://owner@db/shop", description: "Apply it to a server" }
        ])
      ),
      Command.make("sql", {}, lazily(load, (module) => module.sqlCommand)).pipe(
        Command.withDescription("Prints the SQL of the whole schema, for those who apply it by their own means."),
        Command.withExamples([{ command: "event-store schema sql --url postgres://db/shop > schema.sql" }])
      ),
      Command.make("verify", {}, lazily(load, (module) => module.verifyCommand)).pipe(
        Command.withDescription("Compares the schema with what it should be; exits with 2 when it differs."),
        Command.withExamples([{ command: "event-store schema verify --url postgres://db/shop", description: "In CI" }])
      ),
      lockCommand(),
      checkCommand()
    ])
  )
}

// internal

const loadLock = () => import("../SchemaLockCommand.ts")

const lockFile = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(`${description} (default event-schemas.lock.json)`),
    Flag.withDefault("event-schemas.lock.json")
  )

const lockCommand = () =>
  Command.make("lock", {
    events: Flags.eventsOrConfig,
    out: lockFile("out", "Writes to FILE, all or nothing"),
    force: Flags.toggle("force", "Forgets shapes that were locked and are edited or removed now")
  }, lazily(loadLock, (module) => withEvents(module.lockCommand))).pipe(
    Command.withDescription(
      "Writes the shapes of all versions of all event types to a file that is committed, for schema check. Node runs " +
        "a .ts module as it is, without enum and namespace; its imports end in .ts."
    ),
    Command.withShortDescription("Locks the shapes of all event types in a file"),
    Command.withExamples([
      { command: "event-store schema lock --events src/events.ts", description: "After a new version" },
      {
        command: "event-store schema lock --events src/events.ts --force",
        description: "After an edit of a version that was never stored"
      }
    ])
  )

const checkCommand = () =>
  Command.make("check", {
    events: Flags.eventsOrConfig,
    lock: lockFile("lock", "What schema lock wrote"),
    ci: Flags.toggle("ci", "Fails on versions that are not locked yet, too"),
    db: Flags.toggle("db", "Counts the versions in the store too, and decodes its events to the newest"),
    sample: Flag.Int("sample").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Decodes N events of the store and the first of each version; the same each time"),
      Flag.filter((value) => value >= 1, () => "a whole number from 1"),
      Flag.optional
    ),
    unknown: Flag.Literals("unknown", ["fail", "skip"]).pipe(
      Flag.withMetavar("POLICY"),
      Flag.withDescription("What stored types are that the module does not export (default fail)"),
      Flag.withDefault("fail" as const)
    )
  }, lazily(loadLock, (module) => withEvents(module.checkCommand))).pipe(
    Command.withDescription(
      "Compares the event types with the lock; exits with 2 when a version was edited in place or removed. With --db " +
        "it reads the store of --url too, and exits with 2 when an event does not decode."
    ),
    Command.withShortDescription("Compares the event types with the lock, and with the store"),
    Command.withExamples([
      { command: "event-store schema check --events src/events.ts --ci", description: "In CI" },
      {
        command: "event-store schema check --events src/events.ts --db --url postgres://app@db/shop",
        description: "Before a release, on what is stored"
      },
      {
        command: "event-store schema check --events src/events.ts --db --sample 10000 -o json",
        description: "A sample of a large log"
      }
    ])
  )
