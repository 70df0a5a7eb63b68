/**
 * What somebody who comes after a fault finds, and whether it is what backups
 * promise.
 */
import { Effect, Layer, Stream } from "effect"
import { readdirSync } from "node:fs"
import {
  BackupCatalog,
  type BackupManifest,
  type BackupStorage,
  BackupVerification
} from "../../../src/backup/index.ts"
import { planRestore, restoreBackup } from "../../../src/backup/internal/restoreBackup.ts"
import { layerMemory } from "../../../src/runtime/index.ts"
import { LogTransfer, type TransferState } from "../../../src/store/LogTransfer.ts"
import { at } from "../fixtures.ts"
import { type Ground, inStore, type OpenStore } from "./ground.ts"
import { digestOfEvents, digestOfStore } from "./logs.ts"

/**
 * What is expected of a store into which something is restored.
 */
export interface Expected {
  readonly until: number
  readonly digest: string
}

/**
 * Looks at the target of a restore: it is empty and usable, or in the middle and
 * says so whatever it is asked, or holds exactly what was restored.
 */
export const lookAtTarget = (
  ground: Ground,
  url: string,
  expected: Expected
): Effect.Effect<TransferState> =>
  Effect.tap(
    inStore(url, (open) => judgeTarget(ground, open, expected)),
    ({ position, restoring }) =>
      ground.found(restoring !== undefined ? "in the middle" : position === 0 ? "empty" : "complete")
  )

/**
 * Looks at a store of which nobody restores anything any more, and uses it.
 */
export const useTarget = (ground: Ground, url: string, expected: Expected): Effect.Effect<void> =>
  inStore(url, (open) =>
    Effect.gen(function*() {
      const { position, restoring } = yield* judgeTarget(ground, open, expected)
      if (restoring !== undefined) {
        ground.wrong.push(`B5 still restoring, at ${restoring.position}`)
        return
      }
      const event = { type: "Used", data: { by: "trial" } }
      const appended = yield* open.store.append({ streamId: "used-1", expected: "noStream", events: [event] })
      if (appended.position !== position + 1) {
        ground.wrong.push(`B5 an append after ${position} got ${appended.position}`)
      }
      const last = yield* Stream.runCollect(open.store.readStream("used-1"))
      if (last.length !== 1) ground.wrong.push(`B5 ${last.length} events of one that was appended`)
    }))

/**
 * Looks at a place of backups: those that it lists are sound, all that were
 * acknowledged are there, and no more are incomplete than there were faults.
 */
export const lookAtPlace = Effect.fnUntraced(function*(
  { keys, wrong }: Ground,
  storage: BackupStorage["Service"],
  acknowledged: ReadonlyArray<string>,
  mayBeIncomplete: number
): Effect.fn.Return<ReadonlyArray<BackupManifest>> {
  const { backups, faults, incomplete } = yield* Effect.orDie(at(storage, BackupCatalog.list(keys)))
  for (const { fault, id } of faults) wrong.push(`B4 ${id} is listed and cannot be read: ${fault.message}`)
  const ids = new Set(backups.map(({ id }) => id))
  for (const id of acknowledged) if (!ids.has(id)) wrong.push(`B4 ${id} was acknowledged and is not there`)
  if (incomplete.length > mayBeIncomplete) {
    wrong.push(`B4 ${incomplete.length} incomplete after ${mayBeIncomplete} faults`)
  }
  for (const { id } of backups) {
    const report = yield* Effect.orDie(at(storage, BackupVerification.verify(id, { keys })))
    if (!report.isSound) wrong.push(`B4 ${id} is not sound: ${report.faults.map(({ message }) => message).join("; ")}`)
  }
  return backups
})

/**
 * Whether a backup restores to exactly the beginning of the log that it was
 * made of.
 */
export const lookAtBackup = Effect.fnUntraced(function*(
  { keys, wrong }: Ground,
  storage: BackupStorage["Service"],
  { id, until }: BackupManifest,
  source: LogTransfer["Service"]
): Effect.fn.Return<void> {
  const restored = yield* at(
    storage,
    Effect.provide(
      Effect.gen(function*() {
        const transfer = yield* LogTransfer
        yield* planRestore(transfer, { id, keys })
        yield* restoreBackup(transfer, { id, keys })
        return yield* digestOfEvents(transfer, until)
      }),
      Layer.fresh(layerMemory)
    )
  ).pipe(Effect.orDie)
  const expected = yield* Effect.orDie(digestOfEvents(source, until))
  if (restored !== expected) wrong.push(`B1 ${id} does not restore to the events 1 to ${until}`)
})

/**
 * Sweeps a place, and looks whether nothing is left but the files of backups.
 */
export const sweep = Effect.fnUntraced(function*(
  { keys, wrong }: Ground,
  { path, storage }: { readonly path: string; readonly storage: BackupStorage["Service"] }
): Effect.fn.Return<void> {
  yield* Effect.orDie(at(storage, BackupCatalog.removeIncomplete({ idleMillis: -1 })))
  const { backups } = yield* Effect.orDie(at(storage, BackupCatalog.list(keys)))
  const expected = backups.reduce((sum, { segments }) => sum + segments.length + 1, 0)
  const files = readdirSync(path)
  if (files.length !== expected) wrong.push(`L2 ${files.length} files are left of ${expected}: ${files.join(" ")}`)
})

// internal

const judgeTarget = Effect.fnUntraced(function*(
  ground: Ground,
  { admin, store, transfer }: OpenStore,
  { digest, until }: Expected
) {
  const { wrong } = ground
  const state = yield* transfer.describe
  const { position, restoring } = state
  if (restoring !== undefined) {
    if (position !== 0) wrong.push(`B5 restoring, and the log ends at ${position}`)
    yield* Effect.forEach(
      asked({ admin, store, transfer }),
      ([what, effect]) =>
        Effect.map(Effect.result(effect), (result) => {
          if (result._tag === "Failure" && isRestoring(result.failure)) return
          const answer = result._tag === "Success" ? "answered" : String(result.failure)
          wrong.push(`B5 restoring at ${restoring.position}, and ${what}: ${answer}`)
        })
    )
    return state
  }
  const problems = [...(yield* admin.schemaVerify), ...(yield* admin.verifyLog)]
  for (const problem of problems) wrong.push(`B5 not restoring, at ${position}: ${problem}`)
  if (position === 0) {
    if (!state.isEmpty) wrong.push("B5 no event, and not empty")
    return state
  }
  if (position !== until) wrong.push(`B5 the log ends at ${position}, not at ${until}`)
  else if ((yield* digestOfStore(transfer)) !== digest) wrong.push("B5 complete, and not what was restored")
  return state
})

/** What no store answers before all of it is there. */
const asked = ({ store, transfer }: OpenStore) =>
  [
    ["head", store.head],
    ["read the log", Stream.runCollect(store.readAll())],
    ["read a stream", Stream.runCollect(store.readStream("order-1"))],
    ["append", store.append({ streamId: "order-1", expected: "any", events: [{ type: "Used", data: 1 }] })],
    ["list streams", store.listStreams()],
    ["statistics", store.statistics],
    ["read rows", transfer.readEvents({ after: 0, until: 10 })],
    ["open a view", Effect.scoped(transfer.view)]
  ] as ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>]>

const isRestoring = (error: unknown): boolean =>
  error instanceof Object && "reason" in error && error.reason instanceof Object && "_tag" in error.reason &&
  error.reason._tag === "Restoring"
