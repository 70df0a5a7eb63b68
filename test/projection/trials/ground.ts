/**
 * Where a trial takes place: a database, writers, processes, and somebody who
 * looks all the time whether every model is the fold of the log.
 */
import type { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, Layer, Option, type Scope } from "effect"
import type { ProposedEvent } from "../../../src/event/Event.ts"
import { InlineProjections, ProjectionControl } from "../../../src/projection/index.ts"
import { layerPostgres } from "../../../src/runtime/index.ts"
import { CheckpointStore } from "../../../src/store/CheckpointStore.ts"
import { EventStore } from "../../../src/store/EventStore.ts"
import { makeRandom, type Random } from "../../checker/random.ts"
import { openSql, scalar } from "../../postgres/fixtures.ts"
import { type FaultProxy, makeFaultProxy } from "../../support/faultProxy.ts"
import { makeDatabase, type ServerAddress } from "../../support/postgres.ts"
import { waitFor } from "../../support/waitFor.ts"
import { Ledger, lookAtLedger, makeLedgerTable } from "./ledger.ts"
import { type Look, look, lookAtRecords, type RecordSeen } from "./look.ts"
import { type RunnerProcess, startRunner } from "./processes.ts"
import type { RunnerSettings } from "./runner.ts"
import { type LogRow, makeInline, makeWorld, proposeSales, SOUND } from "./world.ts"

/**
 * A trial that is going on.
 */
export interface Ground {
  readonly random: Random
  readonly sql: PgClient.PgClient
  readonly proxy: FaultProxy
  /** The store, as this process has it. */
  readonly inside: <A, E>(effect: Effect.Effect<A, E, EventStore | CheckpointStore | Ledger>) => Effect.Effect<A, E>
  /** Starts a process, directly on the server unless it is told to go through the proxy. */
  readonly start: (
    settings?: Partial<RunnerSettings> & { readonly isProxied?: boolean }
  ) => Effect.Effect<RunnerProcess, never, Scope.Scope>
  /** Everything that was started, dead ones too. */
  readonly processes: ReadonlyArray<RunnerProcess>
  readonly append: (events: ReadonlyArray<ProposedEvent>) => Effect.Effect<void>
  /** What the writers do; a fault may change it. */
  readonly writing: { pauseMillis: number; version: 1 | 2; isOn: boolean }
  /** What the one who looks expects; a fault may change it. */
  readonly expecting: { mayGoBack: boolean; mayLackTable: boolean }
  /** Finds what is wrong with the deliveries that were written down. */
  readonly judgeLedger: Effect.Effect<void>
  readonly wrong: Array<string>
  readonly tally: { faults: number; looks: number; events: number; restarts: number }
  /** Time from the end of a process to the first event that another one applied, in milliseconds. */
  readonly failovers: Array<number>
  /** Reads checkpoints, owners and models of one moment, and judges them. */
  readonly judgeNow: Effect.Effect<Look | undefined>
}

/**
 * Makes a ground; writers write and the looker looks until the scope closes.
 */
export const makeGround = (seed: number, server: ServerAddress): Effect.Effect<Ground, never, Scope.Scope> =>
  Effect.gen(function*() {
    const random = makeRandom(seed)
    const url = yield* makeDatabase(server.admin)
    const layer = InlineProjections.layer(makeInline(SOUND)).pipe(
      Layer.provideMerge(Layer.fresh(layerPostgres({ url, applicationName: "supervisor" }))),
      Layer.merge(Ledger.layer(url, "supervisor"))
    )
    const context = yield* Layer.build(layer)
    const sql = yield* openSql(url, { applicationName: "supervisor", maxConnections: 3 })
    yield* makeLedgerTable(sql)
    const proxy = yield* makeFaultProxy(url)
    const processes: Array<RunnerProcess> = []
    const store = Context.get(context, EventStore)
    const inside: Ground["inside"] = (effect) =>
      effect.pipe(
        Effect.provideService(EventStore, store),
        Effect.provideService(CheckpointStore, Context.get(context, CheckpointStore)),
        Effect.provideService(Ledger, Context.get(context, Ledger))
      )
    const writerRandom = makeRandom(random.int(2 ** 31))
    const wrong: Array<string> = []
    const expecting = { mayGoBack: false, mayLackTable: false }
    // a runner that was stopped by a reset may deliver once more
    const isOrdered = (follower: string) => follower !== "deliveries" || !expecting.mayGoBack
    const ground: Omit<Ground, "judgeNow"> = {
      random,
      sql,
      proxy,
      inside,
      processes,
      start: (settings = {}) =>
        Effect.tap(
          startRunner(toSettings(random, settings, url, proxy.url, processes.length)),
          (process) => Effect.sync(() => processes.push(process))
        ),
      append: (events) =>
        Effect.orDie(Effect.asVoid(store.append({
          streamId: `trial-${writerRandom.int(STREAMS)}`,
          expected: "any",
          events
        }))),
      writing: { pauseMillis: 20, version: 2, isOn: true },
      expecting,
      judgeLedger: Effect.map(lookAtLedger(sql, isOrdered), (found) => void wrong.push(...found)),
      wrong,
      tally: { faults: 0, looks: 0, events: 0, restarts: 0 },
      failovers: []
    }
    const judgeNow = yield* makeJudge(ground)
    yield* Effect.forkScoped(writeOn(ground, writerRandom))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(judgeNow, Effect.sleep(LOOK_PAUSE))))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(ground.judgeLedger, Effect.sleep(LEDGER_PAUSE))))
    return { ...ground, judgeNow }
  }).pipe(Effect.orDie)

/**
 * Stops the writers, waits until every projection has seen the whole log, and
 * stops the processes; finds what is wrong or left over then.
 */
export const conclude = (
  ground: Ground,
  within: Duration.Input = "30 seconds"
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { expecting, inside, sql, tally, writing, wrong } = ground
    writing.isOn = false
    expecting.mayLackTable = false
    const living = ground.processes.filter((process) => !process.isOver())
    if (living.length === 0) yield* ground.start()
    const head = yield* Effect.orDie(inside(EventStore.use((store) => store.head)))
    tally.events = head.position
    for (const projection of [...makeWorld(SOUND).all, ...makeInline(SOUND)]) {
      const reached = yield* Effect.result(inside(ProjectionControl.awaitPosition(projection, head.position, within)))
      if (reached._tag === "Failure") wrong.push(`L1 ${reached.failure.message}`)
      const verification = yield* Effect.orDie(inside(ProjectionControl.verify(projection)))
      if (!Option.exists(verification, ({ isComplete }) => isComplete)) {
        wrong.push(`P1 verify ${projection.name}: ${JSON.stringify(verification)}`)
      }
    }
    const last = yield* ground.judgeNow
    if (last === undefined || last.rows === undefined) wrong.push("P3 the models could not be read in the end")
    yield* ground.judgeLedger
    for (const process of ground.processes) wrong.push(...(yield* process.stop))
    // a server cannot know of a connection that was cut in silence
    yield* ground.proxy.reset
    wrong.push(...(yield* leftOver(ground, sql)))
  })

/**
 * The records by name, at one moment.
 */
export const recordsOf = ({ sql }: Ground): Effect.Effect<ReadonlyMap<string, RecordSeen>> =>
  Effect.map(lookAtRecords(sql), (records) => new Map(records.map((record) => [record.name, record])))

/**
 * Waits until all records, of these names or of any, are as is said; notes when
 * that takes too long.
 */
export const awaitRecords = (
  ground: Ground,
  what: string,
  isReached: (record: RecordSeen) => boolean,
  names: ReadonlyArray<string> = NAMES
): Effect.Effect<boolean> =>
  waitFor(
    recordsOf(ground),
    (records) =>
      names.every((name) => {
        const record = records.get(name)
        return record !== undefined && isReached(record)
      }),
    { deadlineMs: 30_000 }
  ).pipe(
    Effect.as(true),
    Effect.catchDefect((defect) =>
      Effect.sync(() => {
        ground.wrong.push(`L1 not ${what}: ${String(defect).slice(0, 1_000)}`)
        return false
      })
    )
  )

/**
 * Waits until the projections have applied something.
 */
export const awaitProgress = (ground: Ground): Effect.Effect<boolean> =>
  awaitRecords(ground, "begun", ({ events }) => events > 0)

/**
 * Sleeps for a random time.
 */
export const sleepUpTo = (random: Random, millis: number) => Effect.sleep(Duration.millis(random.int(millis)))

/**
 * Names of the projections.
 */
export const NAMES: ReadonlyArray<string> = ["by-stream", "total", "by-country"]

// internal

const STREAMS = 7

const LOOK_PAUSE = Duration.millis(60)

const LEDGER_PAUSE = Duration.millis(500)

const toSettings = (
  random: Random,
  { isProxied = false, ...settings }: Partial<RunnerSettings> & { readonly isProxied?: boolean },
  url: string,
  proxied: string,
  index: number
): RunnerSettings => ({
  ...SOUND,
  url: isProxied ? proxied : url,
  name: `process${index}`,
  mode: random.chance(0.3) ? "all" : "each",
  batchEvents: random.pick([1, 3, 20, 1_000]) ?? 20,
  statementMillis: 20_000,
  ...settings
})

const writeOn = ({ append, writing }: Omit<Ground, "judgeNow">, random: Random) =>
  Effect.forever(Effect.suspend(() =>
    Effect.andThen(
      writing.isOn ? append(proposeSales(random, writing.version)) : Effect.void,
      sleepUpTo(random, writing.pauseMillis + 1)
    )
  ))

/** Compares what it sees with the log, one look at a time. */
const makeJudge = (ground: Omit<Ground, "judgeNow">): Effect.Effect<Ground["judgeNow"]> =>
  Effect.map(
    Effect.sync(() => ({ reached: new Map<string, number>(), log: new Array<LogRow>() })),
    (memory) =>
      Effect.gen(function*() {
        const seen = yield* look(ground.sql, memory.log)
        if (seen === undefined) return undefined
        ground.tally.looks++
        const { mayGoBack, mayLackTable } = ground.expecting
        for (const { events, name, position } of seen.records) {
          const before = memory.reached.get(name) ?? 0
          if (position < before && !mayGoBack) ground.wrong.push(`P2 ${name} went back from ${before} to ${position}`)
          if (position > seen.head) ground.wrong.push(`P2 ${name} is at ${position}, the log ends at ${seen.head}`)
          memory.reached.set(name, position)
          const fault = seen.faultOf(name, mayLackTable)
          if (fault !== undefined) ground.wrong.push(`P3 ${name} at ${position} after ${events} events: ${fault}`)
        }
        return seen
      })
  )

/** Connections, locks, slots and leases that nobody has any more. */
const leftOver = ({ inside }: Ground, sql: PgClient.PgClient): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function*() {
    const wrong: Array<string> = []
    for (const [what, query] of LEFT_OVER) {
      const count = yield* waitFor(scalar(sql, query), (found) => found === 0, { deadlineMs: 10_000 }).pipe(
        Effect.catchDefect((defect) => Effect.succeed(String(defect)))
      )
      if (count !== 0) wrong.push(`L2 ${what} left: ${String(count)}`)
    }
    for (const projection of makeWorld(SOUND).all) {
      const owner = yield* waitFor(
        inside(Effect.map(ProjectionControl.describe(projection), ownerOf)),
        (found) => found === undefined,
        { deadlineMs: 5_000 }
      ).pipe(Effect.catchDefect((defect) => Effect.succeed(String(defect))))
      if (owner !== undefined) wrong.push(`L2 ${projection.name} still has an owner: ${owner}`)
    }
    return wrong
  }).pipe(Effect.orDie)

/** Whoever was stopped while it took a lease leaves it to run out. */
const ownerOf = (report: Option.Option<ProjectionControl.ProjectionReport>): string | undefined => {
  const { leasedUntil, owner } = Option.getOrThrow(report)
  return (leasedUntil?.epochMilliseconds ?? 0) > Date.now() ? owner : undefined
}

const LEFT_OVER = [
  [
    "connections",
    "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'trial %'"
  ],
  [
    "advisory locks",
    "SELECT count(*)::int FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database() AND l.locktype = 'advisory'"
  ],
  ["replication slots", "SELECT count(*)::int FROM pg_replication_slots"],
  ["prepared transactions", "SELECT count(*)::int FROM pg_prepared_xacts"]
] as const
