import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { BackupFile, BackupStorage } from "../BackupStorage.ts"
import { checkFileName, failuresAt } from "./storageFailure.ts"

/** Makes a place for backups that lasts as long as the process. */
export const make = (): BackupStorage["Service"] => {
  const files = new Map<string, { readonly file: BackupFile; readonly bytes: Uint8Array }>()
  const failure = failuresAt("memory")
  return {
    location: "memory",
    put: Effect.fnUntraced(function*(name, bytes) {
      yield* checkFileName(failure, "put", name)
      const modifiedAt = yield* DateTime.now
      if (files.has(name)) return yield* failure("put", name, "AlreadyExists", "the file is there already")
      files.set(name, { file: { name, bytes: bytes.length, modifiedAt }, bytes: bytes.slice() })
    }),
    get: (name, range) =>
      Stream.fromEffect(Effect.gen(function*() {
        yield* checkFileName(failure, "get", name)
        const found = files.get(name)
        if (found === undefined) return yield* failure("get", name, "NotFound", "the file is not there")
        const offset = range?.offset ?? 0
        return found.bytes.slice(offset, range?.length === undefined ? undefined : offset + range.length)
      })),
    stat: (name) => Effect.as(checkFileName(failure, "stat", name), Option.fromUndefinedOr(files.get(name)?.file)),
    list: (prefix = "") =>
      Stream.suspend(() =>
        Stream.fromIterable(
          [...files.values()].map(({ file }) => file).filter(({ name }) => name.startsWith(prefix)).sort(byName)
        )
      ),
    remove: (name) => Effect.tap(checkFileName(failure, "remove", name), Effect.sync(() => files.delete(name))),
    sweep: () => Effect.succeed(0)
  }
}

/** Names are ASCII: code units are bytes. */
const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0
