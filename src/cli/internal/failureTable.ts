/**
 * Events that cannot be read, as a table.
 *
 * @since 0.1.0
 */
import { renderTable } from "../table.ts"
import { count } from "../Text.ts"
import type { TableStyle } from "./eventTable.ts"

/**
 * How many events cannot be read, and the first of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failures {
  readonly failed: number
  readonly failures: ReadonlyArray<{
    readonly type: string
    readonly version: number
    readonly streamId: string
    readonly revision: number
    readonly path: string
    readonly reason: string
  }>
}

/**
 * The first failures, one a line, and how many more there are.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderFailures = ({ failed, failures }: Failures, style: TableStyle): string => {
  const shown = failures.slice(0, FAILURES_SHOWN)
  const table = renderTable(
    [
      { title: "TYPE", cut: "middle" },
      { title: "VERSION", align: "right" },
      { title: "STREAM", cut: "middle" },
      { title: "REVISION", align: "right" },
      { title: "PATH", cut: "middle" },
      { title: "WHY", cut: "end" }
    ],
    shown.map(({ path, reason, revision, streamId, type, version }) => [
      type,
      String(version),
      streamId,
      count(revision),
      path,
      reason
    ]),
    style
  )
  return failed > shown.length ? `${table}… and ${count(failed - shown.length)} more\n` : table
}

// internal

/** Failures that are printed as a table; JSON has more. */
const FAILURES_SHOWN = 20
