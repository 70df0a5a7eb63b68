/**
 * Rules that names of streams, event types and tags share.
 *
 * @since 0.1.0
 */
import { InvalidInput } from "./InvalidInput.ts"
import { NAME_SIZE_BYTES_MAX } from "./Limits.ts"

/**
 * Says what is wrong with a name, or `undefined` when nothing is.
 *
 * **Details**
 *
 * A name is 1 to 512 bytes of well-formed Unicode without control characters.
 * It is taken as it is: nothing is trimmed, folded or normalised, so `é` in two
 * normal forms is two names.
 *
 * @category validation
 * @since 0.1.0
 */
export const nameFault = (name: unknown): string | undefined => {
  if (typeof name !== "string") return `expected a string, got ${name === null ? "null" : typeof name}`
  if (name.length === 0) return "must not be empty"
  if (name.length > NAME_SIZE_BYTES_MAX || utf8SizeBytes(name) > NAME_SIZE_BYTES_MAX) {
    return `must not be longer than ${NAME_SIZE_BYTES_MAX} bytes of UTF-8`
  }
  if (CONTROL.test(name)) return "must not contain control characters"
  if (!name.isWellFormed()) return "must be well-formed Unicode (it has a lone surrogate)"
  return undefined
}

/**
 * Checks a name and says what is wrong at `path`.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkName = (name: unknown, path: string): InvalidInput | undefined => {
  const fault = nameFault(name)
  return fault === undefined ? undefined : new InvalidInput({ reason: "InvalidIdentifier", path, detail: fault })
}

/**
 * Counts the bytes of a string in UTF-8.
 *
 * @category validation
 * @since 0.1.0
 */
export const utf8SizeBytes = (text: string): number => {
  let size = text.length
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x80) continue
    if (code < 0x800) size += 1
    else if (code >= 0xd800 && code <= 0xdbff) {
      size += 2
      index++
    } else size += 2
  }
  return size
}

// internal

// oxlint-disable-next-line no-control-regex -- the class of characters is the rule
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/
