/**
 * The command line of the benchmarks.
 */
import { parseArgs } from "node:util"
import { OURS, type VariantInfo, variants } from "./variant.ts"

/**
 * What the command line asks for.
 */
export interface Options {
  readonly workload: Workload
  readonly url: string | undefined
  readonly variants: ReadonlyArray<VariantInfo>
  readonly rounds: number
  readonly seconds: number
  readonly warmUpSeconds: number
  /** Events that a read, memory, conditional, snapshot or projection workload finds; `undefined` for the workload's own number. */
  readonly events: number | undefined
  /** Appends a second of the subscribe and project-live workloads. */
  readonly rate: number
  /** Names of cases, `append-1@64` or `append-1` for all its concurrencies; all cases when empty. */
  readonly cases: ReadonlyArray<string>
  /** File of the workloads that take one. */
  readonly file: string | undefined
  /** Major version of the server that is started; npm's when `undefined`. */
  readonly postgres: number | undefined
  readonly out: string | undefined
}

export type Workload = (typeof WORKLOADS)[number]

/**
 * A command line that cannot be run; the message is for its writer.
 */
export class UsageError extends Error {}

export const HELP = `Usage: npm run -s bench -- <workload> [options]

Prints one JSON document on stdout and progress on stderr; stores the document
in bench/results/<date>-<workload>-<commit>.json.

Workloads:
  append            1 event a call at 1, 16 and 64 appenders, 10 events a call at 16,
                    and with a tag condition at 64 (ours only)
  append-inline     1 event a call at 64 and 1 appenders, without a projection, with one of a
                    state a customer and with one of a row a customer (ours only)
  read              the whole log, 100,000 events
  memory            growth of memory over a read of 1,000,000 events (ours only)
  import FILE       an export of this store, into an empty one (ours only)
  command           load, decide, append: a command on a stream of its own, by 64 and
                    by 1, on streams that were loaded before and on new ones; ours
                    next to the bare append of the same events
  snapshot          the state of a stream of 10,000 events from all of them, from a
                    snapshot and from the cache, and a state of 100 kB (ours only)
  decode            events of typed shapes, no server (ours only)
  subscribe         from acknowledgement to delivery at 1,000 appends a second (ours only)
  project-state     a projection with states over 100,000 events, next to reading them (ours only)
  project-table     a projection with a table over 100,000 events, one upsert an event
  project-four      four projections over 100,000 events, next to one of them (ours only)
  project-live      from acknowledgement to what a query of the read model shows, at
                    1,000 appends a second (ours only)
  rebuild-retail FILE
                    revenue by country and day of an export of a web shop, built anew
                    while it is read (ours only)
  backup FILE       1,000,000 events of a file of NDJSON, from its beginning again when it
                    has fewer: make, verify and restore a backup of them, next to
                    pg_dump, and appends while a backup is made (ours only)

Options:
  --peers           compare with the stores and drivers of bench/peers
  --only A,B        only these variants: ${variants.map(({ name }) => name).join(", ")}
  --cases A,B       only these cases, such as append-1@64, or append-1 for 1, 16 and 64
  --url URL         postgres://..., pglite:DIR or memory:; without it, a durable
                    PostgreSQL of its own (peers need PostgreSQL)
  --postgres N      start the machine's PostgreSQL of that major version instead of npm's
  --rounds N        runs of each variant, interleaved (5)
  --seconds S       length of a run (3)
  --warm-up S       before each run, not measured (2)
  --events N        events that a read finds (by workload)
  --rate N          appends a second for subscribe and project-live (1000)
  --out FILE        store the document there instead; - stores nothing
  --help
`

/**
 * Reads a command line. `undefined` when it asks for help; throws
 * {@link UsageError}.
 */
export const parseOptions = (args: ReadonlyArray<string>): Options | undefined => {
  const { positionals, values } = parse(args)
  if (values.help === true) return undefined
  const [workload, file, ...rest] = positionals
  if (!isWorkload(workload)) {
    throw new UsageError(
      workload === undefined ? "which workload?" : `unknown workload ${workload}${nearest(workload, WORKLOADS)}`
    )
  }
  const takesFile = workload === "import" || workload === "rebuild-retail" || workload === "backup"
  if (takesFile && file === undefined) throw new UsageError(`${workload} needs a FILE`)
  const surplus = takesFile ? rest : positionals.slice(1)
  if (surplus.length > 0) throw new UsageError(`unexpected argument ${surplus[0]}`)
  if (workload === "decode" && values.url !== undefined) throw new UsageError("decode needs no store: leave --url out")
  const chosen = chooseVariants(values.only, values.peers === true)
  return {
    workload,
    file,
    postgres: values.postgres === undefined ? undefined : count("--postgres", values.postgres, 0),
    url: workload === "decode" ? "memory:" : checkUrl(values.url, chosen),
    variants: chosen,
    rounds: count("--rounds", values.rounds, 5),
    seconds: positive("--seconds", values.seconds, 3),
    warmUpSeconds: positive("--warm-up", values["warm-up"], 2),
    events: values.events === undefined ? undefined : count("--events", values.events, 1),
    rate: count("--rate", values.rate, 1_000),
    cases: values.cases?.split(",") ?? [],
    out: values.out
  }
}

// internal

const WORKLOADS = [
  "append",
  "append-inline",
  "read",
  "memory",
  "import",
  "subscribe",
  "command",
  "snapshot",
  "project-state",
  "project-table",
  "project-four",
  "project-live",
  "rebuild-retail",
  "backup",
  "decode"
] as const

const FLAGS = {
  peers: { type: "boolean" },
  only: { type: "string" },
  cases: { type: "string" },
  url: { type: "string" },
  postgres: { type: "string" },
  rounds: { type: "string" },
  seconds: { type: "string" },
  "warm-up": { type: "string" },
  events: { type: "string" },
  rate: { type: "string" },
  out: { type: "string" },
  help: { type: "boolean", short: "h" }
} as const

const parse = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({ args: [...args], options: FLAGS, allowPositionals: true, strict: true })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const unknown = /Unknown option '-*([^' ]+)/.exec(message)?.[1]
    throw new UsageError(
      unknown === undefined ? message : `unknown option --${unknown}${nearest(unknown, Object.keys(FLAGS), "--")}`
    )
  }
}

const isWorkload = (name: string | undefined): name is Workload => WORKLOADS.some((workload) => workload === name)

const chooseVariants = (only: string | undefined, withPeers: boolean): ReadonlyArray<VariantInfo> => {
  if (only === undefined) return withPeers ? variants : variants.filter(({ name }) => name === OURS)
  const names = variants.map(({ name }) => name)
  for (const name of only.split(",")) {
    if (!names.includes(name)) throw new UsageError(`unknown variant ${name}${nearest(name, names)}`)
  }
  return variants.filter(({ name }) => only.split(",").includes(name))
}

const checkUrl = (url: string | undefined, chosen: ReadonlyArray<VariantInfo>): string | undefined => {
  if (url === undefined || /^postgres(ql)?:\/\/./.test(url)) return url
  if (url !== "memory:" && !/^pglite:./.test(url)) {
    throw new UsageError(`--url must be postgres://..., pglite:DIR or memory:, got ${url}`)
  }
  if (chosen.some(({ name }) => name !== OURS)) throw new UsageError("peers need PostgreSQL: leave --url out")
  return url
}

const positive = (flag: string, text: string | undefined, absent: number): number => {
  if (text === undefined) return absent
  const value = Number(text)
  if (!Number.isFinite(value) || value <= 0) throw new UsageError(`${flag} must be a number above 0, got ${text}`)
  return value
}

const count = (flag: string, text: string | undefined, absent: number): number => {
  const value = positive(flag, text, absent)
  if (!Number.isSafeInteger(value)) throw new UsageError(`${flag} must be a whole number, got ${text}`)
  return value
}

/** Names what may have been meant: the name with the longest beginning in common. */
const nearest = (given: string, names: ReadonlyArray<string>, prefix = ""): string => {
  const shared = (name: string) => {
    let length = 0
    while (length < name.length && name[length] === given[length]) length++
    return length
  }
  const best = [...names].sort((a, b) => shared(b) - shared(a))[0]
  return best !== undefined && shared(best) >= 2 ? `: did you mean ${prefix}${best}?` : ` (see --help)`
}
