/**
 * The empty cluster that a new data directory starts from.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Url from "node:url"
import * as Zlib from "node:zlib"
import { PgliteError } from "../PgliteError.ts"
import { CLUSTER_VERSION, readTar, VERSION_FILE } from "./tar.ts"

/**
 * Returns the ready-made cluster as a tar archive, if there is one.
 *
 * **Details**
 *
 * `file` names an image, `false` asks for none. Without either, the image of
 * the package is looked for, and its absence is no error.
 */
export const load = (file: string | false | undefined): Effect.Effect<Uint8Array | undefined, PgliteError> => {
  const path = file ?? PACKAGE_IMAGES.find((candidate) => Fs.existsSync(candidate))
  if (path === undefined || path === false) return Effect.succeed(undefined)
  return Effect.try({
    try: () => checkVersion(Zlib.gunzipSync(Fs.readFileSync(path))),
    catch: (cause) =>
      new PgliteError({
        reason: "ImageUnusable",
        what: `The cluster image ${path} cannot be used`,
        why: cause instanceof Error ? cause.message : String(cause),
        fix: "Make it again with build-cluster-image, or leave the option clusterImage away",
        cause
      })
  })
}

/**
 * Makes an empty, vacuumed cluster in memory and returns it as a tar archive.
 *
 * **Details**
 *
 * It has one database. The templates are dropped: nothing would ever vacuum
 * them, so their age would stop a busy store after two thousand million
 * transactions; and they are two thirds of the files.
 */
export const make: Effect.Effect<Uint8Array, PgliteError> = Effect.tryPromise({
  try: () =>
    import("@electric-sql/pglite").then(({ PGlite }) =>
      PGlite.create().then((db) =>
        SHRINK.reduce<Promise<unknown>>((done, statement) => done.then(() => db.exec(statement)), Promise.resolve())
          .then(() => db.dumpDataDir("none"))
          .finally(() => db.close())
      )
    ).then((archive) => archive.arrayBuffer()).then((bytes) => new Uint8Array(bytes)),
  catch: (cause) =>
    new PgliteError({
      reason: "StartFailed",
      what: "The embedded PostgreSQL could not make a cluster",
      why: cause instanceof Error ? cause.message : String(cause),
      fix: "Check that the package @electric-sql/pglite 0.5.16 is installed, and that the process has 500 MB of memory",
      cause
    })
})

// internal

const checkVersion = (image: Uint8Array): Uint8Array => {
  const version = readTar(image).find(({ path }) => path === VERSION_FILE)?.content
  const found = version === undefined ? "nothing" : `PostgreSQL ${Buffer.from(version).toString().trim()}`
  if (found !== `PostgreSQL ${CLUSTER_VERSION}`) throw new Error(`it holds ${found}`)
  return image
}

const SHRINK = [
  "UPDATE pg_database SET datistemplate = false",
  "DROP DATABASE template0",
  "DROP DATABASE template1",
  "VACUUM (FREEZE, ANALYZE)",
  "CHECKPOINT"
]

/**
 * Where the package keeps its image, seen from this module: as a source in
 * `src/pglite/internal`, compiled in `dist/pglite/internal`, or bundled
 * anywhere in `dist`.
 */
const PACKAGE_IMAGES = ["..", "../..", ".", "../../../dist/pglite", "../pglite"].map((path) =>
  Path.resolve(Path.dirname(Url.fileURLToPath(import.meta.url)), path, "cluster.tgz")
)
