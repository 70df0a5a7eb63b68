/**
 * `event-store event replay`.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import type { ReplaySpeed } from "../../projection/EventReplay.ts"
import * as Flags from "../Flags.ts"
import { lazily } from "./lazily.ts"

/**
 * Makes `replay`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const replayCommand = () =>
  Command.make("replay", {
    from: position("from", "First position (default 1)"),
    to: position("to", "Last position (default: the end of the log)"),
    stream: Flags.repeated("stream", "NAME", "Events of this stream"),
    category: Flags.repeated("category", "NAME", "Events of the streams of this category"),
    type: Flags.repeated("type", "NAME", "Events of this type"),
    tag: Flags.repeated("tag", "TAG", "Events that carry this tag; all of them, if several"),
    since: Flags.time("since", "Recorded at this time or later"),
    until: Flags.time("until", "Recorded before this time"),
    into: Flag.String("into").pipe(
      Flag.withMetavar("TARGET"),
      Flag.withDescription(
        "projection:NAME, reactor:NAME, handler:FILE, the URL of another store, or - for standard output (the default)"
      ),
      Flag.withDefault("-")
    ),
    intoSchema: Flags.text("into-schema", "NAME", "Database schema of the other store, if not --schema"),
    streamPrefix: Flag.String("stream-prefix").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("Stands before the names of the streams in the other store"),
      Flag.withDefault("")
    ),
    speed,
    checkpoint: Flags.text("checkpoint", "NAME", "Keeps how far it has come: under this name it goes on there"),
    module: Flags.repeated("module", "FILE", "Module that exports projections or reactors (.ts, .js)"),
    force: Flags.toggle("force", "Replays to a reactor, so that it does everything again"),
    dryRun: Flags.toggle("dry-run", "Counts the events by type and replays nothing")
  }, lazily(() => import("../ReplayCommand.ts"), (module) => module.replayCommand)).pipe(
    Command.withDescription(
      "Replays a part of the log, as fast as it goes or at a chosen speed. To a projection it makes a build of its own " +
        "beside what is live; another store gets the events with their ids, each one once; a handler is a function that " +
        "a module exports by default."
    ),
    Command.withShortDescription("Replays a part of the log to a target, at a chosen speed"),
    Command.withExamples([
      { command: "event-store event replay --type OrderPlaced --speed 60x", description: "An hour in a minute" },
      {
        command: "event-store event replay --into pglite:copy --from 1000 --checkpoint to-copy",
        description: "To another store; can be repeated and resumed"
      },
      { command: "event-store event replay --into projection:revenue --to 5000", description: "As it was then" },
      { command: "event-store event replay --category loan --dry-run", description: "What that would be" }
    ])
  )

// internal

const position = (name: string, description: string) => Flags.natural(name, "POSITION", description).pipe(Flag.optional)

const toSpeed = (value: string): Option.Option<ReplaySpeed> => {
  if (value === "max") return Option.some(value)
  const [, digits, unit] = /^(\d{1,9}(?:\.\d{1,6})?)(x|\/s)$/.exec(value) ?? []
  const number = Number(digits)
  if (digits === undefined || number <= 0) return Option.none()
  return Option.some(unit === "x" ? { factor: number } : { eventsPerSecond: number })
}

const speed = Flag.String("speed").pipe(
  Flag.withMetavar("SPEED"),
  Flag.withDescription("max (default), 1x as it was recorded, 60x an hour in a minute, 500/s so many events a second"),
  Flag.filterMap(toSpeed, () => "a speed such as max, 1x, 60x or 500/s"),
  Flag.withDefault("max" as ReplaySpeed)
)
