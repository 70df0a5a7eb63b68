/**
 * What happened in a run: what was asked and answered, what was delivered, and
 * the log that is there in the end.
 *
 * **Details**
 *
 * Times are nanoseconds of the machine's monotonic clock
 * (`process.hrtime.bigint()`), which all processes of one machine share.
 * Revisions count from 0, positions from 1.
 */

/**
 * All that is known of a run.
 */
export interface History {
  readonly appends: ReadonlyArray<Append>
  readonly reads: ReadonlyArray<StreamRead>
  readonly followings: ReadonlyArray<Following>
  /** The whole log, read once everything had ended. */
  readonly log: ReadonlyArray<Row>
}

/**
 * One call that appends: one event or a batch, to one stream or several.
 */
export interface Append {
  readonly process: string
  readonly invokedNs: bigint
  /** Absent when the process was killed in the call. */
  readonly returnedNs?: bigint
  /** `unknown`: it may be recorded, now or later, or not. */
  readonly outcome: "ok" | "fail" | "unknown"
  /** In the order in which they take their positions. */
  readonly events: ReadonlyArray<SentEvent>
  /** On the streams that are written, and on others. */
  readonly claims: ReadonlyArray<Claim>
  readonly condition?: Condition
}

/**
 * One event of an append, with the place that the answer gave it.
 */
export interface SentEvent {
  readonly id: string
  readonly stream: string
  /** Stands for type, version, data and tags: equal when they are. */
  readonly digest: string
  readonly revision?: number
  readonly position?: number
}

/**
 * What a writer says about a stream as it is before the append.
 */
export interface Claim {
  readonly stream: string
  /** A number is the revision of the last event. */
  readonly expected: number | "any" | "noStream" | "streamExists"
}

/**
 * What a writer says about the log: no event after the position has all the tags.
 */
export interface Condition {
  readonly tags: ReadonlyArray<string>
  readonly after: number
}

/**
 * One read of a stream, upwards.
 */
export interface StreamRead {
  readonly process: string
  readonly stream: string
  readonly invokedNs: bigint
  readonly returnedNs: bigint
  /** First revision that was asked for. */
  readonly from: number
  readonly ids: ReadonlyArray<string>
  /** Whether it went to the stream's end, and not to a limit. */
  readonly isToEnd: boolean
}

/**
 * One life of a follower of the log: a subscription or a projection between a
 * start and a stop, or one read of the log.
 */
export interface Following {
  readonly subscription: string
  /** Counts the lives of one subscription; higher is later. */
  readonly incarnation: number
  /** Checkpoint that it started from: it wants what comes after. */
  readonly after: number
  /** Which events it wants. */
  readonly matches: (row: Row) => boolean
  /** In order of delivery. */
  readonly deliveries: ReadonlyArray<Delivery>
  /** Position up to which it says it has seen everything it wants. */
  readonly reached?: number
}

/**
 * An event as a follower got it.
 */
export interface Delivery {
  readonly position: number
  readonly id: string
  readonly atNs: bigint
}

/**
 * An event as it stands in the log.
 */
export interface Row {
  readonly position: number
  readonly stream: string
  readonly revision: number
  readonly id: string
  readonly digest: string
  readonly tags: ReadonlyArray<string>
}
