/**
 * What command and query buses share: handlers by name, checked input, middleware around them.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { firstFault } from "../../event/SchemaFault.ts"
import { BusInvalid, type Message, MessageInvalid, MessageUnknown } from "../Message.ts"
import type { Call, Middleware } from "../Middleware.ts"

/** A handler of anything. */
export interface AnyHandler {
  readonly message: Message<string, unknown>
  readonly handle: (payload: never, options: never) => Effect.Effect<unknown, unknown, unknown>
}

/** What a bus does; its types are those of the handlers, which are forgotten here. */
export interface AnyBus {
  /** Runs a message whose payload has the type of the schema. */
  readonly send: (name: string, payload: unknown, options: unknown) => Effect.Effect<never>
  /** Runs a message whose payload is of the schema's encoded side. */
  readonly sendUnknown: (name: string, payload: unknown, options: unknown) => Effect.Effect<never>
}

/** Makes a bus, which keeps the services of its maker. */
export const makeBus = (
  kind: Call["kind"],
  handlers: ReadonlyArray<AnyHandler>,
  middleware: ReadonlyArray<Middleware<unknown, unknown>>
): Effect.Effect<AnyBus, BusInvalid> =>
  Effect.contextWith((context: Context.Context<never>): Effect.Effect<AnyBus, BusInvalid> => {
    const names = handlers.map(({ message }) => message.name)
    const duplicates = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))]
    if (duplicates.length > 0) return Effect.fail(new BusInvalid({ duplicates }))
    const routes = new Map(
      handlers.map((handler) => [handler.message.name, makeRoute(kind, handler, middleware, context)])
    )
    const send = (name: string, payload: unknown, options: unknown, isEncoded: boolean) =>
      forget(
        Effect.suspend(() =>
          routes.get(name)?.(payload, options, isEncoded) ?? Effect.fail(new MessageUnknown({ name }))
        )
      )
    return Effect.succeed({
      send: (name, payload, options) => send(name, payload, options, false),
      sendUnknown: (name, payload, options) => send(name, payload, options, true)
    })
  })

// internal

type Route = (payload: unknown, options: unknown, isEncoded: boolean) => Effect.Effect<unknown, unknown>

const forget = (effect: unknown) => effect as Effect.Effect<never>

const makeRoute = (
  kind: Call["kind"],
  { handle, message: { name, schema } }: AnyHandler,
  middleware: ReadonlyArray<Middleware<unknown, unknown>>,
  context: Context.Context<never>
): Route => {
  const decode = Schema.decodeUnknownResult(schema)
  const check = Schema.decodeUnknownResult(Schema.toType(schema))
  return (input, options, isEncoded) => {
    const decoded = (isEncoded ? decode : check)(input)
    if (decoded._tag === "Failure") return Effect.fail(invalid(name, decoded.failure))
    const payload = decoded.success
    const call: Call = { kind, name, payload }
    const handled = Effect.suspend(() => handle(payload as never, options as never))
    const around = middleware.reduceRight((next, one) => one(next, call), handled)
    return Effect.updateContext(forget(around), (caller: Context.Context<never>) => Context.merge(context, caller))
  }
}

const invalid = (name: string, error: Schema.SchemaError): MessageInvalid => {
  const { path, reason } = firstFault(error)
  return new MessageInvalid({ name, path: formatPath(path), reason })
}

const formatPath = (path: ReadonlyArray<PropertyKey>): string =>
  path.reduce<string>(
    (text, step) =>
      typeof step === "number" ? `${text}[${step}]` : text === "" ? String(step) : `${text}.${String(step)}`,
    ""
  )
