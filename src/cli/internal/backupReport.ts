/**
 * Backups as tables and as JSON.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import type { BackupFault } from "../../backup/BackupError.ts"
import { type BackupManifest, backupSize } from "../../backup/BackupManifest.ts"
import type { RestoreOutcome } from "../../backup/BackupOptions.ts"
import { renderPairs, renderTable } from "../table.ts"
import { bytes, count, duration, time } from "../Text.ts"
import type { TableStyle } from "./eventTable.ts"

/**
 * A backup for machines, without its segments.
 *
 * @category converting
 * @since 0.1.0
 */
export const toJson = ({ completedAt, segments, startedAt, ...manifest }: BackupManifest) => ({
  ...manifest,
  parent: manifest.parent?.id ?? null,
  encryption: manifest.encryption?.keyId ?? null,
  signedBy: manifest.signedBy ?? null,
  startedAt: DateTime.formatIso(startedAt),
  completedAt: DateTime.formatIso(completedAt),
  segments: segments.length,
  ...backupSize({ ...manifest, completedAt, segments, startedAt })
})

/**
 * A fault of a backup for machines.
 *
 * @category converting
 * @since 0.1.0
 */
export const faultToJson = (fault: BackupFault) => {
  const { _tag, ...fields } = fault
  return {
    fault: _tag,
    message: fault.message,
    ...Object.fromEntries(FIELDS.flatMap((name) => {
      const value = (fields as Readonly<Record<string, unknown>>)[name]
      return value === undefined ? [] : [[name, value]]
    }))
  }
}

/**
 * Backups, one a line, under titles.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderBackups = (backups: ReadonlyArray<BackupManifest>, style: TableStyle): string =>
  renderTable(
    [
      { title: "BACKUP" },
      { title: "KIND" },
      { title: "POSITIONS", align: "right" },
      { title: "EVENTS", align: "right" },
      { title: "SIZE", align: "right" },
      { title: "SAVED", align: "right" },
      { title: "BEGUN" },
      { title: "TOOK", align: "right" },
      { title: "KEY", cut: "end" },
      { title: "SIGNED BY", cut: "end" }
    ],
    backups.map((manifest) => {
      const { fileBytes, plainBytes } = backupSize(manifest)
      return [
        manifest.id,
        manifest.kind,
        positions(manifest),
        count(manifest.events.count),
        bytes(fileBytes),
        saved(fileBytes, plainBytes),
        time(manifest.startedAt, style.local),
        took(manifest),
        manifest.encryption?.keyId ?? "-",
        manifest.signedBy ?? "-"
      ]
    }),
    style
  )

/**
 * Everything that a backup says of itself.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderDescription = (chain: ReadonlyArray<BackupManifest>, style: TableStyle): string => {
  const manifest = chain.at(-1)
  if (manifest === undefined) return ""
  const { fileBytes, plainBytes } = backupSize(manifest)
  const { codec, level } = manifest.compression
  const whole = chain.reduce((sum, each) => sum + backupSize(each).fileBytes, 0)
  return renderPairs([
    ["backup", manifest.id],
    ["kind", manifest.kind],
    ["goes on from", manifest.parent?.id ?? "-"],
    ["history", manifest.incarnation],
    ["begun", time(manifest.startedAt, style.local)],
    ["took", took(manifest)],
    ["positions", positions(manifest)],
    ["events", `${count(manifest.events.count)} of its own, ${count(manifest.total.count)} with those it goes on from`],
    ["other rows", otherRows(manifest)],
    [
      "size",
      `${bytes(fileBytes)} in ${count(manifest.segments.length)} segments, of ${bytes(plainBytes)} (${
        saved(fileBytes, plainBytes)
      } saved)`
    ],
    ["to restore", `${count(chain.length)} backups, ${bytes(whole)}`],
    ["compression", level === 0 ? codec : `${codec}, level ${level}`],
    [
      "encryption",
      manifest.encryption === undefined ? "none" : `${manifest.encryption.cipher}, key ${manifest.encryption.keyId}`
    ],
    ["signed by", manifest.signedBy ?? "nobody"],
    ["digest", `${manifest.total.digest} (of all events up to position ${count(manifest.until)})`],
    ["chain", manifest.chain]
  ], style)
}

/**
 * What is not right, one a line, under titles.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderFaults = (faults: ReadonlyArray<BackupFault>, style: TableStyle): string =>
  renderTable(
    [{ title: "FAULT" }, { title: "WHAT", cut: "end" }],
    faults.map((fault) => [fault._tag, fault.message]),
    style
  )

/**
 * What a restore did.
 *
 * @category rendering
 * @since 0.1.0
 */
export const restoredPairs = (
  { digest, elapsedMillis, id, incarnation, position, rowsLeftOut, written }: RestoreOutcome
): ReadonlyArray<readonly [string, string]> => [
  ["restored", `${id}, up to position ${count(position)}`],
  [
    "events",
    `${count(written)} written in ${duration(elapsedMillis)} (${
      count(Math.round(written / Math.max(elapsedMillis, 1) * 1000))
    }/s)`
  ],
  ["digest", digest.digest],
  ["history", incarnation],
  ["left out", rowsLeftOut === 0 ? "nothing" : `${count(rowsLeftOut)} snapshots and settings of what comes later`]
]

/**
 * The same for a machine.
 *
 * @category converting
 * @since 0.1.0
 */
export const restoredJson = ({ digest, ...outcome }: RestoreOutcome) => ({
  ...outcome,
  probe: undefined,
  digest: digest.digest
})

// internal

/** What a fault may have beside its sentence. */
const FIELDS = ["file", "offset", "length", "position", "keyId", "found", "supported", "id", "parentId"]

const positions = ({ after, until }: BackupManifest): string =>
  until > after ? `${count(after + 1)} to ${count(until)}` : "-"

const saved = (fileBytes: number, plainBytes: number): string =>
  plainBytes <= fileBytes ? "-" : `${Math.floor((1 - fileBytes / plainBytes) * 100)} %`

const took = ({ completedAt, startedAt }: BackupManifest): string =>
  duration(Math.max(0, completedAt.epochMilliseconds - startedAt.epochMilliseconds))

const otherRows = ({ counts }: BackupManifest): string =>
  Object.entries(counts).filter(([kind]) => kind !== "events").map(([kind, rows]) => `${count(rows)} ${kind}`).join(
    ", "
  )
