/**
 * Tables that fit the terminal.
 *
 * @since 0.1.0
 */
import { displayWidth } from "effect/cli/CliOutput"
import { printable, styled } from "./Text.ts"

/**
 * A column of a table.
 *
 * @category models
 * @since 0.1.0
 */
export interface Column {
  readonly title: string
  /** Numbers stand on the right. */
  readonly align?: "left" | "right"
  /** Where text that does not fit is cut: names and ids in the middle, prose at the end; never, when absent. */
  readonly cut?: "middle" | "end"
}

/**
 * Options of {@link renderTable}.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableOptions {
  /** Cells that a line may have; 0 for as many as it takes. */
  readonly width: number
  readonly color: boolean
}

/**
 * Renders rows under their titles, one line each, ended by a line feed.
 *
 * **Details**
 *
 * Text is made safe for a terminal. Where a line would be wider than `width`,
 * the widest columns that may be cut are cut first.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderTable = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  { color, width }: TableOptions
): string => {
  const safe = rows.map((row) => row.map(printable))
  const widths = fit(
    columns,
    columns.map((column, index) => Math.max(column.title.length, ...safe.map((row) => cellsOf(row[index] ?? "")))),
    width
  )
  const line = (cells: ReadonlyArray<string>) =>
    columns.map((column, index) => place(cells[index] ?? "", widths[index] ?? 0, column)).join(GAP).trimEnd()
  const title = styled("bold", line(columns.map((column) => column.title)), color)
  return [title, ...safe.map(line)].map((text) => `${text}\n`).join("")
}

/**
 * Renders names with their values, one a line, ended by a line feed.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderPairs = (
  pairs: ReadonlyArray<readonly [name: string, value: string]>,
  { color }: Pick<TableOptions, "color">
): string => {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${styled("bold", name.padEnd(width), color)}${GAP}${printable(value)}\n`).join(
    ""
  )
}

/**
 * Cuts text to so many cells of a terminal, with `…` in the place of what is
 * left out.
 *
 * @category rendering
 * @since 0.1.0
 */
export const cutTo = (text: string, width: number, where: "middle" | "end"): string => {
  if (cellsOf(text) <= width) return text
  const graphemes = Array.from(SEGMENTER.segment(text), ({ segment }) => segment)
  const tail = where === "end" ? [] : takeCells(graphemes.toReversed(), Math.floor((width - 1) / 2)).toReversed()
  const head = takeCells(graphemes, width - 1 - tail.reduce((sum, grapheme) => sum + cellsOf(grapheme), 0))
  return `${head.join("")}…${tail.join("")}`
}

// internal

const GAP = "  "

/** A column is not made narrower than this. */
const CUT_WIDTH_MIN = 8

const SEGMENTER = new Intl.Segmenter(undefined, { granularity: "grapheme" })

const ASCII = /^[\x20-\x7e]*$/

const cellsOf = (text: string): number => ASCII.test(text) ? text.length : displayWidth(text)

const takeCells = (graphemes: ReadonlyArray<string>, width: number): ReadonlyArray<string> => {
  const taken: Array<string> = []
  let left = width
  for (const grapheme of graphemes) {
    left -= cellsOf(grapheme)
    if (left < 0) break
    taken.push(grapheme)
  }
  return taken
}

const fit = (columns: ReadonlyArray<Column>, natural: ReadonlyArray<number>, width: number): ReadonlyArray<number> => {
  const widths = [...natural]
  if (width === 0) return widths
  let excess = widths.reduce((sum, cells) => sum + cells, 0) + GAP.length * (widths.length - 1) - width
  while (excess > 0) {
    const widest = widestCut(columns, widths)
    if (widest === undefined) break
    const cells = widths[widest] ?? 0
    const target = Math.max(CUT_WIDTH_MIN, cells - excess, secondWidest(columns, widths, widest))
    widths[widest] = target < cells ? target : cells - 1
    excess -= cells - (widths[widest] ?? 0)
  }
  return widths
}

const widestCut = (columns: ReadonlyArray<Column>, widths: ReadonlyArray<number>): number | undefined => {
  let widest: number | undefined
  for (const [index, cells] of widths.entries()) {
    if (columns[index]?.cut === undefined || cells <= CUT_WIDTH_MIN) continue
    if (widest === undefined || cells > (widths[widest] ?? 0)) widest = index
  }
  return widest
}

const secondWidest = (columns: ReadonlyArray<Column>, widths: ReadonlyArray<number>, widest: number): number =>
  Math.max(0, ...widths.filter((_, index) => index !== widest && columns[index]?.cut !== undefined))

const place = (text: string, width: number, { align = "left", cut }: Column): string => {
  const shown = cut === undefined ? text : cutTo(text, width, cut)
  const padding = " ".repeat(Math.max(0, width - cellsOf(shown)))
  return align === "right" ? padding + shown : shown + padding
}
