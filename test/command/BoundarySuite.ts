/**
 * Decisions on the events of a query, whatever streams they are in.
 */
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { BoundaryDecision } from "../../src/command/index.ts"
import { EventType } from "../../src/event/index.ts"
import { append, indexes, readStream, unique, writingNothing } from "../store/fixtures.ts"
import { assertError, type CommandTests, interfering } from "./fixtures.ts"

const Defined = EventType.make("CourseDefined", { seats: Schema.Number })
const Subscribed = EventType.make("StudentSubscribed", { course: Schema.String, student: Schema.String })

class CourseFull extends Schema.TaggedError<CourseFull>()("CourseFull", { taken: Schema.Number }) {}
class TooManyCourses extends Schema.TaggedError<TooManyCourses>()("TooManyCourses", {}) {}
class Twice extends Schema.TaggedError<Twice>()("Twice", {}) {}

type Command =
  | { readonly _tag: "Define"; readonly course: string; readonly seats: number }
  | { readonly _tag: "Subscribe"; readonly course: string; readonly student: string }

interface State {
  readonly seats: number
  readonly inCourse: number
  readonly ofStudent: number
}

/** A seat is for as many as there are seats, and a student takes two courses: no stream knows both. */
const school = BoundaryDecision.make({
  events: [Defined, Subscribed],
  query: (command: Command) => [
    { tags: [`course:${command.course}`] },
    ...(command._tag === "Subscribe" ? [{ types: ["StudentSubscribed"], tags: [`student:${command.student}`] }] : [])
  ],
  initial: { seats: 0, courses: {} as Readonly<Record<string, ReadonlyArray<string>>> },
  evolve: (state, event) =>
    event.type === "CourseDefined" ? { ...state, seats: event.data.seats } : {
      ...state,
      courses: {
        ...state.courses,
        [event.data.course]: [...(state.courses[event.data.course] ?? []), event.data.student]
      }
    },
  decide: (command, { courses, seats }) => {
    if (command._tag === "Define") {
      if (command.seats < 0) throw new Error("no seats")
      return [Defined.make({ seats: command.seats }, { tags: [`course:${command.course}`] })]
    }
    const { course, student } = command
    const state: State = {
      seats,
      inCourse: courses[course]?.length ?? 0,
      ofStudent: Object.values(courses).filter((students) => students.includes(student)).length
    }
    if (courses[course]?.includes(student) === true) return new Twice()
    if (state.inCourse >= seats) return new CourseFull({ taken: state.inCourse })
    if (state.ofStudent >= 2) return new TooManyCourses()
    return [Subscribed.make({ course, student }, { tags: [`course:${course}`, `student:${student}`] })]
  },
  streamId: (event, command) =>
    event.type === "CourseDefined" ? `course-${command.course}` : `student-${event.data.student}`
})

/** Courses that nobody else has. */
const someSchool = Effect.map(school, (decision) => {
  const prefix = unique()
  const name = (id: string | number) => `${prefix}${id}`
  return {
    decision,
    name,
    define: (course: string, seats: number) => decision.execute({ _tag: "Define", course: name(course), seats }),
    subscribe: (student: string | number, course: string, options = {}) =>
      decision.execute({ _tag: "Subscribe", course: name(course), student: name(student) }, options)
  }
})

export const boundaryTests = (it: CommandTests): void => {
  it.effect("it is decided on the events of the query, and appended to the streams of the events", () =>
    Effect.gen(function*() {
      const { define, name, subscribe } = yield* someSchool
      yield* define("math", 1)
      const { alreadyExecuted, events, position, state } = yield* subscribe("ann", "math")
      assert.isFalse(alreadyExecuted)
      assert.deepStrictEqual(state, { seats: 1, courses: { [name("math")]: [name("ann")] } })
      const stored = yield* readStream(`student-${name("ann")}`)
      assert.deepStrictEqual(
        events as ReadonlyArray<unknown>,
        stored.map(({ recordedAt: _, ...event }) => ({ ...event, storedVersion: 1 }))
      )
      assert.strictEqual(position, stored[0]!.position)
      assertError(yield* writingNothing(Effect.flip(subscribe("bob", "math"))), { _tag: "CourseFull", taken: 1 })
    }))

  it.effect("of 16 who want 3 seats at the same time, exactly 3 get one", () =>
    Effect.gen(function*() {
      const { define, subscribe } = yield* someSchool
      yield* define("math", 3)
      const outcomes = yield* Effect.forEach(indexes(16), (student) => Effect.result(subscribe(student, "math")), {
        concurrency: "unbounded"
      })
      assert.lengthOf(outcomes.filter(({ _tag }) => _tag === "Success"), 3)
      for (const outcome of outcomes) {
        if (outcome._tag === "Failure") assertError(outcome.failure, { _tag: "CourseFull", taken: 3 })
      }
    }))

  it.effect("a student who subscribes to many courses at the same time gets two", () =>
    Effect.gen(function*() {
      const { define, subscribe } = yield* someSchool
      const courses = ["a", "b", "c", "d", "e"]
      yield* Effect.forEach(courses, (course) => define(course, 9))
      const outcomes = yield* Effect.forEach(courses, (course) => Effect.result(subscribe("ann", course)), {
        concurrency: "unbounded"
      })
      assert.lengthOf(outcomes.filter(({ _tag }) => _tag === "Success"), 2)
    }))

  it.effect("after a conflict it is decided anew on what came in between", () =>
    Effect.gen(function*() {
      const { define, name } = yield* someSchool
      yield* define("math", 1)
      const outcome = yield* interfering(
        (store, attempt) =>
          attempt > 1 ? Effect.void : store.append({
            streamId: `student-${name("bob")}`,
            expected: "any",
            events: [{
              type: "StudentSubscribed",
              data: { course: name("math"), student: name("bob") },
              tags: [`course:${name("math")}`]
            }]
          }),
        Effect.flatMap(school, (decision) =>
          Effect.flip(decision.execute({ _tag: "Subscribe", course: name("math"), student: name("ann") })))
      )
      assertError(outcome, { _tag: "CourseFull", taken: 1 })
    }))

  it.effect("a command that is repeated answers what it answered first", () =>
    Effect.gen(function*() {
      const { define, subscribe } = yield* someSchool
      yield* define("math", 2)
      const options = { commandId: unique() }
      const first = yield* subscribe("ann", "math", options)
      yield* subscribe("bob", "math")
      assert.deepStrictEqual(yield* writingNothing(subscribe("ann", "math", options)), {
        ...first,
        alreadyExecuted: true
      })
      const error = yield* writingNothing(Effect.flip(subscribe("bob", "math", options)))
      assert.strictEqual(error._tag, "CommandIdReused")
    }))

  it.effect("one decision may write to several streams, and is folded as it is read", () =>
    Effect.gen(function*() {
      const course = unique()
      const twoStreams = yield* BoundaryDecision.make({
        events: [Subscribed],
        query: (_command: string) => [{ tags: [`course:${course}`] }],
        initial: [] as ReadonlyArray<string>,
        evolve: (state, { data }) => [...state, data.student],
        decide: () =>
          ["a", "b", "a", "c"].map((student, index) =>
            Subscribed.make({ course, student: `${student}${index}` }, {
              tags: student === "c" ? [] : [`course:${course}`]
            })
          ),
        streamId: ({ data }) => `student-${course}${data.student.slice(0, 1)}`
      })
      const commandId = unique()
      const first = yield* twoStreams.execute("x", { commandId })
      assert.deepStrictEqual(first.state, ["a0", "a2", "b1"])
      assert.deepStrictEqual(first.events.map(({ data }) => data.student), ["a0", "a2", "b1", "c3"])
      assert.deepStrictEqual((yield* twoStreams.load("x")).state, first.state)
      assert.deepStrictEqual(yield* twoStreams.execute("x", { commandId }), { ...first, alreadyExecuted: true })
    }))

  it.effect("rules that throw fail the command, and nothing is written", () =>
    Effect.gen(function*() {
      const { define } = yield* someSchool
      const error = yield* writingNothing(Effect.flip(define("math", -1)))
      assertError(error, {
        _tag: "DecisionFailed",
        rule: "decide",
        type: "Define",
        version: undefined,
        streamId: undefined,
        revision: undefined
      })
    }))

  it.effect("events of types that the decision does not know do not matter to it, but its own must be readable", () =>
    Effect.gen(function*() {
      const { define, name, subscribe } = yield* someSchool
      const tags = [`course:${name("math")}`]
      yield* append(`note-${unique()}`, "noStream", [{ type: "CoursePraised", data: {}, tags }])
      yield* define("math", 1)
      const broken = yield* append(`student-${unique()}`, "noStream", [{ type: "StudentSubscribed", data: {}, tags }])
      const error = yield* writingNothing(Effect.flip(subscribe("ann", "math")))
      assertError(error, {
        _tag: "EventDataInvalid",
        type: "StudentSubscribed",
        version: 1,
        path: "data.course",
        reason: error._tag === "EventDataInvalid" ? error.reason : "",
        streamId: broken.streamId,
        revision: 0
      })
    }))
}
