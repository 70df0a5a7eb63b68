/**
 * The examples that readers copy.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { exists, filesOf, read, root } from "./files.ts"
import { type CodeBlock, codeBlocks } from "./markdown.ts"

interface Example extends CodeBlock {
  readonly name: string
  readonly file: string
}

const examplesOf = (page: string): ReadonlyArray<Example> =>
  codeBlocks(read(page)).map((block) => ({
    ...block,
    name: `${page}:${block.line}`,
    file: `${page.replace(/\W+/g, "-")}-${block.line}.ts`
  }))

const readme = exists("README.md") ? examplesOf("README.md") : []
const examples = [
  ...readme,
  ...filesOf("docs").filter((path) => path.endsWith(".md")).flatMap(examplesOf)
]

describe("README", () => {
  // inside the checkout, so that an example finds `effect` and its types
  let folder = ""
  beforeAll(() => {
    folder = mkdtempSync(join(root, ".readme-"))
    for (const { code, file } of examples) writeFileSync(join(folder, file), code)
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(compilerConfig))
    return () => rmSync(folder, { recursive: true, force: true })
  })

  it("has an example, and one that runs", () => {
    assert.isAbove(readme.length, 0)
    assert.isTrue(readme.some(({ isRunnable }) => isRunnable), "put <!-- run --> before a complete example")
  })

  it("every example compiles", () => {
    const { status, stdout } = spawnSync(process.execPath, [
      join(root, "node_modules/typescript/bin/tsc"),
      "--project",
      folder
    ], { encoding: "utf8" })
    assert.strictEqual(stdout, "")
    assert.strictEqual(status, 0)
  })

  for (const { file, isRunnable, name } of examples) {
    if (!isRunnable) continue
    it(`${name} runs to its end`, () => {
      // in a folder of its own, for what the example keeps on disk
      const cwd = join(folder, file.replace(/\.ts$/, ""))
      mkdirSync(cwd)
      const { status, stderr } = spawnSync(process.execPath, [
        "--import",
        join(root, "test/house/sourceImports.mjs"),
        join(folder, file)
      ], { cwd, encoding: "utf8", timeout: 50_000 })
      assert.strictEqual(status, 0, stderr)
    })
  }
})

describe("codeBlocks", () => {
  it("finds the blocks fenced as ts and those marked to be run", () => {
    const page = "a\n```ts\nconst a = 1\n```\n```sh\nls\n```\n<!-- run -->\n\n```ts\nconst b = 2\n```\n"
    assert.deepStrictEqual(codeBlocks(page), [
      { line: 2, code: "const a = 1\n", isRunnable: false },
      { line: 10, code: "const b = 2\n", isRunnable: true }
    ])
  })
})

const compilerConfig = {
  extends: "../tsconfig.json",
  include: ["*.ts"],
  exclude: [],
  compilerOptions: { noUnusedLocals: false }
}
