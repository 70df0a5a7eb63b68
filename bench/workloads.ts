/**
 * The cases of each workload.
 */
import type { Options } from "./options.ts"
import type { Request } from "./protocol.ts"
import { OURS, type VariantInfo } from "./variant.ts"

/**
 * What is measured side by side: the lanes take turns.
 */
export interface Case {
  /** `append-1@64`: what `--cases` selects by. */
  readonly name: string
  readonly concurrency: number
  /** Events that are in the store before the first run. */
  readonly fill: { readonly events: number; readonly isTagged: boolean } | undefined
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
  readonly variant: VariantInfo
  readonly request: Request
}

/**
 * Lists the cases that the options ask for.
 */
export const casesOf = (options: Options): ReadonlyArray<Case> =>
  allCases(options).filter((one) =>
    one.lanes.length > 0 &&
    (options.cases.length === 0 ||
      options.cases.some((name) => name === one.name || `${name}@${one.concurrency}` === one.name))
  )

// internal

const READ_EVENTS = 100_000
const MEMORY_EVENTS = 1_000_000
const TAGGED_EVENTS = 100_000

const allCases = (options: Options): ReadonlyArray<Case> => {
  switch (options.workload) {
    case "append":
      return [...appendCases(options), conditionalCase(options)]
    case "read":
      return [{
        ...base("read-all", 1),
        fill: { events: options.events ?? READ_EVENTS, isTagged: false },
        discardedRuns: 1,
        lanes: options.variants.filter(({ canReadAll }) => canReadAll)
          .map((variant) => ({ workload: "read-all", variant, request: { _tag: "readAll" } }))
      }]
    case "memory":
      return [{
        ...base("memory", 1),
        fill: { events: options.events ?? MEMORY_EVENTS, isTagged: false },
        freshProcess: true,
        lanes: oursOnly(options, "memory", { _tag: "readMemory" })
      }]
    case "import":
      return [{
        ...base("import", 1),
        database: "round",
        lanes: oursOnly(options, "import", { _tag: "import", file: options.file ?? "" })
      }]
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
      lanes: options.variants.map((variant) => ({
        workload,
        variant,
        request: appendRequest(options, "plain", concurrency, eventsPerCall)
      }))
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
  fill: { events: options.events ?? TAGGED_EVENTS, isTagged: true },
  lanes: [
    ...oursOnly(options, "append-tagged", appendRequest(options, "tagged", 64, 1)),
    ...oursOnly(options, "append-conditional", appendRequest(options, "conditional", 64, 1))
  ]
})

const appendRequest = (
  options: Options,
  operation: "plain" | "tagged" | "conditional",
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

const oursOnly = (options: Options, workload: string, request: Request): ReadonlyArray<Lane> =>
  options.variants.filter(({ name }) => name === OURS).map((variant) => ({ workload, variant, request }))
