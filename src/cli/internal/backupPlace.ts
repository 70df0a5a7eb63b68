/**
 * Places of backups, as the command line names them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { existsSync } from "node:fs"
import type { BackupStorageError } from "../../backup/BackupError.ts"
import { BackupStorage } from "../../backup/BackupStorage.ts"
import { layerDirectory, layerS3 } from "../../backup/BackupStorageLayer.ts"
import type { S3Options } from "../../backup/S3Options.ts"
import { type CliFailure, notFound, usage } from "../CliFailure.ts"

/**
 * A place of backups: a directory or a bucket.
 *
 * @category models
 * @since 0.1.0
 */
export type BackupPlace =
  | { readonly _tag: "Directory"; readonly path: string }
  | { readonly _tag: "S3"; readonly options: S3Options }

/**
 * Reads the name of a place, as a flag has it.
 *
 * **Details**
 *
 * `DIRECTORY`, `file:DIRECTORY`, or `s3://BUCKET/PREFIX`, which may be followed by
 * `?region=…&endpoint=…&profile=…`. An endpoint that is not named is taken from
 * `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parsePlace = (
  text: string,
  flag: string,
  environment: Readonly<Record<string, string | undefined>> = process.env
): Effect.Effect<BackupPlace, CliFailure> => {
  const refuse = (why: string) =>
    Effect.fail(usage(
      `${flag} names no place for backups`,
      why,
      "use a directory, or s3://BUCKET/PREFIX with ?region=…, endpoint=… and profile=… where they are wanted"
    ))
  if (text.trim() === "" || text.includes("\0")) return refuse("it is empty, or holds a zero byte")
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase()
  switch (scheme) {
    case undefined:
      return Effect.succeed({ _tag: "Directory", path: text })
    case "file": {
      const path = text.slice("file:".length).replace(/^\/\/(?=\/)/, "")
      return path === "" || path.startsWith("//")
        ? refuse("file: is followed by a path of this machine")
        : Effect.succeed({ _tag: "Directory", path })
    }
    case "s3": {
      const parsed = parseBucket(text, environment)
      return typeof parsed === "string" ? refuse(parsed) : Effect.succeed({ _tag: "S3", options: parsed })
    }
    default:
      return refuse(`${scheme}: is not known`)
  }
}

/**
 * Opens a place of backups. Only `write` makes a directory that is not there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const openPlace = Effect.fnUntraced(function*(
  text: string,
  flag: string,
  purpose: "read" | "write"
): Effect.fn.Return<BackupStorage["Service"], CliFailure | BackupStorageError, Scope.Scope> {
  const place = yield* parsePlace(text, flag)
  if (place._tag === "Directory" && purpose === "read" && !existsSync(place.path)) {
    return yield* notFound(
      "ES-2001",
      "there is no such place of backups",
      `the directory ${place.path} does not exist`,
      `check ${flag}, or make a backup: event-store backup create`
    )
  }
  const layer = place._tag === "Directory" ? layerDirectory(place.path) : layerS3(place.options)
  return Context.get(yield* Layer.build(layer), BackupStorage)
})

// internal

/** One letter is the drive of a path. */
const SCHEME = /^([a-z][a-z0-9+.-]+):/i

const PARAMETERS: ReadonlySet<string> = new Set(["region", "endpoint", "profile"])

const PROFILE = /^[\w.@+-]{1,128}$/

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/

/** What is wrong with it, where it names no bucket. Secrets that were put into it are not repeated. */
const parseBucket = (
  text: string,
  environment: Readonly<Record<string, string | undefined>>
): S3Options | string => {
  const [path = "", query, ...rest] = text.slice("s3:".length).split("?")
  if (rest.length > 0) return "it has more than one question mark"
  if (!path.startsWith("//")) return "s3: is followed by //BUCKET"
  const [bucket = "", ...parts] = path.slice(2).split("/")
  if (bucket.includes("@") || bucket.includes(":")) {
    return "it holds credentials: those belong into the environment (AWS_ACCESS_KEY_ID, …) or the files of the client"
  }
  if (!BUCKET.test(bucket)) return "a bucket has 3 to 63 lower-case letters, digits, dots and dashes"
  const folders = parts.filter((part, index) => part !== "" || index < parts.length - 1)
  if (folders.some((name) => name === "" || name === "." || name === "..")) {
    return "the prefix has a part that is empty, . or .."
  }
  const parameters = new URLSearchParams(query ?? "")
  const names = [...parameters.keys()]
  if (names.some((name) => !PARAMETERS.has(name)) || new Set(names).size < names.length) {
    return "only region, endpoint and profile may follow the question mark, each once"
  }
  const profile = parameters.get("profile") ?? undefined
  if (profile !== undefined && !PROFILE.test(profile)) {
    return "the profile is no name of a section of the client's files (letters, digits and . _ @ + - )"
  }
  const endpoint = parameters.get("endpoint") ?? environment["AWS_ENDPOINT_URL_S3"] ?? environment["AWS_ENDPOINT_URL"]
  if (endpoint !== undefined && !isEndpoint(endpoint)) {
    return "the endpoint is no http or https URL without credentials"
  }
  return {
    bucket,
    prefix: folders.length === 0 ? undefined : folders.join("/"),
    endpoint,
    region: parameters.get("region") ?? undefined,
    profile
  }
}

const isEndpoint = (text: string): boolean => {
  if (!URL.canParse(text)) return false
  const { password, protocol, username } = new URL(text)
  return (protocol === "http:" || protocol === "https:") && username === "" && password === ""
}
