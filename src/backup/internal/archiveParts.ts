import * as Effect from "effect/Effect"
import type { ArchiveEntry, LogArchive } from "../../store/LogArchive.ts"
import type { LogTransfer } from "../../store/LogTransfer.ts"
import { BackupCorrupt, type BackupReadError } from "../BackupError.ts"
import type { BackupKeys } from "../BackupKeys.ts"
import * as BackupReader from "../BackupReader.ts"
import { BackupStorage } from "../BackupStorage.ts"
import { manifestFile } from "./names.ts"

/** What an archive is made of. */
export interface ArchiveParts {
  readonly archive: LogArchive["Service"]
  readonly transfer: LogTransfer["Service"]
  readonly storage: BackupStorage["Service"]
}

/** Opens the backup in which a month stands, and makes sure that it is the one. */
export const openEntry = Effect.fnUntraced(function*(
  storage: BackupStorage["Service"],
  { backupId, chain }: Pick<ArchiveEntry, "backupId" | "chain">,
  keys: BackupKeys | undefined
): Effect.fn.Return<BackupReader.BackupReader, BackupReadError> {
  const reader = yield* Effect.provideService(BackupReader.open(backupId, keys), BackupStorage, storage)
  const fault = chainFault(backupId, reader.manifest.chain, chain)
  return fault === undefined ? reader : yield* fault
})

/** Says that a backup is not the one that was archived in, though it has its id; `undefined` when it is. */
export const chainFault = (backupId: string, found: string | undefined, expected: string): BackupCorrupt | undefined =>
  found === expected ? undefined : new BackupCorrupt({
    file: manifestFile(backupId),
    offset: undefined,
    length: undefined,
    position: undefined,
    detail: `its chain of hashes ends with ${found}, that of the archived backup with ${expected}`
  })
