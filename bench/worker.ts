/**
 * The process of one variant: peers replace global type parsers of `pg`, so no
 * two of them share one.
 *
 * Arguments: module of the variant, process id of the server or `-`.
 */
import { setFlagsFromString } from "node:v8"
import { measureBackup, measureBeside } from "./backups.ts"
import { measureBulk } from "./bulk.ts"
import { measureCommands, measureLoads } from "./commands.ts"
import {
  fill,
  measureAppends,
  measureImport,
  measureMemory,
  measureProjection,
  measureReadAll,
  measureRebuild,
  measureSubscription
} from "./measure.ts"
import type { Request, Response, Run } from "./protocol.ts"
import { required, type Session, type Variant } from "./variant.ts"

const [module = "", pid = "-"] = process.argv.slice(2)
const serverPid = pid === "-" ? null : Number(pid)
const loaded: { readonly default: Variant } = await import(new URL(module, import.meta.url).href)
const variant = loaded.default
let session: Session | undefined
let sessionUrl = ""

const opened = (): Session => {
  if (session === undefined) throw new Error("the store is not open")
  return session
}

const handle = async (request: Request): Promise<Run | undefined> => {
  switch (request._tag) {
    case "setup":
      await variant.setup(request.url)
      return undefined
    case "open":
      session = await variant.open(request.url, request.connections)
      sessionUrl = request.url
      return undefined
    case "fill":
      await fill(opened(), request.events, request.isTagged)
      return undefined
    case "append":
      return await measureAppends(opened(), request, serverPid)
    case "readAll":
      return await measureReadAll(opened(), serverPid)
    case "readMemory":
      return await measureMemory(opened(), serverPid)
    case "import":
      return await measureImport(opened(), request.file, serverPid)
    case "subscribe":
      return await measureSubscription(opened(), required(opened().subscribe, "subscribe"), request, serverPid)
    case "project":
      return await measureProjection(opened(), request.what, request.secondsMax, serverPid)
    case "projectLive":
      return await measureSubscription(
        opened(),
        required(opened().followReadModel, "followReadModel"),
        request,
        serverPid
      )
    case "rebuild":
      return await measureRebuild(opened(), serverPid)
    case "fillAggregate":
      await required(opened().fillAggregate, "fillAggregate")(request.events)
      return undefined
    case "fillState":
      await required(opened().fillState, "fillState")(request.bytes)
      return undefined
    case "fillShop":
      await required(opened().fillShop, "fillShop")(request.file)
      return undefined
    case "fillBackups":
      await required(opened().fillBackups, "fillBackups")(request.file, request.events, request.directory)
      return undefined
    case "backup":
      // as the command does
      setFlagsFromString("--heap-growing-percent=20")
      return await measureBackup(opened(), request, serverPid)
    case "beside":
      return await measureBeside(opened(), request, sessionUrl, serverPid)
    case "backUpFor": {
      const backUpFor = required(opened().backUpFor, "backUpFor")
      return await measureBulk(() => backUpFor(request.seconds, request.directory), null)
    }
    case "command":
      return await measureCommands(opened(), request, serverPid)
    case "load":
      return await measureLoads(opened(), request, serverPid)
    case "decode": {
      // the only workload without a store; the others need not load what it is made of
      const { measureDecode } = await import("./decode.ts")
      return await measureDecode(request.what, request.seconds)
    }
    case "close":
      await session?.close()
      session = undefined
      return undefined
  }
}

const answer = (response: Response): void => {
  process.send?.(response)
}

process.on("message", (request: Request) => {
  handle(request).then(
    (run) => answer({ _tag: "done", run }),
    (error) =>
      answer({ _tag: "failed", message: error instanceof Error ? error.stack ?? error.message : String(error) })
  )
})
// a peer's pool throws when the server goes: one line will do
process.on("uncaughtException", (error) => {
  process.stderr.write(`  ${String(error)}\n`)
  process.exit(1)
})
// the terminal tells every process of its group: the parent decides
process.on("SIGINT", () => {})
// the parent has gone: so does this
process.on("disconnect", () => process.exit(0))
