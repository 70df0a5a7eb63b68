/**
 * Limits of what one event, batch or name may be. Everything over a limit is
 * refused with `InvalidInput` before any I/O.
 *
 * @since 0.1.0
 */

/**
 * Largest stream name, event type or tag, in bytes of UTF-8.
 *
 * **Details**
 *
 * A B-tree entry of PostgreSQL holds 2,704 bytes; 512 leaves room for the other
 * columns of an index.
 *
 * @category limits
 * @since 0.1.0
 */
export const NAME_SIZE_BYTES_MAX = 512

/**
 * Largest `data` and `metadata` of one event together, in bytes of their JSON
 * in UTF-8: 1 MiB.
 *
 * @category limits
 * @since 0.1.0
 */
export const EVENT_SIZE_BYTES_MAX = 1024 * 1024

/**
 * Most events of one append, over all its streams.
 *
 * @category limits
 * @since 0.1.0
 */
export const BATCH_EVENTS_MAX = 10_000

/**
 * Largest append, in bytes of JSON in UTF-8: 16 MiB.
 *
 * @category limits
 * @since 0.1.0
 */
export const BATCH_SIZE_BYTES_MAX = 16 * 1024 * 1024

/**
 * Deepest nesting of arrays and objects in `data` or `metadata`. The embedded
 * engine's parser overflows its stack near 6,000 (measured).
 *
 * @category limits
 * @since 0.1.0
 */
export const JSON_DEPTH_MAX = 512

/**
 * Most values (scalars, arrays, objects) in one `data` or `metadata`.
 *
 * @category limits
 * @since 0.1.0
 */
export const JSON_NODES_MAX = 100_000

/**
 * Most tags of one event, and most tags or types of one query item.
 *
 * @category limits
 * @since 0.1.0
 */
export const TAGS_MAX = 64

/**
 * Most streams that one append may write to or make conditions on.
 *
 * @category limits
 * @since 0.1.0
 */
export const APPEND_STREAMS_MAX = 1_000

/**
 * Highest version of an event type's shape: the `smallint` of the `events`
 * table.
 *
 * @category limits
 * @since 0.1.0
 */
export const VERSION_MAX = 32_767

/**
 * Highest version of a projection.
 *
 * @category limits
 * @since 0.1.0
 */
export const PROJECTION_VERSION_MAX = 999

/**
 * Most builds of one version of a projection at a time: with the version they
 * make a number of the `smallint` of the `projections` table.
 *
 * @category limits
 * @since 0.1.0
 */
export const PROJECTION_BUILD_MAX = 32

/**
 * Highest revision of a stream: the `integer` of the `events` table.
 *
 * @category limits
 * @since 0.1.0
 */
export const REVISION_MAX = 2_147_483_647
