/**
 * `event-store projection …`.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Flags from "../Flags.ts"
import { lazily } from "./lazily.ts"

/**
 * Makes `projection` with its subcommands.
 *
 * @category constructors
 * @since 0.1.0
 */
export const projectionCommand = () =>
  Command.make("projection").pipe(
    Command.withDescription(
      "Runs and looks after projections and reactors: those of event-store.config.ts and --module, and the built-in " +
        "ones, which need no code: event-type-counts, stream-activity, errors, category-statistics."
    ),
    Command.withShortDescription("Runs and looks after projections"),
    Command.withExamples([
      { command: "event-store projection list", description: "How all of them stand" },
      { command: "event-store projection run event-type-counts --once", description: "Count the events by type" },
      { command: "event-store projection show event-type-counts", description: "What came of it" }
    ]),
    Command.withSubcommands([
      listCommand(),
      statusCommand(),
      showCommand(),
      runCommand(),
      pauseCommand(),
      resumeCommand(),
      verifyCommand(),
      rebuildCommand(),
      diffCommand(),
      resetCommand(),
      parkedCommand()
    ])
  )

// internal

const load = () => import("../ProjectionCommand.ts")

const loadCheck = () => import("../ProjectionCheckCommand.ts")

const loadParked = () => import("../ProjectionParkedCommand.ts")

const name = Argument.String("name").pipe(Argument.withDescription("Name of the projection"))

const names = (min: number) =>
  Argument.String("name").pipe(Argument.withDescription("Names of projections"), Argument.variadic({ min }))

const module = Flags.repeated("module", "FILE", "Module that exports projections or reactors (.ts, .js)")

const projectionVersion = Flag.Int("projection-version").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("Of this version, not the one that is live or newest"),
  Flag.filter((value) => value >= 1, () => "a whole number from 1"),
  Flag.optional
)

const slices = Flags.toggle("slices", "One line a slice, where a projection is divided")

const key = Flags.text("key", "KEY", "Only events that were parked under this key: the stream, as a rule")

const listCommand = () =>
  Command.make("list", { module, slices }, lazily(load, (module) => module.listCommand)).pipe(
    Command.withDescription(
      "Lists projections: how far each is behind, in events and in time, who runs it, and its last error. When one " +
        "catches up, its rate is measured for a second."
    ),
    Command.withShortDescription("Lists projections and how far they are behind"),
    Command.withExamples([
      { command: "event-store projection list -o json", description: "For a script" },
      { command: "event-store projection list --slices", description: "Slice by slice" }
    ])
  )

const statusCommand = () =>
  Command.make("status", { names: names(0), module, slices }, lazily(load, (module) => module.statusCommand)).pipe(
    Command.withDescription("Says everything about how projections stand; about all of them, when none is named."),
    Command.withShortDescription("Says everything about how they stand"),
    Command.withExamples([{ command: "event-store projection status revenue", description: "One of them" }])
  )

const showCommand = () =>
  Command.make("show", {
    name,
    key: Argument.String("key").pipe(
      Argument.withDescription("Key of one state, or name of one table"),
      Argument.optional
    ),
    projectionVersion,
    build: Flag.Int("build").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Of this build of the version, not the current one"),
      Flag.filter((value) => value >= 1, () => "a whole number from 1"),
      Flag.optional
    ),
    limit: Flags.limit("Most states or rows (default 100 as a table, all of them otherwise)").pipe(Flag.optional),
    after: Flags.text("after", "KEY", "Goes on after this key")
  }, lazily(() => import("../ProjectionShowCommand.ts"), (module) => module.showCommand)).pipe(
    Command.withDescription("Prints what a projection made: its state, its states by key, or the rows of its tables."),
    Command.withShortDescription("Prints the states or rows"),
    Command.withExamples([
      { command: "event-store projection show event-type-counts -o json", description: "All states, for a script" },
      { command: "event-store projection show stream-activity loan-173688", description: "One of them" }
    ])
  )

const runCommand = () =>
  Command.make("run", {
    names: names(0),
    all: Flags.toggle("all", "All projections and reactors of the configuration and of --module"),
    once: Flags.toggle("once", "Ends at the head of the log"),
    module,
    projectionVersion,
    batch: Flags.batch
  }, lazily(() => import("../ProjectionRunCommand.ts"), (module) => module.runCommand)).pipe(
    Command.withDescription(
      "Runs projections: catches up with the log and follows it until it is interrupted, or ends at the head with " +
        "--once. One process at a time has a projection; others stand by."
    ),
    Command.withShortDescription("Runs projections, once or for ever"),
    Command.withExamples([
      { command: "event-store projection run event-type-counts --once", description: "Catch up and end" },
      { command: "event-store projection run --all", description: "Those of event-store.config.ts, for ever" },
      { command: "event-store projection run revenue --module src/revenue.ts", description: "One of a module" }
    ])
  )

const pauseCommand = () =>
  Command.make("pause", { names: names(1), projectionVersion }, lazily(load, (module) => module.pauseCommand)).pipe(
    Command.withDescription("Stops projections, on whatever process they run, until they are resumed."),
    Command.withExamples([{ command: "event-store projection pause revenue", description: "Before a repair" }])
  )

const resumeCommand = () =>
  Command.make("resume", { names: names(1), projectionVersion }, lazily(load, (module) => module.resumeCommand)).pipe(
    Command.withDescription("Lets projections run again that were paused or halted."),
    Command.withExamples([{ command: "event-store projection resume revenue", description: "After it" }])
  )

const verifyCommand = () =>
  Command.make(
    "verify",
    { names: names(0), module, projectionVersion },
    lazily(
      loadCheck,
      (module) => module.verifyCommand
    )
  ).pipe(
    Command.withDescription(
      "Proves that projections saw every event once: compares count and digest of their checkpoints with the log. " +
        "Exits with 2 when one differs. All that ran are verified, when none is named."
    ),
    Command.withShortDescription("Proves that projections saw every event once"),
    Command.withExamples([{ command: "event-store projection verify", description: "All whose code is at hand" }])
  )

const rebuildCommand = () =>
  Command.make("rebuild", {
    names: names(0),
    all: Flags.toggle("all", "All projections of the configuration and of --module"),
    blueGreen: Flags.toggle("blue-green", "Beside what is live, then in its place (the default)"),
    inPlace: Flags.toggle("in-place", "Empties it and fills it again; asks for its name first"),
    noSwap: Flags.toggle("no-swap", "Builds beside what is live and leaves it there, for diff and --swap"),
    swap: Flags.toggle("swap", "Makes live what was built with --no-swap"),
    rollback: Flags.toggle("rollback", "Makes live again what was so before, while it is kept"),
    cancel: Flags.toggle("cancel", "Removes what was built and is not live yet; needs no code"),
    dropRetired: Flags.toggle("drop-retired", "Removes old builds whose time is over; needs no code"),
    fresh: Flags.toggle("fresh", "Begins anew even when a build was left half-done"),
    throttle: Flag.Int("throttle").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Most events a second"),
      Flag.filter((value) => value >= 1, () => "a whole number from 1"),
      Flag.optional
    ),
    keepOld: Flags.span("keep-old", "How long what was live before is kept (default 1d)"),
    parallel: Flag.Int("parallel").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Projections at a time (default 2)"),
      Flag.filter((value) => value >= 1 && value <= 16, () => "a whole number from 1 to 16"),
      Flag.withDefault(2)
    ),
    module,
    projectionVersion,
    batch: Flags.batch,
    dryRun: Flags.dryRun
  }, lazily(() => import("../ProjectionRebuildCommand.ts"), (module) => module.rebuildCommand)).pipe(
    Command.withDescription(
      "Builds projections anew without anybody noticing: beside what is live, proved complete, then swapped in one " +
        "transaction. One that was stopped goes on; the old build is kept for a day, to go back to."
    ),
    Command.withShortDescription("Builds projections anew beside what is live"),
    Command.withExamples([
      { command: "event-store projection rebuild revenue", description: "Build and swap" },
      {
        command: "event-store projection rebuild revenue --no-swap --throttle 5000",
        description: "Only build, slowly"
      },
      { command: "event-store projection rebuild revenue --rollback", description: "Go back" }
    ])
  )

const diffCommand = () =>
  Command.make("diff", {
    name,
    other: Argument.String("other").pipe(Argument.withDescription("Another projection"), Argument.optional),
    module,
    projectionVersion,
    withVersion: Flag.Int("with-version").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Compares with this version"),
      Flag.filter((value) => value >= 1, () => "a whole number from 1"),
      Flag.optional
    ),
    samples: Flag.Int("samples").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Most differences of a table that are shown (default 10)"),
      Flag.filter((value) => value >= 0 && value <= 10_000, () => "a whole number from 0 to 10000"),
      Flag.withDefault(10)
    )
  }, lazily(() => import("../ProjectionDiffCommand.ts"), (module) => module.diffCommand)).pipe(
    Command.withDescription(
      "Compares row by row what is live with what was built beside it (or, after a swap, with what was live before), two " +
        "versions, or two projections. Exits with 2 when they differ."
    ),
    Command.withShortDescription("Compares two builds, versions or projections"),
    Command.withExamples([
      { command: "event-store projection diff revenue", description: "After rebuild --no-swap" },
      { command: "event-store projection diff revenue --projection-version 1 --with-version 2 -o json" }
    ])
  )

const resetCommand = () =>
  Command.make("reset", {
    name,
    module,
    projectionVersion,
    force: Flags.toggle("force", "Resets a reactor too, so that it does everything again"),
    dryRun: Flags.dryRun
  }, lazily(loadCheck, (module) => module.resetCommand)).pipe(
    Command.withDescription(
      "Empties a projection and puts it at the start of the log; readers see it empty until it is run. Asks for its " +
        "name first. To build it anew without that, use rebuild."
    ),
    Command.withShortDescription("Empties a projection"),
    Command.withExamples([
      { command: "event-store projection reset revenue --dry-run", description: "What would be lost" },
      { command: "event-store projection reset revenue --yes", description: "Does not ask" }
    ])
  )

const parkedCommand = () =>
  Command.make("parked").pipe(
    Command.withDescription("Lists, shows, applies and forgets events that a projection could not apply."),
    Command.withExamples([{
      command: "event-store projection parked list revenue",
      description: "What waits, and why"
    }]),
    Command.withSubcommands([
      Command.make("list", {
        name,
        projectionVersion,
        key,
        after: Flags.natural("after", "POSITION", "Only after this position").pipe(Flag.optional),
        limit: Flags.limit("Most events (default 100)", 10_000).pipe(Flag.withDefault(100))
      }, lazily(loadParked, (module) => module.listCommand)).pipe(
        Command.withDescription("Lists parked events by position."),
        Command.withExamples([{ command: "event-store projection parked list revenue --key order-42" }])
      ),
      Command.make("show", {
        name,
        position: Argument.Int("position").pipe(Argument.withDescription("Position of the event")),
        projectionVersion
      }, lazily(loadParked, (module) => module.showCommand)).pipe(
        Command.withDescription("Shows a parked event, and why it waits."),
        Command.withExamples([{ command: "event-store projection parked show revenue 4711" }])
      ),
      Command.make(
        "replay",
        { name, module, projectionVersion, key, dryRun: Flags.dryRun },
        lazily(
          loadParked,
          (module) => module.replayCommand
        )
      ).pipe(
        Command.withDescription(
          "Applies parked events in order; one that fails again stays, and those of its key behind it. Exits with 1 then."
        ),
        Command.withExamples([{
          command: "event-store projection parked replay revenue",
          description: "After a repair"
        }])
      ),
      Command.make(
        "discard",
        { name, module, projectionVersion, key, dryRun: Flags.dryRun },
        lazily(
          loadParked,
          (module) => module.discardCommand
        )
      ).pipe(
        Command.withDescription("Forgets parked events without applying them. Asks for the projection's name first."),
        Command.withExamples([{ command: "event-store projection parked discard revenue --key order-42" }])
      )
    ])
  )
