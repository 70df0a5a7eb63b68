import { NodeServices } from "@effect/platform-node"
import { Context, Effect, FileSystem, Layer } from "effect"
import { chmodSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type BackupManifest, BackupStorage, layerDirectory } from "../../src/backup/index.ts"
import { at, writeBackup, type WriteOptions } from "../backup/fixtures.ts"
import { makeCli, ndjson, type Ran } from "./harness.ts"

const scratch = FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped({ prefix: "backups-" })).pipe(
  Effect.provide(NodeServices.layer)
)

/** A directory for backups, and the command. */
export const setUp = Effect.gen(function*() {
  const root = yield* scratch
  const dest = join(root, "place")
  const { cli, layer } = yield* makeCli
  const storage = Context.get(yield* Layer.build(layerDirectory(dest)), BackupStorage)
  const write = (options: WriteOptions): Effect.Effect<BackupManifest> =>
    Effect.orDie(at(storage, writeBackup(options)))
  const backup = (command: string, ...args: ReadonlyArray<string>): Effect.Effect<Ran> =>
    cli(["backup", command, "--dest", dest, ...args])
  return { root, dest, cli, layer, backup, write }
})

/** A full backup of 20 events, and one of 20 more that goes on from it. */
export const chain = Effect.gen(function*() {
  const set = yield* setUp
  const full = yield* set.write({ to: 20 })
  const incremental = yield* set.write({ from: 21, to: 40, parent: full })
  return { ...set, full, incremental }
})

export const flip = (path: string, offset: number) => {
  const bytes = readFileSync(path)
  bytes[offset] = (bytes[offset] ?? 0) ^ 1
  chmodSync(path, 0o600)
  writeFileSync(path, bytes)
}

export const codeOf = ({ err }: Ran): string => JSON.parse(err.trim().split("\n").at(-1) ?? "").error.code

/** Lines of an import: events of seven accounts. */
export const lines = (count: number, from = 0) =>
  ndjson(...Array.from({ length: count }, (_, n) => ({
    stream: `account-${(from + n) % 7}`,
    type: (from + n) % 3 === 0 ? "MoneyWithdrawn" : "MoneyDeposited",
    data: { amount: from + n, "größe": "🦊" },
    tags: [`owner:${n % 2}`]
  })))

/** A store of 60 events in memory, and a place for its backups. */
export const filled = Effect.gen(function*() {
  const set = yield* setUp
  const add = (count: number, from = 0) => set.cli(["import", "-", "-q"], { stdin: lines(count, from) })
  yield* add(60)
  return { ...set, add }
})
