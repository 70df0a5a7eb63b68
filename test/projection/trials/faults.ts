/**
 * What happens to the processes of a trial, one function a kind of fault. Each
 * leaves at least one process that can bring everything to its end.
 */
import { Duration, Effect, Exit, Option, type Scope } from "effect"
import { ProjectionControl, ProjectionRunner } from "../../../src/projection/index.ts"
import type { Fault } from "../../support/faultProxy.ts"
import { waitFor } from "../../support/waitFor.ts"
import { awaitProgress, awaitRecords, type Ground, NAMES, recordsOf, sleepUpTo } from "./ground.ts"
import type { RunnerProcess } from "./processes.ts"
import type { RunnerSettings } from "./runner.ts"
import { makeWorld, POISON, proposeSale, SOUND, TABLE } from "./world.ts"

type Play = (ground: Ground) => Effect.Effect<void, never, Scope.Scope>

/**
 * All kinds of faults.
 */
export const FAULTS = {
  /** A process that leads is killed, again and again, and others take over. */
  kill: (ground) =>
    Effect.gen(function*() {
      yield* startSome(ground, { mode: "each" })
      yield* awaitProgress(ground)
      for (let left = 2 + ground.random.int(3); left > 0; left--) {
        yield* sleepUpTo(ground.random, 400)
        yield* killLeader(ground)
        yield* ground.start({ mode: "each" })
      }
    }),

  /** A process is killed when it has sent a statement, whichever, or before the server gets it. */
  statement: (ground) =>
    Effect.gen(function*() {
      const { proxy, random, tally } = ground
      const isWriting = random.chance(0.7)
      if (random.chance(0.4)) yield* ground.start()
      for (let left = 3 + random.int(4); left > 0; left--) {
        const armed = yield* proxy.arm(
          countdown(1 + random.int(isWriting ? 60 : 200), isWriting ? WRITING : /./),
          { _tag: random.chance(0.5) ? "HoldRequest" : "HoldAnswer" }
        )
        const process = yield* ground.start({ isProxied: true })
        yield* Effect.timeoutOption(armed.happened, "4 seconds")
        yield* process.kill
        tally.faults++
        yield* armed.disarm
        yield* armed.release
      }
      yield* ground.start()
    }),

  /** A process that leads stands still for longer than its lease, and goes on. */
  stop: (ground) =>
    Effect.gen(function*() {
      yield* startSome(ground, { mode: "each" })
      yield* awaitProgress(ground)
      for (let left = 1 + ground.random.int(2); left > 0; left--) {
        yield* sleepUpTo(ground.random, 300)
        const leader = yield* leaderOf(ground)
        if (leader === undefined) continue
        const { names, process, records } = leader
        process.signal("SIGSTOP")
        ground.tally.faults++
        yield* awaitTakeOver(ground, names, records, process)
        yield* sleepUpTo(ground.random, 800)
        process.signal("SIGCONT")
        yield* sleepUpTo(ground.random, 300)
      }
    }),

  /** Sessions are ended by the server, whatever they do. */
  backend: (ground) =>
    Effect.gen(function*() {
      const { random, sql, tally } = ground
      yield* startSome(ground)
      yield* awaitProgress(ground)
      for (let left = 5 + random.int(15); left > 0; left--) {
        yield* sleepUpTo(random, 150)
        const pids = yield* sql.unsafe<{ readonly pid: number }>(
          `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'trial %'
            ORDER BY pid`
        )
        const victims = random.chance(0.2) ? pids : [random.pick(pids)].flatMap((pid) => pid === undefined ? [] : [pid])
        for (const { pid } of victims) yield* sql`SELECT pg_terminate_backend(${pid})`
        tally.faults += victims.length
      }
    }).pipe(Effect.orDie),

  /** The request or the answer of a COMMIT is lost, or a part of it. */
  commit: (ground) =>
    Effect.gen(function*() {
      const { proxy, random, tally } = ground
      yield* startSome(ground, {}, { isProxied: true })
      yield* awaitProgress(ground)
      for (let left = 3 + random.int(5); left > 0; left--) {
        const fault: Fault = random.pick<Fault>([
          { _tag: "LoseAnswer", ending: "reset" },
          { _tag: "LoseAnswer", ending: "silence" },
          { _tag: "LoseRequest", ending: "reset" },
          { _tag: "CutAnswer", bytes: random.int(20) },
          { _tag: "CutRequest", bytes: random.int(20) }
        ]) ?? { _tag: "LoseAnswer" }
        const armed = yield* proxy.arm(countdown(1 + random.int(5), /^COMMIT/), fault)
        if (Option.isSome(yield* Effect.timeoutOption(armed.happened, "5 seconds"))) tally.faults++
        yield* armed.disarm
      }
    }),

  /** No notification ever arrives. */
  mute: (ground) =>
    Effect.gen(function*() {
      const { proxy, random, tally } = ground
      yield* proxy.setNotifications("drop")
      yield* startSome(ground, {}, { isProxied: true })
      yield* awaitProgress(ground)
      // pauses in which only a notification, or polling, tells what is new
      ground.writing.pauseMillis = 400
      for (let left = 4; left > 0; left--) yield* sleepUpTo(random, 700)
      tally.faults += (yield* proxy.counters).notifications
    }),

  /** An event that no handler takes: all halt before it, and go on with better ones. */
  poison: (ground) =>
    Effect.gen(function*() {
      const bad = { poison: "fail" } as const
      yield* startSome(ground, bad)
      yield* awaitProgress(ground)
      yield* appendPoison(ground)
      yield* awaitRecords(ground, "halted", ({ status }) => status === "halted")
      yield* sleepUpTo(ground.random, 300)
      yield* stopAll(ground)
      yield* startSome(ground)
    }),

  /** Such an event is put aside with those behind it, and replayed by better handlers. */
  park: (ground) =>
    Effect.gen(function*() {
      const { random } = ground
      yield* startSome(ground, { poison: "fail", action: "park" })
      yield* awaitProgress(ground)
      for (let left = 1 + random.int(3); left > 0; left--) yield* appendPoison(ground)
      yield* awaitRecords(ground, "parked", ({ parked }) => parked > 0)
      if (random.chance(0.5)) {
        yield* killLeader(ground)
        yield* ground.start({ poison: "fail", action: "park" })
      }
      yield* sleepUpTo(random, 500)
      yield* stopAll(ground)
      yield* startSome(ground, { action: "park" })
      yield* replayAll(ground)
    }),

  /** A statement of a handler never ends. */
  hang: (ground) =>
    Effect.gen(function*() {
      const { random } = ground
      const action = random.pick(["halt", "park"] as const) ?? "halt"
      yield* startSome(ground, { poison: "hang", action, statementMillis: 200 })
      yield* awaitProgress(ground)
      yield* appendPoison(ground)
      yield* awaitRecords(
        ground,
        "stuck",
        ({ parked, status }) => action === "halt" ? status === "halted" : parked > 0,
        ["by-country"]
      )
      // the others do not know of it
      const { records } = { records: yield* recordsOf(ground) }
      yield* awaitRecords(
        ground,
        "undisturbed",
        ({ name, position }) => position > (records.get(name)?.position ?? 0),
        NAMES.filter((name) => name !== "by-country")
      )
      yield* stopAll(ground)
      yield* startSome(ground, { action })
      if (action === "park") yield* replayAll(ground)
    }),

  /** Events come faster than a handler takes them. */
  slow: (ground) =>
    Effect.gen(function*() {
      const { random, writing } = ground
      writing.pauseMillis = 4
      yield* startSome(ground, { slowMillis: 1 + random.int(4), batchEvents: 50 })
      yield* awaitProgress(ground)
      yield* Effect.sleep("1500 millis")
      if (random.chance(0.5)) yield* killLeader(ground)
      yield* sleepUpTo(random, 1_000)
      yield* ground.start({ slowMillis: 1, batchEvents: 50 })
    }),

  /** Somebody drops the table of a projection. */
  dropped: (ground) =>
    Effect.gen(function*() {
      const { expecting, inside, random, sql, tally } = ground
      yield* startSome(ground)
      yield* awaitProgress(ground)
      yield* sleepUpTo(random, 500)
      expecting.mayLackTable = true
      expecting.mayGoBack = true
      yield* Effect.retry(Effect.orDie(sql.unsafe(`DROP TABLE public.${TABLE}_v1 CASCADE`)), { times: 5 })
      tally.faults++
      yield* awaitRecords(ground, "halted", ({ status }) => status === "halted", ["by-country"])
      const records = yield* recordsOf(ground)
      yield* awaitRecords(
        ground,
        "undisturbed",
        ({ name, position }) => position > (records.get(name)?.position ?? 0),
        NAMES.filter((name) => name !== "by-country")
      )
      yield* stopAll(ground)
      yield* insist(inside(ProjectionControl.reset(makeWorld(SOUND).byCountry)))
      yield* startSome(ground)
    }),

  /** A runner is started again and again, and ended anywhere, among events that nobody knows. */
  unknown: (ground) =>
    Effect.gen(function*() {
      const { inside, random, tally } = ground
      const [projection = makeWorld(SOUND).total] = [random.pick(makeWorld(SOUND).projections)]
      for (let left = 75; left > 0; left--) {
        if (random.chance(0.3)) yield* ground.append([{ type: `Unknown${left}`, data: {} }])
        const run = ProjectionRunner.runOnce(projection, { batchEvents: 1 + random.int(4), lease: 300 })
        const exit = yield* Effect.exit(inside(Effect.timeoutOption(run, Duration.millis(random.int(60)))))
        if (Exit.isFailure(exit)) ground.wrong.push(`P1 a restart failed: ${String(exit.cause)}`)
        tally.restarts++
      }
      yield* startSome(ground)
    }),

  /** Events come in a version that the programs do not know, until new ones are there. */
  schema: (ground) =>
    Effect.gen(function*() {
      const { random, writing } = ground
      writing.version = 1
      yield* startSome(ground, { knows: 1 })
      yield* awaitProgress(ground)
      yield* sleepUpTo(random, 300)
      writing.version = 2
      yield* awaitRecords(ground, "halted", ({ status }) => status === "halted")
      ground.tally.faults++
      yield* stopAll(ground)
      yield* startSome(ground)
      // old data goes on coming from programs that were not replaced yet
      writing.version = 1
      yield* sleepUpTo(random, 500)
    }),

  /** Projections are reset while they run. */
  reset: (ground) =>
    Effect.gen(function*() {
      const { expecting, inside, random, tally } = ground
      expecting.mayGoBack = true
      yield* startSome(ground)
      yield* awaitProgress(ground)
      for (let left = 2 + random.int(3); left > 0; left--) {
        yield* sleepUpTo(random, 400)
        const projection = random.pick(makeWorld(SOUND).projections)
        if (projection === undefined) continue
        yield* insist(inside(ProjectionControl.reset(projection)))
        tally.faults++
        if (random.chance(0.3)) yield* killLeader(ground)
      }
      yield* ground.start()
    })
} satisfies Readonly<Record<string, Play>>

// internal

/** What a runner sends to write. */
const WRITING = /projection|COMMIT|BEGIN|trial_/

const startSome = (
  ground: Ground,
  settings: Partial<RunnerSettings> = {},
  more: { readonly isProxied?: boolean } = {}
) => Effect.forEach(Array.from({ length: 2 + ground.random.int(2) }), () => ground.start({ ...settings, ...more }))

const livingOf = ({ processes }: Ground): ReadonlyArray<RunnerProcess> =>
  processes.filter((process) => !process.isOver())

const stopAll = (ground: Ground): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const process of livingOf(ground)) ground.wrong.push(...(yield* process.stop))
  })

const appendPoison = (ground: Ground): Effect.Effect<void> =>
  Effect.andThen(
    Effect.sync(() => ground.tally.faults++),
    ground.append([proposeSale(ground.random, POISON)])
  )

/** Matches the statement of that number among those that fit. */
const countdown = (count: number, pattern: RegExp) => {
  let left = count
  return (sql: string): boolean => pattern.test(sql) && --left <= 0
}

/** A process that has some of the projections, and which. */
const leaderOf = (ground: Ground) =>
  Effect.map(recordsOf(ground), (records) => {
    const led = (process: RunnerProcess): ReadonlyArray<string> =>
      [...records.values()].filter(({ owner }) => owner?.startsWith(`${process.name}/`) === true)
        .map(({ name }) => name)
    const process = ground.random.pick(livingOf(ground).filter((one) => led(one).length > 0))
    return process === undefined ? undefined : { process, names: led(process), records }
  })

type Records = Effect.Success<ReturnType<typeof recordsOf>>

/** Waits until others have applied an event each to what was this process's. */
const awaitTakeOver = (
  ground: Ground,
  names: ReadonlyArray<string>,
  before: Records,
  process: RunnerProcess
): Effect.Effect<boolean> =>
  awaitRecords(
    ground,
    "taken over",
    ({ events, name, owner }) =>
      events > (before.get(name)?.events ?? 0) && owner !== null && !owner.startsWith(`${process.name}/`),
    names
  )

/** Kills a process that leads, any if none can be told, and measures how long its projections stand still. */
const killLeader = (ground: Ground): Effect.Effect<void> =>
  Effect.gen(function*() {
    const leader = yield* leaderOf(ground)
    const process = leader?.process ?? ground.random.pick(livingOf(ground))
    if (process === undefined) return
    const others = livingOf(ground).filter((one) => one !== process)
    // a process that only starts does not take over
    for (const one of others) {
      yield* waitFor(Effect.sync(() => one.isOver() || one.reports.includes("started")), (is) => is)
    }
    const started = performance.now()
    yield* process.kill
    ground.tally.faults++
    if (leader === undefined || others.length === 0) return
    if (yield* awaitTakeOver(ground, leader.names, leader.records, process)) {
      ground.failovers.push(performance.now() - started)
    }
  })

/** An operator's command that a runner, or a fault, was in the way of. */
const insist = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A> =>
  Effect.orDie(Effect.retry(effect, { times: 20 }))

/** Replays what was parked until nothing waits. */
const replayAll = (ground: Ground): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const projection of makeWorld({ ...SOUND, action: "park" }).all) {
      const remaining = yield* waitFor(
        insist(ground.inside(ProjectionControl.replayParked(projection))),
        (replayed) => replayed.remaining === 0
      ).pipe(
        Effect.map((replayed) => replayed.remaining),
        Effect.catchDefect((defect) => Effect.succeed(String(defect)))
      )
      if (remaining !== 0) ground.wrong.push(`P6 ${projection.name} has parked events left: ${remaining}`)
    }
  })
