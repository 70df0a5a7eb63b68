import type { PgPoolConfig } from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { type ArchivedParts, completeRows } from "../../store/EventArchive.ts"
import { Corrupt, StorageError, storeRestoring } from "../../store/EventStoreError.ts"
import type { ArchiveEntry } from "../../store/LogArchive.ts"
import type { EventPage, EventRow, LogView, OtherKind, TransferRows } from "../../store/LogTransfer.ts"
import * as archived from "./archived.ts"
import { storedNumber } from "./buildStatements.ts"
import { storageErrors } from "./sqlErrors.ts"
import type { Rows, Statement } from "./statements.ts"
import * as statements from "./transferStatements.ts"

/**
 * Opens a view: everything beside the events, of one moment. What fits into the
 * memory is read at once, so that nothing is held while it is used.
 */
export const makeView = (
  config: PgPoolConfig,
  schema: string,
  readEvents: LogView["readEvents"],
  parts: ArchivedParts
): Effect.Effect<LogView, StorageError, Scope.Scope> =>
  Effect.gen(function*() {
    const outer = yield* Scope.Scope
    const scope = yield* Scope.fork(outer)
    const connection = yield* PgConnection.make(config).pipe(Scope.provide(scope))
    const ask = ({ parameters, text }: Statement) => connection.queryValues(text, parameters)
    yield* ask(BEGIN)
    // the end of the session would do; on PGlite others wait until the transaction is told to end
    yield* Scope.addFinalizer(scope, Effect.ignore(ask(ROLLBACK)))
    const [head] = yield* ask(statements.describeStore(schema))
    if (head === undefined) return yield* headMissing
    const state = statements.toState(head)
    if (state.restoring !== undefined) return yield* storeRestoring("view")
    const checkpoints = statements.toCheckpointRows(yield* ask(statements.checkpoints(schema)))
    const sources = makeSources(schema, checkpoints.rows, ask)
    const isHeld = yield* fill(sources)
    if (!isHeld) yield* Scope.close(scope, Exit.void)
    return {
      position: state.position,
      incarnation: state.incarnation,
      leftOut: checkpoints.leftOut,
      readEvents: isHeld ? (page) => readInside(ask, schema, page, parts) : readEvents,
      rows: <K extends OtherKind>(kind: K) =>
        (kind === "checkpoints"
          ? Stream.fromIterable(checkpoints.rows)
          : Stream.fromIterable(sources.filter((source) => source.kind === kind)).pipe(
            Stream.flatMap((source) => Stream.concat(Stream.fromIterable(source.rows), source.later))
          )) as Stream.Stream<TransferRows[K], StorageError>
    }
  }).pipe(Effect.catchTag("SqlError", (error) => Effect.fail(error).pipe(storageErrors("view"))))

// internal

/** JSON and bytes that are read at once. */
const BUFFER_SIZE = 32 * 1024 * 1024

/** About what a row takes beside its JSON and bytes. */
const ROW_SIZE = 256

const BEGIN: Statement = { text: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", parameters: [] }
const ROLLBACK: Statement = { text: "ROLLBACK", parameters: [] }

const headMissing = new StorageError({
  operation: "view",
  reason: new Corrupt({ detail: "the head of the log is missing" })
})

type AnyRow = TransferRows[OtherKind]

/** Rows that are read page by page. */
interface Source {
  readonly kind: OtherKind
  /** Those that were read at once. */
  readonly rows: Array<AnyRow>
  /** Reads one more page into `rows`; false at the end. */
  readonly more: Effect.Effect<boolean, SqlError>
  /** Those after them. */
  readonly later: Stream.Stream<AnyRow, StorageError>
}

const makeSource = <A extends AnyRow>(
  kind: OtherKind,
  ask: (statement: Statement) => Effect.Effect<Rows, SqlError>,
  page: (after: A | undefined) => Statement,
  toRow: (row: ReadonlyArray<unknown>) => A
): Source => {
  const rows: Array<A> = []
  let isEnd = false
  const read = (after: A | undefined) => Effect.map(ask(page(after)), (found) => found.map(toRow))
  return {
    kind,
    rows,
    more: Effect.suspend(() =>
      isEnd ? Effect.succeed(false) : Effect.map(read(rows.at(-1)), (found) => {
        isEnd = found.length === 0
        for (const row of found) rows.push(row)
        return !isEnd
      })
    ),
    later: Stream.suspend(() =>
      isEnd ?
        Stream.empty :
        Stream.paginate(rows.at(-1), (after) =>
          Effect.map(read(after), (found) =>
            [found, found.length === 0 ? Option.none() : Option.some(found.at(-1))] as const)).pipe(
            Stream.catch((error) =>
              Stream.fromEffect(Effect.fail(error).pipe(storageErrors("view")))
            )
          )
    )
  }
}

const makeSources = (
  schema: string,
  checkpoints: ReadonlyArray<TransferRows["checkpoints"]>,
  ask: (statement: Statement) => Effect.Effect<Rows, SqlError>
): ReadonlyArray<Source> => {
  const builds = new Map(checkpoints.map(({ build, projection, version }) => [
    `${version} ${build} ${projection}`,
    { projection, stored: storedNumber({ name: projection, version, build }) }
  ]))
  const ofBuilds = (make: (build: statements.BuildNumber) => Source) => Array.from(builds.values(), make)
  return [
    makeSource("streams", ask, (after) => statements.streamPage(schema, after), statements.toStreamRow),
    makeSource("snapshots", ask, (after) => statements.snapshotPage(schema, after), statements.toSnapshotRow),
    ...ofBuilds((build) =>
      makeSource("states", ask, (after) => statements.statePage(schema, build, after), statements.toStateRow(build))
    ),
    ...ofBuilds((build) =>
      makeSource("parked", ask, (after) => statements.parkedPage(schema, build, after), statements.toParkedRow(build))
    )
  ]
}

/** Reads events in the transaction of the view, and lets their tables go: months can be made meanwhile. */
const readInside = (
  ask: (statement: Statement) => Effect.Effect<Rows, SqlError>,
  schema: string,
  page: EventPage,
  { archive, entries }: ArchivedParts
): Effect.Effect<ReadonlyArray<EventRow>, StorageError> =>
  Effect.suspend(() => {
    let seen: ReadonlyArray<ArchiveEntry> = []
    let isKnown = true
    const read = Effect.gen(function*() {
      yield* ask({ text: "SAVEPOINT page", parameters: [] })
      const rows = (yield* ask(statements.eventPage(schema, page))).map(statements.toStoredRow)
      const bare = rows.findLast(({ data }) => data === undefined)
      if (bare !== undefined) seen = (yield* ask(archived.entries(schema))).map(archived.toEntry)
      yield* ask({ text: "ROLLBACK TO SAVEPOINT page", parameters: [] })
      isKnown = bare === undefined || bare.position <= (seen.at(-1)?.until ?? 0)
      return rows
    })
    return completeRows(
      // what was archived since the view was opened is known outside of it only
      { archive, entries: Effect.suspend(() => isKnown ? Effect.succeed(seen) : entries) },
      "readEvents",
      storageErrors("readEvents")(read),
      statements.PAGE_SIZE_BYTES
    )
  })

/** Reads what fits; tells whether there is more. */
const fill = Effect.fnUntraced(function*(sources: ReadonlyArray<Source>) {
  let size = 0
  for (const { more, rows } of sources) {
    let counted = 0
    while (yield* more) {
      for (; counted < rows.length; counted++) size += sizeOf(rows[counted] as AnyRow)
      if (size > BUFFER_SIZE) return true
    }
  }
  return false
})

const sizeOf = (row: AnyRow): number =>
  ROW_SIZE + ("bytes" in row ? row.bytes.length : "state" in row ? row.state.length : 0)
