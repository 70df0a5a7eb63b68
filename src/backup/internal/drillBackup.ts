import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { LogTransfer } from "../../store/LogTransfer.ts"
import type { DrillOptions, DrillReport, RestoreBackupError } from "../BackupOptions.ts"
import type { BackupStorage } from "../BackupStorage.ts"
import type { CopyDiffers } from "../TransferError.ts"
import { compareEvents, eventPages } from "./eventPages.ts"
import { makeMeter } from "./meter.ts"
import { restoreSelected, select } from "./restoreBackup.ts"

/** Restores a backup into a scratch store, and compares. */
export const drillBackup = Effect.fn("BackupService.drill")(
  function*<A, E, E2, R>(
    options: DrillOptions<A, E, E2, R>
  ): Effect.fn.Return<DrillReport<A>, RestoreBackupError | CopyDiffers | E | E2, BackupStorage> {
    const meter = yield* makeMeter(options.onProgress)
    const selected = yield* select(options)
    return yield* Effect.scoped(Effect.gen(function*() {
      const context = yield* Layer.build(Layer.fresh(options.scratch))
      const transfer = Context.get(context, LogTransfer)
      const outcome = yield* restoreSelected(transfer, selected, meter)
      const { position, reader } = selected
      yield* meter.begin("verify", position)
      yield* compareEvents(
        reader.events({ until: position }),
        Stream.flatMap(
          eventPages(transfer.readEvents, { after: 0, until: position }),
          (rows) => Stream.fromIterable(rows)
        ),
        position,
        meter.count
      )
      const probe = options.probe === undefined ? undefined : yield* Effect.provideContext(options.probe, context)
      return { ...outcome, elapsedMillis: yield* meter.elapsedMillis, probe }
    }))
  }
)
