/**
 * Where a bucket is, and who asks for it.
 *
 * @since 0.1.0
 */
import type * as Redacted from "effect/Redacted"

/**
 * Options of `BackupStorage` in a bucket.
 *
 * @category models
 * @since 0.1.0
 */
export interface S3Options {
  readonly bucket: string
  /** What stands before every name, `backups/shop` say; nothing when absent. */
  readonly prefix?: string | undefined
  /** Of the service, when it is not that of Amazon. */
  readonly endpoint?: string | undefined
  /** From the environment when absent, as the official client does. */
  readonly region?: string | undefined
  /**
   * Profile of the official client's files that says who asks, and in which region unless `region` does; so two places
   * can have two. Not the one of the environment. `credentials` come before it.
   */
  readonly profile?: string | undefined
  /** From the environment, files or the machine's role when absent, as the official client does. */
  readonly credentials?: S3Credentials | undefined
  /** Puts the bucket into the path instead of the host's name; true when absent and there is an `endpoint`. */
  readonly pathStyle?: boolean | undefined
  /** How often a request is tried that failed for a passing reason; 5 when absent. */
  readonly attempts?: number | undefined
  /** How long one request may stay without an answer, in milliseconds; 60,000 when absent. */
  readonly timeoutMillis?: number | undefined
}

/**
 * Who asks.
 *
 * @category models
 * @since 0.1.0
 */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Redacted.Redacted<string>
  readonly sessionToken?: Redacted.Redacted<string> | undefined
}
