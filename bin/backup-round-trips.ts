/**
 * Sends whole event logs from every storage through backups into every storage, and by `promote` to every other one,
 * and compares all that is there afterwards with what was there before: the export byte for byte, the rows, and what
 * stands beside them.
 *
 *   npm run backup-round-trips -- [--lines 1000] FILE…
 *
 * A file is NDJSON as `event-store import` takes it, plain or as zstd. The storages are memory, PGlite in a directory,
 * and PostgreSQL: npm's 18, and the machine's where it has another one. Prints a line a trip to standard error and a
 * summary as JSON to standard output; exits 1 when anything differs.
 */
import { Context, Effect, FileSystem, Layer, Logger } from "effect"
import { NodeFileSystem } from "@effect/platform-node"
import { readFileSync } from "node:fs"
import { basename } from "node:path"
import { parseArgs } from "node:util"
import { zstdDecompressSync } from "node:zlib"
import { BackupStorage, layerDirectory } from "../src/backup/index.ts"
import { memory, pgliteIn, postgresOn } from "../test/backup/anyStore.ts"
import { roundTripsFrom, type RoundTripsOf } from "../test/backup/roundTrips.ts"
import { startServers } from "../test/support/postgres.ts"

const { positionals: files, values } = parseArgs({
  options: { lines: { type: "string" } },
  allowPositionals: true
})

const read = (file: string): Buffer => {
  const bytes = readFileSync(file)
  const all = file.endsWith(".zst") ? zstdDecompressSync(bytes) : bytes
  if (values.lines === undefined) return all
  let end = 0
  for (let line = 0; line < Number(values.lines); line++) end = all.indexOf("\n", end) + 1 || all.length
  return all.subarray(0, end)
}

/** The same as `directory`, of a test's scope or of this one: a directory that goes with the scope. */
const directory = Effect.flatMap(
  FileSystem.FileSystem,
  (fs) => fs.makeTempDirectoryScoped({ prefix: "event-store-round-trips-" })
).pipe(Effect.provide(NodeFileSystem.layer))

const place = Effect.flatMap(
  directory,
  (path) => Effect.map(Layer.build(layerDirectory(path)), (context) => Context.get(context, BackupStorage))
)

const summarise = (file: string, all: ReadonlyArray<RoundTripsOf>) => {
  const trips = all.flatMap((one) => one.trips)
  return {
    file: basename(file),
    events: all[0]?.before.events ?? 0,
    trips: trips.length,
    differing: trips.filter(({ differs }) => differs.length > 0),
    stores: all
  }
}

const program = Effect.scoped(Effect.gen(function*() {
  const { servers } = yield* Effect.acquireRelease(
    Effect.promise(startServers),
    ({ stop }) => Effect.promise(stop)
  )
  const kinds = [memory, pgliteIn(directory), ...servers.map(postgresOn)]
  return yield* Effect.forEach(files, (file) =>
    Effect.gen(function*() {
      const lines = read(file)
      const all = yield* Effect.forEach(kinds, (kind) =>
        roundTripsFrom(kind, {
          lines,
          kinds,
          moves: (from, to) => from !== memory && to !== memory && from !== to,
          place,
          progress: (text) => void process.stderr.write(`${basename(file)} ${text}\n`)
        }))
      return summarise(file, all)
    }))
}))

if (files.length === 0) {
  process.stderr.write("backup-round-trips: which files?\n")
  process.exitCode = 64
} else {
  const summary = await Effect.runPromise(
    // what is logged must not stand in the summary
    Effect.provide(program, Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]))
  )
  process.stdout.write(`${JSON.stringify(summary)}\n`)
  if (summary.some(({ differing }) => differing.length > 0)) process.exitCode = 1
}
