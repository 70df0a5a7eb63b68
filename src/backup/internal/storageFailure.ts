import * as Effect from "effect/Effect"
import { BackupStorageError, type BackupStorageReason } from "../BackupError.ts"
import { FILE_NAME } from "./names.ts"

export type Operation = BackupStorageError["operation"]

/** Makes the errors of one place. */
export const failuresAt = (location: string) =>
(
  operation: Operation,
  name: string,
  reason: BackupStorageReason,
  detail: string,
  cause?: unknown
): BackupStorageError =>
  new BackupStorageError({ operation, location, name, reason, detail, ...(cause === undefined ? {} : { cause }) })

/** Refuses every name that is none of ours, before anything is done with it. */
export const checkFileName = (
  failure: ReturnType<typeof failuresAt>,
  operation: Operation,
  name: string
): Effect.Effect<void, BackupStorageError> =>
  FILE_NAME.test(name)
    ? Effect.void
    : Effect.fail(
      failure(
        operation,
        "",
        "InvalidName",
        "a name is 1 to 128 letters, digits, dots and dashes, and begins with no dot"
      )
    )
