/**
 * Decides on the work that employees do for an application.
 */
import { Result } from "effect"
import { Decider } from "../../src/decider/index.ts"
import type { Proposed } from "../../src/event/index.ts"
import { NotAllowed } from "./Application.ts"
import * as Events from "./Events.ts"

/** The tasks that were ever scheduled; the next call may be planned while this one is going on. */
export type Work = { readonly [T in Events.Task]?: { readonly isWaiting: boolean; readonly isRunning: boolean } }

export interface Command {
  readonly _tag: "ScheduleWork" | "StartWork" | "CompleteWork"
  readonly phase: typeof Events.WorkItemStarted.schema.Type.phase
  readonly task: Events.Task
}

const initial: Work = {}

/** Says what happens because of a command, or why it is not allowed. */
export const decide = (
  { _tag, phase, task }: Command,
  work: Work
): Result.Result<ReadonlyArray<Proposed<Events.LoanEvent>>, NotAllowed> => {
  const item = work[task]
  const refuse = (reason: string) => Result.fail(new NotAllowed({ command: _tag, reason }))
  switch (_tag) {
    case "ScheduleWork":
      return item?.isWaiting === true
        ? refuse("the task is scheduled already")
        : Result.succeed([Events.WorkItemScheduled.make({ phase, task })])
    case "StartWork":
      if (item === undefined) return refuse("the task was never scheduled")
      return item.isRunning
        ? refuse("the task is going on already")
        : Result.succeed([Events.WorkItemStarted.make({ phase, task })])
    case "CompleteWork":
      return item?.isRunning === true
        ? Result.succeed([Events.WorkItemCompleted.make({ phase, task })])
        : refuse("the task is not going on")
  }
}

/** Takes one event further; events of other kinds change nothing. */
const evolve = (work: Work, event: Events.LoanEvent): Work => {
  switch (event.type) {
    case "WorkItemScheduled":
      return { ...work, [event.data.task]: { isWaiting: true, isRunning: work[event.data.task]?.isRunning ?? false } }
    case "WorkItemStarted":
      return { ...work, [event.data.task]: { isWaiting: false, isRunning: true } }
    case "WorkItemCompleted":
      return { ...work, [event.data.task]: { isWaiting: work[event.data.task]?.isWaiting ?? false, isRunning: false } }
    default:
      return work
  }
}

export const Work = Decider.make({ events: Events.types, initial, decide, evolve })
