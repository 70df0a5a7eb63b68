import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { check } from "./historyChecker.ts"
import { openRecorder, readHistory } from "./recorder.ts"

describe("recorder", () => {
  it("what is written is what is read", () =>
    withDirectory((directory) => {
      const file = path.join(directory, "p1.ndjson")
      const recorder = openRecorder(file, "p1")
      const answer = recorder.append({
        events: [{ id: "e1", stream: "a-1", digest: "d" }],
        claims: [{ stream: "a-1", expected: "noStream" }],
        condition: { tags: ["x"], after: 0 }
      })
      answer({ outcome: "ok", places: [{ revision: 0, position: 1 }] })
      recorder.append({ events: [{ id: "e2", stream: "a-1", digest: "d" }], claims: [] })({ outcome: "fail" })
      recorder.read({ stream: "a-1", from: 0, isToEnd: true })(["e1"])
      const following = recorder.follow({ subscription: "s", incarnation: 0, after: 0 })
      following.deliver({ position: 1, id: "e1" })
      following.reach(1)
      recorder.close()

      const history = readHistory([file], { log: [row] })

      assert.deepStrictEqual(check(history), [])
      const [first, second] = history.appends
      assert.deepInclude(first, {
        process: "p1",
        outcome: "ok",
        events: [{ id: "e1", stream: "a-1", digest: "d", revision: 0, position: 1 }],
        claims: [{ stream: "a-1", expected: "noStream" }],
        condition: { tags: ["x"], after: 0 }
      })
      assert.deepInclude(second, { outcome: "fail" })
      assert.isTrue(first !== undefined && first.invokedNs <= (first.returnedNs ?? 0n))
      assert.deepInclude(history.reads[0], { stream: "a-1", from: 0, ids: ["e1"], isToEnd: true })
      assert.deepInclude(history.followings[0], { subscription: "s", incarnation: 0, after: 0, reached: 1 })
      assert.deepStrictEqual(history.followings[0]?.deliveries.map(({ id, position }) => [id, position]), [["e1", 1]])
    }))

  it("a process that is killed in a call leaves a call of unknown outcome, and loses no line before it", () =>
    withDirectory((directory) => {
      const file = path.join(directory, "p1.ndjson")
      const script = `
        import { openRecorder } from ${JSON.stringify(new URL("./recorder.ts", import.meta.url).href)}
        const recorder = openRecorder(${JSON.stringify(file)}, "p1")
        for (let i = 0; i < 100; i++) {
          const answer = recorder.append({ events: [{ id: "e" + i, stream: "a-1", digest: "d" }], claims: [] })
          if (i === 99) process.kill(process.pid, "SIGKILL")
          answer({ outcome: "fail" })
        }`
      const { signal } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script])

      const history = readHistory([file], { log: [] })

      assert.strictEqual(signal, "SIGKILL")
      assert.strictEqual(history.appends.length, 100)
      assert.strictEqual(history.appends.filter(({ outcome }) => outcome === "fail").length, 99)
      assert.deepInclude(history.appends.at(-1), { outcome: "unknown" })
      assert.isUndefined(history.appends.at(-1)?.returnedNs)
    }))

  it("a last line that is cut off is left out", () =>
    withDirectory((directory) => {
      const file = path.join(directory, "p1.ndjson")
      const recorder = openRecorder(file, "p1")
      recorder.append({ events: [], claims: [] })({ outcome: "fail" })
      recorder.close()
      fs.truncateSync(file, fs.statSync(file).size - 10)

      assert.deepInclude(readHistory([file], { log: [] }).appends[0], { outcome: "unknown" })
    }))

  it("the files of several processes are one history", () =>
    withDirectory((directory) => {
      const files = ["p1", "p2"].map((name) => {
        const file = path.join(directory, name)
        const recorder = openRecorder(file, name)
        recorder.append({ events: [{ id: name, stream: "a-1", digest: "d" }], claims: [] })({ outcome: "unknown" })
        recorder.close()
        return file
      })

      assert.deepStrictEqual(readHistory(files, { log: [] }).appends.map(({ process }) => process), ["p1", "p2"])
    }))
})

// internal

const row = { id: "e1", stream: "a-1", digest: "d", revision: 0, position: 1, tags: [] }

const withDirectory = (use: (directory: string) => void): void => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "event-store-recorder-"))
  try {
    use(directory)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}
