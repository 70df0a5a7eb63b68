/**
 * Backups of a store that prove themselves: written, verified, copied, kept.
 *
 * @since 0.1.0
 */
export * from "./ArchiveOptions.ts"
export * from "./ArchiveService.ts"
export * as BackupArchive from "./BackupArchive.ts"
export * as BackupCatalog from "./BackupCatalog.ts"
export * as BackupCopy from "./BackupCopy.ts"
export * from "./BackupError.ts"
export * from "./BackupKeys.ts"
export * as BackupLines from "./BackupLines.ts"
export * from "./BackupManifest.ts"
export * from "./BackupOptions.ts"
export * as BackupReader from "./BackupReader.ts"
export * as BackupRetention from "./BackupRetention.ts"
export * as BackupSchedule from "./BackupSchedule.ts"
export * from "./BackupService.ts"
export * from "./BackupStorage.ts"
export * from "./BackupStorageLayer.ts"
export * as BackupVerification from "./BackupVerification.ts"
export * as BackupWriter from "./BackupWriter.ts"
export * from "./S3Options.ts"
export * as StoreMove from "./StoreMove.ts"
export * from "./TransferError.ts"
export * from "./TransferProgress.ts"
