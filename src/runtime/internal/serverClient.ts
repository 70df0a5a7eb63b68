import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { SqlClient } from "effect/sql/SqlClient"
import { StorageError, Unavailable } from "../../store/EventStoreError.ts"

/**
 * Layer that provides a client of a server; what fails before the first statement
 * is in the words of the contract. What the URL says itself is not overruled.
 */
export const layerServer = ({ applicationName, maxConnections, url }: {
  readonly url: Redacted.Redacted
  readonly applicationName: string | undefined
  readonly maxConnections: number
}): Layer.Layer<PgClient.PgClient | SqlClient, StorageError> =>
  PgClient.layer({
    url,
    maxConnections,
    maxMessageSize: MESSAGE_SIZE_BYTES_MAX,
    applicationName: applicationName ?? (says(url, "application_name") ? undefined : "event-store"),
    connectTimeout: says(url, "connect_timeout") ? undefined : "10 seconds"
  }).pipe(
    Layer.catch(({ message }) => {
      const reason = new Unavailable({ detail: message })
      return Layer.effectContext(Effect.fail(new StorageError({ operation: "connect", reason })))
    })
  )

// internal

/** The largest append in one message, with its arrays around it. */
const MESSAGE_SIZE_BYTES_MAX = 64 * 1024 * 1024

/** Whether a URL has a parameter; one that is no URL has none, and is refused by the client. */
const says = (url: Redacted.Redacted, parameter: string): boolean =>
  URL.parse(Redacted.value(url))?.searchParams.has(parameter) ?? false
