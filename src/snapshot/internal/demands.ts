import type { SnapshotStrategy } from "../SnapshotStrategy.ts"

/** What a strategy looks at, of that which costs something to find out. */
export interface Demands {
  /** The age of the last snapshot. */
  readonly time: boolean
  /** What loads and snapshots have cost. */
  readonly costs: boolean
}

/** Says what a strategy and those that it is made of look at. */
export const demandsOf = (strategy: SnapshotStrategy): Demands => {
  switch (strategy._tag) {
    case "Every":
      return { time: true, costs: false }
    case "Adaptive":
      return { time: false, costs: true }
    case "And":
    case "Or": {
      const parts = strategy.strategies.map(demandsOf)
      return { time: parts.some(({ time }) => time), costs: parts.some(({ costs }) => costs) }
    }
    case "Not":
      return demandsOf(strategy.strategy)
    case "Never":
    case "EveryEvents":
    case "SizeOver":
    case "LoadSlowerThan":
      return { time: false, costs: false }
  }
}
