// Builds what is published: the library (tsc), the command (one bundle, split so that little is
// loaded to start), and the ready-made cluster of the embedded database.
//
//   node bin/build.mjs            fails when a step does
//   node bin/build.mjs --prepare  after `npm install`, which it never fails; without the development packages, nothing
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, "dist")
const startedMs = Date.now()

const clusterImage = join(dist, "pglite/cluster.tgz")
const clusterStamp = join(dist, "pglite/cluster.stamp")

const run = (...args) => spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status === 0

const buildLibrary = () => run("node_modules/typescript/bin/tsc", "--project", "tsconfig.build.json")

const buildCommand = async () => {
  const { build } = await import("esbuild")
  return build({
    absWorkingDir: root,
    entryPoints: { main: "src/cli/main.ts" },
    outdir: "dist/cli",
    bundle: true,
    splitting: true,
    minify: true,
    // error messages and spans show names
    keepNames: true,
    format: "esm",
    platform: "node",
    target: "node24",
    // large, with files of its own: stays an import, made when an embedded store is opened
    external: ["@electric-sql/pglite", "@aws-sdk/client-s3"],
    logLevel: "warning"
  }).then(() => true, () => false)
}

/** Takes seconds, so only when PGlite or the way of making it changed. A newer Node than npm's own may be missing. */
const buildClusterImage = () => {
  if (Number(process.versions.node.split(".")[0]) < 24) {
    console.error("Node.js 24 is not installed: the first start of an embedded store will take seconds longer")
    return true
  }
  const sources = ["node_modules/@electric-sql/pglite/package.json", "src/pglite/internal/clusterImage.ts"]
  const hash = createHash("sha256")
  for (const path of sources) hash.update(readFileSync(join(root, path)))
  const stamp = hash.digest("hex")
  if (existsSync(clusterImage) && existsSync(clusterStamp) && readFileSync(clusterStamp, "utf8") === stamp) return true
  mkdirSync(dirname(clusterImage), { recursive: true })
  if (!run("bin/build-cluster-image.mjs", clusterImage)) return false
  writeFileSync(clusterStamp, stamp)
  return true
}

/** Removes what an earlier build left and this one did not write. */
const sweep = () => {
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const isKept = path === clusterImage || path === clusterStamp
    if (entry.isFile() && !isKept && statSync(path).mtimeMs < startedMs - 2000) rmSync(path)
  }
  return true
}

const hasDevelopmentPackages = ["typescript", "esbuild"].every((name) => existsSync(join(root, "node_modules", name)))

const isPrepare = process.argv.includes("--prepare")

if (isPrepare && !hasDevelopmentPackages) {
  console.error("development packages are not installed: nothing built")
} else {
  for (const step of [buildLibrary, buildCommand, buildClusterImage, sweep]) {
    if (await step()) continue
    console.error(`build: ${step.name} failed`)
    if (!isPrepare) process.exitCode = 1
  }
}
