import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, DateTime, Effect, Fiber, Result, Stream } from "effect"
import { TestClock } from "effect/testing"
import { BackupSchedule, type BackupStorage, BackupStorageError } from "../../src/backup/index.ts"
import { at, collect, makePlace } from "./fixtures.ts"

type Place = BackupStorage["Service"]

/** 2026-11-21T12:00:00Z. */
const NOON = Date.UTC(2026, 10, 21, 12)

const DAY = 24 * 60 * 60_000

const daily = { name: "nightly", cron: "0 3 * * *" }

/** A process that watches: what it ran, and what it told. */
const watch = Effect.fnUntraced(function*(
  place: Place,
  options: Partial<BackupSchedule.BackupScheduleOptions<string, string, never>> = {}
) {
  const ran: Array<string> = []
  const told: Array<string> = []
  const fiber = yield* BackupSchedule.run({
    ...daily,
    task: (due) =>
      Effect.sync(() => {
        ran.push(DateTime.formatIso(due))
        return "done"
      }),
    ...options,
    onRun: (run) =>
      Effect.sync(() => void told.push(run._tag === "Failed" ? `Failed: ${Cause.squash(run.cause)}` : run._tag))
  }).pipe((self) => at(place, self), Effect.forkChild)
  yield* settle
  return { ran, told, fiber }
})

/** Lets every fiber go on until it waits for the clock. */
const settle = Effect.forEach(Array.from({ length: 200 }), () => Effect.yieldNow, { discard: true })

const wait = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

const stateOf = Effect.fnUntraced(function*(place: Place) {
  const files = yield* collect(place.list("schedule-"))
  const pieces = yield* collect(place.get(files.at(-1)?.name ?? ""))
  return { files: files.length, ...JSON.parse(Buffer.concat(pieces).toString()) }
})

const failing = (place: Place, when: (operation: "put" | "get", name: string) => boolean): Place => {
  const failure = (operation: "put" | "get", name: string) =>
    new BackupStorageError({ operation, location: "memory", name, reason: "Unavailable", detail: "out of reach" })
  return {
    ...place,
    put: (name, bytes) => when("put", name) ? Effect.fail(failure("put", name)) : place.put(name, bytes),
    get: (name, range) => when("get", name) ? Stream.fail(failure("get", name)) : place.get(name, range)
  }
}

const start = Effect.gen(function*() {
  yield* TestClock.setTime(NOON)
  return yield* makePlace
})

describe("BackupSchedule.run", () => {
  it.effect("runs the task at its due times, in its time zone, through the change to summer time", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 2, 27, 12))
      const place = yield* makePlace
      const { ran, told } = yield* watch(place, { cron: "30 2 * * *", timeZone: "Europe/Berlin" })
      for (let hours = 0; hours < 72; hours++) yield* wait(60 * 60_000)
      // on 29 March there is no half past two
      expect(ran).toStrictEqual(["2026-03-28T01:30:00.000Z", "2026-03-29T01:30:00.000Z", "2026-03-30T00:30:00.000Z"])
      expect(told).toStrictEqual(["Succeeded", "Succeeded", "Succeeded"])
    }))

  it.effect("runs a due time in one of several processes, and leaves one small file behind", () =>
    Effect.gen(function*() {
      const place = yield* start
      const slow = { task: () => Effect.as(Effect.sleep(10_000), "done") }
      const three = yield* Effect.all([watch(place, slow), watch(place, slow), watch(place, slow)])
      for (let days = 0; days < 3; days++) {
        yield* wait(DAY - 60_000)
        for (let minutes = 0; minutes < 4; minutes++) yield* wait(15_000)
      }
      const told = three.flatMap((each) => each.told)
      expect(told.filter((tag) => tag === "Succeeded")).toHaveLength(3)
      expect(told.filter((tag) => tag === "Elsewhere")).toHaveLength(6)
      expect(yield* stateOf(place)).toMatchObject({
        files: 1,
        since: NOON,
        done: Date.UTC(2026, 10, 24, 3),
        expiresAt: 0
      })
    }))

  it.effect("is taken over by another process when the one that runs the task dies", () =>
    Effect.gen(function*() {
      const place = yield* start
      // what a process that was killed in the middle leaves behind
      const left = { since: NOON, done: null, owner: "dead", expiresAt: NOON + 15 * 60 * 60_000 + 60_000 }
      yield* place.put("schedule-nightly-000000000007.json", Buffer.from(JSON.stringify(left)))
      const { ran, told } = yield* watch(place)
      yield* wait(15 * 60 * 60_000)
      expect(ran).toStrictEqual([])
      yield* wait(59_000)
      expect(ran).toStrictEqual([])
      for (let seconds = 0; seconds < 3; seconds++) yield* wait(20_000)
      expect([ran, told]).toStrictEqual([["2026-11-22T03:00:00.000Z"], ["Succeeded"]])
    }))

  it.effect("gives its turn back when it is interrupted, and another process begins within a third of the lease", () =>
    Effect.gen(function*() {
      const place = yield* start
      const first = yield* watch(place, { task: () => Effect.never })
      yield* wait(15 * 60 * 60_000)
      const second = yield* watch(place)
      yield* Fiber.interrupt(first.fiber)
      expect(yield* stateOf(place)).toMatchObject({ done: null, expiresAt: 0 })
      yield* wait(20_000)
      expect([first.told, second.told]).toStrictEqual([[], ["Succeeded"]])
    }))

  it.effect("keeps its turn as long as the task takes", () =>
    Effect.gen(function*() {
      const place = yield* start
      const first = yield* watch(place, { task: () => Effect.as(Effect.sleep(30 * 60_000), "done") })
      const second = yield* watch(place)
      yield* wait(15 * 60 * 60_000)
      for (let minutes = 0; minutes < 4 * 31; minutes++) yield* wait(15_000)
      expect([...first.told, ...second.told].sort()).toStrictEqual(["Elsewhere", "Succeeded"])
    }))

  it.effect("interrupts the task when another process took over", () =>
    Effect.gen(function*() {
      const inner = yield* start
      let isCut = false
      let isInterrupted = false
      const first = yield* watch(failing(inner, (operation) => isCut && operation === "put"), {
        task: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (isInterrupted = true)))
      })
      yield* wait(15 * 60 * 60_000)
      isCut = true
      const second = yield* watch(inner)
      for (let seconds = 0; seconds < 6; seconds++) yield* wait(20_000)
      expect([second.told, isInterrupted]).toStrictEqual([["Succeeded"], true])
      for (let seconds = 0; seconds < 60; seconds++) yield* wait(1_000)
      expect(first.told).toStrictEqual(["Overtaken"])
    }))

  it.effect("makes up for what was missed once, with the last due time, or skips it", () =>
    Effect.gen(function*() {
      const place = yield* start
      const before = yield* watch(place)
      yield* wait(DAY)
      yield* Fiber.interrupt(before.fiber)
      yield* TestClock.setTime(NOON + 5 * DAY)

      const skips = yield* watch(place, { missed: "skip" })
      expect([skips.ran, skips.told]).toStrictEqual([[], ["Missed"]])
      yield* Fiber.interrupt(skips.fiber)
      const makesUp = yield* watch(place, { jitterMillis: 60_000 })
      expect([makesUp.ran, makesUp.told]).toStrictEqual([["2026-11-26T03:00:00.000Z"], ["Succeeded"]])
      yield* wait(DAY)
      expect(makesUp.ran).toHaveLength(2)
    }))

  it.effect("misses nothing that was due before anybody watched", () =>
    Effect.gen(function*() {
      const { ran } = yield* watch(yield* start)
      yield* wait(60 * 60_000)
      expect(ran).toStrictEqual([])
    }))

  it.effect("knows after its first hour, without a run, from when on due times count", () =>
    Effect.gen(function*() {
      const place = yield* start
      yield* Fiber.interrupt((yield* watch(place)).fiber)
      yield* TestClock.setTime(NOON + DAY)
      expect((yield* watch(place)).ran).toStrictEqual(["2026-11-22T03:00:00.000Z"])
    }))

  it.effect("starts no task while one is running: due times that passed are one run", () =>
    Effect.gen(function*() {
      const place = yield* start
      const ran: Array<string> = []
      yield* watch(place, {
        cron: "*/10 * * * *",
        task: (due) =>
          Effect.andThen(
            Effect.sync(() => ran.push(DateTime.formatIso(due).slice(11, 16))),
            Effect.as(Effect.sleep(25 * 60_000), "")
          )
      })
      for (let minutes = 0; minutes < 4 * 65; minutes++) yield* wait(15_000)
      expect(ran).toStrictEqual(["12:10", "12:30", "13:00"])
    }))

  it.effect("tells of a task that failed, lets the others try, and goes on", () =>
    Effect.gen(function*() {
      const place = yield* start
      const first = yield* watch(place, { task: () => Effect.fail("the disk is full") })
      const second = yield* watch(place, { jitterMillis: 10_000, task: () => Effect.die(new Error("it broke")) })
      yield* wait(15 * 60 * 60_000)
      yield* wait(10_000)
      expect([first.told, second.told]).toStrictEqual([["Failed: the disk is full"], ["Failed: Error: it broke"]])
      expect(yield* stateOf(place)).toMatchObject({ done: null, expiresAt: 0 })
      yield* wait(DAY)
      expect(first.told).toHaveLength(2)
    }))

  it.effect("lets a run fail, and goes on, when the place cannot be reached", () =>
    Effect.gen(function*() {
      let isCut = false
      const { told } = yield* watch(failing(yield* start, () => isCut))
      isCut = true
      yield* wait(15 * 60 * 60_000)
      for (let seconds = 0; seconds < 120; seconds++) yield* wait(1_000)
      expect(told).toStrictEqual([expect.stringContaining("out of reach")])
      isCut = false
      yield* wait(DAY)
      expect(told.at(-1)).toBe("Succeeded")
    }))

  it.effect("begins after the due time by no more than its jitter", () =>
    Effect.gen(function*() {
      const begun: Array<number> = []
      const task = () =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          begun.push(now % 3_600_000)
          return ""
        })
      yield* watch(yield* start, { cron: "0 * * * *", jitterMillis: 600_000, task })
      for (let minutes = 0; minutes < 690; minutes++) yield* wait(60_000)
      expect(begun).toHaveLength(11)
      expect(Math.min(...begun)).toBeGreaterThanOrEqual(0)
      expect(Math.max(...begun)).toBeLessThanOrEqual(600_000)
      expect(new Set(begun).size).toBeGreaterThan(3)
    }))

  it.effect.each(
    [
      ["garbage", "]["],
      ["another value", "null"],
      ["a time that is none", "{\"since\":-1,\"done\":null,\"owner\":\"\",\"expiresAt\":0}"],
      ["a time far ahead", JSON.stringify({ since: 0, done: null, owner: "x", expiresAt: NOON * 2 })],
      ["too much", "x".repeat(5_000)]
    ] as const
  )("is held up by no file beside the backups that holds %s", ([, text]) =>
    Effect.gen(function*() {
      const place = yield* start
      yield* place.put("schedule-nightly-000000000001.json", Buffer.from(text))
      yield* place.put("schedule-nightly-000000000009.txt", Buffer.from("{}"))
      const { told } = yield* watch(place, { missed: "skip" })
      yield* wait(15 * 60 * 60_000)
      expect(told.at(-1)).toBe("Succeeded")
    }))

  it.effect.each(
    [
      [{ cron: "0 3 * *" }, "cron"],
      [{ cron: "0 3 30 2 *" }, "cron"],
      [{ cron: "61 3 * * *" }, "cron"],
      [{ timeZone: "Europe/Nowhere" }, "timeZone"],
      [{ name: "../up" }, "name"],
      [{ name: "" }, "name"],
      [{ name: "a".repeat(65) }, "name"],
      [{ jitterMillis: -1 }, "jitterMillis"],
      [{ jitterMillis: Number.NaN }, "jitterMillis"],
      [{ leaseMillis: 999 }, "leaseMillis"]
    ] as const
  )("refuses %j", ([options, path]) =>
    Effect.gen(function*() {
      const place = yield* makePlace
      const error = yield* Effect.flip(at(place, BackupSchedule.run({ ...daily, task: () => Effect.void, ...options })))
      expect(error).toMatchObject({ _tag: "InvalidInput", path })
      expect(yield* collect(place.list())).toStrictEqual([])
    }))

  it("computes the next due times", () => {
    const times = BackupSchedule.upcoming(daily, DateTime.makeUnsafe(NOON), 2)
    expect(Result.getOrThrow(times).map(DateTime.formatIso)).toStrictEqual([
      "2026-11-22T03:00:00.000Z",
      "2026-11-23T03:00:00.000Z"
    ])
  })
})
