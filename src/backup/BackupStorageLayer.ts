/**
 * The places in which backups can be kept.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type { BackupStorageError } from "./BackupError.ts"
import { BackupStorage } from "./BackupStorage.ts"
import * as directory from "./internal/directory.ts"
import * as memory from "./internal/memory.ts"
import * as s3 from "./internal/s3.ts"
import type { S3Options } from "./S3Options.ts"

/**
 * Layer that keeps backups in the memory of the process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<BackupStorage> = Layer.sync(BackupStorage, memory.make)

/**
 * Layer that keeps backups in a directory, which is made when it is not there.
 *
 * **Details**
 *
 * A file is written under another name, flushed to the disk, and given its name
 * by a hard link, which fails when the name is taken; then the directory is
 * flushed. On a file system without hard links it is renamed instead.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDirectory = (path: string): Layer.Layer<BackupStorage, BackupStorageError> =>
  Layer.effect(BackupStorage, directory.make(path))

/**
 * Layer that keeps backups in a bucket of S3, or of a service that speaks its
 * protocol.
 *
 * **Details**
 *
 * Needs the package `@aws-sdk/client-s3`, and fails with `DriverMissing` when it
 * is not installed. Every file is one request with its checksum, so it is there
 * whole or not at all. That a file is not there yet is asked before, and asked
 * of the service with `If-None-Match` too where it understands that.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerS3 = (options: S3Options): Layer.Layer<BackupStorage, BackupStorageError> =>
  Layer.effect(BackupStorage, s3.make(options))
