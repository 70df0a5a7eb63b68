/**
 * What steps do to shapes, in types.
 */
import type { Reversibility } from "../../event/EventType.ts"

/** The same shape, as it should be printed. */
export type Pretty<T> = { [K in keyof T]: T[K] } & {}

/** Refuses a key that the shape has already. */
export type NewKey<K extends string, Cur> = K extends keyof Cur ? never : unknown

/** The value of a key when it is there. */
export type Value<Cur, K extends keyof Cur> = Exclude<Cur[K], undefined>

/** The shape without a key; each shape of a union. */
export type Removed<Cur, K extends PropertyKey> = Cur extends unknown ? { [P in keyof Cur as Exclude<P, K>]: Cur[P] }
  : never

/** The shape with another name for a key. */
export type Renamed<Cur, K extends PropertyKey, L extends string> = Cur extends unknown
  ? { [P in keyof Cur as P extends K ? L : P]: Cur[P] }
  : never

/** The shape with another value at a key. */
export type Replaced<Cur, K extends PropertyKey, V> = Cur extends unknown
  ? { [P in keyof Cur]: P extends K ? V : Cur[P] }
  : never

/** Refuses a path that does not lead to a key of the shape. */
export type PathIn<Cur, P extends ReadonlyArray<string>> = P extends
  readonly [infer K, ...infer Rest extends Array<string>]
  ? K extends keyof Cur ? Rest extends readonly [] ? unknown : PathIn<Cur[K], Rest>
  : never
  : never

/** Refuses a path that does not lead to a new key in an object of the shape. */
export type PathTo<Cur, P extends ReadonlyArray<string>, Q extends ReadonlyArray<string>> = NewPath<TakenAt<Cur, P>, Q>

/** The shape after a move. */
export type Moved<Cur, P extends ReadonlyArray<string>, Q extends ReadonlyArray<string>> = PutAt<
  TakenAt<Cur, P>,
  Q,
  At<Cur, P>
>

/** The less reversible of two. */
export type Weaker<A extends Reversibility, B extends Reversibility> = "oneWay" extends A | B ? "oneWay"
  : "lowering" extends A | B ? "lowering"
  : "reversible"

// internal

type At<Cur, P extends ReadonlyArray<string>> = P extends
  readonly [infer K extends keyof Cur, ...infer Rest extends Array<string>]
  ? Rest extends readonly [] ? Cur[K] : At<Cur[K], Rest>
  : never

type NewPath<Cur, Q extends ReadonlyArray<string>> = Q extends readonly [infer K, ...infer Rest extends Array<string>]
  ? Rest extends readonly [] ? K extends keyof Cur ? never : unknown
  : K extends keyof Cur ? NewPath<Cur[K], Rest>
  : never
  : never

type TakenAt<Cur, P extends ReadonlyArray<string>> = P extends
  readonly [infer K extends string, ...infer Rest extends Array<string>] ? Rest extends readonly [] ? Removed<Cur, K>
  : { [Key in keyof Cur]: Key extends K ? TakenAt<Cur[Key], Rest> : Cur[Key] }
  : Cur

type PutAt<Cur, Q extends ReadonlyArray<string>, V> = Q extends
  readonly [infer K extends string, ...infer Rest extends Array<string>]
  ? Rest extends readonly [] ? Pretty<Cur & { readonly [P in K]: V }>
  : { [Key in keyof Cur]: Key extends K ? PutAt<Cur[Key], Rest, V> : Cur[Key] }
  : Cur
