/**
 * What the room of projections answers, in words.
 *
 * @since 0.1.0
 */

/**
 * The words for the failures of projections, by their tags.
 *
 * @category constants
 * @since 0.1.0
 */
export const PROJECTION_WORDS: Readonly<Record<string, (error: Failure) => ProjectionWords>> = {
  LeaseHeld: (error) => ({
    ...wordsOf(error, "name", "version", "status", "owner"),
    code: "ES-1910",
    exitCode: 4,
    message: "the projection cannot be taken",
    fix: "if it is paused: event-store projection resume NAME; else wait for the runner that has it, or pause it"
  }),
  LeaseLost: (error) => ({
    ...wordsOf(error, "name", "version", "epoch"),
    code: "ES-1911",
    exitCode: 4,
    message: "another runner has taken the projection over",
    fix: "nothing was written; run the same command again"
  }),
  ProjectionChanged: (error) => ({
    ...wordsOf(error, "name", "version", "stored", "given"),
    code: "ES-1912",
    exitCode: 4,
    message: "the projection was built by another definition",
    fix: "raise its version and build it anew, or: event-store projection reset NAME"
  }),
  HistoryChanged: (error) => ({
    ...wordsOf(error, "name", "version", "position", "head", "expected", "actual", "restoredUntil"),
    code: "ES-1913",
    exitCode: 1,
    message: "the projection's checkpoint is not of this log",
    fix: "check --url; after a restore: event-store projection reset NAME"
  }),
  ProjectionHalted: (error) => ({
    ...wordsOf(error, "name", "version", "attempts"),
    code: "ES-1914",
    exitCode: 1,
    message: "the projection stands before an event that it cannot apply",
    fix: "mend the handler or the event's type and run it again; onError: park puts such events aside"
  }),
  ProjectionInvalid: (error) => ({
    ...wordsOf(error, "name", "problems"),
    code: "ES-1915",
    exitCode: 65,
    message: "the projection cannot be run as it is defined",
    fix: "correct its definition"
  }),
  RegistryInvalid: (error) => ({
    ...wordsOf(error, "problems"),
    code: "ES-1703",
    exitCode: 65,
    message: "the event types cannot read every version of each other",
    fix: "complete the history of these types"
  }),
  TooManyParked: (error) => ({
    ...wordsOf(error, "name", "version", "limit"),
    code: "ES-1916",
    exitCode: 1,
    message: "too many events are parked",
    fix: "mend the cause, then: event-store projection parked replay NAME"
  }),
  StateUnreadable: (error) => ({
    ...wordsOf(error, "name", "version", "key"),
    code: "ES-1917",
    exitCode: 1,
    message: "a state breaks its schema",
    fix: "the schema was changed: raise the projection's version and build it anew"
  }),
  StaleRead: (error) => ({
    ...wordsOf(error, "name", "version", "wanted", "reached"),
    code: "ES-1918",
    exitCode: 1,
    message: "the projection has not come that far in time",
    fix: "see what it waits for: event-store projection status NAME"
  }),
  ReactorReplay: (error) => ({
    ...wordsOf(error, "name"),
    code: "ES-1919",
    exitCode: 64,
    message: "a reactor is not replayed",
    fix: "its effects would happen again; add --force if that is wanted"
  }),
  BuildMissing: (error) => ({
    ...wordsOf(error, "name", "version", "build"),
    code: "ES-1920",
    exitCode: 3,
    message: "there is no such build",
    fix: "see which there are: event-store projection list; build one beside what is live: " +
      "event-store projection rebuild NAME --no-swap; going back to another version needs its code"
  }),
  BuildBehind: (error) => ({
    ...wordsOf(error, "name", "version", "build"),
    code: "ES-1921",
    exitCode: 4,
    message: "the new build is behind what is live",
    fix: "let it catch up: run the same command again"
  }),
  BuildIncomplete: (error) => ({
    ...wordsOf(error, "name", "version", "build", "seen", "recorded"),
    code: "ES-1926",
    exitCode: 2,
    message: "the build has not seen the events that the log has",
    fix: "what is live was not touched; begin anew: event-store projection rebuild NAME --fresh"
  }),
  DependencyBehind: (error) => ({
    ...wordsOf(error, "name", "version", "dependency", "reached", "wanted"),
    code: "ES-1927",
    exitCode: 1,
    message: "what the projection comes after does not move",
    fix: "run that one too: event-store projection run BOTH NAMES"
  }),
  ReplayInvalid: (error) => ({
    ...wordsOf(error, "problems"),
    code: "ES-1929",
    exitCode: 64,
    message: "the replay is not possible",
    fix: "see: event-store event replay --help"
  }),
  EventFailed: (error) => ({
    ...wordsOf(error, "position", "streamId", "revision", "type", "reason"),
    code: "ES-1930",
    exitCode: 1,
    message: "an event could not be applied",
    fix: "mend what applies it; what stands before it was applied"
  }),
  BuildsExhausted: (error) => ({
    ...wordsOf(error, "name", "version"),
    code: "ES-1922",
    exitCode: 1,
    message: "too many builds of this version are kept",
    fix: "event-store projection rebuild NAME --drop-retired"
  })
}

/**
 * A failure of any copy of the library.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  readonly message: string
}

/**
 * What the command says of a failure.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionWords {
  readonly code: string
  readonly exitCode: 1 | 2 | 3 | 4 | 64 | 65
  readonly message: string
  readonly why: string
  readonly fix: string
  readonly details: Readonly<Record<string, unknown>>
}

// internal

/** The error's own sentence, and those of its fields that a machine may want. */
const wordsOf = (error: Failure, ...names: ReadonlyArray<string>) => ({
  why: error.message,
  details: Object.fromEntries(names.map((name) => [name, (error as Failure & Readonly<Record<string, unknown>>)[name]]))
})
