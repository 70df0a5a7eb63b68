// Compiles sql/ into src/postgres/internal/migrations.ts, so that nothing reads files at run time.
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"

const root = new URL("../", import.meta.url)
const read = (path) => readFileSync(new URL(path, root), "utf8")

/** Splits a script at the semicolons that end statements; the wire protocol takes one statement at a time. */
export const splitStatements = (script) => {
  const statements = []
  let start = 0
  let i = 0
  while (i < script.length) {
    const rest = script.slice(i)
    const dollar = /^\$[A-Za-z_]*\$/.exec(rest)
    if (rest.startsWith("--")) i = (script.indexOf("\n", i) + 1) || script.length
    else if (script[i] === "'") i = script.indexOf("'", i + 1) + 1 || script.length
    else if (dollar) i = script.indexOf(dollar[0], i + dollar[0].length) + dollar[0].length
    else if (script[i] === ";") {
      statements.push(script.slice(start, i))
      start = ++i
    } else i++
  }
  statements.push(script.slice(start))
  return statements
    .map((text) => text.replace(/^(\s*--[^\n]*\n|\s+)+/, "").trimEnd())
    .filter((text) => text !== "")
}

const entry = (folder) => (file) => {
  const text = read(`sql/${folder}/${file}`)
  return {
    name: file.replace(/\.sql$/, ""),
    checksum: createHash("sha256").update(text).digest("hex").slice(0, 16),
    statements: splitStatements(text)
  }
}
const list = (folder) => readdirSync(new URL(`sql/${folder}`, root)).filter((name) => name.endsWith(".sql")).sort()

// A function may call another one that stands later in the alphabet: SQL bodies are checked when they are made,
// so those that are called come first.
const order = ["find_recorded", "first_match", "create_events_partition"]
const rank = ({ name }) => (order.indexOf(name) + 1) || order.length + 1
const migrations = list("migrations").map(entry("migrations"))
const functions = list("functions").map(entry("functions")).sort((a, b) =>
  rank(a) - rank(b) || (a.name < b.name ? -1 : 1)
)
const privileges = splitStatements(read("sql/privileges.sql"))
const catalog = read("sql/schema.sql").split("\n").filter((line) => line !== "" && !line.startsWith("--"))

const literal = (value) => `\`${value.replace(/[\\`]|\$\{/g, "\\$&")}\``
const entries = (items) =>
  `[\n${
    items.map(({ checksum, name, statements }) =>
      `  {\n    name: "${name}",\n    checksum: "${checksum}",\n    statements: [\n${
        statements.map((statement) => `      ${literal(statement)}`).join(",\n")
      }\n    ]\n  }`
    ).join(",\n")
  }\n]`

const output = `// Generated from sql/ by bin/build-sql.mjs: do not edit.

/** A file of \`sql/\`, one statement an element. */
export interface SqlFile {
  readonly name: string
  readonly checksum: string
  readonly statements: ReadonlyArray<string>
}

/** Forward only, in order, each once. */
export const migrations: ReadonlyArray<SqlFile> = ${entries(migrations)}

/** Made again whenever their text changed. */
export const functions: ReadonlyArray<SqlFile> = ${entries(functions)}

/** Roles and their rights, on request. */
export const privileges: ReadonlyArray<string> = [
${privileges.map((statement) => `  ${literal(statement)}`).join(",\n")}
]

/** What is in the schema after all of it, a line each thing. */
export const catalog: ReadonlyArray<string> = [
${catalog.map((line) => `  ${literal(line)}`).join(",\n")}
]
`
writeFileSync(new URL("src/postgres/internal/migrations.ts", root), output)
