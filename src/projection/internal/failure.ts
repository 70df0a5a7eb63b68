import type { EventFailed } from "../ProjectionError.ts"

/** Why a batch cannot be applied, and because of which of its events; of nobody knows which when `undefined`. */
export interface Failure {
  readonly index: number | undefined
  readonly reason: EventFailed["reason"]
  readonly detail: string
}

/** What was thrown is told by its class only: a message may hold data. */
export const describeThrown = (thrown: unknown): string =>
  thrown instanceof Error ? `it threw ${thrown.name}` : `it threw a ${typeof thrown}`
