/**
 * What users install, and what a checkout needs.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { exists, filesOf, read, rooms, root } from "./files.ts"

interface Manifest {
  readonly exports: Record<string, string | null>
  readonly dependencies: Record<string, string>
  readonly peerDependencies: Record<string, string>
  readonly peerDependenciesMeta: Record<string, { readonly optional?: boolean }>
  readonly devDependencies: Record<string, string>
  readonly allowScripts: Record<string, boolean>
}
interface Lock {
  readonly packages: Record<string, {
    readonly hasInstallScript?: boolean
    readonly optionalDependencies?: Record<string, string>
  }>
}
const manifest: Manifest = JSON.parse(read("package.json"))

describe("package", () => {
  it("every public room is exported by its folder, and no other", () => {
    const expected = rooms().filter((room) => room !== "cli" && exists(`src/${room}/index.ts`))
    const exported = Object.entries(manifest.exports)
      .filter(([, target]) => target?.endsWith("/index.js") === true && target !== "./dist/index.js")
    assert.deepStrictEqual(
      exported.toSorted(),
      expected.map((room): [string, string] => [`./${room}`, `./dist/${room}/index.js`])
    )
  })

  it("internal modules and the command's parts cannot be imported", () => {
    const require = createRequire(join(root, "package.json"))
    const hidden = filesOf("src")
      .filter((path) => path.includes("/internal/") || path.startsWith("src/cli/"))
      .map((path) => path.replace(/^src/, "effect-event-store").replace(/\.ts$/, ""))
    const reachable = hidden.filter((specifier) => {
      try {
        require.resolve(specifier)
        return true
      } catch (error) {
        return (error as NodeJS.ErrnoException).code !== "ERR_PACKAGE_PATH_NOT_EXPORTED"
      }
    })
    assert.deepStrictEqual(reachable, [])
  })

  it("dependencies are pinned to exact versions, but for optional ones that users bring themselves", () => {
    const peers = Object.entries(manifest.peerDependencies)
      .filter(([name]) => manifest.peerDependenciesMeta[name]?.optional !== true)
    const all = { ...manifest.dependencies, ...Object.fromEntries(peers), ...manifest.devDependencies }
    assert.deepStrictEqual(Object.entries(all).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)), [])
  })

  it("the lock file names no registry", () => {
    assert.notInclude(read("package-lock.json"), "\"resolved\"")
  })

  it("the lock file knows the optional packages of every platform", () => {
    const { packages }: Lock = JSON.parse(read("package-lock.json"))
    const unknown = Object.values(packages)
      .flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
      .filter((name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`)))
    assert.deepStrictEqual(unknown, [], "npm ci would refuse this lock file")
  })

  it("every install script in the lock file is allowed or refused by name", () => {
    const { packages }: Lock = JSON.parse(read("package-lock.json"))
    const unknown = Object.entries(packages)
      .filter(([path, { hasInstallScript }]) => hasInstallScript === true && path !== "")
      .map(([path]) => path.replace(/^.*node_modules\//, ""))
      .filter((name) => !(name in manifest.allowScripts))
    assert.deepStrictEqual(unknown, [])
  })
})

describe("bin/event-store.js", () => {
  it("says which Node it needs on one that is too old, and fails", () => {
    const { status, stderr, stdout } = runOnNode("20.19.0", join(root, "bin/event-store.js"), "--version")
    assert.strictEqual(status, 1)
    assert.strictEqual(stdout, "")
    assert.include(stderr, "event-store needs Node.js 24 or newer")
  })

  it("says how to build where nothing is built yet, and fails", () =>
    inScratch((scratch) => {
      cpSync(join(root, "bin/event-store.js"), join(scratch, "bin/event-store.js"))
      writeFileSync(join(scratch, "package.json"), `{"type":"module"}`)
      const { status, stderr } = runOnNode(process.versions.node, join(scratch, "bin/event-store.js"))
      assert.strictEqual(status, 1)
      assert.include(stderr, "npm run build")
    }))
})

describe("bin/check-node.cjs", () => {
  it("passes on Node 24", () => {
    assert.strictEqual(runOnNode("24.0.0", join(root, "bin/check-node.cjs")).status, 0)
  })

  it("explains on an older Node how to get the right one, and fails", () =>
    inScratch((scratch) => {
      cpSync(join(root, "bin/check-node.cjs"), join(scratch, "bin/check-node.cjs"))
      const { status, stderr } = runOnNode("20.19.0", join(scratch, "bin/check-node.cjs"))
      assert.strictEqual(status, 1)
      assert.include(stderr, "npm rebuild node")
    }))
})

/** Runs a script in a Node that says it is this version. */
const runOnNode = (version: string, ...args: ReadonlyArray<string>) => {
  const pretend = `data:text/javascript,Object.defineProperty(process.versions,"node",{value:"${version}"})`
  return spawnSync(process.execPath, ["--import", pretend, ...args], { encoding: "utf8" })
}

const inScratch = (use: (scratch: string) => void): void => {
  const scratch = mkdtempSync(join(tmpdir(), "event-store-bin-"))
  try {
    use(scratch)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
