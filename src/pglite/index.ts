/**
 * PostgreSQL inside the process, without a server.
 *
 * @since 0.1.0
 */
export * from "./PgliteClient.ts"
export * from "./PgliteError.ts"
