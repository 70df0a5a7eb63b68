// A file imports its own room or a lower rank; rooms of one rank do not know each other.
// TypeScript 7 has no JavaScript API yet, so @swc/core reads the files (type imports included).
const rank = {
  event: 0,
  decider: 1,
  version: 1,
  store: 2,
  snapshot: 3,
  migration: 3,
  subscription: 3,
  memory: 3,
  postgres: 3,
  pglite: 3,
  command: 4,
  projection: 4,
  backup: 4,
  runtime: 5,
  testing: 5,
  cli: 6
}
const rooms = Object.keys(rank)
const storages = "memory|postgres|pglite"
const above = (room) => rooms.filter((other) => other !== room && rank[other] >= rank[room]).join("|")
const rule = (name, from, to) => ({ name, severity: "error", from, to })

export default {
  forbidden: [
    rule("room-has-a-rank", { path: "^src/[^/]+/", pathNot: `^src/(${rooms.join("|")})/` }, {}),
    ...rooms.filter(above).map((room) =>
      rule(`${room}-looks-down`, { path: `^src/${room}/` }, { path: `^src/(${above(room)})/` })
    ),
    rule("rooms-do-not-import-the-index", { path: "^src/[^/]+/" }, { path: "^src/index\\.ts$" }),
    rule("storages-meet-in-runtime", { path: "^src/", pathNot: `^src/(index\\.ts$|(runtime|${storages})/)` }, {
      path: `^src/(${storages})/`
    }),
    rule("drivers-in-their-room", { path: "^src/", pathNot: "^src/(postgres|pglite|runtime)/" }, {
      path: "^(node_modules/)?(@effect/sql-pg|@electric-sql|effect/dist/sql)/"
    }),
    rule("internal-stays-home", { path: "^src/([^/]+)/" }, {
      path: "^src/[^/]+/internal/",
      pathNot: "^src/$1/internal/"
    }),
    rule("users-see-what-is-public", { path: "^(src/index\\.ts$|bench/|examples/)" }, { path: "^src/[^/]+/internal/" }),
    rule("node-where-it-belongs", {
      path: "^src/",
      pathNot: "^src/(runtime|cli|(pglite|snapshot|migration|command|backup)/internal)/"
    }, {
      dependencyTypes: ["core"]
    }),
    // The command is bundled, so it may use what the library's users do not install.
    rule("published-code-needs-no-dev-package", { path: "^src/", pathNot: "^src/cli/" }, {
      dependencyTypes: ["npm-dev"],
      dependencyTypesNot: ["npm-peer"]
    }),
    rule("source-stands-alone", { path: "^src/" }, { path: "^(test|bench|examples|bin|dist)/" }),
    // the package's own name means its source, which the type check follows
    rule("every-import-resolves", { path: "^(src|test)/" }, { couldNotResolve: true, pathNot: "^effect-event-store/" }),
    rule("no-cycle", {}, { circular: true })
  ],
  options: {
    parser: "swc",
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^bench/peers/" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "node"] }
  }
}
