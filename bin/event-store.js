#!/usr/bin/env node
// Plain old syntax and no static import: any Node parses this file and can say what is missing.
var nodeMajorMin = 24
var main = new URL("../dist/cli/main.js", import.meta.url)

if (Number(process.versions.node.split(".")[0]) < nodeMajorMin) {
  console.error(
    "event-store needs Node.js " + nodeMajorMin + " or newer; this is Node.js " + process.versions.node + "."
  )
  console.error("In a checkout, npm brings it along: npm run -s event-store -- --help")
  process.exitCode = 1
} else {
  Promise.all([import("node:fs"), import("node:module")]).then(function(modules) {
    if (!modules[0].existsSync(main)) {
      console.error("event-store is not built in this checkout. Run: npm run build")
      process.exitCode = 1
      return
    }
    modules[1].enableCompileCache()
    return import(main.href)
  })
}
