/**
 * PostgreSQL as test files meet it: which servers there are, and databases on
 * them.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { inject } from "vitest"
import type {} from "./globalSetup.ts"
import { makeDatabase, type ServerAddress } from "./postgres.ts"

/**
 * The servers of this run, at least one; known while tests are collected.
 *
 * **Example** (one suite a server)
 *
 * ```ts
 * for (const server of servers) suite(server.label, layerOf(server))
 * ```
 */
export const servers: ReadonlyArray<ServerAddress> = inject("postgres")

/**
 * Layer of a client on an empty database of its own.
 */
export const layerDatabase = (
  server: ServerAddress,
  config: Omit<PgClient.PgPoolConfig, "url"> = {}
): Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.unwrap(Effect.map(makeDatabase(server.admin), (url) => PgClient.layer({ ...config, url: Redacted.make(url) })))
