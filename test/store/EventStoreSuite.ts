/**
 * The contract of `EventStore` as tests: one text for all storages.
 *
 * **Details**
 *
 * The tests of a suite share one store. Each makes streams, types and tags of
 * its own, and reads the log from the head that it noted at its start; none
 * expects an empty store. Time is real, and nobody sleeps.
 */
import { it } from "@effect/vitest"
import type { Duration, Layer } from "effect"
import type { EventStore } from "../../src/store/EventStore.ts"
import { appendAllTests } from "./AppendAllSuite.ts"
import { appendTests } from "./AppendSuite.ts"
import { badDataTests } from "./BadDataSuite.ts"
import { badNameTests } from "./BadNameSuite.ts"
import { badOptionTests } from "./BadOptionSuite.ts"
import { conditionTests } from "./ConditionSuite.ts"
import { historyTests } from "./HistorySuite.ts"
import { raceTests } from "./RaceSuite.ts"
import { readLogTests } from "./ReadLogSuite.ts"
import { readStreamTests } from "./ReadStreamSuite.ts"
import { retryTests } from "./RetrySuite.ts"
import { streamTests } from "./StreamSuite.ts"
import { subscribeTests } from "./SubscribeSuite.ts"

export interface SuiteOptions {
  /** How long the layer may take to build; 60 seconds when absent. */
  readonly timeout?: Duration.Input | undefined
}

/** Registers the contract for one storage. The store need not be empty; nobody else may write to it meanwhile. */
export const suite = <E>(storage: string, layer: Layer.Layer<EventStore, E>, options: SuiteOptions = {}): void => {
  const { timeout = "60 seconds" } = options
  it.layer(layer, { timeout, excludeTestServices: true })(`EventStore (${storage})`, (it) => {
    appendTests(it)
    retryTests(it)
    appendAllTests(it)
    conditionTests(it)
    readStreamTests(it)
    readLogTests(it)
    streamTests(it)
    subscribeTests(it)
    raceTests(it)
    historyTests(it)
    badDataTests(it)
    badNameTests(it)
    badOptionTests(it)
  })
}
