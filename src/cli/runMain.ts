/**
 * Runs the command as the process.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { run } from "./Cli.ts"
import * as Out from "./Out.ts"

/**
 * Runs the command and exits with its code. A signal interrupts it, so that what
 * it holds is given back; a second one does not wait for that.
 *
 * @category running
 * @since 0.1.0
 */
export const runMain = (args: ReadonlyArray<string>, version: string): void => {
  let received: keyof typeof SIGNAL_EXIT_CODES | undefined
  const onSignal = (signal: keyof typeof SIGNAL_EXIT_CODES) => () => {
    if (received !== undefined) process.exit(SIGNAL_EXIT_CODES[signal])
    received = signal
  }
  process.on("SIGINT", onSignal("SIGINT"))
  process.on("SIGTERM", onSignal("SIGTERM"))

  NodeRuntime.runMain(Effect.provide(run(args, version), Layer.merge(NodeServices.layer, Out.layer)), {
    disableErrorReporting: true,
    teardown: (exit) => {
      // 0 too: nothing that was left open may keep the process
      process.exit(Exit.isSuccess(exit) ? Number(exit.value) : SIGNAL_EXIT_CODES[received ?? "SIGINT"])
    }
  })
}

// internal

/** 128 and the number of the signal, as shells have it. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const
