/**
 * What the tests of rebuilding share.
 */
import { Effect, Option, Schema } from "effect"
import { Projection } from "../../src/projection/index.ts"
import type { StateProjection } from "../../src/projection/Projection.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { allStates, someProjectionName, types } from "./fixtures.ts"

/** Every build of a projection: its number, and how it stands. */
export const buildsOf = ({ name }: { readonly name: string }) =>
  Effect.map(
    CheckpointStore.use((store) => store.listBuilds(name)),
    (builds) => builds.map(({ build, isLive, status, version }) => `v${version} b${build} ${isLive ? "live" : status}`)
  )

export const liveOf = ({ name }: { readonly name: string }) =>
  Effect.map(CheckpointStore.use((store) => store.findLive(name)), Option.getOrUndefined)

/** Events of a category, in one state. */
export const total = (category: string): StateProjection<number> =>
  Projection.state({
    name: someProjectionName(),
    events: types,
    where: { categories: [category] },
    state: Schema.Int,
    initial: 0,
    on: { AccountOpened: (state) => state + 1, MoneyDeposited: (state) => state + 1 }
  })

export const stateNow = (projection: StateProjection<number>) =>
  Effect.map(allStates(projection), ([first]) => first === undefined ? undefined : first[1])
