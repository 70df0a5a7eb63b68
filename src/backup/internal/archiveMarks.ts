/**
 * Marks of the backups that a store reads its archived months from: small files
 * beside the backups, one a backup. Without such a backup the events have no
 * data any more.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { BackupStorageError } from "../BackupError.ts"
import type { BackupManifest } from "../BackupManifest.ts"
import type { BackupStorage } from "../BackupStorage.ts"
import { putFile } from "./files.ts"

/** The mark of a backup. */
export const archiveMark = (id: string): string => `${PREFIX}${id}.json`

/** Marks a backup; it is marked already, by a store of the same history, when it is. */
export const markArchived = (
  storage: BackupStorage["Service"],
  { chain, id, incarnation }: Pick<BackupManifest, "chain" | "id" | "incarnation">
): Effect.Effect<void, BackupStorageError> =>
  putFile(
    storage,
    archiveMark(id),
    new TextEncoder().encode(`${JSON.stringify({ backup: id, chain, incarnation })}\n`)
  )

/** Says that a backup is needed no longer. */
export const unmarkArchived = (
  storage: BackupStorage["Service"],
  id: string
): Effect.Effect<void, BackupStorageError> => storage.remove(archiveMark(id))

/** The id of the backup that a file marks by its name, whatever stands in it; `undefined` when it marks none. */
export const markedBackup = (name: string): string | undefined => MARK.exec(name)?.[1]

/** Whether a backup is marked. */
export const isMarked = (storage: BackupStorage["Service"], id: string): Effect.Effect<boolean, BackupStorageError> =>
  Effect.map(storage.stat(archiveMark(id)), Option.isSome)

// internal

const PREFIX = "archive-"

const MARK = /^archive-(\d{8}T\d{6}Z-[0-9a-f]{16})\.json$/
