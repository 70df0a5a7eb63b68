import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { BackupStorage, layerDirectory } from "../../src/backup/index.ts"
import { codeBlocks } from "../house/markdown.ts"
import { at, encryptionKey, eventRows, signingKeys, writeBackup } from "./fixtures.ts"

const page = readFileSync(join(import.meta.dirname, "../../docs/backup-format.md"), "utf8")

describe("docs/backup-format.md", () => {
  it.live("has a reader that needs nothing of this library", () =>
    Effect.gen(function*() {
      const path = mkdtempSync(join(tmpdir(), "event-store-format-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(path, { recursive: true, force: true })))
      const storage = yield* Effect.provide(BackupStorage.use(Effect.succeed), layerDirectory(path))
      const reader = join(path, "read-backup.ts")
      const code = codeBlocks(page).at(-1)!.code
      assert.notInclude(code, "effect-event-store/event")
      writeFileSync(reader, code)
      const events = eventRows(1, 1_000)
      const expected = events.map(({ data, metadata, streamId, ...row }) => ({
        ...row,
        stream: streamId,
        data: JSON.parse(data),
        metadata: metadata === "" ? {} : JSON.parse(metadata)
      }))
      for (const codec of ["none", "gzip", "zstd"] as const) {
        const { signing } = signingKeys()
        const options = {
          events,
          segmentBytes: 64 * 1024,
          compression: { codec },
          encryption: encryptionKey(),
          signing
        }
        const manifest = yield* at(storage, writeBackup(options))
        const output = execFileSync(process.execPath, [reader, path, manifest.id, "01".repeat(32)], {
          encoding: "utf8"
        })
        assert.deepStrictEqual(output.trim().split("\n").map((line) => JSON.parse(line)), expected)
      }
    }), 60_000)
})
