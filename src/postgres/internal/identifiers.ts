/** Quotes a name for use in SQL: it may be a word of the language. */
export const quoteName = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

/** The statement that takes the append lock of a schema (quoted) until the transaction ends, as the append functions do. */
export const takeAppendLock = (schema: string): string =>
  `SELECT pg_advisory_xact_lock(1163088961, '${schema}.head'::regclass::oid::integer)`

/**
 * The statement that takes the listeners' lock of a schema (quoted) until the
 * session ends: the append functions notify only while somebody holds it.
 */
export const takeListenersLock = (schema: string): string =>
  `SELECT pg_advisory_lock_shared(1163088962, '${schema}.head'::regclass::oid::integer)`
