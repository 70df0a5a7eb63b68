import { assert, describe, it } from "@effect/vitest"
import { applyListenCommands, type ListenCommand, parseListenCommand } from "../../src/pglite/internal/listenCommand.ts"

const listen = (channel: string): ListenCommand => ({ action: "listen", channel })
const unlisten = (channel: string | undefined): ListenCommand => ({ action: "unlisten", channel })

describe("a statement that changes the channels", () => {
  it("is read as the server reads it", () => {
    const expected: ReadonlyArray<readonly [string, ListenCommand | undefined]> = [
      ["LISTEN news", listen("news")],
      ["listen News;", listen("news")],
      ["LISTEN \"News\"", listen("News")],
      ["LISTEN\"News\"", listen("News")],
      ["LISTEN \"a \"\"b\"\" c\" ; ", listen("a \"b\" c")],
      ["  -- first\n LISTEN /* the */ \n news -- now", listen("news")],
      ["LISTEN/**/news", listen("news")],
      ["LISTEN éa$1", listen("éa$1")],
      [`LISTEN "${"é".repeat(40)}"`, listen("é".repeat(31))],
      ["UNLISTEN news", unlisten("news")],
      ["UNLISTEN *", unlisten(undefined)],
      ["DISCARD ALL", unlisten(undefined)],
      ["LISTEN *", undefined],
      ["LISTENING", undefined],
      ["LISTENnews", undefined],
      ["DISCARD PLANS", undefined],
      ["SELECT 'LISTEN news'", undefined],
      ["NOTIFY news, 'LISTEN'", undefined],
      ["INSERT INTO log VALUES ('LISTEN news')", undefined],
      ["", undefined]
    ]
    for (const [sql, command] of expected) assert.deepStrictEqual(parseListenCommand(sql), command, sql)
  })

  it("takes effect in order", () => {
    const channels = new Set(["a", "b"])
    applyListenCommands(
      channels,
      ["LISTEN c", "UNLISTEN a", "UNLISTEN *", "LISTEN d"].flatMap((sql) => parseListenCommand(sql) ?? [])
    )
    assert.deepStrictEqual([...channels], ["d"])
  })

  it("is none of ours in time that grows with its length only", () => {
    assert.isUndefined(parseListenCommand(`${"/* a".repeat(50_000)} LISTEN news`))
    assert.isUndefined(parseListenCommand(`${" ".repeat(100_000)}SELECT 1`))
    assert.isUndefined(parseListenCommand(`LISTEN ${"/**/".repeat(50_000)}`))
  })
})
