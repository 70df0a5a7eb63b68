/**
 * Ready-made stores.
 *
 * @since 0.1.0
 */
export * from "./EventStoreLayer.ts"
export * from "./StoreAdminLayer.ts"
export * from "./StoreUrl.ts"
