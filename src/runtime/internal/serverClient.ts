import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { SqlClient } from "effect/sql/SqlClient"
import { StorageError, Unavailable } from "../../store/EventStoreError.ts"

/** Layer that provides a client of a server; what fails before the first statement is in the words of the contract. */
export const layerServer = (options: {
  readonly url: Redacted.Redacted
  readonly applicationName: string
  readonly maxConnections: number
}): Layer.Layer<PgClient.PgClient | SqlClient, StorageError> =>
  PgClient.layer({ ...options, maxMessageSize: MESSAGE_SIZE_BYTES_MAX, connectTimeout: "10 seconds" }).pipe(
    Layer.catch(({ message }) => {
      const reason = new Unavailable({ detail: message })
      return Layer.effectContext(Effect.fail(new StorageError({ operation: "connect", reason })))
    })
  )

// internal

/** The largest append in one message, with its arrays around it. */
const MESSAGE_SIZE_BYTES_MAX = 64 * 1024 * 1024
