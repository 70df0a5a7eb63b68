/**
 * Where the command writes: data on one side, everything else on the other.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

/**
 * Represents a reader of our output that went away, as `head` does. The command
 * ends in silence.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputClosed
  extends Schema.TaggedError<OutputClosed>("effect-event-store/cli/Out/OutputClosed")("OutputClosed", {})
{}

/**
 * Service for writing to standard output and standard error.
 *
 * @category services
 * @since 0.1.0
 */
export class Out extends Context.Service<Out, {
  /** Writes data; returns when it is handed over, so lines reach a pipe at once. */
  readonly data: (text: string) => Effect.Effect<void, OutputClosed>
  /** Writes a note, progress or an error. */
  readonly note: (text: string) => Effect.Effect<void>
  /** Width of the terminal that data goes to; 0 when it goes elsewhere. */
  readonly columns: number
  /** Whether notes go to a terminal. */
  readonly isNoteTerminal: boolean
}>()("effect-event-store/cli/Out") {}

/**
 * Layer that writes to the streams of the process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Out> = Layer.sync(Out, () => {
  // a broken pipe is reported by the write that meets it
  process.stdout.on("error", ignore)
  process.stderr.on("error", ignore)
  return {
    data: (text) =>
      Effect.callback((resume) => {
        process.stdout.write(text, (cause) => resume(isMissing(cause) ? Effect.void : Effect.fail(new OutputClosed())))
      }),
    note: (text) =>
      Effect.callback((resume) => {
        process.stderr.write(text, () => resume(Effect.void))
      }),
    columns: process.stdout.isTTY ? process.stdout.columns : 0,
    isNoteTerminal: process.stderr.isTTY === true
  }
})

// internal

const ignore = () => undefined

const isMissing = (cause: Error | null | undefined): boolean => cause === null || cause === undefined
