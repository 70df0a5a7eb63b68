/**
 * The public rooms, each as a namespace.
 *
 * @since 0.1.0
 */
export * as backup from "./backup/index.ts"
export * as command from "./command/index.ts"
export * as decider from "./decider/index.ts"
export * as event from "./event/index.ts"
export * as memory from "./memory/index.ts"
export * as migration from "./migration/index.ts"
export * as pglite from "./pglite/index.ts"
export * as postgres from "./postgres/index.ts"
export * as projection from "./projection/index.ts"
export * as runtime from "./runtime/index.ts"
export * as snapshot from "./snapshot/index.ts"
export * as store from "./store/index.ts"
export * as testing from "./testing/index.ts"
export * as version from "./version/index.ts"
