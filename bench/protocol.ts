/**
 * What a worker process is asked to do, and what it answers.
 */

/**
 * A request of the parent process.
 */
export type Request =
  | { readonly _tag: "setup"; readonly url: string }
  | { readonly _tag: "open"; readonly url: string; readonly connections: number }
  | FillRequest
  | {
    readonly _tag: "append"
    readonly operation: AppendOperation
    readonly concurrency: number
    readonly eventsPerCall: number
    readonly warmUpSeconds: number
    readonly seconds: number
  }
  | { readonly _tag: "readAll" }
  | { readonly _tag: "readMemory" }
  | { readonly _tag: "import"; readonly file: string }
  | {
    readonly _tag: "subscribe"
    readonly perSecond: number
    readonly warmUpSeconds: number
    readonly seconds: number
  }
  | {
    readonly _tag: "command"
    readonly operation: CommandOperation
    readonly streams: CommandStreams
    readonly concurrency: number
    readonly warmUpSeconds: number
    readonly seconds: number
  }
  | {
    readonly _tag: "load"
    readonly source: LoadSource
    readonly eventsPerLoad: number
    readonly warmUpSeconds: number
    readonly seconds: number
  }
  | { readonly _tag: "project"; readonly what: ProjectionWork; readonly secondsMax: number }
  | {
    readonly _tag: "projectLive"
    readonly perSecond: number
    readonly warmUpSeconds: number
    readonly seconds: number
  }
  | { readonly _tag: "rebuild" }
  | BackupRequest
  | BesideRequest
  | { readonly _tag: "backUpFor"; readonly seconds: number; readonly directory: string }
  | { readonly _tag: "decode"; readonly what: DecodeName; readonly seconds: number }
  | { readonly _tag: "close" }

/**
 * What is written before the first run: events in streams of a hundred, one
 * stream of so many, a state of so many bytes, an export of the web shop and the
 * read model of it, or so many lines of a file and backups of them.
 */
export type FillRequest =
  | { readonly _tag: "fill"; readonly events: number; readonly isTagged: boolean }
  | { readonly _tag: "fillAggregate"; readonly events: number }
  | { readonly _tag: "fillState"; readonly bytes: number }
  | { readonly _tag: "fillShop"; readonly file: string }
  | { readonly _tag: "fillBackups"; readonly file: string; readonly events: number; readonly directory: string }

/**
 * One backup of a store that was filled with `events` events of `file`; backups
 * and scratch stores are kept in `directory`.
 */
export interface BackupRequest {
  readonly _tag: "backup"
  readonly operation: BackupOperation
  readonly file: string
  readonly events: number
  readonly directory: string
}

/**
 * `create` writes all of the store; `verify` reads every byte of such a backup,
 * without a store; `restore` writes it into an empty one.
 */
export type BackupOperation = "create" | "create-encrypted" | "verify" | "verify-encrypted" | "restore"

/**
 * Appends, while the store is backed up again and again: by nobody, by
 * another process, or by the one that appends.
 */
export interface BesideRequest {
  readonly _tag: "beside"
  readonly who: "nobody" | "other" | "self"
  readonly load: { readonly concurrency: number; readonly warmUpSeconds: number; readonly seconds: number }
  readonly directory: string
}

/**
 * `plain`: events without tags; `tagged`: with tags; `conditional`: with tags
 * and on the condition that no event has the first one; `inline-…`: those of
 * `plain`, and a projection of them in the same transaction.
 */
export type AppendOperation = "plain" | "tagged" | "conditional" | `inline-${InlineModel}`

/**
 * What the projection keeps for each customer.
 */
export type InlineModel = "state" | "table"

/**
 * `command`: load, decide, append; `append`: what the command appends, and
 * nothing else.
 */
export type CommandOperation = "command" | "append"

/**
 * `existing`: streams that have events, and whose state was loaded before;
 * `fresh`: a new stream for each command.
 */
export type CommandStreams = "existing" | "fresh"

/**
 * `replay`: the state of the aggregate of all its events; `snapshot` and
 * `cache`: of a snapshot in the database, or the state in memory, and the ten
 * events after it. `stored-state`, `cached-state`: the large state itself.
 */
export type LoadSource = "replay" | "snapshot" | "cache" | "stored-state" | "cached-state"

/**
 * What a projection makes of the whole log. `state`: orders and turnover by
 * stream, as states; `customers`: the same by customer, of whom there are so
 * many that hardly two events of a page have the same; `total`: the same as one
 * state; `table`: the same by customer in a table, one upsert an event; `four`:
 * four like `state` at the same time; `mixed`: `state`, `customers`, `total` and
 * the types counted at the same time.
 */
export type ProjectionWork = "state" | "customers" | "total" | "table" | "four" | "mixed"

/**
 * What is decoded. `flat`: a struct of eight fields. `order`: the event of the
 * other benchmarks, with nested objects and an array. `upcast`: version 1
 * of a type that has four. The rest of the name says how: one by one as a
 * `Result`, or a batch of 1,000 as an Effect.
 */
export const DECODES = ["flat", "flat-batch", "order", "upcast", "upcast-batch"] as const

/**
 * One of {@link DECODES}.
 */
export type DecodeName = (typeof DECODES)[number]

/**
 * The answer to a request.
 */
export type Response =
  | { readonly _tag: "done"; readonly run: Run | undefined }
  | { readonly _tag: "failed"; readonly message: string }

/**
 * One measured run. An operation is a call for appends, an event for the rest.
 * Its percentiles are `null` where an operation has no latency of its own.
 */
export interface Run extends Percentiles {
  readonly operations: number
  readonly events: number
  /** Calls that failed; they are not in `operations`. */
  readonly errors: number
  readonly seconds: number
  readonly opsPerSecond: number
  readonly eventsPerSecond: number
  readonly clientCpuMicrosPerOp: number
  /** `null` where the server is not on this machine, or is this process. */
  readonly serverCpuMicrosPerOp: number | null
  readonly memory?: MemoryGrowth
  /** Reads only, and only when it is not 0: events that the reader gave, less those that are stored. */
  readonly countOff?: number
  /** Subscriptions and read models: from the call of `append`, and not from its answer, to where it is seen. */
  readonly fromCall?: Percentiles
  /** Rebuilds only: what readers of the model met meanwhile. */
  readonly reads?: LiveReads
  /** Backups only. */
  readonly backup?: BackupFigures
}

/**
 * Sizes of a backup, and what it took. Megabytes are of 10^6 bytes.
 */
export interface BackupFigures {
  /** Of a backup beside appends: those that were read meanwhile. */
  readonly eventsPerMinute?: number
  /** Of this process, or of the peer's program. */
  readonly cpuSeconds?: number
  /** Rows before they are compressed. */
  readonly plainMb?: number
  readonly plainMbPerSecond?: number
  /** What one core would reach. */
  readonly plainMbPerCpuSecond?: number
  readonly fileMb?: number
  /** The same events as `event-store export` writes them, and as they stood in the file that was imported. */
  readonly exportMb?: number
  readonly sourceMb?: number
  readonly smallerThanExportPercent?: number
  readonly smallerThanSourcePercent?: number
}

/**
 * Reads of a model that is built anew.
 */
export interface LiveReads {
  readonly count: number
  /** Reads that the database refused, or that did not find the model. */
  readonly failed: number
  /** Reads that saw anything but the whole model. */
  readonly wrong: number
  readonly slowestMs: number
}

/**
 * Latencies in milliseconds.
 */
export interface Percentiles {
  readonly p50Ms: number | null
  readonly p95Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
}

/**
 * Memory of the worker process, in megabytes of 10^6 bytes.
 */
export interface MemoryGrowth {
  readonly rssBeforeMb: number
  readonly rssPeakMb: number
  readonly rssGrowthMb: number
  readonly heapPeakMb: number
}
