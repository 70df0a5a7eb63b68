/**
 * Flags that several commands of `backup` take.
 *
 * @since 0.1.0
 */
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Flags from "../Flags.ts"

/**
 * Where the backups are, and the keys for them.
 *
 * @category flags
 * @since 0.1.0
 */
export const place = {
  dest: Flag.String("dest").pipe(
    Flag.withMetavar("PLACE"),
    Flag.withDescription(
      "Directory, or s3://BUCKET/PREFIX[?region=…&endpoint=…&profile=…] (EVENT_STORE_BACKUP_DEST)"
    ),
    Flag.withFallbackConfig(Config.String("EVENT_STORE_BACKUP_DEST"))
  ),
  keyFile: Flags.repeated("key-file", "FILE", "32 bytes as hex or base64; its name is the key's id"),
  trust: Flags.repeated("trust", "FILE", "Public key (PEM): only what it signed is accepted")
}

/**
 * Which backups are kept.
 *
 * @category flags
 * @since 0.1.0
 */
export const retention = {
  keepLast: keep("keep-last", "the N newest backups"),
  keepDaily: keep("keep-daily", "the newest of each of the last N days with backups"),
  keepWeekly: keep("keep-weekly", "the same of weeks, which begin on Monday"),
  keepMonthly: keep("keep-monthly", "the same of months"),
  keepYearly: keep("keep-yearly", "the same of years"),
  timeZone: Flags.text("time-zone", "ZONE", "In which days begin, Europe/Berlin say (default UTC)")
}

// internal

function keep(name: string, what: string) {
  return Flag.Int(name).pipe(
    Flag.withMetavar("N"),
    Flag.withDescription(`Keeps ${what}`),
    Flag.filter((value) => value >= 1 && value <= 1_000_000, () => "a whole number from 1 to 1000000"),
    Flag.optional
  )
}
