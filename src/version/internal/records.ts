/**
 * Copies of objects with some keys changed. Keys are always made anew as own
 * properties, so that none of them, not even `__proto__`, means anything.
 */

type Data = Readonly<Record<string, unknown>>

/** Leaves keys out. */
export const omit = (data: Data, keys: ReadonlyArray<string>): Data => {
  if (keys.length === 1 && keys[0] !== undefined) {
    const { [keys[0]]: _, ...rest } = data
    return rest
  }
  return Object.fromEntries(Object.entries(data).filter(([key]) => !keys.includes(key)))
}

/** Keeps keys only, as far as they are there. */
export const picked = (data: Data, keys: ReadonlyArray<string>): Data =>
  Object.fromEntries(keys.filter((key) => Object.hasOwn(data, key)).map((key) => [key, data[key]]))

/** Gives a key another name. */
export const renamed = (data: Data, key: string, name: string): Data => {
  if (!Object.hasOwn(data, key)) return data
  const { [key]: value, ...rest } = data
  return { ...rest, [name]: value }
}

/** Gives a key another value. */
export const replaced = (data: Data, key: string, convert: (value: never) => unknown): Data =>
  Object.hasOwn(data, key) ? { ...data, [key]: convert(data[key] as never) } : data

/** Takes a value from one path to another; throws when an object on the way to the other is not there. */
export const moved = (data: Data, from: ReadonlyArray<string>, to: ReadonlyArray<string>): Data => {
  const [without, value] = taken(data, from)
  return value === ABSENT ? data : put(without, to, value)
}

// internal

const ABSENT = Symbol("absent")

const taken = (data: Data, [key = "", ...rest]: ReadonlyArray<string>): readonly [Data, unknown] => {
  if (!Object.hasOwn(data, key)) return [data, ABSENT]
  if (rest.length === 0) return [omit(data, [key]), data[key]]
  const [inner, value] = taken(objectAt(data, key), rest)
  return [{ ...data, [key]: inner }, value]
}

const put = (data: Data, [key = "", ...rest]: ReadonlyArray<string>, value: unknown): Data => ({
  ...data,
  [key]: rest.length === 0 ? value : put(objectAt(data, key), rest, value)
})

const objectAt = (data: Data, key: string): Data => {
  const inner = Object.hasOwn(data, key) ? data[key] : undefined
  if (typeof inner !== "object" || inner === null || Array.isArray(inner)) throw new TypeError("expected an object")
  return inner as Data
}
