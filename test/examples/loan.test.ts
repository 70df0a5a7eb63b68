import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer as withLayer } from "@effect/vitest"
import { Effect, FileSystem, Result, Stream } from "effect"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Application } from "../../examples/loan/Application.ts"
import { restore } from "../../examples/loan/BankLog.ts"
import * as Events from "../../examples/loan/Events.ts"
import { funnel } from "../../examples/loan/Funnel.ts"
import * as Loan from "../../examples/loan/Loan.ts"
import { replay, type Totals } from "../../examples/loan/Replay.ts"
import { throughput } from "../../examples/loan/Throughput.ts"
import { Work } from "../../examples/loan/Work.ts"
import { decompress } from "../../src/cli/internal/decompress.ts"
import { CommandHandler } from "../../src/command/index.ts"
import { Decider } from "../../src/decider/index.ts"
import { layerMemory } from "../../src/runtime/index.ts"
import { EventStore } from "../../src/store/index.ts"
import { ProjectionSpec } from "../../src/testing/index.ts"
import { GeneratedEvents, VersionRegistry } from "../../src/version/index.ts"

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const SAMPLE = at("../../examples/data/loan-sample.ndjson")
const WHOLE = at("../../../shared/data/loan.ndjson.zst")

const open = (path: string) =>
  Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => fs.stream(path, { chunkSize: 1024 * 1024 })))

const run = (path: string) => Loan.run(open(path), path)

const bytes = (...lines: ReadonlyArray<string>) => Stream.make(new TextEncoder().encode(lines.join("\n")))

const runLines = (...lines: ReadonlyArray<string>) => Loan.run(bytes(...lines), "lines")

/** Counts types in the lines of a file: no store, no shapes, no folding. */
const countByType = Effect.fnUntraced(function*(path: string) {
  const counts = new Map<string, number>()
  yield* decompress(open(path)).pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEachArray((lines) =>
      Effect.sync(() => {
        for (const line of lines) {
          const type = /"type":"(\w+)"/.exec(line)?.[1] ?? "none"
          counts.set(type, (counts.get(type) ?? 0) + 1)
        }
      })
    )
  )
  return counts
})

const expectedTotals = (counts: ReadonlyMap<string, number>): Totals => ({
  submitted: counts.get("ApplicationSubmitted") ?? 0,
  approved: counts.get("ApplicationApproved") ?? 0,
  declined: counts.get("ApplicationDeclined") ?? 0,
  cancelled: counts.get("ApplicationCancelled") ?? 0
})

/** What the lines make of the read models: each type counted, and the times of those that were decided. */
const expectedModels = Effect.fnUntraced(function*(path: string, counts: ReadonlyMap<string, number>) {
  const submitted = new Map<string, number>()
  const times = new Map<string, { readonly type: string; readonly millis: number }>()
  yield* decompress(open(path)).pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) =>
      Effect.sync(() => {
        const type = /"type":"Application(Submitted|Approved|Declined|Cancelled)"/.exec(line)?.[1]
        if (type === undefined) return
        const { stream, time }: { readonly stream: string; readonly time: string } = JSON.parse(line)
        const since = submitted.get(stream)
        if (type === "Submitted") submitted.set(stream, Date.parse(time))
        else if (since !== undefined && !times.has(stream)) {
          times.set(stream, { type, millis: Date.parse(time) - since })
        }
      })
    )
  )
  const timesOf = (outcome: string) => {
    const millis = [...times.values()].filter(({ type }) => type === outcome).map((each) => each.millis)
    /** The shortest time that so many parts of a hundred are not above. */
    const within = (percent: number) =>
      Math.min(
        ...millis.filter((time) => millis.filter((other) => other <= time).length * 100 >= percent * millis.length)
      )
    return { applications: millis.length, p50Millis: within(50), p90Millis: within(90), p99Millis: within(99) }
  }
  const of = (type: string) => counts.get(type) ?? 0
  return {
    funnel: {
      submitted: of("ApplicationSubmitted"),
      preaccepted: of("ApplicationPreaccepted"),
      accepted: of("ApplicationAccepted"),
      finalized: of("ApplicationFinalized"),
      approved: of("ApplicationApproved"),
      declined: of("ApplicationDeclined"),
      cancelled: of("ApplicationCancelled"),
      offersCreated: of("OfferCreated"),
      offersSent: of("OfferSent"),
      offersSentBack: of("OfferSentBack"),
      offersAccepted: of("OfferAccepted"),
      offersDeclined: of("OfferDeclined"),
      offersCancelled: of("OfferCancelled")
    },
    throughput: { approved: timesOf("Approved"), declined: timesOf("Declined"), cancelled: timesOf("Cancelled") }
  }
})

const sum = (counts: ReadonlyMap<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0)

describe("the loan example", () => {
  it.live("folds the sample into the totals that its lines say", () =>
    Effect.gen(function*() {
      const counts = yield* countByType(SAMPLE)
      const outcome = yield* run(SAMPLE)
      assert.deepStrictEqual(outcome.totals, expectedTotals(counts))
      assert.deepStrictEqual(outcome.totals, { submitted: 200, approved: 38, declined: 116, cancelled: 46 })
      assert.strictEqual(outcome.events, sum(counts))
      assert.strictEqual(outcome.applications, 200)
    }).pipe(Effect.provide([layerMemory, NodeServices.layer])))

  it.live("builds the read models of the sample that its lines say, and they are known", () =>
    Effect.gen(function*() {
      const { funnel, seen, throughput } = yield* run(SAMPLE)
      assert.deepStrictEqual({ funnel, throughput }, yield* expectedModels(SAMPLE, yield* countByType(SAMPLE)))
      assert.deepStrictEqual(funnel, {
        submitted: 200,
        preaccepted: 122,
        accepted: 82,
        finalized: 79,
        approved: 38,
        declined: 116,
        cancelled: 46,
        offersCreated: 111,
        offersSent: 111,
        offersSentBack: 58,
        offersAccepted: 38,
        offersDeclined: 15,
        offersCancelled: 58
      })
      assert.deepStrictEqual(
        [throughput.approved.applications, throughput.declined.applications, throughput.cancelled.applications],
        [38, 116, 46]
      )
      assert.deepStrictEqual(seen, { "loan-funnel": 1_074, "loan-throughput": 400 })
    }).pipe(Effect.provide([layerMemory, NodeServices.layer])))

  it.live("says which events of the sample its deciders would have refused, and why", () =>
    Effect.gen(function*() {
      const { allowed, events, refusals, regular } = yield* run(SAMPLE)
      const refused = refusals.reduce((count, refusal) => count + refusal.events, 0)
      assert.strictEqual(allowed, events - refused)
      assert.strictEqual(regular, 184)
      assert.deepStrictEqual(refusals[0], {
        command: "CompleteWork",
        reason: "the task is not going on",
        events: 15,
        first: { streamId: "loan-173709", revision: 10 }
      })
      // one customer's loan was paid out before the signed offer came back
      assert.deepStrictEqual(
        refusals.slice(1).map(({ command, first }) => [command, first.streamId]).sort(),
        ["AcceptOffer", "ActivateApplication", "ApproveApplication", "RegisterApplication"]
          .map((command) => [command, "loan-174036"])
      )
    }).pipe(Effect.provide([layerMemory, NodeServices.layer])))

  it.live("stores what the bank wrote, and reads it in the newest shapes", () =>
    Effect.gen(function*() {
      yield* run(SAMPLE)
      const store = yield* EventStore
      const registry = yield* VersionRegistry.make(Events.types)
      const stored = yield* Stream.runCollect(store.readStream("loan-173688"))
      const [submitted, work] = [stored[0]!, stored.find(({ type }) => type === "WorkItemScheduled")!]
      assert.deepStrictEqual([submitted.version, submitted.data], [1, {
        amountRequested: 20_000,
        currency: "EUR",
        registeredAt: "2011-09-30T22:38:44.546Z"
      }])
      assert.deepStrictEqual([work.version, work.data], [1, { activity: "W_Completeren aanvraag" }])

      const read = yield* registry.decodeAll([submitted, work])
      assert.deepStrictEqual(read.map(({ data, storedVersion, version }) => [storedVersion, version, data]), [
        [1, 3, { requested: { amountCents: 2_000_000, currency: "EUR" }, receivedAt: "2011-09-30T22:38:44.546Z" }],
        [1, 3, { phase: "Intake", task: "CompleteApplication" }]
      ])
    }).pipe(Effect.provide([layerMemory, NodeServices.layer])))

  it.live("an older program still gets the shapes that it knows", () =>
    Effect.gen(function*() {
      const registry = yield* VersionRegistry.make(Events.types)
      const event = Events.WorkItemStarted.make({ phase: "Offer", task: "CallAfterOffer" })
      const lower = (version: number) => Result.getOrThrow(registry.lower(event, version)).data
      assert.deepStrictEqual([lower(2), lower(1)], [
        { code: "Offer/CallAfterOffer" },
        { activity: "W_Nabellen offertes" }
      ])
    }))

  it.live("every event that any version could have stored is decoded and folded", () =>
    Effect.gen(function*() {
      const registry = yield* VersionRegistry.make(Events.types)
      const report = yield* GeneratedEvents.check(registry, {
        fold: { initial: Application.initial, evolve: Application.evolve }
      })
      yield* GeneratedEvents.check(registry, { fold: { initial: Work.initial, evolve: Work.evolve } })
      assert.isAbove(report.events, 0)
    }))

  it.live("importing the same file twice changes nothing", () =>
    Effect.gen(function*() {
      const first = yield* run(SAMPLE)
      const second = yield* run(SAMPLE)
      assert.strictEqual(second.imported.appended, 0)
      assert.deepStrictEqual(second.totals, first.totals)
    }).pipe(Effect.provide([layerMemory, NodeServices.layer])))

  it.live("new decisions go on where the old log ends, and are checked as strictly", () =>
    Effect.gen(function*() {
      yield* runLines(
        ...["ApplicationSubmitted", "ApplicationPartlySubmitted", "ApplicationPreaccepted"].map((type) =>
          JSON.stringify({
            stream: "loan-1",
            type,
            data: type === "ApplicationSubmitted"
              ? { amountRequested: 500, currency: "EUR", registeredAt: "2011-10-01T00:00:00.000Z" }
              : {}
          })
        )
      )
      const applications = yield* CommandHandler.make(Application, { category: "loan" })
      const work = yield* CommandHandler.make(Work, { category: "loan" })

      const { state } = yield* applications.execute("1", { _tag: "AcceptApplication" })
      assert.strictEqual(state.requestedCents, 50_000)
      const { events } = yield* work.execute("1", { _tag: "ScheduleWork", phase: "Offer", task: "CallAfterOffer" })
      assert.deepStrictEqual(events.map(({ revision, version }) => [revision, version]), [[4, 3]])

      const refused = yield* Effect.flip(applications.execute("1", { _tag: "ApproveApplication" }))
      assert.strictEqual(refused.message, "ApproveApplication is not allowed: the application is not finalized")
      yield* applications.execute("1", { _tag: "CancelApplication" })
      assert.deepStrictEqual((yield* replay).totals, { submitted: 1, approved: 0, declined: 0, cancelled: 1 })
    }).pipe(Effect.provide(layerMemory)))

  it.live("puts the bank's own names back and leaves every other byte as it is", () =>
    Effect.gen(function*() {
      const lines = [
        "{\"stream\":\"loan-1\",\"type\":\"OfferSent\",\"data\":{\"name\":\"Zoë\"}}",
        "",
        "{\"stream\":\"loan-1\",\"type\":\"WorkItemStarted\",\"data\":{\"task\":\"x\"},\"metadata\":{\"activity\":\"é\"}}",
        "{\"type\":\"WorkItemStarted\",\"data\":{}}",
        "{\"type\":\"WorkItemStarted"
      ]
      const restored = yield* Stream.mkString(Stream.decodeText(restore(bytes(...lines), "")))
      assert.deepStrictEqual(restored.split("\n"), [
        lines[0],
        "",
        "{\"stream\":\"loan-1\",\"type\":\"WorkItemStarted\",\"data\":{\"activity\":\"é\"},\"metadata\":{\"activity\":\"é\"}}",
        lines[3],
        lines[4],
        ""
      ])
    }))

  it.live("names the line that is no event, and the event that is of no known shape", () =>
    Effect.gen(function*() {
      const work = { stream: "loan-1", type: "WorkItemStarted", data: {}, metadata: { activity: "W_Onbekend" } }
      const unknown = yield* Effect.flip(runLines(JSON.stringify(work)))
      assert.include(unknown.message, "WorkItemStarted, version 1 at revision 0 of stream loan-1")
      const damaged = yield* Effect.flip(runLines("", "{\"type\":\"WorkItem"))
      assert.include(damaged.message, "Line 2")
    }).pipe(Effect.provide(layerMemory)))

  it.live("says so when the file holds no applications", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        runLines(JSON.stringify({ stream: "order-1", type: "OrderPlaced", data: {} }))
      )
      assert.strictEqual(error._tag, "NoApplications")
    }).pipe(Effect.provide(layerMemory)))

  it.live("folds the whole log into the totals that are known of it", (context) =>
    Effect.gen(function*() {
      if (!existsSync(WHOLE)) return context.skip("../shared/data/loan.ndjson.zst is not there")
      const counts = yield* countByType(WHOLE)
      const { allowed, applications, events, funnel, throughput, totals } = yield* run(WHOLE)
      assert.deepStrictEqual(totals, { submitted: 13_087, approved: 2_246, declined: 7_635, cancelled: 2_807 })
      assert.deepStrictEqual(totals, expectedTotals(counts))
      assert.deepStrictEqual([applications, events], [13_087, sum(counts)])
      assert.isAbove(allowed / events, 0.99)
      assert.deepStrictEqual({ funnel, throughput }, yield* expectedModels(WHOLE, counts))
      assert.deepStrictEqual(
        [
          funnel.submitted,
          funnel.approved,
          funnel.declined,
          funnel.cancelled,
          funnel.offersCreated,
          funnel.offersAccepted
        ],
        [13_087, 2_246, 7_635, 2_807, 7_030, 2_243]
      )
      assert.deepStrictEqual(
        [throughput.approved.applications, throughput.declined.applications, throughput.cancelled.applications],
        [2_246, 7_635, 2_807]
      )
    }).pipe(Effect.provide([layerMemory, NodeServices.layer])), 180_000)
})

withLayer(layerMemory, { excludeTestServices: true })("the projections of the loan example", (it) => {
  const at = (instant: string) => ({ metadata: { time: instant } })
  const submitted = (instant: string) =>
    Events.ApplicationSubmitted.make(
      { requested: { amountCents: 1, currency: "EUR" }, receivedAt: instant },
      at(instant)
    )

  it.effect("the funnel counts each step, over all applications", () =>
    ProjectionSpec.state(funnel)
      .given(
        submitted("2011-10-01T00:00:00.000Z"),
        Events.ApplicationPreaccepted.make({}),
        Events.OfferCreated.make({}),
        { ...submitted("2011-10-01T00:00:00.000Z"), streamId: "loan-2" },
        { ...Events.ApplicationDeclined.make({}), streamId: "loan-2" },
        Events.OfferCancelled.make({}),
        Events.OfferCreated.make({})
      )
      .thenState({
        ...funnel.initial,
        submitted: 2,
        preaccepted: 1,
        declined: 1,
        offersCreated: 2,
        offersCancelled: 1
      }))

  it.effect("a throughput time ends with the first decision, and an application whose start is unknown has none", () =>
    ProjectionSpec.state(throughput)
      .given(
        submitted("2011-10-01T00:00:00.000Z"),
        { ...submitted("2011-10-01T00:00:00.001Z"), streamId: "loan-2" },
        Events.ApplicationDeclined.make({}, at("2011-10-02T00:00:00.000Z")),
        Events.ApplicationCancelled.make({}, at("2011-10-09T00:00:00.000Z")),
        { ...Events.ApplicationApproved.make({}), streamId: "loan-3" }
      )
      .thenStates({
        "loan-1": {
          submittedAt: Date.UTC(2011, 9, 1),
          decided: { outcome: "declined", afterMillis: 24 * 60 * 60 * 1000 }
        },
        "loan-2": { submittedAt: Date.UTC(2011, 9, 1) + 1, decided: null }
      }))
})

describe("the deciders of a loan", () => {
  const refusals = (commands: ReadonlyArray<Parameters<typeof Application.decide>[0]>) => {
    let state = Application.initial
    return commands.flatMap((command) => {
      const decided = Application.decide(command, state)
      if (!Result.isResult(decided)) return ["not a result"]
      if (Result.isFailure(decided)) return [decided.failure.message]
      state = Decider.fold(Application, decided.success, state)
      return []
    })
  }

  const submit = {
    _tag: "SubmitApplication",
    requested: { amountCents: 1, currency: "EUR" },
    receivedAt: "2011-10-01T00:00:00.000Z"
  } as const
  const toOffer = [
    submit,
    { _tag: "SubmitPartly" },
    { _tag: "PreacceptApplication" },
    { _tag: "AcceptApplication" },
    { _tag: "SelectOffer" },
    { _tag: "FinalizeApplication" },
    { _tag: "CreateOffer" },
    { _tag: "SendOffer" }
  ] as const

  it("a loan is approved when the customer has signed the offer", () => {
    assert.deepStrictEqual(
      refusals([...toOffer, { _tag: "ReceiveOffer" }, { _tag: "AcceptOffer" }, { _tag: "ApproveApplication" }]),
      []
    )
    assert.deepStrictEqual(refusals([...toOffer, { _tag: "ApproveApplication" }]), [
      "ApproveApplication is not allowed: the offer is not sent back or accepted"
    ])
  })

  it("a customer has one offer at a time", () => {
    assert.deepStrictEqual(refusals([...toOffer, { _tag: "SelectOffer" }, { _tag: "CreateOffer" }]), [
      "CreateOffer is not allowed: the customer has an offer already"
    ])
    assert.deepStrictEqual(
      refusals([...toOffer, { _tag: "SelectOffer" }, { _tag: "CancelOffer" }, { _tag: "CreateOffer" }]),
      []
    )
  })

  it("nothing is decided twice", () => {
    assert.deepStrictEqual(
      refusals([submit, submit, { _tag: "DeclineApplication" }, { _tag: "CancelApplication" }]),
      [
        "SubmitApplication is not allowed: the application was submitted already",
        "CancelApplication is not allowed: the application has its outcome"
      ]
    )
  })
})
