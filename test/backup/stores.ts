/**
 * Stores of all kinds, empty and of their own, for the tests that move them.
 */
import { servers } from "../support/servers.ts"
import { memory, pgliteIn, postgresOn, type StoreKind } from "./anyStore.ts"

export { type AnyStore, memory, type StoreKind } from "./anyStore.ts"

export const pglite: StoreKind = pgliteIn()

export const postgres: ReadonlyArray<StoreKind> = servers.map(postgresOn)

export const storeKinds: ReadonlyArray<StoreKind> = [memory, pglite, ...postgres]
