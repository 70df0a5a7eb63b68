#!/usr/bin/env node
// Makes the cluster that a new embedded data directory starts from.
// Usage: build-cluster-image.mjs dist/pglite/cluster.tgz
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Process from "node:process"
import * as Zlib from "node:zlib"
import { make } from "../src/pglite/internal/clusterImage.ts"

const [file] = Process.argv.slice(2)
if (file === undefined) {
  console.error("Usage: build-cluster-image.mjs <file.tgz>")
  Process.exit(2)
}

const image = Zlib.gzipSync(await Effect.runPromise(make), { level: 9 })
const unfinished = `${file}.${Process.pid}`
Fs.mkdirSync(Path.dirname(file), { recursive: true })
Fs.writeFileSync(unfinished, image)
Fs.renameSync(unfinished, file)
console.log(`${file}: ${(image.length / 1e6).toFixed(1)} MB`)
