/**
 * The log in PostgreSQL.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import { uuidV7Unsafe } from "effect/crypto/SecureRandom"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import { type Position, START } from "../event/Revision.ts"
import { EventStore, type LogHead, type LogPage, type StoreStatistics } from "../store/EventStore.ts"
import { Refused, StorageError, storeRestoring, StreamTombstoned, Unavailable } from "../store/EventStoreError.ts"
import { fromStorage } from "../store/fromStorage.ts"
import { InlineAppender } from "../store/InlineAppender.ts"
import type { LogQuery, Storage } from "../store/Storage.ts"
import { makeArchivedParts } from "./internal/archived.ts"
import * as Committer from "./internal/committer.ts"
import * as HeadWatcher from "./internal/headWatcher.ts"
import { quoteName, takeListenersLock } from "./internal/identifiers.ts"
import { makeSend } from "./internal/inlineAppends.ts"
import * as reads from "./internal/reads.ts"
import { eventColumns, STREAM_COLUMNS, toDescription, toEvent } from "./internal/rows.ts"
import { READER, WRITER } from "./internal/sessions.ts"
import { storageErrors } from "./internal/sqlErrors.ts"
import { type Run, runner } from "./internal/statements.ts"
import { changeStream } from "./internal/streamChanges.ts"
import { toParent } from "./internal/transferStatements.ts"
import * as WriterSession from "./internal/writerSession.ts"
import { layerMigrations, requireCurrent, SchemaName } from "./PgMigrations.ts"

/**
 * Settings of the log in PostgreSQL.
 *
 * @category models
 * @since 0.1.0
 */
export interface PgEventStoreSettings {
  /**
   * Whether an append wakes the followers of other processes (`NOTIFY`, once a
   * batch), and followers listen; without it they poll. Switch it off behind a
   * pooler that gives a session to a transaction at a time. On by default.
   */
  readonly notifications: boolean
  /**
   * How long an append waits for another process to let go of the append lock,
   * before `AppendBusy`. 10 seconds by default.
   */
  readonly lockTimeout: Duration.Duration
  /**
   * How long an append whose connection was lost is asked about before
   * `AppendOutcomeUnknown`. 30 seconds by default. A connection that stays
   * silent for longer than `lockTimeout` and this together counts as lost.
   */
  readonly resolveTimeout: Duration.Duration
  /**
   * How long a page waits for a connection and the server's answer, before
   * `Unavailable`. 30 seconds by default, and up to 5 more to take the question
   * back. `statistics` reads the whole log and has no deadline.
   */
  readonly readTimeout: Duration.Duration
  /**
   * What a commit outlives, when the server cannot say so itself (the embedded
   * engine); asked of the server when absent.
   */
  readonly durability?: EventStore["Service"]["durability"] | undefined
}

/**
 * Reference to the settings of the log in PostgreSQL.
 *
 * @category references
 * @since 0.1.0
 */
export const Settings = Context.Reference<PgEventStoreSettings>(
  "effect-event-store/postgres/PgEventStore/Settings",
  {
    defaultValue: () => ({
      notifications: true,
      lockTimeout: Duration.seconds(10),
      resolveTimeout: Duration.seconds(30),
      readTimeout: Duration.seconds(30)
    })
  }
)

/**
 * Layer that provides the store and expects the schema to be up to date. Needs
 * the rights of `event_store_writer` only (`sql/privileges.sql`).
 *
 * **Details**
 *
 * Opens connections of its own beside those of the client, with the client's
 * settings: one to append, as many as the client has to read, one to listen
 * when notifications are on, and one for each layer of inline projections. Fails with `StorageError` when the server cannot
 * be reached or refuses, and when the schema is not this version's.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStorage: Layer.Layer<EventStore | InlineAppender, StorageError, PgClient.PgClient> = Layer
  .effectContext(Effect.suspend(() => make)).pipe(Layer.provide(Reactivity.layer))

/**
 * Layer that migrates first, then provides the store.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<EventStore | InlineAppender, StorageError, PgClient.PgClient> = layerStorage.pipe(
  Layer.provide(layerMigrations)
)

// internal

/** Positions that a filtered page without an index looks at; bounds what one statement reads. */
const WINDOW_EVENTS = 50_000

const make: Effect.Effect<
  Context.Context<EventStore | InlineAppender>,
  StorageError,
  PgClient.PgClient | Scope.Scope | Reactivity.Reactivity
> = Effect.gen(function*() {
  // a pool says here how many connections it has
  const config: PgClient.PgPoolConfig = (yield* PgClient.PgClient).config
  const channel = yield* SchemaName
  const schema = quoteName(channel)
  const settings = yield* Settings
  yield* requireCurrent
  const connect = (options: PgClient.PgPoolConfig) =>
    PgClient.make({ ...config, ...options }).pipe(storageErrors("connect"))
  const startupParameters = { ...config.startupParameters, ...READER }
  const reader = yield* connect({ startupParameters })
  const openWriter = (kind: string, more: Readonly<Record<string, string>>) =>
    WriterSession.make({
      ...config,
      startupParameters: {
        ...config.startupParameters,
        ...WRITER,
        lock_timeout: `${Duration.toMillis(settings.lockTimeout)}`,
        ...more
      }
    }, `${(config.applicationName ?? "event-store").slice(0, 32)} ${kind} ${uuidV7Unsafe().slice(-12)}`)
  const writer = yield* openWriter("writer", {})
  const durability = settings.durability ?? (yield* askDurability(reader))
  const run = runner(reader)
  const runInTime = within(settings.readTimeout, run)
  const guard = makeGuard(readHead(runInTime, schema))
  const { head } = guard
  const watcher = yield* HeadWatcher.make({
    readHead: Effect.map(head, ({ position }) => position),
    listen: settings.notifications ? listen({ ...config, startupParameters }, channel) : undefined
  })
  const client = yield* PgClient.PgClient
  const committing = {
    schema,
    notify: settings.notifications,
    lockTimeout: settings.lockTimeout,
    resolveTimeout: settings.resolveTimeout,
    onCommit: watcher.report
  }
  const append = yield* Committer.make({ ...committing, writer })
  const store = fromStorage({
    durability,
    append: outsideTransactions(client, append),
    head,
    awaitGrowth: watcher.awaitGrowth,
    changeStream: (streamId, change) =>
      Effect.tapError(
        changeStream(reader, schema, settings.lockTimeout)(streamId, change),
        (error) => error._tag === "RevisionConflict" && error.actual === undefined ? guard.check : Effect.void
      ),
    ...makeReads(runInTime, schema, guard),
    statistics: Effect.andThen(guard.check, readStatistics(run, schema)),
    archived: yield* makeArchivedParts(runInTime, schema)
  })
  const inline = InlineAppender.of({
    open: (followers) =>
      Effect.gen(function*() {
        const own = yield* openWriter("inline", impatience(settings.lockTimeout))
        const send = makeSend({ ...committing, writer: own, followers })
        return outsideTransactions(client, yield* Committer.make({ ...committing, writer: own, send }))
      })
  })
  return Context.make(EventStore, store).pipe(Context.add(InlineAppender, inline))
})

/** Whoever takes followers along has the append lock for more than a statement: the server ends one that stands still. */
const impatience = (lockTimeout: Duration.Duration) => ({
  idle_in_transaction_session_timeout: `${Duration.toMillis(STILL)}`,
  statement_timeout: `${Duration.toMillis(Duration.sum(lockTimeout, STILL))}`
})

/** How long a session that has the append lock may stand still, or work on one statement. */
const STILL = Duration.seconds(5)

/** Listens in a session of its own, and says so to those who append. */
const listen = (config: PgClient.PgClientConfig, channel: string) =>
  Effect.gen(function*() {
    const session = yield* PgConnection.make(config)
    yield* session.queryValues(takeListenersLock(quoteName(channel)))
    return yield* session.listen(channel)
  })

const askDurability = (sql: PgClient.PgClient): Effect.Effect<Storage["durability"], StorageError> =>
  Effect.map(
    sql.unsafe(
      "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')"
    )
      .values,
    ([row]) => row?.[0] === "on" && row[1] !== "off" && row[2] === "on" ? "powerLoss" as const : "processCrash" as const
  ).pipe(storageErrors("connect"))

/**
 * An append has a connection and a commit of its own. Inside a transaction of
 * the same client that would be a surprise, so it is refused.
 */
const outsideTransactions = (client: PgClient.PgClient, append: Storage["append"]): Storage["append"] => (request) =>
  Effect.flatMap(
    Effect.serviceOption(client.transactionService),
    (transaction) =>
      Option.isNone(transaction) ? append(request) : Effect.fail(
        new StorageError({
          operation: "append",
          reason: new Refused({
            detail: "append would commit apart from the transaction around it: use PgTransaction.transact"
          })
        })
      )
  )

/** A connection may be silent for hours before it is found dead, and a full server may keep a pool waiting. */
const within = (limit: Duration.Duration, run: Run): Run => (operation, statement) =>
  Effect.timeoutOrElse(run(operation, statement), {
    duration: limit,
    orElse: () =>
      Effect.fail(
        new StorageError({
          operation,
          reason: new Unavailable({ detail: `no answer from the server within ${Duration.format(limit)}` })
        })
      )
  })

const readHead = (run: Run, schema: string): Storage["head"] =>
  Effect.flatMap(
    run("head", {
      text: `SELECT position::float8, incarnation, restoring IS NOT NULL, parent, parent_position::float8
        FROM ${schema}.head WHERE id = 1`,
      parameters: []
    }),
    ([row]) =>
      row === undefined
        ? Effect.fail(
          new StorageError({ operation: "head", reason: new Unavailable({ detail: "the head is missing" }) })
        )
        : row[2] === true
        ? Effect.fail(storeRestoring("head"))
        : Effect.succeed(toHead(row))
  )

const toHead = (row: ReadonlyArray<unknown>): LogHead => {
  const parent = toParent(row[3] as string | null, row[4] as number | null)
  return { position: row[0] as Position, incarnation: row[1] as string, ...(parent === undefined ? {} : { parent }) }
}

/** Tells an empty store from one that is being restored, of which nobody sees anything. */
interface Guard {
  readonly head: Storage["head"]
  /** Fails while the store is being restored. */
  readonly check: Effect.Effect<void, StorageError>
  /** Checks an answer that says that there is nothing. */
  readonly some: <A, E>(
    effect: Effect.Effect<A, E>,
    isNothing: (answer: A) => boolean
  ) => Effect.Effect<A, E | StorageError>
}

/** Only an empty store is ever restored, so one in which something was seen need not be asked again. */
const makeGuard = (readHead: Storage["head"]): Guard => {
  let isFilled = false
  const head = Effect.map(readHead, (found) => {
    isFilled ||= found.position > START
    return found
  })
  const check = Effect.suspend(() => isFilled ? Effect.void : Effect.asVoid(head))
  return {
    head,
    check,
    some: (effect, isNothing) =>
      Effect.flatMap(effect, (answer) => {
        if (isFilled) return Effect.succeed(answer)
        if (isNothing(answer)) return Effect.as(check, answer)
        isFilled = true
        return Effect.succeed(answer)
      })
  }
}

const makeReads = (
  run: Run,
  schema: string,
  guard: Guard
): Pick<Storage, "readLog" | "readStream" | "findEvent" | "describeStream" | "listStreams"> => ({
  readLog: (query) => guard.some(readLog(run, schema, query), ({ events }) => events.length === 0),
  readStream: (query) =>
    guard.some(
      Effect.flatMap(run("readStream", reads.streamPage(schema, query)), (rows) =>
        rows[0]?.[0] === true
          ? Effect.fail(new StreamTombstoned({ streamId: query.streamId }))
          : Effect.succeed(rows.length === 0 || rows[0]?.[1] === null ? [] : rows.map((row) => toEvent(row, 1)))),
      (events) => events.length === 0
    ),
  findEvent: (id) =>
    guard.some(
      Effect.map(
        run("findEvent", {
          text: `SELECT ${eventColumns("x")} FROM ${schema}.events x WHERE x.id = $1`,
          parameters: [PgTypes.uuid(id)]
        }),
        (rows) => Option.map(Arr.head(rows), (row) => toEvent(row))
      ),
      Option.isNone
    ),
  describeStream: (streamId) =>
    guard.some(
      Effect.map(
        run("describeStream", {
          text: `SELECT ${STREAM_COLUMNS} FROM ${schema}.streams s WHERE s.name = $1`,
          parameters: [PgTypes.text(streamId)]
        }),
        (rows) => Option.map(Arr.head(rows), toDescription)
      ),
      Option.isNone
    ),
  listStreams: (query) =>
    guard.some(
      Effect.map(run("listStreams", reads.streamList(schema, query)), (rows) => rows.map(toDescription)),
      (streams) => streams.length === 0
    )
})

const readLog = Effect.fnUntraced(function*(run: Run, schema: string, query: LogQuery) {
  const { after, direction, filter, limit, until } = query
  const isForwards = direction === "forwards"
  const timeBound = query.timeBound ?? (yield* knownTime(run, schema, query))
  const isWindowed = filter !== undefined && !reads.isTagged(filter)
  const window = {
    after,
    until: !isForwards
      ? (isWindowed && after !== undefined ? Math.max(0, after - WINDOW_EVENTS) : undefined)
      : isWindowed
      ? Math.min(until ?? Number.MAX_SAFE_INTEGER, (after ?? START) + WINDOW_EVENTS)
      : until
  }
  if (isForwards && until !== undefined && until <= (after ?? START)) {
    return { events: [], position: (after ?? START) as Position, isEnd: true }
  }
  const rows = yield* run("readLog", reads.logPage(schema, { ...query, timeBound }, window))
  if (filter === undefined) {
    const events = rows.map((row) => toEvent(row))
    const isEnd = events.length < limit
    const last = events.at(-1)?.position ?? after ?? START
    return { events, isEnd, position: (isEnd && !isForwards ? START : last) as Position }
  }
  const head = rows[0]?.[0] as number
  const events = rows[0]?.[1] === null ? [] : rows.map((row) => toEvent(row, 1))
  return filteredPage(query, window, head, events)
})

/** How far a filtered page has looked: its last event when it is full, else all that it was to look at. */
const filteredPage = (
  { after, direction, limit, until }: LogQuery,
  window: reads.LogWindow,
  head: number,
  events: LogPage["events"]
): LogPage => {
  const last = events.at(-1)
  if (last !== undefined && events.length >= limit) return { events, position: last.position, isEnd: false }
  if (direction === "backwards") {
    const reached = window.until ?? START
    return { events, position: reached as Position, isEnd: reached === START }
  }
  const end = Math.min(until ?? head, head)
  const reached = Math.max(after ?? START, Math.min(window.until ?? end, end))
  return { events, position: reached as Position, isEnd: reached >= end }
}

/** A read that starts in the middle asks once when that was: it then leaves out the months before. */
const knownTime = (run: Run, schema: string, { after, direction }: LogQuery) =>
  direction === "backwards" || after === undefined || after === START
    ? Effect.succeed(undefined)
    : Effect.map(run("readLog", reads.timeAt(schema, after)), (rows) => {
      const time = rows[0]?.[0]
      return time instanceof Date ? DateTime.makeUnsafe(time) : undefined
    })

const readStatistics = (run: Run, schema: string): Effect.Effect<StoreStatistics, StorageError> =>
  Effect.gen(function*() {
    const types = yield* run("statistics", {
      text: `SELECT type, count(*)::float8, min(position)::float8, max(position)::float8 FROM ${schema}.events ` +
        "GROUP BY type ORDER BY 2 DESC, 1",
      parameters: []
    }) as Effect.Effect<ReadonlyArray<readonly [string, number, Position, Position]>, StorageError>
    const [[streams, bytes] = [0, 0]] = yield* run("statistics", {
      text: `SELECT (SELECT count(*) FROM ${schema}.streams)::float8, (SELECT sum(pg_total_relation_size(c.oid)) ` +
        `FROM pg_class c WHERE c.relnamespace = '${schema}'::regnamespace AND c.relkind = 'r')::float8`,
      parameters: []
    })
    return {
      events: types.reduce((sum, [, count]) => sum + count, 0),
      streams: streams as number,
      types: Object.fromEntries(types.map(([type, count]) => [type, count])),
      firstPosition: types.reduce(
        (first, [, , low]) => first === START ? low : Math.min(first, low) as Position,
        START
      ),
      lastPosition: types.reduce((last, [, , , high]) => Math.max(last, high) as Position, START),
      bytes: bytes as number
    }
  })
