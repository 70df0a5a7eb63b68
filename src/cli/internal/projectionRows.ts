/**
 * Rows of a projection's tables, whether its code is at hand or not.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CheckpointStore, type ProjectionRecord } from "../../store/CheckpointStore.ts"
import type { TableName } from "../../store/KeptChanges.ts"
import { ReadModelStore, type ReadPlace } from "../../store/ReadModelStore.ts"
import { CliFailure } from "../CliFailure.ts"

/**
 * A table, and what is known of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShownTable {
  /** As the projection calls it. */
  readonly name: string
  /** As it stands in the database. */
  readonly table: TableName
  readonly columns: ReadonlyArray<string>
  /** Columns that are unique together; empty when there are none. */
  readonly key: ReadonlyArray<string>
}

/**
 * A row: its columns by name, each as JSON text. Numbers that a double does not
 * hold stay what they are.
 *
 * @category models
 * @since 0.1.0
 */
export type Row = ReadonlyMap<string, string>

/**
 * A row as an object of JSON.
 *
 * @category encoding
 * @since 0.1.0
 */
export const rowToJson = (row: Row): string =>
  `{${Array.from(row, ([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`

/**
 * Finds the tables of a build, which the store has noted when they were made.
 *
 * @category reading
 * @since 0.1.0
 */
export const tablesOf = Effect.fnUntraced(function*({ build, name, version }: ProjectionRecord) {
  const builds = yield* CheckpointStore.use((store) => store.listBuilds(name))
  const noted = builds.find((each) => each.version === version && each.build === build)?.tables ?? []
  const models = yield* ReadModelStore
  return yield* Effect.forEach(noted, ([schema, physical]) =>
    Effect.gen(function*() {
      const table = { schema, name: physical }
      const shape = yield* models.describeTable(table)
      if (Option.isNone(shape)) return yield* missing(table)
      const shown: ShownTable = {
        name: physical.replace(SUFFIX, ""),
        table,
        columns: shape.value.columns.map((column) => column.name),
        key: shape.value.key
      }
      return shown
    }))
})

/**
 * Reads rows page by page in the order of their key, so that the memory does not
 * grow with the table; without a key, those of one page.
 *
 * @category reading
 * @since 0.1.0
 */
export const eachRowPage = Effect.fnUntraced(function*<E>(
  { name, version }: ProjectionRecord,
  { columns, key, table }: ShownTable,
  limit: number,
  use: (rows: ReadonlyArray<Row>) => Effect.Effect<void, E>
) {
  const models = yield* ReadModelStore
  let left = limit
  let after: ReadPlace | undefined
  while (left > 0) {
    const wanted = Math.min(key.length === 0 ? KEYLESS_ROWS_MAX : PAGE_SIZE, left)
    const { items, places } = yield* models.readRows({
      source: { name, version },
      table,
      columns: columns.map((name) => ({ name, asText: false, asJson: true })),
      filter: undefined,
      order: key.map((name) => ({ field: { _tag: "Column", name }, descending: false, isRequired: true })),
      after,
      limit: wanted
    }).pipe(Effect.catchTag("SelectRefused", (refusal) => Effect.fail(refused(table, refusal.message))))
    if (items.length > 0) yield* use(items.map((values) => toRow(columns, values)))
    left -= items.length
    after = places.at(-1)
    if (items.length < wanted || after === undefined || key.length === 0) return
  }
})

// internal

/** What version and build add to a table's name. */
const SUFFIX = /_v\d+(_b\d+)?$/

/** Rows of a page; bounds the memory. */
const PAGE_SIZE = 500

/** Without a key there is no place to go on from. */
const KEYLESS_ROWS_MAX = 10_000

const toRow = (columns: ReadonlyArray<string>, values: ReadonlyArray<unknown>): Row =>
  new Map(columns.map((name, index) => [name, typeof values[index] === "string" ? values[index] : "null"]))

const missing = ({ name, schema }: TableName): CliFailure =>
  new CliFailure({
    code: "ES-1923",
    exitCode: 1,
    message: "a table of the projection is not there, or not visible",
    why: `${schema}.${name} was made by it and cannot be read`,
    fix: "check the rights of the user; if it was dropped: event-store projection reset NAME"
  })

const refused = ({ name, schema }: TableName, why: string): CliFailure =>
  new CliFailure({
    code: "ES-1924",
    exitCode: 1,
    message: "the rows of a table cannot be read",
    why: `${schema}.${name}: ${why}`,
    fix: "check the rights of the user"
  })
