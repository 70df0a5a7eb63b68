import type { BackupManifest } from "../BackupManifest.ts"

/** What the order of backups follows from. */
export type Ordered = Pick<BackupManifest, "id" | "incarnation" | "startedAt" | "until">

/**
 * Backups in the order in which they were made: those of one history by how far they reach, for its log only
 * grows; those of several by their clocks. So a clock that was set forward or back for a while makes no old backup the newest.
 */
export const inOrder = <Backup extends Ordered>(backups: ReadonlyArray<Backup>): Array<Backup> => {
  const placed: Array<{ readonly backup: Backup; readonly millis: number }> = []
  for (const history of Map.groupBy(backups, ({ incarnation }) => incarnation).values()) {
    let millis = Number.POSITIVE_INFINITY
    for (const backup of history.sort(byReach).toReversed()) {
      // it was made before what reaches further, whatever its clock said
      millis = Math.min(millis, backup.startedAt.epochMilliseconds)
      placed.push({ backup, millis })
    }
  }
  return placed
    .sort((a, b) => a.millis - b.millis || byReach(a.backup, b.backup))
    .map(({ backup }) => backup)
}

// internal

/** Names have seconds only: of two backups of one second the second can have the smaller name. */
const byReach = (a: Ordered, b: Ordered): number =>
  a.until - b.until || a.startedAt.epochMilliseconds - b.startedAt.epochMilliseconds || (a.id < b.id ? -1 : 1)
