/**
 * Who runs a schedule, and what it has done: small files beside the backups. A
 * file is never changed; the one with the highest number counts.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { BackupStorageError } from "../BackupError.ts"
import { type BackupStorage, readBackupFile } from "../BackupStorage.ts"

/** The state of a schedule; times are milliseconds since 1970. */
export interface ScheduleState {
  /** From when on it was watched. */
  readonly since: number
  /** The newest due time of which the task was done; `null` when of none. */
  readonly done: number | null
  /** Who runs the task now, or ran it last; empty when nobody has. */
  readonly owner: string
  /** Until when nobody else runs it; 0 when nobody does. */
  readonly expiresAt: number
}

/** A state, and the number of its file; 0 when there is none. */
export interface ScheduleRecord {
  readonly generation: number
  readonly state: ScheduleState | undefined
}

/** Lower case: a file system may take two names that differ in case for one. */
export const SCHEDULE_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/

/** Reads the newest state. A file that is none counts as one that says nothing. */
export const readRecord = (
  storage: BackupStorage["Service"],
  name: string
): Effect.Effect<ScheduleRecord, BackupStorageError> =>
  Effect.gen(function*() {
    const generation = (yield* generationsOf(storage, name)).at(-1) ?? 0
    if (generation === 0) return NO_RECORD
    const bytes = yield* Effect.result(readBackupFile(storage, fileOf(name, generation), FILE_BYTES_MAX))
    if (Result.isSuccess(bytes)) return { generation, state: parse(bytes.success) }
    if (bytes.failure.reason === "TooLarge") return { generation, state: undefined }
    // a newer one has replaced it in between
    return bytes.failure.reason === "NotFound" ? undefined : yield* bytes.failure
  }).pipe(Effect.flatMap((found) => found === undefined ? readRecord(storage, name) : Effect.succeed(found)))

/**
 * Writes the state that follows another one, and tells whether it is the one
 * that counts: `false` when somebody else was faster.
 */
export const writeRecord = Effect.fnUntraced(function*(
  storage: BackupStorage["Service"],
  name: string,
  after: number,
  state: ScheduleState
): Effect.fn.Return<boolean, BackupStorageError> {
  const put = yield* Effect.result(storage.put(fileOf(name, after + 1), encode(state)))
  if (Result.isFailure(put)) return put.failure.reason === "AlreadyExists" ? false : yield* put.failure
  const older = (yield* generationsOf(storage, name)).filter((generation) => generation <= after)
  yield* Effect.forEach(older, (generation) => storage.remove(fileOf(name, generation)), { discard: true })
  return true
}, Effect.uninterruptible)

// internal

const NO_RECORD: ScheduleRecord = { generation: 0, state: undefined }

const FILE_BYTES_MAX = 4_096

const fileOf = (name: string, generation: number): string =>
  `schedule-${name}-${String(generation).padStart(12, "0")}.json`

const generationsOf = (
  storage: BackupStorage["Service"],
  name: string
): Effect.Effect<ReadonlyArray<number>, BackupStorageError> => {
  const prefix = `schedule-${name}-`
  return Effect.map(
    Stream.runCollect(storage.list(prefix)),
    (files) =>
      files.flatMap((file) => {
        const [, digits] = GENERATION.exec(file.name.slice(prefix.length)) ?? []
        return digits === undefined ? [] : [Number(digits)]
      }).sort((a, b) => a - b)
  )
}

const GENERATION = /^(\d{12})\.json$/

const encode = ({ done, expiresAt, owner, since }: ScheduleState): Uint8Array =>
  new TextEncoder().encode(`${JSON.stringify({ since, done, owner, expiresAt })}\n`)

const parse = (bytes: Uint8Array): ScheduleState | undefined => {
  const parsed = Result.try(() => JSON.parse(new TextDecoder().decode(bytes)) as Partial<ScheduleState> | null)
  if (Result.isFailure(parsed) || parsed.success === null) return undefined
  const { done, expiresAt, owner, since } = parsed.success
  return isTime(since) && isTime(expiresAt) && (done === null || isTime(done)) && typeof owner === "string"
    ? { since, done, owner, expiresAt }
    : undefined
}

const isTime = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
