/**
 * What no tool knows about this repository.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { coveredBySuite } from "./coverage.ts"
import { exists, filesOf, publicModules, read, root } from "./files.ts"

const none: ReadonlyArray<string> = []

describe("tidy", () => {
  it("every public export says what it is, its category and since when", () => {
    const undocumented = publicModules()
      .filter((path) => !path.endsWith("/index.ts"))
      .flatMap((path) => undocumentedExports(read(path)).map((name) => `${path}: ${name}`))
    assert.deepStrictEqual(undocumented, none)
  })

  it("every public module begins with what it is for", () => {
    const silent = publicModules().filter((path) => !/^\/\*\*\n \* \S[\s\S]*?@since \d+\.\d+\.\d+/.test(read(path)))
    assert.deepStrictEqual(silent, none)
  })

  it("nothing is left to do", () => {
    const marks = /\b(?:TO[D]O|FIX[M]E)\b/
    const marked = ["src", "test", "bench", "bin", "examples", "sql"]
      .flatMap(filesOf)
      .filter((path) => /\.(ts|mjs|cjs|js|sql)$/.test(path) && marks.test(read(path)))
    assert.deepStrictEqual(marked, none)
  })

  it("no test is skipped, and none runs alone", () => {
    const skipping = filesOf("test")
      .filter((path) => path.endsWith(".ts"))
      .filter((path) => /\b(it|test|describe)(\.\w+)*\.(skip|only|todo|fails)\b/.test(read(path)))
    assert.deepStrictEqual(skipping, none)
  })

  it("every SQL function's file begins with what the function does", () => {
    const files = filesOf("sql/functions").filter((path) => path.endsWith(".sql"))
    assert.isAbove(files.length, 0)
    assert.deepStrictEqual(files.filter((path) => !/^-- \S/.test(read(path))), none)
  })

  it("the SQL inside the package is the SQL in sql/", () => {
    const generated = "src/postgres/internal/migrations.ts"
    const copy = mkdtempSync(join(tmpdir(), "event-store-sql-"))
    try {
      for (const path of ["sql", "bin/build-sql.mjs"]) cpSync(join(root, path), join(copy, path), { recursive: true })
      mkdirSync(join(copy, "src/postgres/internal"), { recursive: true })
      execFileSync(process.execPath, [join(copy, "bin/build-sql.mjs")])
      assert.strictEqual(read(generated), readFileSync(join(copy, generated), "utf8"), "run: npm run build:sql")
    } finally {
      rmSync(copy, { recursive: true, force: true })
    }
  })

  it("every source module has a test of its own or a suite that covers it", () => {
    const modules = filesOf("src").filter((path) => path.endsWith(".ts") && !path.endsWith("index.ts"))
    assert.deepStrictEqual(modules.filter((path) => !hasMirror(path) && !isInTable(path)), none)
  })

  it("the table of suites names modules and suites that exist", () => {
    const stale = Object.entries(coveredBySuite)
      .filter(([module, suite]) => !exists(module) || !exists(suite))
      .map(([module]) => module)
    assert.deepStrictEqual(stale, none)
  })
})

/** `src/room/Module.ts` is mirrored by `test/room/Module.test.ts`, or with `.integration` when it needs a server. */
const hasMirror = (module: string): boolean => {
  const stem = module.replace(/^src\//, "test/").replace("/internal/", "/").replace(/\.ts$/, "")
  return exists(`${stem}.test.ts`) || exists(`${stem}.integration.test.ts`)
}

const isInTable = (module: string): boolean =>
  Object.keys(coveredBySuite).some((name) => name.endsWith("/") ? module.startsWith(name) : module === name)

const declaration =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type|enum|namespace) (\w+)/

const undocumentedExports = (text: string): ReadonlyArray<string> => {
  const lines = text.split("\n")
  const seen = new Set<string>()
  return lines.flatMap((line, index) => {
    const name = declaration.exec(line)?.[1]
    if (name === undefined) return []
    // overloads share the first one's docstring
    const isOverload = line.includes("function") && seen.has(name)
    seen.add(name)
    return isOverload || isDocumented(docstringAbove(lines, index)) ? [] : [name]
  })
}

const docstringAbove = (lines: ReadonlyArray<string>, index: number): string => {
  if (lines[index - 1]?.trim().endsWith("*/") !== true) return ""
  const start = lines.slice(0, index).findLastIndex((line) => line.startsWith("/**"))
  return lines.slice(start, index).join("\n")
}

const isDocumented = (docstring: string): boolean =>
  /^\/\*\*\s*\n? ?\*? ?[^\s@*]/.test(docstring) && docstring.includes("@category ") && docstring.includes("@since ")
