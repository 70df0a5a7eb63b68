import { describe, expect, it } from "vitest"
import { findLoss } from "../../src/cli/internal/strictJson.ts"

describe("strict JSON", () => {
  it.each([
    "{\"a\":1,\"b\":{\"a\":1},\"c\":[{\"a\":1},{\"a\":2}]}",
    "[1.10, 1E2, -0, 0.0, 1e21, 123456789012, 5e-324, 100000000000000000000]",
    "{\"a\\\"b\":1,\"a\":\"{\\\"a\\\":1,\\\"a\\\":2}\"}",
    "{\"a\":\"\\\\\",\"b\":\"9007199254740993\"}",
    "  { }  ",
    "\"9007199254740993\"",
    "[[],{},\"\",null,true]"
  ])("finds no loss in %s", (text) => {
    JSON.parse(text)
    expect(findLoss(text)).toBeUndefined()
  })

  it.each([
    ["{\"a\":1,\"b\":2,\"a\":1}", "DuplicateKey"],
    ["{\"a\":[{\"b\":1,\"b\":2}]}", "DuplicateKey"],
    ["{\"a\":1,\"\\u0061\":2}", "DuplicateKey"],
    ["{\"__proto__\":1,\"__proto__\":2}", "DuplicateKey"],
    ["{\"\":1,\"\":2}", "DuplicateKey"],
    ["9007199254740993", "NumberOutOfRange"],
    ["[18446744073709551616.5]", "NumberOutOfRange"],
    ["{\"a\":1e400}", "NumberOutOfRange"],
    ["{\"a\":-1e400}", "NumberOutOfRange"],
    ["1e-400", "NumberOutOfRange"],
    ["0.1000000000000000055511151231257827", "NumberOutOfRange"]
  ])("names what JSON.parse loses of %s", (text, reason) => {
    JSON.parse(text)
    expect(findLoss(text)?.reason).toBe(reason)
  })
})
