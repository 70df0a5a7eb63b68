/**
 * Keys that only one stream has.
 */
import { assert } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { CommandHandler, Uniqueness } from "../../src/command/index.ts"
import { Decider } from "../../src/decider/index.ts"
import { EventType } from "../../src/event/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { indexes, readStream, someCategory, someName, unique, writingNothing } from "../store/fixtures.ts"
import { assertError, type CommandTests, interfering } from "./fixtures.ts"

const Registered = EventType.make("UserRegistered", { email: Schema.String })
const Changed = EventType.make("EmailChanged", { email: Schema.String })
const Left = EventType.make("UserLeft", {})

type Command =
  | { readonly _tag: "Register"; readonly email: string }
  | { readonly _tag: "Change"; readonly emails: ReadonlyArray<string> }
  | { readonly _tag: "Leave" }

const user = Decider.make({
  events: [Registered, Changed, Left],
  initial: { email: "" },
  decide: (command: Command) => {
    switch (command._tag) {
      case "Register":
        return [Registered.make({ email: command.email })]
      case "Change":
        return command.emails.map((email) => Changed.make({ email }))
      case "Leave":
        return [Left.make({})]
    }
  },
  evolve: (_state, event) => event.type === "UserLeft" ? { email: "" } : { email: event.data.email }
})

const someUsers = Effect.suspend(() => {
  const scope = someName("email")
  return Effect.map(
    CommandHandler.make(user, {
      category: someCategory(),
      reservations: (event, before) => [
        ...(before.email === "" ? [] : [Uniqueness.release(scope, before.email)]),
        ...(event.type === "UserLeft" ? [] : [Uniqueness.reserve(scope, event.data.email)])
      ]
    }),
    (users) => ({ scope, users, streamId: (id: string) => `${users.category}-${id}` })
  )
})

export const uniquenessTests = (it: CommandTests): void => {
  it.effect("a key that another stream has is refused, and nothing is written", () =>
    Effect.gen(function*() {
      const { scope, streamId, users } = yield* someUsers
      yield* users.execute("1", { _tag: "Register", email: "ann@a" })
      const error = yield* writingNothing(Effect.flip(users.execute("2", { _tag: "Register", email: "ann@a" })))
      assertError(error, { _tag: "KeyTaken", scope, owner: streamId("1") })
      assert.notInclude(error.message, "ann@a")
      assert.deepStrictEqual(yield* Uniqueness.ownerOf(scope, "ann@a"), Option.some(streamId("1")) as never)
      assert.deepStrictEqual(yield* Uniqueness.ownerOf(scope, "bob@a"), Option.none())
    }))

  it.effect("a key that was released is free, and one that is changed is free and taken in the same append", () =>
    Effect.gen(function*() {
      const { scope, streamId, users } = yield* someUsers
      yield* users.execute("1", { _tag: "Register", email: "a" })
      yield* users.execute("1", { _tag: "Change", emails: ["b", "c", "b"] })
      assert.deepStrictEqual(yield* Uniqueness.ownerOf(scope, "a"), Option.none())
      assert.deepStrictEqual(yield* Uniqueness.ownerOf(scope, "b"), Option.some(streamId("1")) as never)
      assert.deepStrictEqual(yield* Uniqueness.ownerOf(scope, "c"), Option.none())
      yield* users.execute("2", { _tag: "Register", email: "a" })
      assertError(yield* Effect.flip(users.execute("2", { _tag: "Change", emails: ["c", "b"] })), {
        _tag: "KeyTaken",
        scope,
        owner: streamId("1")
      })
      assert.deepStrictEqual(yield* Uniqueness.ownerOf(scope, "a"), Option.some(streamId("2")) as never)
      yield* users.execute("1", { _tag: "Leave" })
      assert.strictEqual((yield* users.execute("2", { _tag: "Change", emails: ["b"] })).state.email, "b")
    }))

  it.effect("of 16 who want a key at the same time, exactly one gets it", () =>
    Effect.gen(function*() {
      const { scope, streamId, users } = yield* someUsers
      const outcomes = yield* Effect.forEach(
        indexes(16),
        (index) => Effect.result(users.execute(`${index}`, { _tag: "Register", email: "a" })),
        { concurrency: "unbounded" }
      )
      const winner = outcomes.findIndex(({ _tag }) => _tag === "Success")
      for (const [index, outcome] of outcomes.entries()) {
        if (index === winner) continue
        assert.strictEqual(outcome._tag, "Failure")
        if (outcome._tag === "Failure") {
          assertError(outcome.failure, { _tag: "KeyTaken", scope, owner: streamId(`${winner}`) })
        }
        assert.lengthOf(yield* readStream(streamId(`${index}`)), 0)
      }
      assert.isAtLeast(winner, 0)
    }))

  it.effect("who reads that a key is free, and is not the first to append, finds it taken", () =>
    Effect.gen(function*() {
      const { streamId, users } = yield* someUsers
      const scope = someName("email")
      const reservations = () => [Uniqueness.reserve(scope, "a")]
      const category = users.category
      const error = yield* interfering(
        (store, attempt) =>
          attempt > 1 ? Effect.void : Effect.provideService(
            Effect.flatMap(
              CommandHandler.make(user, { category, reservations }),
              (first) => first.execute("1", { _tag: "Register", email: "a" })
            ),
            EventStore,
            store
          ),
        Effect.flatMap(
          CommandHandler.make(user, { category, reservations }),
          (second) => Effect.flip(second.execute("2", { _tag: "Register", email: "a" }))
        )
      )
      assertError(error, { _tag: "KeyTaken", scope, owner: streamId("1") })
      assert.lengthOf(yield* readStream(streamId("2")), 0)
    }))

  it.effect("a key that one has already is claimed, so that nobody releases it meanwhile", () =>
    Effect.gen(function*() {
      const { scope, streamId, users } = yield* someUsers
      yield* users.execute("1", { _tag: "Register", email: "a" })
      const again = yield* CommandHandler.make(user, {
        category: users.category,
        reservations: () => [Uniqueness.reserve(scope, "a")]
      })
      yield* again.execute("1", { _tag: "Change", emails: ["b"] })
      assert.deepStrictEqual(yield* Uniqueness.ownerOf(scope, "a"), Option.some(streamId("1")) as never)
    }))

  it.effect("a command that is repeated reserves once", () =>
    Effect.gen(function*() {
      const { users } = yield* someUsers
      const options = { commandId: unique() }
      const first = yield* users.execute("1", { _tag: "Register", email: "a" }, options)
      yield* users.execute("1", { _tag: "Leave" })
      yield* users.execute("2", { _tag: "Register", email: "a" })
      const again = yield* writingNothing(users.execute("1", { _tag: "Register", email: "a" }, options))
      assert.deepStrictEqual(again, { ...first, alreadyExecuted: true })
    }))

  it.effect("the key stands nowhere in the names of streams", () =>
    Effect.gen(function*() {
      const { scope, users } = yield* someUsers
      const email = `${unique()}@a`
      const { position } = yield* users.execute("1", { _tag: "Register", email })
      assert.isAbove(position as number, 0)
      const holders = yield* readStream(`reservation-${scope}:${yield* digestOf(`${scope}\n${email}`)}`)
      assert.deepStrictEqual(holders.map(({ data, type }) => [type, data]) as unknown, [
        ["KeyReserved", { owner: `${users.category}-1` }]
      ])
    }))

  it.effect("reservations that throw, or are none, fail the command, and nothing is written", () =>
    Effect.gen(function*() {
      const throwing = (): never => {
        throw new Error("no")
      }
      const none = [null, [null], [{}], [Uniqueness.reserve("", "a")], [Uniqueness.reserve("a", undefined as never)]]
      for (const reservations of [throwing, ...none.map((answer) => () => answer as never)]) {
        const users = yield* CommandHandler.make(user, { category: someCategory(), reservations })
        const error = yield* writingNothing(Effect.flip(users.execute("1", { _tag: "Register", email: "a" })))
        assert.strictEqual(error._tag === "DecisionFailed" && error.rule, "reservations")
      }
    }))
}

const digestOf = (text: string) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (digest) => Buffer.from(digest).toString("hex")
  )
