/**
 * Writes down what a process asks and gets, so that it can be checked after the
 * process was killed; and reads it back.
 *
 * **Details**
 *
 * One file of lines of JSON a process. A line is with the operating system when
 * the function returns, so SIGKILL loses none; a loss of power may. A call
 * without an answer in the file was cut off, and its outcome is unknown.
 */
import * as fs from "node:fs"
import type { Append, Claim, Condition, Delivery, Following, History, Row, SentEvent, StreamRead } from "./history.ts"

/**
 * What an append asks for.
 */
export interface AppendCall {
  readonly events: ReadonlyArray<Pick<SentEvent, "id" | "stream" | "digest">>
  readonly claims: ReadonlyArray<Claim>
  readonly condition?: Condition
}

/**
 * How an append ended. A success names the place of every event, in order.
 */
export type AppendAnswer =
  | { readonly outcome: "ok"; readonly places: ReadonlyArray<Pick<Row, "revision" | "position">> }
  | { readonly outcome: "fail" }
  | { readonly outcome: "unknown" }

/**
 * The history file of one process.
 */
export interface Recorder {
  /** Call right before an append, and the result right after it. */
  readonly append: (call: AppendCall) => (answer: AppendAnswer) => void
  /** Call right before a read of a stream, and the result right after it. */
  readonly read: (
    call: Pick<StreamRead, "stream" | "from" | "isToEnd">
  ) => (ids: ReadonlyArray<string>) => void
  /** Call when a follower starts; the result takes what it gets. */
  readonly follow: (
    start: Pick<Following, "subscription" | "incarnation" | "after">
  ) => FollowingRecorder
  readonly close: () => void
}

/**
 * Takes down one life of a follower.
 */
export interface FollowingRecorder {
  readonly deliver: (event: Pick<Delivery, "position" | "id">) => void
  /** The follower says that it has seen everything it wants up to here. */
  readonly reach: (position: number) => void
}

/**
 * Makes the history file of a process; fails when there is one. A process that
 * starts again takes a new file.
 */
export const openRecorder = (file: string, process: string): Recorder => {
  const descriptor = fs.openSync(file, "ax")
  let calls = 0
  const write = (line: Line) => {
    fs.writeSync(descriptor, `${JSON.stringify(line)}\n`)
  }
  const call = () => `${process}/${globalThis.process.pid}/${calls++}`
  return {
    append: (request) => {
      const id = call()
      write({ line: "append", call: id, process, atNs: now(), ...request })
      return (answer) => write({ line: "appended", call: id, atNs: now(), ...answer })
    },
    read: (request) => {
      const id = call()
      write({ line: "read", call: id, process, atNs: now(), ...request })
      return (ids) => write({ line: "got", call: id, atNs: now(), ids })
    },
    follow: (start) => {
      const id = call()
      write({ line: "follow", call: id, ...start })
      return {
        deliver: ({ id: event, position }) => write({ line: "deliver", call: id, atNs: now(), position, id: event }),
        reach: (position) => write({ line: "reach", call: id, position })
      }
    },
    close: () => fs.closeSync(descriptor)
  }
}

/**
 * Reads the history files of all processes of a run.
 *
 * **Details**
 *
 * `filters` says by subscription which events it wants (all, if absent); the
 * log comes from the store itself. The last line of a file may be cut off.
 */
export const readHistory = (
  files: ReadonlyArray<string>,
  { filters = {}, log }: {
    readonly log: ReadonlyArray<Row>
    readonly filters?: Readonly<Record<string, Following["matches"]>>
  }
): History => {
  const appends = new Map<string, Append>()
  const reads: Array<StreamRead> = []
  const openReads = new Map<string, Omit<StreamRead, "returnedNs" | "ids">>()
  const followings = new Map<string, OpenFollowing>()
  for (const line of files.flatMap(readLines)) {
    switch (line.line) {
      case "append": {
        const { atNs, call, line: _, ...request } = line
        appends.set(call, { ...request, invokedNs: BigInt(atNs), outcome: "unknown" })
        break
      }
      case "appended":
        appends.set(line.call, complete(known(appends, line.call), line))
        break
      case "read": {
        const { atNs, call, line: _, ...request } = line
        openReads.set(call, { ...request, invokedNs: BigInt(atNs) })
        break
      }
      case "got":
        reads.push({ ...known(openReads, line.call), returnedNs: BigInt(line.atNs), ids: line.ids })
        break
      case "follow": {
        const { call, line: _, ...start } = line
        followings.set(call, { ...start, matches: filters[start.subscription] ?? (() => true), deliveries: [] })
        break
      }
      case "deliver":
        known(followings, line.call).deliveries.push({ position: line.position, id: line.id, atNs: BigInt(line.atNs) })
        break
      case "reach":
        known(followings, line.call).reached = line.position
    }
  }
  return { appends: [...appends.values()], reads, followings: [...followings.values()], log }
}

// internal

type Line =
  | { readonly line: "append"; readonly call: string; readonly process: string; readonly atNs: string } & AppendCall
  | { readonly line: "appended"; readonly call: string; readonly atNs: string } & AppendAnswer
  | {
    readonly line: "read"
    readonly call: string
    readonly process: string
    readonly atNs: string
    readonly stream: string
    readonly from: number
    readonly isToEnd: boolean
  }
  | { readonly line: "got"; readonly call: string; readonly atNs: string; readonly ids: ReadonlyArray<string> }
  | {
    readonly line: "follow"
    readonly call: string
    readonly subscription: string
    readonly incarnation: number
    readonly after: number
  }
  | {
    readonly line: "deliver"
    readonly call: string
    readonly atNs: string
    readonly position: number
    readonly id: string
  }
  | { readonly line: "reach"; readonly call: string; readonly position: number }

type OpenFollowing = Omit<Following, "deliveries"> & { readonly deliveries: Array<Delivery>; reached?: number }

const now = (): string => process.hrtime.bigint().toString()

const readLines = (file: string): ReadonlyArray<Line> => {
  const lines = fs.readFileSync(file, "utf8").split("\n")
  // the writer was killed before this line was whole; what it says was not done yet
  lines.pop()
  return lines.map((line) => JSON.parse(line))
}

const known = <A>(calls: ReadonlyMap<string, A>, call: string): A => {
  const found = calls.get(call)
  if (found === undefined) throw new Error(`the history has an answer to ${call}, but not the call`)
  return found
}

const complete = (
  append: Append,
  answer: { readonly atNs: string } & AppendAnswer
): Append => ({
  ...append,
  returnedNs: BigInt(answer.atNs),
  outcome: answer.outcome,
  events: answer.outcome === "ok"
    ? append.events.map((event, i) => ({ ...event, ...answer.places[i] }))
    : append.events
})
