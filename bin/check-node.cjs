// Runs before tests and examples, on any Node: says in words what would otherwise fail obscurely.
"use strict"

const fs = require("node:fs")
const path = require("node:path")

const NODE_MAJOR_MIN = 24
const root = path.dirname(__dirname)

const refuse = (lines) => {
  console.error("\n" + lines.map((line) => "  " + line).join("\n") + "\n")
  process.exit(1)
}

if (Number(process.versions.node.split(".")[0]) < NODE_MAJOR_MIN) {
  const isInstalled = fs.existsSync(path.join(root, "node_modules", ".bin", "node"))
  refuse(
    isInstalled
      ? [
        `This project runs on Node.js ${NODE_MAJOR_MIN}, and this is ${process.version}.`,
        "npm scripts use the one in node_modules/.bin: call this through npm, for example `npm test`."
      ]
      : [
        `This project runs on Node.js ${NODE_MAJOR_MIN}, and this is ${process.version}.`,
        `\`npm install\` brings Node.js ${NODE_MAJOR_MIN} along, but its install script did not run`,
        "(--ignore-scripts, or a package manager that asks for approval first).",
        `Run \`npm rebuild node\`, or install Node.js ${NODE_MAJOR_MIN}.`
      ]
  )
}

if (process.argv.includes("--built") && !fs.existsSync(path.join(root, "dist", "index.js"))) {
  refuse(["The package is not built in this checkout.", "Run `npm run build`."])
}
