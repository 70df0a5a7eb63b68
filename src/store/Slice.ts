/**
 * How what follows the log is divided into slices.
 *
 * @since 0.1.0
 */
import { sha256 } from "../event/Sha256.ts"

/**
 * Most slices of a projection.
 *
 * @category limits
 * @since 0.1.0
 */
export const SLICES_MAX = 1_024

/**
 * The slice, from 0, of everything that bears a key: the first 32 bits of the
 * key's SHA-256, modulo the number of slices. PostgreSQL computes the same.
 *
 * @category getters
 * @since 0.1.0
 */
export const sliceOf = (key: string, count: number): number =>
  count === 1 ? 0 : parseInt(sha256(key).slice(0, 8), 16) % count
