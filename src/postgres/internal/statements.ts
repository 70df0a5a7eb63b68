import type * as PgClient from "@effect/sql-pg/PgClient"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { StorageError } from "../../store/EventStoreError.ts"
import { storageErrors } from "./sqlErrors.ts"

/** A statement and its parameters. */
export interface Statement {
  readonly text: string
  readonly parameters: ReadonlyArray<unknown>
}

/** Rows as arrays of values. */
export type Rows = ReadonlyArray<ReadonlyArray<unknown>>

/** Runs a statement of an operation of the contract. */
export type Run = (operation: string, statement: Statement) => Effect.Effect<Rows, StorageError>

/** Runs statements on a client, and fails in the words of the contract. */
export const runner = (sql: PgClient.PgClient): Run => (operation, { parameters, text }) =>
  storageErrors(operation)(sql.unsafe(text, parameters).values)

/** Takes a parameter and returns the name of its place, `$1`, `$2`, …. */
export type Bind = (value: unknown) => string

/** Makes the parameters of one statement. */
export const makeBinder = (): { readonly bind: Bind; readonly parameters: Array<unknown> } => {
  const parameters: Array<unknown> = []
  return { parameters, bind: (value) => `$${parameters.push(value)}` }
}

/** A position as a parameter. */
export const place = (position: number) => PgTypes.int8(BigInt(position))

/** Texts as one parameter. */
export const texts = (values: ReadonlyArray<string>) => Result.getOrThrow(PgTypes.array([...values], PgTypes.OID.text))
