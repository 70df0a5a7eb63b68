/**
 * `event-store snapshot …`.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Flags from "../Flags.ts"
import { withEvents } from "./eventsPath.ts"
import { lazily } from "./lazily.ts"

/**
 * Makes `snapshot` with its subcommands.
 *
 * @category constructors
 * @since 0.1.0
 */
export const snapshotCommand = () =>
  Command.make("snapshot").pipe(
    Command.withDescription("Lists, takes, checks and removes snapshots, and says when to take them."),
    Command.withExamples([{
      command: "event-store snapshot list --summary",
      description: "How many there are of what"
    }]),
    Command.withSubcommands([listCommand(), adviseCommand(), createCommand(), verifyCommand(), pruneCommand()])
  )

// internal

const load = () => import("../SnapshotCommand.ts")

const loadState = () => import("../SnapshotStateCommand.ts")

const selection = {
  stream: Flags.text("stream", "NAME", "Of this stream"),
  kind: Flags.text("kind", "NAME", "Of this kind: the category of a command handler"),
  fingerprint: Flags.text("fingerprint", "HEX", "Of this fingerprint: what a version of the program takes")
}

const category = Flag.String("category").pipe(
  Flag.withMetavar("NAME"),
  Flag.withDescription("Streams of this category, as the command handler has it")
)

const decider = Flags.text("decider", "NAME", "Export of the module, when it has several deciders")

const listCommand = () =>
  Command.make("list", {
    ...selection,
    summary: Flags.toggle("summary", "Counts by kind and fingerprint instead"),
    limit: Flags.limit("Most snapshots (default 100)", 10_000).pipe(Flag.withDefault(100)),
    cursor: Flags.text("cursor", "CURSOR", "Goes on after an earlier page")
  }, lazily(load, (module) => module.listCommand)).pipe(
    Command.withDescription("Lists snapshots by stream, kind, fingerprint and revision, a page at a time."),
    Command.withExamples([
      { command: "event-store snapshot list --kind account -n 20", description: "Twenty of one kind" },
      { command: "event-store snapshot list --summary -o json", description: "Sums, for a script" }
    ])
  )

const adviseCommand = () =>
  Command.make("advise", {
    category: Flags.text("category", "NAME", "Streams of this category"),
    budget: Flag.Int("budget").pipe(
      Flag.withMetavar("MS"),
      Flag.withDescription("What the events after a snapshot may add to a load, in milliseconds (default 5)"),
      Flag.filter((value) => value >= 1, () => "a whole number from 1"),
      Flag.withDefault(5)
    )
  }, lazily(load, (module) => module.adviseCommand)).pipe(
    Command.withDescription(
      "Measures how long the streams are and how fast they are read, and says which strategy fits, and why. What the " +
        "program's own decoding and folding add is not measured."
    ),
    Command.withShortDescription("Says which strategy fits the streams, and why"),
    Command.withExamples([{ command: "event-store snapshot advise --category account --budget 2" }])
  )

const createCommand = () =>
  Command.make("create", {
    events: Flags.eventsOrConfig,
    decider,
    category,
    stream: Flags.repeated("stream", "NAME", "Only this stream"),
    atLeast: Flag.Int("at-least").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Only streams with N events after their newest snapshot (default 1)"),
      Flag.filter((value) => value >= 1, () => "a whole number from 1"),
      Flag.withDefault(1)
    )
  }, lazily(loadState, (module) => withEvents(module.createCommand))).pipe(
    Command.withDescription(
      "Folds streams with a decider of the module and saves their states, as a command handler of that category with " +
        "snapshots as JSON would. Name the module as the program runs it: one that was compiled or minified differs " +
        "from its source, and its snapshots are not used."
    ),
    Command.withShortDescription("Takes snapshots of streams"),
    Command.withExamples([
      {
        command: "event-store snapshot create --events src/account.ts --category account --at-least 500",
        description: "Before a new version of the program is started"
      }
    ])
  )

const verifyCommand = () =>
  Command.make("verify", {
    ...selection,
    events: Flag.optional(Flags.events),
    decider
  }, lazily(loadState, (module) => module.verifyCommand)).pipe(
    Command.withDescription(
      "Reads every snapshot and checks its digest; with --events and --kind it folds the stream again and compares the " +
        "states. Exits with 2 when one is broken or wrong."
    ),
    Command.withShortDescription("Checks snapshots, against their streams too"),
    Command.withExamples([
      { command: "event-store snapshot verify", description: "Digests only" },
      {
        command: "event-store snapshot verify --events src/account.ts --kind account",
        description: "Against the streams"
      }
    ])
  )

const pruneCommand = () =>
  Command.make("prune", {
    ...selection,
    keepLast: Flag.Int("keep-last").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Keeps the N newest of each stream, kind and fingerprint"),
      Flag.filter((value) => value >= 1, () => "a whole number from 1"),
      Flag.optional
    ),
    olderThan: Flags.span("older-than", "Removes what was taken so long ago: 90s, 30m, 12h, 7d, 4w"),
    unusable: Flags.toggle("unusable", "Removes those of streams that are gone, ended or truncated"),
    all: Flags.toggle("all", "Removes all that fit --stream, --kind and --fingerprint")
  }, lazily(load, (module) => module.pruneCommand)).pipe(
    Command.withDescription("Removes snapshots. A snapshot can always be taken again; no event is touched."),
    Command.withExamples([
      { command: "event-store snapshot prune --keep-last 1 --older-than 30d --unusable", description: "A cleanup" },
      { command: "event-store snapshot prune --kind account --all", description: "All of one kind" }
    ])
  )
