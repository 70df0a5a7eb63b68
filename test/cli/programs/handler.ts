/** A user's module: what happens with replayed events. */
import { Effect } from "effect"

/** Positions that came, for a test in the same process. */
export const seen: Array<number> = []

export default ({ position, type }: { readonly position: number; readonly type: string }) =>
  type === "Broken"
    ? Effect.fail("the handler broke")
    : Effect.sync(() => {
      seen.push(position)
    })
