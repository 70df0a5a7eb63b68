import type { PgClientConfig } from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { judge } from "./sqlErrors.ts"
import type { Rows, Statement } from "./statements.ts"

/**
 * The one session that a committer appends through. Statements are sent without
 * waiting for those before them, and run in the order in which they are sent.
 */
export interface WriterSession {
  /**
   * Runs a statement, on a new connection when the last one was lost. A server
   * that does not answer within `patienceMs` counts as lost, with everything on
   * its way.
   */
  readonly query: (
    text: string,
    parameters: ReadonlyArray<unknown>,
    patienceMs: number
  ) => Effect.Effect<Rows, QueryFailure>
  /**
   * Runs a transaction: all statements go to one connection, or fail. Those that
   * are asked for at once travel together and run in that order. `use` begins and
   * ends it; when it fails it is rolled back. One at a time, and never beside
   * `query`. Everything together may take `patienceMs`.
   */
  readonly transact: <A>(
    patienceMs: number,
    use: (ask: (statement: Statement) => Effect.Effect<Rows, SqlError>) => Effect.Effect<A, SqlError>
  ) => Effect.Effect<A, QueryFailure>
  /**
   * Ends what lost connections left on the server, and waits until it is gone:
   * an append of theirs may still wait for the append lock. Asked again before,
   * the store could answer with a claim that does not hold, and the old
   * statement then find that it does. Fails when one is still there after
   * `patienceMs`.
   */
  readonly endLost: (patienceMs: number) => Effect.Effect<void, QueryFailure>
}

/** A statement that failed, and whether it left the process. */
export interface QueryFailure {
  readonly error: SqlError
  readonly wasSent: boolean
}

/** Makes the session; connects with the first statement. `name` is unique to it. */
export const make = (
  config: PgClientConfig,
  name: string
): Effect.Effect<WriterSession, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const connecting = yield* Semaphore.make(1)
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    let current: Session | undefined
    let isClosed = false

    const drop = (session: Session): void => {
      if (current === session) current = undefined
      fork(Scope.close(session.scope, Exit.void))
    }
    const connect = Effect.gen(function*() {
      const scope = yield* Scope.make()
      const connection = yield* PgConnection.make({ ...config, multiplex: true, applicationName: name }).pipe(
        Scope.provide(scope),
        Effect.onError(() => Scope.close(scope, Exit.void))
      )
      const session: Session = { connection, scope, deadlines: new Set() }
      if (isClosed) drop(session)
      else current = session
      return session
    })
    // while one connects the others wait in line: a statement never overtakes one that was submitted before it
    let inLine = 0
    const open = Effect.suspend(() => {
      if (current !== undefined && inLine === 0) return Effect.succeed(current)
      inLine++
      return Effect.suspend(() => current !== undefined ? Effect.succeed(current) : connect).pipe(
        connecting.withPermit,
        Effect.ensuring(Effect.sync(() => {
          inLine--
        }))
      )
    })

    const look = Effect.sync(() => {
      const now = clock.currentTimeMillisUnsafe()
      if (current !== undefined && [...current.deadlines].some(({ untilMs }) => now >= untilMs)) drop(current)
    })
    yield* Effect.forkScoped(Effect.repeat(Effect.delay(look, WATCH), Schedule.forever))
    yield* Effect.addFinalizer(() => {
      isClosed = true
      return current === undefined ? Effect.void : Scope.close(current.scope, Exit.void)
    })

    const query: WriterSession["query"] = (text, parameters, patienceMs) =>
      Effect.matchEffect(open, {
        onFailure: (error) => Effect.fail({ error, wasSent: false }),
        onSuccess: (session) => ask(session, text, parameters, clock.currentTimeMillisUnsafe() + patienceMs, drop)
      })
    const transact: WriterSession["transact"] = (patienceMs, use) =>
      Effect.matchEffect(open, {
        onFailure: (error) => Effect.fail({ error, wasSent: false }),
        onSuccess: (session) => transactOn(session, clock.currentTimeMillisUnsafe() + patienceMs, use, drop)
      })
    const endLost: WriterSession["endLost"] = Effect.fnUntraced(function*(patienceMs) {
      const untilMs = clock.currentTimeMillisUnsafe() + patienceMs
      for (let leftMs = patienceMs; leftMs > 0; leftMs = untilMs - clock.currentTimeMillisUnsafe()) {
        const rows = yield* query(END_OTHERS, [], Math.min(LOOK_PATIENCE_MS, leftMs))
        if (rows.length === 0) return
        yield* Effect.sleep(LOOK_AGAIN)
      }
      return yield* Effect.fail<QueryFailure>({ error: stillThere, wasSent: true })
    })
    return { query, transact, endLost }
  })

// internal

interface Session {
  readonly connection: PgConnection.PgConnection
  readonly scope: Scope.Closeable
  /** Until when each statement on its way is waited for. */
  readonly deadlines: Set<{ readonly untilMs: number }>
}

const ask = (
  session: Session,
  text: string,
  parameters: ReadonlyArray<unknown>,
  untilMs: number,
  drop: (session: Session) => void
): Effect.Effect<Rows, QueryFailure> => {
  const deadline = { untilMs }
  session.deadlines.add(deadline)
  return Effect.matchEffect(session.connection.queryValues(text, parameters), {
    onFailure: (error) => {
      session.deadlines.delete(deadline)
      if (judge(error) === "lost") drop(session)
      return Effect.fail({ error, wasSent: true })
    },
    onSuccess: (rows) => {
      session.deadlines.delete(deadline)
      return Effect.succeed(rows)
    }
  })
}

const transactOn = <A>(
  session: Session,
  untilMs: number,
  use: (run: (statement: Statement) => Effect.Effect<Rows, SqlError>) => Effect.Effect<A, SqlError>,
  drop: (session: Session) => void
): Effect.Effect<A, QueryFailure> => {
  const run = ({ parameters, text }: Statement) =>
    Effect.mapError(ask(session, text, parameters, untilMs, drop), ({ error }) => error)
  return use(run).pipe(
    // whatever is left open on a session ends with it
    Effect.onError(() => Effect.catch(run(ROLLBACK), () => Effect.sync(() => drop(session)))),
    Effect.mapError((error) => ({ error, wasSent: true }))
  )
}

const ROLLBACK: Statement = { text: "ROLLBACK", parameters: [] }

/** How often a silent server is looked for: a timer a statement would cost more than the statement's own client work. */
const WATCH = Duration.millis(250)

/** The sessions of this name but the one that asks. */
const END_OTHERS = "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a " +
  "WHERE a.application_name = pg_catalog.current_setting('application_name') AND a.pid <> pg_catalog.pg_backend_pid() " +
  "AND a.datname = pg_catalog.current_database() AND a.usename = current_user"

/** How long one look at the sessions may take. */
const LOOK_PATIENCE_MS = 5_000

const stillThere = new SqlError({
  reason: new ConnectionError({
    cause: new Error("a lost session of this writer cannot be ended"),
    operation: "append"
  })
})

/** Pause before looking whether they are gone. */
const LOOK_AGAIN = Duration.millis(20)
