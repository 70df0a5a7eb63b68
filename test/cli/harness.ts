import { NodeServices } from "@effect/platform-node"
import { Console, type Context, Effect, Layer, Redacted, Stdio, Stream } from "effect"
import { TerminalCapabilities } from "effect/cli"
import { run } from "../../src/cli/Cli.ts"
import { Out, OutputClosed } from "../../src/cli/Out.ts"
import type { Settings } from "../../src/cli/Settings.ts"
import { StoreOpener, type StoreServices } from "../../src/cli/StoreOpener.ts"
import { layerMemory } from "../../src/runtime/EventStoreLayer.ts"
import type { StoreAdmin } from "../../src/store/StoreAdmin.ts"

/** What a command printed, and its exit code. */
export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** How a command is run. */
export interface RunOptions {
  readonly stdin?: string | Uint8Array
  /** Width of the terminal; 0 for none. */
  readonly columns?: number
  /** Pieces of data that are taken before the reader goes away. */
  readonly closesAfter?: number
}

/** Runs a command in this process; it takes no clock, terminal or environment from outside. */
export const runCli = (args: ReadonlyArray<string>, options: RunOptions = {}): Effect.Effect<Ran> =>
  Effect.gen(function*() {
    let out = ""
    let err = ""
    let pieces = 0
    const console = {
      ...globalThis.console,
      log: (...texts: ReadonlyArray<unknown>) => void (out += `${texts.join(" ")}\n`)
    }
    const code = yield* run(args, "1.2.3").pipe(
      Effect.provideService(Out, {
        data: (text) =>
          Effect.suspend(() => {
            if (pieces++ >= (options.closesAfter ?? Infinity)) return Effect.fail(new OutputClosed())
            out += text
            return Effect.void
          }),
        note: (text) => Effect.sync(() => void (err += text)),
        columns: options.columns ?? 0,
        isNoteTerminal: false
      }),
      Effect.provideService(Console.Console, console as Console.Console),
      Effect.provideService(TerminalCapabilities.TerminalCapabilities, {
        canColor: false,
        canAnimate: false,
        canPrompt: false
      }),
      Effect.provide(Stdio.layerTest({ stdin: Stream.suspend(() => Stream.make(Buffer.from(options.stdin ?? ""))) })),
      Effect.provide(NodeServices.layer)
    )
    return { code, out, err }
  })

/** A memory store that several commands share. */
export const makeCli = Effect.suspend(() => makeCliOn(layerMemory))

/** The command on a store that is open already. */
export const makeCliOn = Effect.fnUntraced(function*<E>(open: Layer.Layer<StoreServices | StoreAdmin, E>) {
  const store: Context.Context<StoreServices | StoreAdmin> = yield* Layer.build(open)
  const layer = Layer.succeedContext(store)
  // `memory:` by name is another store: a command may open two
  const isOther = ({ url }: Settings) => Redacted.value(url) === "memory:"
  const opener = {
    store: (settings: Settings) => Effect.succeed(isOther(settings) ? Layer.fresh(layerMemory) : layer),
    admin: () => Effect.succeed(layer)
  }
  const cli = (args: ReadonlyArray<string>, options?: RunOptions): Effect.Effect<Ran> =>
    Effect.provideService(runCli(args, options), StoreOpener, opener)
  return { cli, layer }
})

/** Lines of NDJSON. */
export const ndjson = (...lines: ReadonlyArray<unknown>): string =>
  lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("")

/** The values of lines of NDJSON. */
export const parseLines = (text: string): ReadonlyArray<Record<string, unknown>> =>
  text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))

/** Bytes as a stream, so many a chunk. */
export const chunked = (bytes: string | Uint8Array, sizeBytes = 64 * 1024): Stream.Stream<Uint8Array> => {
  const buffer = Buffer.from(bytes as string)
  return Stream.fromIterable(
    Array.from(
      { length: Math.ceil(buffer.length / sizeBytes) },
      (_, index) => new Uint8Array(buffer.subarray(index * sizeBytes, (index + 1) * sizeBytes))
    )
  )
}
