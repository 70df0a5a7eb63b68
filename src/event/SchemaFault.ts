/**
 * What is wrong with a value that does not fit its schema, without the value.
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/**
 * Where a value does not fit, and why.
 *
 * @category models
 * @since 0.1.0
 */
export interface SchemaFault {
  /** Empty when the value as a whole does not fit. */
  readonly path: ReadonlyArray<PropertyKey>
  readonly reason: string
}

/**
 * The first thing that is wrong.
 *
 * @category getters
 * @since 0.1.0
 */
export const firstFault = ({ issue }: Schema.SchemaError): SchemaFault => {
  const first = format(issue).issues[0]
  return {
    path: (first?.path ?? []).map((step) => typeof step === "object" ? step.key : step),
    reason: first?.message ?? "does not fit"
  }
}

// internal

const format = SchemaIssue.makeFormatterStandardSchemaV1()
