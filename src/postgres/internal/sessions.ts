/** What a role or a database has as a default must not change what a statement means. */
const SESSION = { default_transaction_isolation: "read committed", search_path: "pg_catalog" }

/** Settings of sessions that read: their statements are made for generic plans, which prune at run time. */
export const READER = { ...SESSION, plan_cache_mode: "force_generic_plan", jit: "off" }

/**
 * Settings of the session that appends: array parameters make custom plans look cheaper than
 * they are, and a join that was planned on stale statistics reads whole tables.
 */
export const WRITER = { ...READER, enable_hashjoin: "off", enable_mergejoin: "off" }
