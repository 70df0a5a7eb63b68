/** Estimates what a value takes in memory, in bytes; shared parts count once, and getters for nothing. */
export const sizeOf = (value: unknown): number => {
  const seen = new Set<object>()
  const open: Array<unknown> = [value]
  let bytes = 0
  while (open.length > 0) {
    const next = open.pop()
    switch (typeof next) {
      case "string":
        bytes += STRING_BYTES + next.length
        break
      case "bigint":
        bytes += STRING_BYTES
        break
      case "object":
        if (next !== null && !seen.has(next)) {
          seen.add(next)
          bytes += OBJECT_BYTES + sizeOfObject(next, open)
        }
        break
      default:
        bytes += VALUE_BYTES
    }
  }
  return bytes
}

// internal

/** A number or a reference of the engine, a string's head, an object's head. */
const VALUE_BYTES = 8
const STRING_BYTES = 16
const OBJECT_BYTES = 24

/** Adds what an object holds to what is to be looked at; returns the size of its places. */
const sizeOfObject = (value: object, open: Array<unknown>): number => {
  if (ArrayBuffer.isView(value)) return value.byteLength
  if (Array.isArray(value)) {
    for (const element of value) open.push(element)
    return value.length * VALUE_BYTES
  }
  if (value instanceof Map) {
    for (const [key, element] of value) open.push(key, element)
    return value.size * 3 * VALUE_BYTES
  }
  if (value instanceof Set) {
    for (const element of value) open.push(element)
    return value.size * 2 * VALUE_BYTES
  }
  const names = Object.keys(value)
  for (const name of names) {
    // a getter would run code, and may throw
    const descriptor = Object.getOwnPropertyDescriptor(value, name)
    if (descriptor !== undefined && "value" in descriptor) open.push(descriptor.value)
  }
  return names.length * VALUE_BYTES
}
