/**
 * The cases of each workload.
 */
import type { Options } from "./options.ts"
import {
  type AppendOperation,
  type CommandOperation,
  type CommandStreams,
  DECODES,
  type FillRequest,
  type LoadSource,
  type ProjectionWork,
  type Request
} from "./protocol.ts"
import { OURS, type VariantInfo } from "./variant.ts"

/**
 * What is measured side by side: the lanes take turns.
 */
export interface Case {
  /** `append-1@64`: what `--cases` selects by. */
  readonly name: string
  readonly concurrency: number
  /** What is in the store before the first run. */
  readonly fill: FillRequest | undefined
  /** Runs before the first that is kept. */
  readonly discardedRuns: number
  /** `round`: each run has a database of its own. `case`: the runs share one. */
  readonly database: "case" | "round"
  /** Whether each run has a process that did nothing before. */
  readonly freshProcess: boolean
  readonly lanes: ReadonlyArray<Lane>
}

/**
 * One variant doing one thing.
 */
export interface Lane {
  readonly workload: string
  /** What the results call it: the variant, and what it does where it does several things. */
  readonly name: string
  readonly variant: VariantInfo
  readonly request: Request
}

/**
 * Lists the cases that the options ask for. `scratch` is a directory for what they write beside the store.
 */
export const casesOf = (options: Options, scratch: string): ReadonlyArray<Case> =>
  allCases(options, scratch).filter((one) =>
    one.lanes.length > 0 &&
    (options.cases.length === 0 ||
      options.cases.some((name) => name === one.name || `${name}@${one.concurrency}` === one.name))
  )

// internal

const READ_EVENTS = 100_000
const MEMORY_EVENTS = 1_000_000
const TAGGED_EVENTS = 100_000
const AGGREGATE_EVENTS = 10_000
const TAIL_EVENTS = 10
const STATE_BYTES = 100_000

const allCases = (options: Options, scratch: string): ReadonlyArray<Case> => {
  switch (options.workload) {
    case "append":
      return [...appendCases(options), conditionalCase(options)]
    case "append-inline":
      return INLINES.map((concurrency) => inlineCase(options, concurrency))
    case "read":
      return [{
        ...base("read-all", 1),
        fill: { _tag: "fill", events: options.events ?? READ_EVENTS, isTagged: false },
        discardedRuns: 1,
        lanes: options.variants.filter(({ canReadAll }) => canReadAll)
          .map((variant) => laneOf("read-all", variant, { _tag: "readAll" }))
      }]
    case "memory":
      return [{
        ...base("memory", 1),
        fill: { _tag: "fill", events: options.events ?? MEMORY_EVENTS, isTagged: false },
        freshProcess: true,
        lanes: oursOnly(options, "memory", { _tag: "readMemory" })
      }]
    case "import":
      return [{
        ...base("import", 1),
        database: "round",
        lanes: oursOnly(options, "import", { _tag: "import", file: options.file ?? "" })
      }]
    case "command":
      return commandCases(options)
    case "snapshot":
      return snapshotCases(options)
    case "project-state":
      return [projectCase(options, "project-state", [
        ...oursOnly(options, "project-state", { _tag: "readAll" }, "read"),
        ...projectLanes(options, "project-state", ["state", "total", "customers"])
      ])]
    case "project-table":
      return [projectCase(
        options,
        "project-table",
        options.variants.filter(({ canProject }) => canProject)
          .map((variant) => laneOf("project-table", variant, projectRequest("table")))
      )]
    case "project-four":
      return [
        projectCase(
          options,
          "project-four",
          projectLanes(options, "project-four", ["state", "four", "customers", "mixed"])
        )
      ]
    case "project-live":
      return [{
        ...base("project-live", 1),
        lanes: oursOnly(options, "project-live", {
          _tag: "projectLive",
          perSecond: options.rate,
          warmUpSeconds: options.warmUpSeconds,
          seconds: options.seconds
        })
      }]
    case "rebuild-retail":
      return [{
        ...base("rebuild-retail", 1),
        fill: { _tag: "fillShop", file: options.file ?? "" },
        freshProcess: true,
        lanes: oursOnly(options, "rebuild-retail", { _tag: "rebuild" })
      }]
    case "backup":
      return [backupCase(options, scratch), besideCase(options, scratch)]
    case "decode":
      return decodeCases(options)
    case "subscribe":
      return [{
        ...base("subscribe", 1),
        lanes: oursOnly(options, "subscribe", {
          _tag: "subscribe",
          perSecond: options.rate,
          warmUpSeconds: options.warmUpSeconds,
          seconds: options.seconds
        })
      }]
  }
}

const base = (workload: string, concurrency: number): Omit<Case, "lanes"> => ({
  name: `${workload}@${concurrency}`,
  concurrency,
  fill: undefined,
  discardedRuns: 0,
  database: "case",
  freshProcess: false
})

const appendCases = (options: Options): ReadonlyArray<Case> =>
  APPENDS.map(({ concurrency, eventsPerCall }) => {
    const workload = `append-${eventsPerCall}`
    return {
      ...base(workload, concurrency),
      lanes: options.variants.filter(({ canAppend }) => canAppend).map((variant) =>
        laneOf(workload, variant, appendRequest(options, "plain", concurrency, eventsPerCall))
      )
    }
  })

const APPENDS = [
  { eventsPerCall: 1, concurrency: 64 },
  { eventsPerCall: 1, concurrency: 16 },
  { eventsPerCall: 1, concurrency: 1 },
  { eventsPerCall: 10, concurrency: 16 }
]

/** The condition next to the same appends without it. */
const conditionalCase = (options: Options): Case => ({
  ...base("append-conditional", 64),
  fill: { _tag: "fill", events: options.events ?? TAGGED_EVENTS, isTagged: true },
  lanes: [
    ...oursOnly(options, "append-tagged", appendRequest(options, "tagged", 64, 1)),
    ...oursOnly(options, "append-conditional", appendRequest(options, "conditional", 64, 1))
  ]
})

const INLINES = [64, 1]

/** Appends with a projection next to the same appends without one. */
const inlineCase = (options: Options, concurrency: number): Case => {
  const workload = "append-inline"
  const lane = (operation: AppendOperation, what?: string) =>
    oursOnly(options, workload, appendRequest(options, operation, concurrency, 1), what)
  return {
    ...base(workload, concurrency),
    // a projection would first have to make up for the appends of the others
    database: "round",
    lanes: [...lane("plain"), ...lane("inline-state", "state"), ...lane("inline-table", "table")]
  }
}

const appendRequest = (
  options: Options,
  operation: AppendOperation,
  concurrency: number,
  eventsPerCall: number
): Request => ({
  _tag: "append",
  operation,
  concurrency,
  eventsPerCall,
  warmUpSeconds: options.warmUpSeconds,
  seconds: options.seconds
})

const commandCases = (options: Options): ReadonlyArray<Case> =>
  COMMANDS.map(({ concurrency, streams }) => {
    const workload = `command-${streams}`
    const request = (operation: CommandOperation): Request => ({
      _tag: "command",
      operation,
      streams,
      concurrency,
      warmUpSeconds: options.warmUpSeconds,
      seconds: options.seconds
    })
    return {
      ...base(workload, concurrency),
      lanes: options.variants.filter(({ canCommand }) => canCommand).flatMap((variant) => [
        laneOf(workload, variant, request("command")),
        ...(variant.name === OURS ? [laneOf(workload, variant, request("append"), "append")] : [])
      ])
    }
  })

const COMMANDS: ReadonlyArray<{ readonly streams: CommandStreams; readonly concurrency: number }> = [
  { streams: "existing", concurrency: 64 },
  { streams: "existing", concurrency: 1 },
  { streams: "fresh", concurrency: 64 },
  { streams: "fresh", concurrency: 1 }
]

/** The state of a long stream three ways, and a large state two ways. */
const snapshotCases = (options: Options): ReadonlyArray<Case> => {
  const events = options.events ?? AGGREGATE_EVENTS
  const lanes = (workload: string, sources: ReadonlyArray<LoadSource>) =>
    sources.flatMap((source) =>
      oursOnly(options, workload, {
        _tag: "load",
        source,
        eventsPerLoad: source === "replay" ? events : source === "snapshot" || source === "cache" ? TAIL_EVENTS : 0,
        warmUpSeconds: options.warmUpSeconds,
        seconds: options.seconds
      }, source)
    )
  return [
    {
      ...base("load-aggregate", 1),
      fill: { _tag: "fillAggregate", events },
      lanes: lanes("load-aggregate", ["replay", "snapshot", "cache"])
    },
    {
      ...base("load-state", 1),
      fill: { _tag: "fillState", bytes: STATE_BYTES },
      lanes: lanes("load-state", ["stored-state", "cached-state"])
    }
  ]
}

const PROJECT_EVENTS = 100_000

/** A projection that is slower than this is measured by how far it has come. */
const PROJECT_SECONDS_MAX = 20

const projectCase = (options: Options, workload: string, lanes: ReadonlyArray<Lane>): Case => ({
  ...base(workload, 1),
  fill: { _tag: "fill", events: options.events ?? PROJECT_EVENTS, isTagged: false },
  discardedRuns: 1,
  lanes
})

const projectLanes = (
  options: Options,
  workload: string,
  works: ReadonlyArray<ProjectionWork>
): ReadonlyArray<Lane> => works.flatMap((what) => oursOnly(options, workload, projectRequest(what), what))

const projectRequest = (what: ProjectionWork): Request => ({ _tag: "project", what, secondsMax: PROJECT_SECONDS_MAX })

const BACKUP_EVENTS = 1_000_000

const backupFill = (options: Options, directory: string): FillRequest & { readonly _tag: "fillBackups" } => ({
  _tag: "fillBackups",
  file: options.file ?? "",
  events: options.events ?? BACKUP_EVENTS,
  directory
})

const backupCase = (options: Options, directory: string): Case => {
  const fill = backupFill(options, directory)
  const lanes = (operation: "create" | "verify" | "restore", encrypted?: "create-encrypted" | "verify-encrypted") => {
    const workload = `backup-${operation}`
    const request = { ...fill, _tag: "backup", operation } as const
    return [
      ...oursOnly(options, workload, request),
      ...(encrypted === undefined
        ? []
        : oursOnly(options, workload, { ...request, operation: encrypted }, "encrypted")),
      ...(operation === "verify" ? [] : options.variants.filter(({ canBackUp, name }) => canBackUp && name !== OURS)
        .map((variant) => laneOf(workload, variant, request)))
    ]
  }
  return {
    ...base("backup", 1),
    fill,
    freshProcess: true,
    lanes: [...lanes("create", "create-encrypted"), ...lanes("verify", "verify-encrypted"), ...lanes("restore")]
  }
}

/** Appends next to the same appends while a backup is made. */
const besideCase = (options: Options, directory: string): Case => {
  const lane = (who: "nobody" | "other" | "self", what?: string) =>
    oursOnly(options, "append-beside", {
      _tag: "beside",
      who,
      load: { concurrency: 64, warmUpSeconds: options.warmUpSeconds, seconds: options.seconds },
      directory
    }, what)
  // one process at a time opens a directory of PGlite, and what is in memory
  const isShared = options.url === undefined || options.url.startsWith("postgres")
  return {
    ...base("append-beside", 64),
    fill: backupFill(options, directory),
    lanes: [...lane("nobody"), ...(isShared ? lane("other", "backup") : []), ...lane("self", "backup-inside")]
  }
}

const decodeCases = (options: Options): ReadonlyArray<Case> =>
  DECODES.map((what) => ({
    ...base(`decode-${what}`, 1),
    lanes: oursOnly(options, `decode-${what}`, { _tag: "decode", what, seconds: options.seconds })
  }))

const laneOf = (workload: string, variant: VariantInfo, request: Request, what?: string): Lane => ({
  workload,
  name: what === undefined ? variant.name : `${variant.name}-${what}`,
  variant,
  request
})

const oursOnly = (options: Options, workload: string, request: Request, what?: string): ReadonlyArray<Lane> =>
  options.variants.filter(({ name }) => name === OURS).map((variant) => laneOf(workload, variant, request, what))
