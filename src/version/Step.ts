/**
 * Small steps between shapes, to be piped into one.
 *
 * **Details**
 *
 * Each takes the shape that the steps before it left, so the compiler knows
 * the keys. Each says in its type whether it can be undone: a pipe is as
 * reversible as the least reversible of its steps. None changes what it is
 * given; all but {@link transform} throw when the data is not an object.
 *
 * **Example**
 *
 * ```ts
 * const step = Step.from<{ readonly name: string; readonly cents: number }>().pipe(
 *   Step.rename("cents", "amount"),
 *   Step.convert("amount", (cents) => cents / 100, (amount) => Math.round(amount * 100)),
 *   Step.add("currency", "EUR")
 * )
 * ```
 *
 * @since 0.1.0
 */
import { identity, makeStep, type Reversibility, type Step } from "../event/EventType.ts"
import { moved, omit, picked, renamed, replaced } from "./internal/records.ts"
import type {
  Moved,
  NewKey,
  PathIn,
  PathTo,
  Pretty,
  Removed,
  Renamed,
  Replaced,
  Value,
  Weaker
} from "./internal/stepTypes.ts"

export type { Reversibility, Step } from "../event/EventType.ts"

/**
 * The step that changes nothing, from a shape that is said in the type.
 *
 * @category constructors
 * @since 0.1.0
 */
export const from = <From>(): Step<From, From, "reversible"> => identity<From>()

/**
 * Adds a key with a value. Reversible: going down, the key is left out.
 *
 * @category combinators
 * @since 0.1.0
 */
export const add = <const K extends string, const V, Cur extends object>(
  key: K & NewKey<K, Cur>,
  value: V
): Combinator<Cur, Pretty<Cur & { readonly [P in K]: V }>> =>
  combinator(
    (data) => ({ ...data, [key]: value }),
    (data) => omit(data, [key]),
    ["add", key, value]
  )

/**
 * Adds a key with a value that follows from the other ones. Reversible: going
 * down, the key is left out.
 *
 * @category combinators
 * @since 0.1.0
 */
export const derive = <const K extends string, Cur extends object, V>(
  key: K & NewKey<K, Cur>,
  up: (data: Cur) => V
): Combinator<Cur, Pretty<Cur & { readonly [P in K]: V }>> =>
  combinator(
    (data) => ({ ...data, [key]: up(data as Cur) }),
    (data) => omit(data, [key]),
    ["derive", key, up]
  )

/**
 * Removes a key. One-way; with a value to put there on the way down, the data
 * can be lowered.
 *
 * @category combinators
 * @since 0.1.0
 */
export const remove: {
  <const K extends keyof Cur & string, Cur extends object>(key: K): Combinator<Cur, Removed<Cur, K>, "oneWay">
  <const K extends keyof Cur & string, Cur extends object>(
    key: K,
    options: { readonly restore: Value<Cur, K> }
  ): Combinator<Cur, Removed<Cur, K>, "lowering">
} = (key: string, options?: { readonly restore: unknown }) =>
  combinator(
    (data) => omit(data, [key]),
    options === undefined ? undefined : (data) => ({ ...data, [key]: options.restore }),
    ["remove", key, options?.restore],
    "lowering"
  )

/**
 * Renames a key; an absent key stays absent. Reversible.
 *
 * @category combinators
 * @since 0.1.0
 */
export const rename = <const K extends keyof Cur & string, const L extends string, Cur extends object>(
  key: K,
  name: L & NewKey<L, Cur>
): Combinator<Cur, Renamed<Cur, K, L>> =>
  combinator((data) => renamed(data, key, name), (data) => renamed(data, name, key), ["rename", key, name])

/**
 * Converts the value of a key to another type; an absent key stays absent.
 * Reversible when `down` is given, which then has to undo `up`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const convert: {
  <const K extends keyof Cur & string, Cur extends object, V>(
    key: K,
    up: (value: Value<Cur, K>) => V,
    down: (value: V) => Value<Cur, K>
  ): Combinator<Cur, Replaced<Cur, K, V>>
  <const K extends keyof Cur & string, Cur extends object, V>(
    key: K,
    up: (value: Value<Cur, K>) => V
  ): Combinator<Cur, Replaced<Cur, K, V>, "oneWay">
} = (key: string, up: (value: never) => unknown, down?: (value: never) => unknown) =>
  combinator(
    (data) => replaced(data, key, up),
    down === undefined ? undefined : (data) => replaced(data, key, down),
    ["convert", key, up, down]
  )

/**
 * Splits one key into several, each by a function of its value. Reversible when
 * `down` is given, which then has to undo the functions.
 *
 * **Example**
 *
 * ```ts
 * Step.split("code", { shop: (code) => code.slice(0, 3), number: (code) => code.slice(3) }, ({ number, shop }) => shop + number)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const split: {
  <const K extends keyof Cur & string, Cur extends object, Parts extends object>(
    key: K,
    up: { readonly [P in keyof Parts]: (value: Value<Cur, K>) => Parts[P] },
    down: (parts: Parts) => Value<Cur, K>
  ): Combinator<Cur, Pretty<Removed<Cur, K> & { readonly [P in keyof Parts]: Parts[P] }>>
  <const K extends keyof Cur & string, Cur extends object, Parts extends object>(
    key: K,
    up: { readonly [P in keyof Parts]: (value: Value<Cur, K>) => Parts[P] }
  ): Combinator<Cur, Pretty<Removed<Cur, K> & { readonly [P in keyof Parts]: Parts[P] }>, "oneWay">
} = (key: string, up: { readonly [part: string]: (value: never) => unknown }, down?: (parts: never) => unknown) => {
  const parts = Object.keys(up)
  return combinator(
    (data) => ({
      ...omit(data, [key]),
      ...Object.fromEntries(Object.entries(up).map(([part, part_]) => [part, part_(data[key] as never)]))
    }),
    down === undefined ? undefined : (data) => ({
      ...omit(data, parts),
      [key]: down(picked(data, parts) as never)
    }),
    ["split", key, ...Object.entries(up).flat(), down]
  )
}

/**
 * Merges several keys into one. Reversible when `down` is given, which then has
 * to undo `up`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const merge: {
  <const Ks extends ReadonlyArray<keyof Cur & string>, const L extends string, Cur extends object, V>(
    keys: Ks,
    key: L & NewKey<L, Removed<Cur, Ks[number]>>,
    up: (parts: Pick<Cur, Ks[number]>) => V,
    down: (value: V) => Pick<Cur, Ks[number]>
  ): Combinator<Cur, Pretty<Removed<Cur, Ks[number]> & { readonly [P in L]: V }>>
  <const Ks extends ReadonlyArray<keyof Cur & string>, const L extends string, Cur extends object, V>(
    keys: Ks,
    key: L & NewKey<L, Removed<Cur, Ks[number]>>,
    up: (parts: Pick<Cur, Ks[number]>) => V
  ): Combinator<Cur, Pretty<Removed<Cur, Ks[number]> & { readonly [P in L]: V }>, "oneWay">
} = (
  keys: ReadonlyArray<string>,
  key: string,
  up: (parts: never) => unknown,
  down?: (value: never) => object
) =>
  combinator(
    (data) => ({ ...omit(data, keys), [key]: up(picked(data, keys) as never) }),
    down === undefined ? undefined : (data) => ({ ...omit(data, [key]), ...down(data[key] as never) }),
    ["merge", ...keys, key, up, down]
  )

/**
 * Moves a value to another place; an absent one stays absent. Reversible. The
 * object that it moves into must be there: {@link wrap} makes a new one.
 *
 * **Example**
 *
 * ```ts
 * Step.move(["customer", "city"], ["city"])
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const move = <const P extends ReadonlyArray<string>, const Q extends ReadonlyArray<string>, Cur extends object>(
  place: P & PathIn<Cur, P>,
  target: Q & PathTo<Cur, P, Q>
): Combinator<Cur, Moved<Cur, P, Q>> =>
  combinator((data) => moved(data, place, target), (data) => moved(data, target, place), ["move", place, target])

/**
 * Wraps keys into a new object; absent ones stay absent. Reversible.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wrap = <
  const Ks extends ReadonlyArray<keyof Cur & string>,
  const L extends string,
  Cur extends object
>(
  keys: Ks,
  key: L & NewKey<L, Removed<Cur, Ks[number]>>
): Combinator<Cur, Pretty<Removed<Cur, Ks[number]> & { readonly [P in L]: Pretty<Pick<Cur, Ks[number]>> }>> =>
  combinator(
    (data) => ({ ...omit(data, keys), [key]: picked(data, keys) }),
    (data) => ({ ...omit(data, [key]), ...toObject(data[key]) }),
    ["wrap", ...keys, key]
  )

/**
 * Transforms the data as a whole. Reversible when `down` is given, which then
 * has to undo `up`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const transform: {
  <Cur, Next>(up: (data: Cur) => Next, down: (data: Next) => Cur): Combinator<Cur, Next>
  <Cur, Next>(up: (data: Cur) => Next): Combinator<Cur, Next, "oneWay">
} = (up: (data: never) => unknown, down?: (data: never) => unknown) =>
  chain(up, down, ["transform", up, down], "reversible")

/**
 * Goes on with a step that stands for itself.
 *
 * @category combinators
 * @since 0.1.0
 */
export const andThen = <Cur, Next, R extends Reversibility>(next: Step<Cur, Next, R>): Combinator<Cur, Next, R> =>
  chain(next.up, next.down, [next.description], next.reversibility)

/**
 * A step to be piped after another one.
 *
 * @category models
 * @since 0.1.0
 */
export type Combinator<Cur, Next, R extends Reversibility = "reversible"> = <From, Before extends Reversibility>(
  self: Step<From, Cur, Before>
) => Step<From, Next, Weaker<Before, R>>

// internal

type Data = Readonly<Record<string, unknown>>

/** Joins two objects' steps; `reversibility` is what the step is when it has a `down`. */
const combinator = (
  up: (data: Data) => unknown,
  down: ((data: Data) => unknown) | undefined,
  description: ReadonlyArray<unknown>,
  reversibility: Reversibility = "reversible"
): never =>
  chain(
    (data: unknown) => up(toObject(data)),
    down === undefined ? undefined : (data: unknown) => down(toObject(data)),
    description,
    reversibility
  )

const chain = (
  up: (data: never) => unknown,
  down: ((data: never) => unknown) | undefined,
  description: ReadonlyArray<unknown>,
  reversibility: Reversibility
): never => {
  const next = (self: Step<unknown, unknown>): Step<unknown, unknown> => {
    const before = self.down
    return makeStep<unknown, unknown, Reversibility>({
      up: (data) => up(self.up(data) as never),
      down: down === undefined || before === undefined ? undefined : (data) => before(down(data as never)),
      reversibility: weaker(self.reversibility, down === undefined ? "oneWay" : reversibility),
      description: `${self.description}${self.description === "" ? "" : "; "}${description.map(textOf).join(" ")}`
    })
  }
  return next as never
}

const STRENGTH: ReadonlyArray<Reversibility> = ["oneWay", "lowering", "reversible"]

const weaker = (a: Reversibility, b: Reversibility): Reversibility => STRENGTH.indexOf(a) < STRENGTH.indexOf(b) ? a : b

const textOf = (part: unknown): string =>
  typeof part === "function" ? Function.prototype.toString.call(part) : JSON.stringify(part) ?? "-"

const toObject = (data: unknown): Data => {
  if (typeof data !== "object" || data === null || Array.isArray(data)) throw new TypeError("expected an object")
  return data as Data
}
