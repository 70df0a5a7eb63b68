import type { PgClient } from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Connection } from "effect/sql/SqlConnection"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { rescueTransaction } from "./sqlErrors.ts"

/**
 * Runs a transaction of the client of which nobody has to wait for a server that
 * has gone silent.
 *
 * **Details**
 *
 * The client's own waits for BEGIN, COMMIT and ROLLBACK cannot be interrupted. Here
 * whoever is interrupted waits for the end of the work, and a second for the
 * answer to what ends the transaction; and an answer to COMMIT that takes longer
 * than `commitWithin` fails like a connection that was lost, so nobody knows
 * whether it was done. The session is ended then.
 */
export const runTransaction = <A, E, R>(
  sql: PgClient,
  work: Effect.Effect<A, E, R>,
  commitWithin: Duration.Input
): Effect.Effect<A, E | SqlError, R> =>
  Effect.flatMap(Effect.serviceOption(sql.transactionService), (outer) =>
    Option.isSome(outer)
      ? rescueTransaction(sql.withTransaction(work))
      : Effect.scopedWith((scope) =>
        Effect.flatMap(
          Scope.provide(sql.reserve, scope),
          (connection) => runOn(sql, connection, work, commitWithin)
        )
      ))

// internal

/** How long an answer is waited for that matters to nobody any more. */
const PARTING = Duration.seconds(1)

/** The depth of a connection outside of transactions: one less than that of the first. */
const OUTSIDE = -1

/** A connection that is given back with a statement on its way is closed. */
const runOn = <A, E, R>(
  sql: PgClient,
  connection: Connection,
  work: Effect.Effect<A, E, R>,
  commitWithin: Duration.Input
): Effect.Effect<A, E | SqlError, R> =>
  Effect.gen(function*() {
    const hasEnded = Latch.makeUnsafe(false)
    let hasBegun = false
    const marked = Effect.suspend(() => {
      hasBegun = true
      return Effect.ensuring(work, hasEnded.open)
    })
    const transaction = yield* sql.withTransaction(marked).pipe(
      Effect.provideService(sql.transactionService, [connection, OUTSIDE]),
      rescueTransaction,
      Effect.forkDetach({ startImmediately: true })
    )
    const isLate = Effect.andThen(hasEnded.await, Effect.delay(Effect.fail(noAnswer(commitWithin)), commitWithin))
    const giveUp = Effect.suspend(() => {
      transaction.interruptUnsafe()
      return Effect.andThen(
        hasBegun ? hasEnded.await : Effect.void,
        Effect.timeoutOption(Fiber.await(transaction), PARTING)
      )
    })
    return yield* Effect.onInterrupt(Effect.raceFirst(Fiber.join(transaction), isLate), () => giveUp)
  })

const noAnswer = (within: Duration.Input): SqlError => {
  const message = `no answer to COMMIT within ${Duration.format(Duration.fromInputUnsafe(within))}`
  return new SqlError({ reason: new ConnectionError({ cause: new Error(message), message, operation: "transaction" }) })
}
