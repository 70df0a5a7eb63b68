/**
 * Values as people read them.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import { styleText } from "node:util"

/**
 * Makes text safe to print on a terminal: control characters and marks that
 * change the direction of writing are shown by their code.
 *
 * @category encoding
 * @since 0.1.0
 */
export const printable = (text: string): string =>
  PLAIN.test(text)
    ? text
    : text.replace(UNSAFE, (char) => {
      const code = char.codePointAt(0) ?? 0
      return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`
    })

/**
 * A whole number with separators of thousands.
 *
 * @category encoding
 * @since 0.1.0
 */
export const count = (value: number): string => value.toLocaleString("en-US")

/**
 * A size in bytes, in the largest unit that leaves a whole part.
 *
 * @category encoding
 * @since 0.1.0
 */
export const bytes = (size: number): string => {
  const power = size < 1024 ? 0 : Math.min(Math.floor(Math.log2(size) / 10), UNITS.length - 1)
  return power === 0 ? `${size} B` : `${(size / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}

/**
 * A time in UTC, or in the zone of this machine, to the second.
 *
 * @category encoding
 * @since 0.1.0
 */
export const time = (value: DateTime.Utc, local: boolean): string => {
  const text = local
    ? DateTime.formatIsoOffset(DateTime.setZone(value, DateTime.zoneMakeLocal()))
    : DateTime.formatIso(value)
  return text.replace("T", " ").replace(/\.\d+/, "")
}

/**
 * A span of time, in seconds below a minute and in minutes and hours above.
 *
 * @category encoding
 * @since 0.1.0
 */
export const duration = (millis: number): string => {
  const seconds = millis / 1000
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${minutes} min ${Math.floor(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/**
 * Text in a style, where colours are wanted.
 *
 * @category encoding
 * @since 0.1.0
 */
export const styled = (style: "bold" | "dim" | "red" | "yellow" | "green", text: string, color: boolean): string =>
  color ? styleText(style, text, { validateStream: false }) : text

// internal

const PLAIN = /^[\x20-\x7e]*$/

// oxlint-disable-next-line no-control-regex -- these are what must not reach a terminal
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udfff]/gu

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"]
