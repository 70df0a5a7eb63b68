import type { PgPoolConfig } from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pool from "effect/Pool"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import type { Rows, Statement } from "./statements.ts"

/** What became of the statements of a transaction, and of its COMMIT. */
export interface Outcome {
  /** One a statement; the first failure makes all later ones fail. */
  readonly exits: ReadonlyArray<Exit.Exit<Rows, SqlError>>
  /** `undefined` when it was rolled back. */
  readonly commit: Exit.Exit<Rows, SqlError> | undefined
}

/** Asks one thing of a session; as a prepared statement unless `prepare` is false. */
export type Ask = (
  statement: Statement & { readonly prepare?: boolean | undefined }
) => Effect.Effect<Rows, SqlError>

/** Sessions for transactions of which nobody has to wait for a server that has gone silent. */
export interface Sessions {
  /**
   * Sends all statements of a transaction at once, so that it takes two round
   * trips; they run in their order. It is committed when `isGood` says so of
   * what they answered. Interrupted, it
   * gives the session up, and with it the statement that is running.
   */
  readonly transact: (
    statements: ReadonlyArray<Statement>,
    isGood: (exits: ReadonlyArray<Exit.Exit<Rows, SqlError>>) => boolean
  ) => Effect.Effect<Outcome, SqlError>
  /**
   * Runs a transaction whose statements follow from each other's answers. Every
   * wait can be interrupted, that for COMMIT too: the session is given up then,
   * as it is after a failure. `begin` is its first statement when it is no transaction as usual.
   */
  readonly interact: <A, E>(
    use: (ask: Ask) => Effect.Effect<A, E>,
    begin?: string
  ) => Effect.Effect<A, E | SqlError>
}

/** Makes sessions, `size` of them at most; connects when they are needed. */
export const make = (config: PgPoolConfig, size: number): Effect.Effect<Sessions, never, Scope.Scope> =>
  Effect.map(
    Pool.makeWithTTL({
      acquire: Effect.tap(PgConnection.make({ ...config, multiplex: true }), noticeLoss),
      min: 0,
      max: size,
      timeToLive: IDLE
    }),
    (pool): Sessions => ({
      transact: (statements, isGood) =>
        Effect.scoped(Effect.flatMap(Pool.get(pool), (connection) =>
          // whatever is left open on a session ends with it
          Effect.onExit(
            transact(connection, statements, isGood),
            (exit) => isWhole(exit) ? Effect.void : discard(pool, connection)
          ))),
      interact: (use, begin = BEGIN.text) =>
        Effect.scoped(Effect.flatMap(Pool.get(pool), (connection) =>
          Effect.onExit(
            interact(connection, use, begin),
            (exit) => Exit.isSuccess(exit) ? Effect.void : discard(pool, connection)
          )))
    })
  )

/** The first statement that failed, and why. */
export const firstFailure = (
  exits: Outcome["exits"]
): { readonly index: number; readonly error: SqlError } | undefined => {
  for (const [index, exit] of exits.entries()) {
    if (Exit.isSuccess(exit)) continue
    const failure = exit.cause.reasons.find(Cause.isFailReason)
    if (failure !== undefined) return { index, error: failure.error }
  }
  return undefined
}

// internal

/**
 * Has the server look, while it runs a statement, whether its client is still there. It would not notice before the
 * end of the statement otherwise, and keep all locks from whoever takes over. Not every platform can.
 */
const noticeLoss = (connection: PgConnection.PgConnection): Effect.Effect<void> =>
  Effect.ignore(connection.queryValues("SET client_connection_check_interval = 500"))

/** How long an unused session is kept. */
const IDLE = "1 minute"

const transact = Effect.fnUntraced(function*(
  connection: PgConnection.PgConnection,
  statements: ReadonlyArray<Statement>,
  isGood: (exits: ReadonlyArray<Exit.Exit<Rows, SqlError>>) => boolean
) {
  // a session takes them in the order in which they are submitted, and runs them in that order
  const [begin, ...exits] = yield* Effect.forEach(
    [BEGIN, ...statements],
    ({ parameters, text }) => Effect.exit(connection.queryValues(text, parameters)),
    { concurrency: "unbounded" }
  )
  // a session that cannot begin is not used again
  if (begin !== undefined && Exit.isFailure(begin)) return yield* Effect.failCause(begin.cause)
  if (!isGood(exits)) {
    yield* connection.queryValues("ROLLBACK")
    return { exits, commit: undefined }
  }
  return { exits, commit: yield* Effect.exit(connection.queryValues("COMMIT")) }
})

const interact = <A, E>(
  connection: PgConnection.PgConnection,
  use: (ask: Ask) => Effect.Effect<A, E>,
  begin: string
): Effect.Effect<A, E | SqlError> => {
  const ask: Ask = ({ parameters, prepare, text }) => connection.queryValues(text, parameters, prepare)
  return Effect.andThen(ask({ text: begin, parameters: [] }), Effect.tap(use(ask), () => ask(COMMIT)))
}

const COMMIT: Statement = { text: "COMMIT", parameters: [] }

const BEGIN: Statement = { text: "BEGIN ISOLATION LEVEL READ COMMITTED", parameters: [] }

/** Whether the session is between two transactions, for sure. */
const isWhole = (exit: Exit.Exit<Outcome, SqlError>): boolean =>
  Exit.isSuccess(exit) && (exit.value.commit === undefined || Exit.isSuccess(exit.value.commit))

const discard = (pool: Pool.Pool<PgConnection.PgConnection, SqlError>, connection: PgConnection.PgConnection) =>
  Pool.invalidate(pool, connection)
