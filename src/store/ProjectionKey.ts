/**
 * Which projection is meant: its name, its version, a build of that, a slice.
 *
 * @since 0.1.0
 */

/**
 * A version of a projection, as its definition names it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionVersion {
  /** 1 to 512 bytes. */
  readonly name: string
  /** From 1 to 999. A new version builds beside the old one. */
  readonly version: number
}

/**
 * Which projection.
 *
 * **Details**
 *
 * A version may be built several times, each build beside the others. One of
 * them is its current one: the one that is meant when none is named, and that changes
 * from one to the other in a single commit.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionKey extends ProjectionVersion {
  /** From 1 to 32; the current one when absent. */
  readonly build?: number | undefined
  /** From 0, for a projection that is divided; 0 when absent, unless an operation says otherwise. */
  readonly slice?: number | undefined
}

/**
 * One build of a version.
 *
 * @category models
 * @since 0.1.0
 */
export interface BuildKey extends ProjectionVersion {
  readonly build: number
}
