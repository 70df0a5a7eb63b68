/**
 * The commands with their arguments, flags and examples. What they do is loaded
 * when one of them runs, so that help and version are quick.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Flags from "./Flags.ts"
import { archiveCommand } from "./internal/archiveCommands.ts"
import { backupCommand } from "./internal/backupCommands.ts"
import { promoteCommand } from "./internal/backupRunCommands.ts"
import { lazily } from "./internal/lazily.ts"
import { migrateCommand } from "./internal/migrateCommands.ts"
import { projectionCommand } from "./internal/projectionCommands.ts"
import { replayCommand } from "./internal/replayCommands.ts"
import { schemaCommand } from "./internal/schemaCommands.ts"
import { snapshotCommand } from "./internal/snapshotCommands.ts"
import { globalFlags } from "./Settings.ts"

/**
 * Makes the command `event-store` with all its subcommands.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeRoot = () =>
  Command.make("event-store").pipe(
    Command.withDescription("Works on an event store: PostgreSQL, or embedded without a server."),
    Command.withExamples([
      { command: "event-store import events.ndjson.zst", description: "Fill the embedded store in ./.event-store" },
      { command: "event-store stream list --sort events --desc -n 10", description: "The longest streams" },
      { command: "event-store stream tail --url postgres://app@db/shop", description: "Watch a server's log" },
      { command: "event-store help exit-codes", description: "What the exit codes mean" }
    ]),
    Command.withSubcommands([
      importCommand(),
      exportCommand(),
      streamCommand(),
      eventCommand(),
      schemaCommand(),
      migrateCommand(),
      snapshotCommand(),
      projectionCommand(),
      backupCommand(),
      archiveCommand(),
      promoteCommand(),
      doctorCommand(),
      maintCommand(),
      helpCommand()
    ]),
    Command.withGlobalFlags(globalFlags)
  )

// internal

const importCommand = () =>
  Command.make(
    "import",
    {
      file: Argument.String("file").pipe(
        Argument.withDescription("NDJSON, plain or compressed (gzip, zstd); - for standard input")
      ),
      batch: Flags.batch,
      namespace: Flag.String("namespace").pipe(
        Flag.withMetavar("NAME"),
        Flag.withDescription("Tells equal lines of this input from those of another"),
        Flag.withDefault("")
      ),
      dryRun: Flags.toggle("dry-run", "Checks every line and writes nothing"),
      continueOnError: Flags.toggle("continue-on-error", "Goes on after a bad line"),
      rejects: Flags.text("rejects", "FILE", "Writes bad lines to FILE, and why to FILE.reasons")
    },
    lazily(() => import("./ImportCommand.ts"), (module) => module.importCommand)
  ).pipe(
    Command.withDescription(
      "Imports events, in the order of the lines: {\"stream\",\"type\",\"data\"} and maybe \"metadata\", \"tags\", " +
        "\"time\", \"id\", \"version\"; also what export writes. Importing again adds nothing; an import that was " +
        "stopped goes on."
    ),
    Command.withShortDescription("Imports NDJSON; can be repeated and resumed"),
    Command.withExamples([
      { command: "event-store import events.ndjson.zst", description: "Import a compressed file" },
      { command: "gunzip -c old.gz | event-store import -", description: "Import what a program prints" },
      {
        command: "event-store import events.ndjson --continue-on-error --rejects bad.ndjson",
        description: "Put aside what is no event"
      }
    ])
  )

const filterFlags = {
  stream: Flags.repeated("stream", "NAME", "Events of this stream"),
  category: Flags.repeated("category", "NAME", "Events of the streams of this category"),
  type: Flags.repeated("type", "NAME", "Events of this type"),
  tag: Flags.repeated("tag", "TAG", "Events that carry this tag; all of them, if several")
}

const exportCommand = () =>
  Command.make("export", {
    out: Flags.text("out", "FILE", "Writes to FILE, compressed if it ends in .zst or .gz; all or nothing"),
    ...filterFlags,
    since: Flags.time("since", "Recorded at this time or later"),
    until: Flags.time("until", "Recorded before this time"),
    after: Flags.natural("after", "POSITION", "Only after this position").pipe(Flag.optional),
    toPosition: Flags.natural("to-position", "POSITION", "Only up to this position").pipe(Flag.optional),
    limit: Flags.limit("Most events").pipe(Flag.optional)
  }, lazily(() => import("./ExportCommand.ts"), (module) => module.exportCommand)).pipe(
    Command.withDescription("Writes the log as NDJSON, with everything that import needs to restore it without loss."),
    Command.withShortDescription("Writes the log as NDJSON"),
    Command.withExamples([
      { command: "event-store export --out log.ndjson.zst", description: "Everything, compressed" },
      { command: "event-store export --category loan --type OfferAccepted", description: "Some of it, to the terminal" }
    ])
  )

const streamArgument = Argument.String("stream").pipe(Argument.withDescription("Name of the stream"))

const { dryRun } = Flags

const streamCommand = () =>
  Command.make("stream").pipe(
    Command.withDescription("Lists, shows, follows, truncates and ends streams."),
    Command.withExamples([{ command: "event-store stream list", description: "The first streams by name" }]),
    Command.withSubcommands([listCommand(), inspectCommand(), tailCommand(), truncateCommand(), tombstoneCommand()])
  )

const loadStream = () => import("./StreamCommand.ts")

const listCommand = () =>
  Command.make("list", {
    prefix: Flags.text("prefix", "TEXT", "Streams whose name starts so"),
    category: Flags.text("category", "NAME", "Streams of this category"),
    sort: Flag.Literals("sort", ["name", "created", "updated", "events"]).pipe(
      Flag.withMetavar("ORDER"),
      Flag.withDescription("Order (default name)"),
      Flag.withDefault("name" as const)
    ),
    desc: Flags.toggle("desc", "The other way round"),
    limit: Flags.limit("Most streams (default 100)", 10_000).pipe(Flag.withDefault(100)),
    cursor: Flags.text("cursor", "CURSOR", "Goes on after an earlier page")
  }, lazily(loadStream, (module) => module.listCommand)).pipe(
    Command.withDescription("Lists streams, a page at a time."),
    Command.withExamples([
      { command: "event-store stream list --category loan -n 20", description: "Twenty loans" },
      { command: "event-store stream list --sort updated --desc", description: "What was written to last" }
    ])
  )

const inspectCommand = () =>
  Command.make("inspect", {
    stream: streamArgument,
    from: Flags.natural("from", "REVISION", "Starts at this revision").pipe(Flag.optional),
    reverse: Flags.toggle("reverse", "The newest first"),
    limit: Flags.limit("Most events (default 100)").pipe(Flag.withDefault(100))
  }, lazily(loadStream, (module) => module.inspectCommand)).pipe(
    Command.withDescription("Shows what is known of a stream, then its events."),
    Command.withExamples([
      { command: "event-store stream inspect loan-173688", description: "From its first event" },
      { command: "event-store stream inspect loan-173688 --reverse -n 5", description: "Its last five events" }
    ])
  )

const tailCommand = () =>
  Command.make("tail", {
    stream: streamArgument.pipe(Argument.optional),
    category: filterFlags.category,
    type: filterFlags.type,
    tag: filterFlags.tag,
    fromPosition: Flags.natural("from-position", "POSITION", "Starts after this position (default: the head)").pipe(
      Flag.withAlias("after"),
      Flag.optional
    ),
    limit: Flags.limit("Ends after so many events").pipe(Flag.optional)
  }, lazily(loadStream, (module) => module.tailCommand)).pipe(
    Command.withDescription(
      "Prints events as they are recorded, of one stream or of all, until it is interrupted; says where to resume."
    ),
    Command.withShortDescription("Prints events as they are recorded"),
    Command.withExamples([
      { command: "event-store stream tail", description: "Everything from now on" },
      { command: "event-store stream tail --type OfferAccepted --from-position 0 -n 3", description: "The first three" }
    ])
  )

const truncateCommand = () =>
  Command.make("truncate", {
    stream: streamArgument,
    before: Flags.natural("before", "REVISION", "First revision that stays visible"),
    dryRun
  }, lazily(loadStream, (module) => module.truncateCommand)).pipe(
    Command.withDescription("Hides the events of a stream before a revision; they stay in the log."),
    Command.withExamples([
      { command: "event-store stream truncate sensor-7 --before 1000", description: "Hide revisions 0 to 999" }
    ])
  )

const tombstoneCommand = () =>
  Command.make("tombstone", { stream: streamArgument, dryRun }, lazily(loadStream, (module) => module.tombstoneCommand))
    .pipe(
      Command.withDescription("Ends a stream for good: it takes no more events and its name is never free again."),
      Command.withExamples([
        { command: "event-store stream tombstone order-42", description: "Asks for the name first" },
        { command: "event-store stream tombstone order-42 --yes", description: "Does not ask" }
      ])
    )

const eventCommand = () =>
  Command.make("event").pipe(
    Command.withDescription("Shows, appends and replays events."),
    Command.withExamples([{ command: "event-store event get 1", description: "The first event of the log" }]),
    Command.withSubcommands([getCommand(), appendCommand(), replayCommand()])
  )

const loadEvent = () => import("./EventCommand.ts")

const getCommand = () =>
  Command.make("get", {
    event: Argument.String("event").pipe(Argument.withDescription("Id of the event, or its position in the log"))
  }, lazily(loadEvent, (module) => module.getCommand)).pipe(
    Command.withDescription("Shows one event."),
    Command.withExamples([
      { command: "event-store event get 42", description: "By position" },
      { command: "event-store event get 0198c5b6-7c1e-7d0a-8a53-1f0d2c6b9e11 -o json", description: "By id" }
    ])
  )

const appendCommand = () =>
  Command.make("append", {
    stream: streamArgument,
    type: Argument.String("type").pipe(Argument.withDescription("Type of the event")),
    data: Flag.String("data").pipe(
      Flag.withMetavar("JSON"),
      Flag.withDescription("What happened; - reads standard input (default {})"),
      Flag.withDefault("{}")
    ),
    metadata: Flags.text("metadata", "JSON", "What is known around it"),
    tag: Flags.repeated("tag", "TAG", "Label of the event"),
    expected: Flags.expected,
    id: Flags.text("id", "UUID", "Id of the event; the same id again has no effect"),
    eventVersion: Flags.natural("event-version", "N", "Version of the type's shape (default 1)").pipe(
      Flag.withDefault(1)
    )
  }, lazily(loadEvent, (module) => module.appendCommand)).pipe(
    Command.withDescription("Appends one event."),
    Command.withExamples([
      {
        command: "event-store event append account-42 MoneyDeposited --data '{\"amount\":10}'",
        description: "To a stream in any state"
      },
      {
        command: "event-store event append account-42 AccountOpened --expected noStream --tag owner:ann",
        description: "Only as the first event"
      }
    ])
  )

const doctorCommand = () =>
  Command.make("doctor", {
    ci: Flags.toggle("ci", "Fails on warnings too")
  }, lazily(() => import("./DoctorCommand.ts"), (module) => module.doctorCommand)).pipe(
    Command.withDescription("Examines the store: a line for each thing, and what to do about it."),
    Command.withExamples([{ command: "event-store doctor --ci", description: "As a check before a deployment" }])
  )

function maintCommand() {
  const load = () => import("./MaintCommand.ts")
  return Command.make("maint").pipe(
    Command.withDescription("Counts and looks after what is in the store."),
    Command.withExamples([{ command: "event-store maint stats", description: "How much there is of what" }]),
    Command.withSubcommands([
      Command.make("stats", {}, lazily(load, (module) => module.statsCommand)).pipe(
        Command.withDescription("Counts events, streams and types; reads all of the log."),
        Command.withExamples([{ command: "event-store maint stats -o json", description: "For a script" }])
      ),
      Command.make("verify", {}, lazily(load, (module) => module.verifyLogCommand)).pipe(
        Command.withDescription(
          "Reads the whole log and names every broken invariant; exits with 2 when there is one."
        ),
        Command.withExamples([{ command: "event-store maint verify", description: "After a crash of the machine" }])
      ),
      Command.make("index", {
        kind: Argument.Literals("kind", ["type", "data"]).pipe(Argument.withDescription("What is to be found quickly"))
      }, lazily(load, (module) => module.indexCommand)).pipe(
        Command.withDescription("Makes an index that not every store wants: it makes appends slower."),
        Command.withExamples([{ command: "event-store maint index type", description: "For reads by type alone" }])
      )
    ])
  )
}

const helpCommand = () =>
  Command.make("help", {
    topic: Argument.Literals("topic", ["exit-codes", "import-format"]).pipe(Argument.withDescription("What to explain"))
  }, (input) => Effect.flatMap(Effect.promise(() => import("./HelpCommand.ts")), (module) => module.helpCommand(input)))
    .pipe(
      Command.withDescription("Explains the exit codes and the lines of an import; for a command, use --help."),
      Command.withExamples([{ command: "event-store help exit-codes", description: "What the exit codes mean" }])
    )
