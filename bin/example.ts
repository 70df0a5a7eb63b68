#!/usr/bin/env node
// @effect-diagnostics strictEffectProvide:off -- this is where everything is provided
/**
 * Runs an example over its sample or a file, and prints what came of it.
 *
 *   npm run -s example -- loan|shop|retail [FILE] [-o json] [--url URL]
 *
 * Exits 64 when the arguments make no sense, 3 when there is no such file, and
 * 65 when the file or the store holds something else.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, FileSystem, type PlatformError, References, type Stream } from "effect"
import { basename, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Loan from "../examples/loan/Loan.ts"
import * as Retail from "../examples/retail/Retail.ts"
import * as Shop from "../examples/shop/Shop.ts"
import { fromError } from "../src/cli/CliFailure.ts"
import { layerPglite, layerUrl } from "../src/runtime/index.ts"
import type { CheckpointStore, EventStore, ReadModelStore } from "../src/store/index.ts"

const USAGE = `Usage: npm run -s example -- loan|shop|retail [FILE] [-o json] [--url URL]

  loan    imports the loan applications of a bank, folds them, checks them against the rules, and
          has two projections follow them: how far they come, and how long it takes
  shop    imports the orders of a web shop, then sells what is short to many buyers at once
  retail  imports the invoices of the web shop, and has three projections follow them: revenue by
          country and day, stock by item, and what each customer owes; needs a store with tables

  FILE            NDJSON of events, plain, .gz or .zst; a sample of this repository when absent
  -o, --output    text (the default) or json: one line
  --url           the store: memory:, pglite:DIRECTORY or postgres://USER@HOST:PORT/DATABASE;
                  an embedded one in a directory that is removed afterwards when absent
`

/** Both answers of an example. */
interface Answer {
  readonly text: string
  readonly json: unknown
}

interface Example {
  readonly sample: string
  readonly run: (
    file: Stream.Stream<Uint8Array, PlatformError.PlatformError>,
    name: string
  ) => Effect.Effect<Answer, Failure, CheckpointStore | EventStore | ReadModelStore>
}

/** What every error of the examples and of the stores has. */
interface Failure {
  readonly _tag: string
  readonly message: string
}

const EXAMPLES: Readonly<Record<string, Example>> = {
  loan: {
    sample: "loan-sample.ndjson",
    run: (file, name) =>
      Effect.map(Loan.run(file, name), (outcome) => ({ text: Loan.describe(name, outcome), json: outcome.totals }))
  },
  shop: {
    sample: "retail-sample.ndjson",
    run: (file, name) =>
      Effect.map(Shop.run(file), (outcome) => ({
        text: Shop.describe(name, outcome),
        json: { ...outcome.totals, sale: outcome.sale }
      }))
  },
  retail: {
    sample: "retail-sample.ndjson",
    run: (file, name) =>
      Effect.map(Retail.run(file), (outcome) => ({
        text: Retail.describe(name, outcome),
        json: { ...outcome.totals, best: outcome.best }
      }))
  }
}

interface Arguments {
  readonly example: Example
  readonly file: string
  readonly output: "text" | "json"
  readonly url: string | undefined
}

/** Runs the command and answers its exit code. */
export const main = (args: ReadonlyArray<string>): Effect.Effect<number, never, FileSystem.FileSystem> => {
  const given = readArguments(args)
  if (given === "help") return Effect.as(Console.log(USAGE.trimEnd()), 0)
  if (typeof given === "string") return Effect.as(Console.error(`error: ${given}\n\n${USAGE.trimEnd()}`), 64)
  return run(given).pipe(
    Effect.flatMap(({ json, text }) => Console.log(given.output === "json" ? JSON.stringify(json) : text)),
    Effect.as(0),
    Effect.catch((error) => {
      const { exitCode, fix, message, why } = toWords(error)
      return Effect.as(Console.error(`error: ${message}\n  why: ${why}\n  fix: ${fix}`), exitCode)
    })
  )
}

const run = Effect.fnUntraced(function*({ example, file, output, url }: Arguments) {
  const fs = yield* FileSystem.FileSystem
  // a missing file fails before a store is made
  yield* fs.access(file)
  if (output === "text") yield* Console.error(`Reading ${file} …`)
  const store = url === undefined
    ? layerPglite({ directory: yield* fs.makeTempDirectoryScoped({ prefix: "event-store-example-" }) })
    : layerUrl(url)
  const source = fs.stream(file, { chunkSize: CHUNK_SIZE_BYTES })
  return yield* Effect.provide(example.run(source, basename(file)), store)
}, (effect) =>
  effect.pipe(
    // what ends the example is told once, in its own words
    Effect.provideService(References.MinimumLogLevel, "Error"),
    Effect.provideService(References.LogToStderr, true),
    Effect.scoped
  ))

/** Bytes read from the file at a time. */
const CHUNK_SIZE_BYTES = 256 * 1024

/** Reads the arguments, or says what is wrong with them. */
const readArguments = (args: ReadonlyArray<string>): Arguments | string => {
  const parsed = parse(args)
  if (typeof parsed === "string") return parsed
  const { positionals: [name, file, ...more], values: { help, output, url } } = parsed
  if (help) return "help"
  const example = name !== undefined && Object.hasOwn(EXAMPLES, name) ? EXAMPLES[name] : undefined
  if (example === undefined) {
    return name === undefined
      ? "which example?"
      : `there is no example ${JSON.stringify(name)}`
  }
  if (more.length > 0) return "one file at a time"
  if (output !== "text" && output !== "json") return "-o takes text or json"
  return { example, file: file === undefined ? sample(example) : resolve(file), output, url }
}

const parse = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h", default: false },
        output: { type: "string", short: "o", default: "text" },
        url: { type: "string" }
      }
    })
  } catch (error) {
    return (error as Error).message
  }
}

const sample = ({ sample }: Example): string => fileURLToPath(new URL(`../examples/data/${sample}`, import.meta.url))

interface Words {
  readonly exitCode: number
  readonly message: string
  readonly why: string
  readonly fix: string
}

/** What failed, why, and what to do: in the example's own words, or in those of the command line. */
const toWords = (error: Failure): Words => {
  switch (error._tag) {
    case "EventDataInvalid":
    case "EventUnknown":
    case "ProjectionHalted":
    case "UpcastFailed":
      return {
        exitCode: 65,
        message: "the store holds an event that the example cannot read",
        why: error.message,
        fix: "use a file in the shape of the sample in examples/data, and a store of its own: --url pglite:DIRECTORY"
      }
    case "NoTables":
      return {
        exitCode: 64,
        message: "the store cannot hold what this example makes",
        why: error.message,
        fix: "leave --url out, or use --url pglite:DIRECTORY or postgres://USER@HOST:PORT/DATABASE"
      }
    case "NoApplications":
    case "NoInvoices":
    case "NoOrders":
      return {
        exitCode: 65,
        message: "the file holds nothing for this example",
        why: error.message,
        fix: "use a file in the shape of the sample in examples/data"
      }
    case "FileDamaged":
    case "InputDamaged":
      return {
        exitCode: 65,
        message: "the file cannot be decompressed",
        why: error.message,
        fix: "fetch it again and run the example again"
      }
    case "LineRejected":
      return {
        exitCode: 65,
        message: "the file has a line that cannot be imported",
        why: error.message,
        fix: "correct the line and run the example again"
      }
    default:
      return fromError(error)
  }
}

if (import.meta.main) {
  NodeRuntime.runMain(Effect.provide(main(process.argv.slice(2)), NodeServices.layer), {
    // 130: interrupted, as shells have it; what nobody expected was reported by then
    teardown: (exit) =>
      process.exit(Exit.isSuccess(exit) ? Number(exit.value) : Cause.hasInterruptsOnly(exit.cause) ? 130 : 1)
  })
}
