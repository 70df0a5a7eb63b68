/**
 * What the benchmarks ask of a store, ours or a peer.
 */
import type { Order } from "./orders.ts"
import type { BackupFigures, BackupOperation, InlineModel, LiveReads, LoadSource, ProjectionWork } from "./protocol.ts"

/**
 * A store under test: knows how to make its tables and how to open itself.
 */
export interface Variant {
  /** Makes everything the store keeps in the database; called once a database. */
  readonly setup: (url: string) => Promise<void>
  /** Opens the store with at most so many connections to the server. */
  readonly open: (url: string, connections: number) => Promise<Session>
}

/**
 * An open store. What a store cannot do is absent.
 */
export interface Session {
  /** Appends all events to a stream that has none, and resolves when they are durable. */
  readonly append: (streamName: string, events: ReadonlyArray<BenchEvent>) => Promise<void>
  /** The same, on the condition that no event with the first tag of the first event stands in the log. */
  readonly appendConditional?: (streamName: string, events: ReadonlyArray<BenchEvent>) => Promise<void>
  /** The same as `append`, and takes a projection along. */
  readonly appendInline?: (
    model: InlineModel,
    streamName: string,
    events: ReadonlyArray<BenchEvent>
  ) => Promise<void>
  /** Reads the log in its order, with data and metadata as objects; returns how many events that were. */
  readonly readAll?: (onEvents: (count: number) => void) => Promise<number>
  /** Follows the log from its head; calls back for each event, with the id it was appended with. */
  readonly subscribe?: (onEvent: (id: string) => void) => Promise<Subscription>
  /** Imports a file of the store's own export format; returns how many events that were. */
  readonly importFile?: (file: string) => Promise<number>
  /** Carries out a command: loads the state of the stream `order-<id>`, decides, appends one event. */
  readonly placeOrder?: (id: string, order: Order) => Promise<void>
  /** Appends the event of such a command, and nothing else; `revision` is the stream's last, -1 for none. */
  readonly appendOrder?: (id: string, order: Order, revision: number) => Promise<void>
  /** Writes one stream of so many events, with a snapshot of all but the last ten. */
  readonly fillAggregate?: (events: number) => Promise<void>
  /** Writes a snapshot of a state of so many bytes of JSON. */
  readonly fillState?: (bytes: number) => Promise<void>
  /** Returns what loads one of the two, each time as the source says. */
  readonly openLoad?: (source: LoadSource) => Promise<() => Promise<void>>
  /** Builds a read model of the whole log, a new one each time; stops between two batches when it is told to. */
  readonly project?: (work: ProjectionWork, signal: AbortSignal) => Promise<Projected>
  /** Keeps a read model with a row an event; calls back for each event that a query of it shows. */
  readonly followReadModel?: (onEvent: (id: string) => void) => Promise<Subscription>
  /** Imports an export of the web shop, and builds the revenue by country and day. */
  readonly fillShop?: (file: string) => Promise<void>
  /** Builds it anew while it is read, and has readers see the new one. */
  readonly rebuild?: () => Promise<Projected & { readonly reads: LiveReads }>
  /** Imports so many events of a file, and backs them up into the directory when there is one. */
  readonly fillBackups?: (file: string, events: number, directory: string | undefined) => Promise<void>
  /** Gets ready to make, verify or restore a backup. */
  readonly openBackup?: (operation: BackupOperation, directory: string, file: string) => Promise<BackupWork>
  /** Makes backups one after the other for so many seconds; returns how many events they read. */
  readonly backUpFor?: (seconds: number, directory: string) => Promise<number>
  readonly close: () => Promise<void>
}

/**
 * A read model that was built.
 */
export interface Projected {
  /** Events of the log that it has seen. */
  readonly events: number
  /** Compares it with the log; throws when it is not what it should be. Not measured. */
  readonly check: () => Promise<void>
}

/**
 * A backup that can be made, verified or restored.
 */
export interface BackupWork {
  /** Does it, and returns how many events that were. */
  readonly run: () => Promise<number>
  /** Not measured. */
  readonly figures: () => Promise<BackupFigures>
  readonly close: () => Promise<void>
  /** Whether another program does it, whose memory is not this process's. */
  readonly isOutside?: boolean
}

/**
 * What a variant must have for a workload; throws when it has not.
 */
export const required = <A>(operation: A | undefined, name: string): A => {
  if (operation === undefined) throw new Error(`this variant has no ${name}`)
  return operation
}

/**
 * A running subscription.
 */
export interface Subscription {
  readonly stop: () => Promise<void>
}

/**
 * An event as a variant gets it.
 */
export interface BenchEvent {
  /** UUIDv7. */
  readonly id: string
  readonly type: string
  /** About 295 bytes of JSON. */
  readonly data: Readonly<Record<string, unknown>>
  /** About 115 bytes of JSON. */
  readonly metadata: Readonly<Record<string, unknown>>
  /** Only in the workloads of tags; nothing but ours keeps them. */
  readonly tags?: ReadonlyArray<string>
}

/**
 * A variant as the command line knows it.
 */
export interface VariantInfo {
  readonly name: string
  /** Module below `bench/`, whose default export is a {@link Variant}. */
  readonly module: string
  /** Packages of `bench/peers` whose versions belong into the results. */
  readonly packages: ReadonlyArray<string>
  /** Whether it is compared where it appends; not when it differs from another one in its projections only. */
  readonly canAppend: boolean
  readonly canReadAll: boolean
  /** Whether it brings what carries out commands. */
  readonly canCommand: boolean
  /** Whether it brings, or somebody would write in an hour, what fills a table from the log. */
  readonly canProject: boolean
  /** Whether it backs up a store of ours. */
  readonly canBackUp: boolean
}

/**
 * The name of the store that this repository makes.
 */
export const OURS = "ours"

/**
 * All variants, ours first.
 */
export const variants: ReadonlyArray<VariantInfo> = [
  {
    name: OURS,
    module: "variants/ours.ts",
    packages: [],
    canAppend: true,
    canReadAll: true,
    canCommand: true,
    canProject: true,
    canBackUp: true
  },
  {
    name: "naive-pg",
    module: "variants/naivePg.ts",
    packages: ["pg"],
    canAppend: true,
    canReadAll: true,
    canCommand: false,
    canProject: true,
    canBackUp: false
  },
  {
    name: "naive-pg-named",
    module: "variants/naivePgNamed.ts",
    packages: ["pg"],
    canAppend: true,
    canReadAll: true,
    canCommand: false,
    canProject: false,
    canBackUp: false
  },
  {
    name: "naive-postgresjs",
    module: "variants/naivePostgresJs.ts",
    packages: ["postgres"],
    canAppend: true,
    canReadAll: true,
    canCommand: false,
    canProject: false,
    canBackUp: false
  },
  {
    name: "emmett",
    module: "variants/emmett.ts",
    packages: ["@event-driven-io/emmett", "@event-driven-io/emmett-postgresql"],
    canAppend: true,
    canReadAll: true,
    canCommand: true,
    canProject: true,
    canBackUp: false
  },
  {
    name: "emmett-defaults",
    module: "variants/emmettDefaults.ts",
    packages: ["@event-driven-io/emmett", "@event-driven-io/emmett-postgresql"],
    canAppend: false,
    canReadAll: false,
    canCommand: false,
    canProject: true,
    canBackUp: false
  },
  {
    name: "castore",
    module: "variants/castore.ts",
    packages: ["@castore/event-storage-adapter-postgres"],
    canAppend: true,
    canReadAll: false,
    canCommand: false,
    canProject: false,
    canBackUp: false
  },
  {
    name: "message-db",
    module: "variants/messageDb.ts",
    packages: ["@eventide/message-db", "pg"],
    canAppend: true,
    canReadAll: true,
    canCommand: false,
    canProject: false,
    canBackUp: false
  },
  {
    name: "act-pg",
    module: "variants/actPg.ts",
    packages: ["@rotorsoft/act-pg"],
    canAppend: true,
    canReadAll: true,
    canCommand: false,
    canProject: false,
    canBackUp: false
  },
  {
    name: "pg-dump",
    module: "variants/pgDump.ts",
    packages: [],
    canAppend: false,
    canReadAll: false,
    canCommand: false,
    canProject: false,
    canBackUp: true
  }
]
