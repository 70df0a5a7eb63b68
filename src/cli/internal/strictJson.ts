/**
 * What `JSON.parse` loses without saying so.
 *
 * @since 0.1.0
 */

/**
 * Something in a JSON text that is not in the parsed value.
 *
 * @category models
 * @since 0.1.0
 */
export interface JsonLoss {
  readonly reason: "DuplicateKey" | "NumberOutOfRange"
  readonly detail: string
}

/**
 * Finds a repeated key, or a number that a double does not hold, in a text
 * that `JSON.parse` has accepted; `undefined` when nothing is lost.
 *
 * **Details**
 *
 * Spelling is not value: `1.10`, `1E2` and `-0` are fine and are read as `1.1`,
 * `100` and `0`. `9007199254740993` and `1e400` are not: write such numbers as
 * strings.
 *
 * @category validation
 * @since 0.1.0
 */
export const findLoss = (text: string): JsonLoss | undefined => {
  /** The keys seen of each open object; `undefined` for an open array. */
  const open: Array<Set<string> | undefined> = []
  let isKey = false
  let index = 0
  while (index < text.length) {
    const char = text[index]
    if (char === "\"") {
      const end = stringEnd(text, index)
      if (isKey) {
        const key: unknown = JSON.parse(text.slice(index, end))
        const keys = open.at(-1)
        if (keys?.has(String(key)) === true) {
          return { reason: "DuplicateKey", detail: `a key stands twice in one object (column ${index + 1})` }
        }
        keys?.add(String(key))
        isKey = false
      }
      index = end
      continue
    }
    if (char === "-" || (char !== undefined && char >= "0" && char <= "9")) {
      NUMBER.lastIndex = index
      const number = NUMBER.exec(text)?.[0] ?? char
      if (!survives(number)) {
        const detail = `a number does not survive as a double (column ${index + 1}): write it as a string`
        return { reason: "NumberOutOfRange", detail }
      }
      index += number.length
      continue
    }
    if (char === "{") {
      open.push(new Set())
      isKey = true
    } else if (char === "[") {
      open.push(undefined)
      isKey = false
    } else if (char === "}" || char === "]") {
      open.pop()
      isKey = false
    } else if (char === ",") isKey = open.at(-1) !== undefined
    index++
  }
  return undefined
}

// internal

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y

const stringEnd = (text: string, start: number): number => {
  let index = start + 1
  while (text[index] !== "\"") index += text[index] === "\\" ? 2 : 1
  return index + 1
}

const survives = (text: string): boolean => {
  const value = Number(text)
  const printed = String(value)
  return printed === text || (Number.isFinite(value) && decimal(printed) === decimal(text))
}

/** A decimal in one spelling: digits without zeros at their ends, and the power of ten of the last one. */
const decimal = (text: string): string => {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e")
  const sign = mantissa.startsWith("-") ? "-" : ""
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".")
  const digits = (whole + fraction).replace(/^0+/, "")
  const significant = digits.replace(/0+$/, "")
  if (significant === "") return "0"
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`
}
