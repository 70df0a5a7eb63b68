/**
 * A data directory is a whole cluster with one owner, or a typed error.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { execFileSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync, gzipSync } from "node:zlib"
import { Pglite, PgliteError, type PgliteOptions } from "../../src/pglite/index.ts"
import { someDirectory, startProgram, withPglite } from "./fixtures.ts"

const use = (options: PgliteOptions) => withPglite(options)(Effect.void)

const refused = (options: PgliteOptions) =>
  Effect.map(Effect.flip(use(options)), (error) => {
    assert.lengthOf(error.message.split("\n"), 3)
    return error instanceof PgliteError ? error.reason : error._tag
  })

describe("the data directory", () => {
  it.live("is made with its parents, and keeps its data from one opening to the next", () =>
    Effect.gen(function*() {
      const directory = join(yield* someDirectory, "a/b/store")
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE kept (name text)`
        yield* sql`INSERT INTO kept VALUES ('still here')`
        const pglite = yield* Pglite
        assert.deepStrictEqual([pglite.directory, pglite.durability], [directory, "powerLoss"])
      }).pipe(withPglite({ directory }))
      const rows = yield* SqlClient.SqlClient.use((sql) => sql`SELECT name FROM kept`).pipe(
        withPglite({ directory, durability: "processCrash" })
      )
      assert.deepStrictEqual(rows, [{ name: "still here" }])
      assert.deepStrictEqual(readdirSync(directory), ["cluster"])
    }))

  it.live("is refused as a file, below a file, and where nothing can be written", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      const file = join(directory, "file")
      writeFileSync(file, "")
      assert.strictEqual(yield* refused({ directory: file }), "NotADirectory")
      assert.strictEqual(yield* refused({ directory: join(file, "store") }), "NotADirectory")
      assert.strictEqual(yield* refused({ directory: join(directory, "x".repeat(300)) }), "NotWritable")
    }))

  it.live("is refused when it holds files of something else, and they stay as they are", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      writeFileSync(join(directory, "novel.txt"), "Chapter 1")
      assert.strictEqual(yield* refused({ directory }), "NotEmpty")
      assert.deepStrictEqual(readdirSync(directory), ["novel.txt"])
    }))

  it.live("is refused when it was written by another major version, or is not whole", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      yield* use({ directory })
      const version = join(directory, "cluster/PG_VERSION")
      const written = readFileSync(version, "utf8")
      writeFileSync(version, "17\n")
      assert.strictEqual(yield* refused({ directory }), "OtherVersion")
      writeFileSync(version, written)
      rmSync(join(directory, "cluster/global/pg_control"))
      assert.strictEqual(yield* refused({ directory }), "Damaged")
    }))

  it.live("says what it could not start on", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      yield* use({ directory })
      writeFileSync(join(directory, "cluster/global/pg_control"), "not what PostgreSQL wrote")
      assert.strictEqual(yield* refused({ directory }), "StartFailed")
    }))

  it.live("is removed and made again when a kill left it unfinished", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      mkdirSync(join(directory, "cluster.unfinished-1/base"), { recursive: true })
      yield* use({ directory })
      assert.deepStrictEqual(readdirSync(directory), ["cluster"])
    }))

  it.live("starts from the image that the option names, and from none when that is false", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      const image = join(directory, "image.tgz")
      assert.strictEqual(yield* refused({ directory: join(directory, "a"), clusterImage: image }), "ImageUnusable")
      writeFileSync(image, gzipSync(Buffer.alloc(1024)))
      assert.strictEqual(yield* refused({ clusterImage: image }), "ImageUnusable")
      const script = join(import.meta.dirname, "../../bin/build-cluster-image.mjs")
      execFileSync(process.execPath, [script, image], { stdio: "pipe" })
      assert.isBelow(gunzipSync(readFileSync(image)).length, 40e6)
      yield* use({ directory: join(directory, "b"), clusterImage: image })
      yield* use({ clusterImage: false })
    }))
})

describe("the lock of the data directory", () => {
  it.live("refuses a second opening in the same process, also by another path", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      const alias = join(yield* someDirectory, "alias")
      symlinkSync(directory, alias)
      const errors = yield* Effect.all([Effect.flip(use({ directory })), Effect.flip(use({ directory: alias }))]).pipe(
        withPglite({ directory })
      )
      assert.deepStrictEqual(
        errors.map((error) => error._tag === "DataDirectoryLocked" ? [error.directory, error.pid] : error._tag),
        [[directory, process.pid], [directory, process.pid]]
      )
      yield* use({ directory })
    }).pipe(Effect.scoped))

  it.live("refuses another process while its holder lives, even stopped, and names the holder", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      const holder = yield* startProgram("hold", directory)
      yield* holder.line((line) => line === "open")
      yield* holder.kill("SIGSTOP")
      const second = yield* startProgram("hold", directory)
      const answer = JSON.parse(yield* second.line((line) => line.startsWith("{")))
      assert.deepStrictEqual([answer._tag, answer.pid], ["DataDirectoryLocked", holder.process.pid])
      assert.isTrue(answer.lines[1].includes(`process ${holder.process.pid}`))
    }).pipe(Effect.scoped))

  it.live("is free as soon as its holder is killed", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      const holder = yield* startProgram("hold", directory)
      yield* holder.line((line) => line === "open")
      yield* holder.end
      yield* use({ directory })
    }).pipe(Effect.scoped))
})
