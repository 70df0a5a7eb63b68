/**
 * What the room of backups answers, in words.
 *
 * @since 0.1.0
 */
import type { Failure } from "./projectionFailures.ts"

/**
 * The words for the failures of backups, by their tags.
 *
 * @category constants
 * @since 0.1.0
 */
export const BACKUP_WORDS: Readonly<Record<string, (error: Failure) => BackupWords>> = {
  BackupCorrupt: (error) => ({
    ...wordsOf(error, "file", "offset", "length", "position"),
    code: "ES-2010",
    exitCode: 65,
    message: "the backup is damaged",
    fix: "copy it anew from a second place: event-store backup copy --dest SECOND --to FIRST ID; or take an older one"
  }),
  BackupFormatUnknown: (error) => ({
    ...wordsOf(error, "file", "found", "supported"),
    code: "ES-2011",
    exitCode: 65,
    message: "the backup is in a format that this version does not read",
    fix: "use the version of effect-event-store that wrote it"
  }),
  BackupKeyMissing: (error) => ({
    ...wordsOf(error, "file", "keyId"),
    code: "ES-2012",
    exitCode: 5,
    message: "the backup is encrypted, and its key was not given",
    fix: "add --key-file FILE (the file's name without its ending is the key's id), or set EVENT_STORE_BACKUP_KEYS"
  }),
  BackupKeyWrong: (error) => ({
    ...wordsOf(error, "file", "keyId"),
    code: "ES-2013",
    exitCode: 5,
    message: "the key is not the one of this backup",
    fix: "another key has this id: find the file that was in use when the backup was made"
  }),
  BackupKeyInvalid: (error) => ({
    ...wordsOf(error, "keyId"),
    code: "ES-2014",
    exitCode: 65,
    message: "a key cannot be used",
    fix: "to encrypt: openssl rand -hex 32 > NAME.key; to sign: openssl genpkey -algorithm ed25519 -out NAME.pem"
  }),
  BackupSignatureInvalid: (error) => ({
    ...wordsOf(error, "file", "keyId"),
    code: "ES-2015",
    exitCode: 65,
    message: "the backup is not signed by anybody who is trusted",
    fix: "do not restore it before you know why; another key may be trusted with --trust FILE"
  }),
  BackupChainBroken: (error) => ({
    ...wordsOf(error, "id", "parentId"),
    code: "ES-2016",
    exitCode: 65,
    message: "the backup does not go on from its parent",
    fix: "copy the missing one back from a second place, or take another chain: event-store backup list"
  }),
  BackupNotFound: (error) => ({
    ...wordsOf(error, "id", "location"),
    code: "ES-2017",
    exitCode: 3,
    message: "there is no such backup",
    fix: "see: event-store backup list"
  }),
  BackupInUse: (error) => ({
    ...wordsOf(error, "id", "children"),
    code: "ES-2018",
    exitCode: 4,
    message: "the backup is needed by others",
    fix: "remove those first; event-store backup prune finds the order"
  }),
  BackupArchived: (error) => ({
    ...wordsOf(error, "id", "file"),
    code: "ES-2042",
    exitCode: 4,
    message: "a store reads archived months from the backup",
    fix: "bring them back first: event-store archive bring-back --release"
  }),
  ArchiveBusy: (error) => ({
    ...wordsOf(error),
    code: "ES-2040",
    exitCode: 4,
    message: "another process archives months of this store",
    fix: "let it finish; what it has left when it was killed is cleared by the next run"
  }),
  ArchiveDiffers: (error) => ({
    ...wordsOf(error, "month", "detail", "expected", "actual"),
    code: "ES-2041",
    exitCode: 2,
    message: "a month is not what was to be moved",
    fix: "nothing of it was moved; look at the store: event-store maint verify"
  }),
  BackupHistoryDiffers: (error) => ({
    ...wordsOf(error, "id", "expected", "actual", "restoredUntil"),
    code: "ES-2030",
    exitCode: 4,
    message: "the store has another history than the backups",
    fix: "check --url and --dest; when both are meant, make a full backup: leave out --incremental"
  }),
  BackupAheadOfLog: (error) => ({
    ...wordsOf(error, "id", "until", "head"),
    code: "ES-2031",
    exitCode: 4,
    message: "the store has lost events that were backed up",
    fix: "do not write to it: find out why, and restore the backup into another store"
  }),
  RestorePointInvalid: (error) => ({
    ...wordsOf(error, "id", "wanted", "first", "last"),
    code: "ES-2032",
    exitCode: 3,
    message: "the backup does not reach there",
    fix: "choose a point that it holds, or another backup: event-store backup list"
  }),
  CopyDiffers: (error) => ({
    ...wordsOf(error, "position"),
    code: "ES-2033",
    exitCode: 2,
    message: "what was read back is not what was written",
    fix: "do not use the copy; make another one into an empty store that nobody else writes to"
  }),
  RestoreTargetNotEmpty: (error) => ({
    ...wordsOf(error, "detail"),
    code: "ES-2034",
    exitCode: 4,
    message: "the target is not empty",
    fix: "name an empty store (another database, --schema or directory): nothing that is there is ever written over"
  }),
  RestoreOvertaken: (error) => ({
    ...wordsOf(error, "source"),
    code: "ES-2035",
    exitCode: 4,
    message: "another restore has taken this one over",
    fix: "let one of them run"
  }),
  RestoreDiffers: (error) => ({
    ...wordsOf(error, "detail", "expected", "actual"),
    code: "ES-2036",
    exitCode: 2,
    message: "what was restored is not what was backed up",
    fix: "the target is not usable; verify the backup: event-store backup verify"
  }),
  BackupStorageError: (error) => ({
    ...wordsOf(error, "operation", "location", "name", "reason"),
    code: "ES-2019",
    exitCode: REACH.has(reasonOf(error)) ? 5 : 1,
    message: "the place of backups did not do what it was asked",
    fix: FIXES[reasonOf(error)] ?? "check the place and its rights"
  })
}

/**
 * What the command says of a failure.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupWords {
  readonly code: string
  readonly exitCode: 1 | 2 | 3 | 4 | 5 | 64 | 65
  readonly message: string
  readonly why: string
  readonly fix: string
  readonly details: Readonly<Record<string, unknown>>
}

// internal

/** Reasons of one who is not let in, or does not get there. */
const REACH: ReadonlySet<string> = new Set(["AccessDenied", "Unavailable"])

const FIXES: Readonly<Record<string, string>> = {
  NotFound: "check the directory, or the bucket's name and region",
  AlreadyExists: "somebody else writes to this place: see event-store backup list",
  NoSpace: "make room: event-store backup prune; nothing half-written counts as a backup",
  AccessDenied:
    "check the rights of the directory, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy",
  Unavailable: "run the same command again; what was written is gone on with or removed",
  DriverMissing: "npm install @aws-sdk/client-s3"
}

const reasonOf = (error: object): string => String((error as { readonly reason?: unknown }).reason)

const wordsOf = (error: Failure, ...names: ReadonlyArray<string>) => ({
  why: error.message,
  details: Object.fromEntries(names.map((name) => [name, (error as unknown as Record<string, unknown>)[name]]))
})
