/**
 * `event-store projection show`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { errors, projectionFailures } from "../projection/BuiltIn.ts"
import { CheckpointStore, type ProjectionRecord, type StoredState } from "../store/CheckpointStore.ts"
import { notFound, usage } from "./CliFailure.ts"
import { styleOf, type TableStyle } from "./internal/eventTable.ts"
import { builtInCode, findRecord, unknownProjection } from "./internal/projectionNames.ts"
import { eachRowPage, type Row, rowToJson, type ShownTable, tablesOf } from "./internal/projectionRows.ts"
import { renderRows, renderState, renderStates } from "./internal/stateTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { withStore } from "./StoreOpener.ts"
import { renderTable } from "./table.ts"
import { count, printable, time } from "./Text.ts"

/**
 * Arguments and flags of `projection show`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShowInput {
  readonly name: string
  /** Of one state. */
  readonly key: Option.Option<string>
  readonly projectionVersion: Option.Option<number>
  readonly build: Option.Option<number>
  /** Most states or rows; 100 as a table and all of them otherwise, when absent. */
  readonly limit: Option.Option<number>
  readonly after: Option.Option<string>
}

/**
 * Prints what a projection made: its states, or the rows of its tables.
 *
 * @category commands
 * @since 0.1.0
 */
export const showCommand = (input: ShowInput, settings: Settings) => withStore(settings, "read")(show(input, settings))

// internal

/** States that are read in one go; bounds the memory of a long list. */
const PAGE_SIZE = 500

const TABLE_LIMIT = 100

const show = Effect.fnUntraced(function*(input: ShowInput, settings: Settings) {
  const version = Option.getOrUndefined(input.projectionVersion)
  const record = yield* findRecord(input.name, version, Option.getOrUndefined(input.build))
  if (record === undefined) return yield* unknownProjection(input.name, yield* builtInCode)
  const tables = yield* tablesOf(record)
  if (tables.length > 0) return yield* showTables(record, tables, input, settings)
  if (Option.isSome(input.key)) return yield* showState(record, input.key.value, settings)
  yield* showStates(record, input, settings)
})

const showState = Effect.fnUntraced(function*(record: ProjectionRecord, key: string, settings: Settings) {
  const { build, name, version } = record
  const state = (yield* (yield* CheckpointStore).loadStates({ name, version, build }, [key])).get(key)
  if (state === undefined) {
    return yield* notFound(
      "ES-1908",
      "there is no such state",
      `${printable(name)} has no state ${printable(key)} up to position ${record.checkpoint.position}`,
      `see the keys: event-store projection show ${printable(name)}`,
      { name, key }
    )
  }
  yield* printState(record, { key, state }, settings)
})

const showStates = Effect.fnUntraced(function*(record: ProjectionRecord, input: ShowInput, settings: Settings) {
  const out = yield* Out
  const first = yield* readPage(record, Option.getOrUndefined(input.after), 2)
  const [only] = first
  if (first.length === 1 && only?.key === "") return yield* printState(record, only, settings)
  const failures = record.name === errors.name ? yield* projectionFailures : undefined
  switch (settings.output) {
    case "json": {
      const { name, version } = record
      yield* out.data(`{${fields({ name, version, position: record.checkpoint.position })},"states":[`)
      let isFirst = true
      yield* eachPage(record, input, Infinity, (page) => {
        const text = page.map(toJson).join(",")
        const separator = isFirst ? "" : ","
        isFirst = false
        return out.data(`${separator}${text}`)
      })
      return yield* out.data(
        `]${failures === undefined ? "" : `,${fields({ projectionFailures: failures.map(failureToJson) })}`}}\n`
      )
    }
    case "ndjson":
      yield* eachPage(record, input, Infinity, (page) => out.data(page.map((state) => `${toJson(state)}\n`).join("")))
      for (const failed of failures ?? []) yield* out.data(`${JSON.stringify(failureToJson(failed))}\n`)
      return
    case "table":
      yield* printTable(record, input, failures, settings)
  }
})

/** Rows of all tables, or of the one that is named in the place of a key. */
const showTables = Effect.fnUntraced(function*(
  record: ProjectionRecord,
  all: ReadonlyArray<ShownTable>,
  input: ShowInput,
  settings: Settings
) {
  const tables = Option.isNone(input.key) ? all : all.filter(({ name }) => Option.contains(input.key, name))
  if (tables.length === 0) {
    return yield* notFound(
      "ES-1908",
      "the projection has no such table",
      `${printable(record.name)} fills ${all.map(({ name }) => name).join(", ")}`,
      "leave it out, or name one of them",
      { name: record.name, tables: all.map(({ name }) => name) }
    )
  }
  if (Option.isSome(input.after)) {
    return yield* usage(
      "--after is for states",
      "rows of tables have no key in one piece",
      "leave it out; -n shows more"
    )
  }
  const out = yield* Out
  if (settings.output === "json") return yield* printRows(record, tables, input)
  if (settings.output === "ndjson") {
    for (const table of tables) {
      yield* eachRowPage(
        record,
        table,
        Option.getOrElse(input.limit, () => Infinity),
        (rows) =>
          out.data(
            rows.map((row) => {
              const json = rowToJson(row)
              return tables.length === 1 ? `${json}\n` : `{"table":${JSON.stringify(table.name)},"row":${json}}\n`
            }).join("")
          )
      )
    }
    return
  }
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  const limit = Option.getOrElse(input.limit, () => TABLE_LIMIT)
  for (const [index, table] of tables.entries()) {
    const rows: Array<Row> = []
    // one more, to know whether there are more
    yield* eachRowPage(record, table, limit + 1, (page) => Effect.sync(() => void rows.push(...page)))
    const shown = rows.slice(0, limit)
    const title = tables.length === 1 ? "" : `${index === 0 ? "" : "\n"}${printable(table.name)}\n`
    yield* out.data(`${title}${shown.length === 0 ? "no rows\n" : renderRows(table.columns, shown, style)}`)
    if (rows.length > limit && !settings.quiet) yield* out.note(`there are more rows in ${table.name}: add -n\n`)
  }
})

/** `rows` of one table, `tables` by their names when there are several. */
const printRows = Effect.fnUntraced(function*(
  record: ProjectionRecord,
  tables: ReadonlyArray<ShownTable>,
  { limit }: ShowInput
) {
  const out = yield* Out
  const { name, version } = record
  const [only, ...others] = tables
  const isOnly = only !== undefined && others.length === 0
  const head = { name, version, position: record.checkpoint.position }
  yield* out.data(`{${isOnly ? fields({ ...head, table: only.name }) : `${fields(head)},"tables":{`}`)
  for (const [index, table] of tables.entries()) {
    yield* out.data(isOnly ? ",\"rows\":[" : `${index === 0 ? "" : ","}${JSON.stringify(table.name)}:[`)
    let isFirst = true
    yield* eachRowPage(record, table, Option.getOrElse(limit, () => Infinity), (rows) => {
      const text = rows.map(rowToJson).join(",")
      const separator = isFirst ? "" : ","
      isFirst = false
      return out.data(`${separator}${text}`)
    })
    yield* out.data("]")
  }
  yield* out.data(isOnly ? "}\n" : "}}\n")
})

const printTable = Effect.fnUntraced(function*(
  record: ProjectionRecord,
  input: ShowInput,
  failures: ReadonlyArray<ProjectionRecord> | undefined,
  settings: Settings
) {
  const out = yield* Out
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  const states: Array<StoredState> = []
  yield* eachPage(record, input, TABLE_LIMIT, (page) => Effect.sync(() => void states.push(...page)))
  yield* out.data(
    states.length === 0
      ? `no states, up to position ${count(record.checkpoint.position)}\n`
      : renderStates(states, style)
  )
  if (failures !== undefined && failures.length > 0) yield* out.data(`\n${renderFailures(failures, style)}`)
  const last = states.at(-1)
  if (last === undefined || settings.quiet) return
  const isMore = (yield* readPage(record, last.key, 1)).length > 0
  if (isMore) yield* out.note(`there are more: add --after '${printable(last.key)}', or -n\n`)
})

const readPage = Effect.fnUntraced(function*(
  { build, name, version }: ProjectionRecord,
  after: string | undefined,
  limit: number
) {
  return yield* (yield* CheckpointStore).listStates({ name, version, build }, { after, limit })
})

/** Reads page by page, so that the memory does not grow with the number of states. */
const eachPage = Effect.fnUntraced(function*<E>(
  record: ProjectionRecord,
  { after, limit }: ShowInput,
  limitDefault: number,
  use: (page: ReadonlyArray<StoredState>) => Effect.Effect<void, E>
) {
  let left = Option.getOrElse(limit, () => limitDefault)
  let cursor = Option.getOrUndefined(after)
  while (left > 0) {
    const wanted = Math.min(PAGE_SIZE, left)
    const page = yield* readPage(record, cursor, wanted)
    if (page.length > 0) yield* use(page)
    left -= page.length
    cursor = page.at(-1)?.key
    if (page.length < wanted) return
  }
})

const printState = Effect.fnUntraced(function*(record: ProjectionRecord, state: StoredState, settings: Settings) {
  const out = yield* Out
  if (settings.output === "table") {
    const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
    return yield* out.data(renderState(state, style))
  }
  if (settings.output === "ndjson") return yield* out.data(`${toJson(state)}\n`)
  const { name, version } = record
  const key = state.key === "" ? {} : { key: state.key }
  yield* out.data(
    `{${fields({ name, version, position: record.checkpoint.position, ...key })},"state":${state.state}}\n`
  )
})

/** The state is JSON as it is: numbers that a double does not hold stay what they are. */
const toJson = ({ key, state }: StoredState): string => `{"key":${JSON.stringify(key)},"state":${state}}`

/** The inside of an object of JSON. */
const fields = (values: Readonly<Record<string, unknown>>): string => JSON.stringify(values).slice(1, -1)

const failureToJson = ({ failure, name, status, version }: ProjectionRecord) => ({
  projection: name,
  version,
  status,
  failures: failure?.count ?? 0,
  firstAt: failure === undefined ? null : DateTime.formatIso(failure.firstAt),
  lastAt: failure === undefined ? null : DateTime.formatIso(failure.lastAt),
  position: failure?.position ?? null,
  message: failure?.message ?? null
})

const renderFailures = (records: ReadonlyArray<ProjectionRecord>, style: TableStyle): string =>
  renderTable(
    [
      { title: "FAILED PROJECTION", cut: "middle" },
      { title: "VERSION", align: "right" },
      { title: "STATUS" },
      { title: "FAILURES", align: "right" },
      { title: "LAST AT" },
      { title: "LAST POSITION", align: "right" },
      { title: "LAST MESSAGE", cut: "end" }
    ],
    records.map(({ failure, name, status, version }) => [
      name,
      String(version),
      status,
      count(failure?.count ?? 0),
      failure === undefined ? "" : time(failure.lastAt, style.local),
      count(failure?.position ?? 0),
      failure?.message ?? ""
    ]),
    style
  )
