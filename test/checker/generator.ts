/**
 * Random histories that a correct store can produce: concurrent processes whose
 * calls are lost, answered too late, retried and killed, and followers that
 * stop and start again.
 */
import type { Append, Claim, Condition, Delivery, Following, History, Row, SentEvent, StreamRead } from "./history.ts"
import type { Random } from "./random.ts"

/**
 * Plays so many random steps against a correct store.
 */
export const generate = (random: Random, steps: number): History => {
  const world: World = { random, timeNs: 0n, log: [], appends: [], reads: [], followings: [], late: [], nextId: 0 }
  const actors: ReadonlyArray<Actor> = [
    ...["p1", "p2", "p3"].map((name) => makeProcess(world, name)),
    makeFollower(world, "all", () => true),
    makeFollower(world, "stream", (row) => row.stream === STREAMS[0] || row.stream === STREAMS[1]),
    makeFollower(world, "tag", (row) => row.tags.includes("x"))
  ]
  for (let step = 0; step < steps; step++) {
    world.timeNs += BigInt(1 + random.int(5))
    if (world.late.length > 0 && random.chance(0.1)) execute(world, world.late.shift())
    random.pick(actors)?.step()
  }
  for (const actor of actors) {
    world.timeNs += 1n
    actor.end()
  }
  return { appends: world.appends, reads: world.reads, followings: world.followings, log: world.log }
}

// internal

const STREAMS = ["a-1", "a-2", "b-1", "b-2", "c-1"]
const TAGS = ["x", "y", "z"]

/** Takes turns; ends when there are no more. */
interface Actor {
  readonly step: () => void
  readonly end: () => void
}

interface World {
  readonly random: Random
  timeNs: bigint
  readonly log: Array<Row>
  readonly appends: Array<Append>
  readonly reads: Array<StreamRead>
  readonly followings: Array<Following>
  /** Requests whose callers have given up, still on their way. */
  readonly late: Array<Request>
  nextId: number
}

interface Request {
  readonly events: ReadonlyArray<SentEvent & { readonly tags: ReadonlyArray<string> }>
  readonly claims: ReadonlyArray<Claim>
  readonly condition?: Condition
}

/** The store: all or nothing, once, and only as claimed. Gives the events with their places, or undefined. */
const execute = (world: World, request: Request | undefined): ReadonlyArray<SentEvent> | undefined => {
  if (request === undefined) return undefined
  const { claims, condition, events } = request
  const stored = events.flatMap(({ id }) => world.log.find((row) => row.id === id) ?? [])
  if (stored.length > 0) {
    const isRetry = stored.length === events.length &&
      events.every(({ digest, stream }, i) =>
        stored[i]?.digest === digest && stored[i]?.stream === stream &&
        stored[i]?.position === (stored[0]?.position ?? 0) + i
      )
    return isRetry
      ? events.map((event, i) => ({ ...sent(event), ...placeOf(stored[i]) }))
      : undefined
  }
  const isMet = claims.every((claim) => holds(world, claim)) &&
    !(condition !== undefined && world.log.slice(condition.after)
      .some((row) => condition.tags.every((tag) => row.tags.includes(tag))))
  if (!isMet) return undefined
  return events.map((event) => {
    const row = { ...event, revision: countOf(world, event.stream), position: world.log.length + 1 }
    world.log.push(row)
    return { ...sent(event), ...placeOf(row) }
  })
}

const sent = ({ digest, id, stream }: SentEvent): SentEvent => ({ id, stream, digest })

const placeOf = (row: Row | undefined) => row && { revision: row.revision, position: row.position }

const countOf = ({ log }: World, stream: string): number => log.filter((row) => row.stream === stream).length

const holds = (world: World, { expected, stream }: Claim): boolean => {
  const count = countOf(world, stream)
  if (expected === "any") return true
  if (expected === "noStream") return count === 0
  return expected === "streamExists" ? count > 0 : expected === count - 1
}

const makeProcess = (world: World, name: string): Actor => {
  const { random } = world
  let turn: (() => void) | undefined
  let failed: Request | undefined

  const append = (request: Request) => {
    const invokedNs = world.timeNs
    let answer: ReadonlyArray<SentEvent> | undefined
    const record = (outcome: Append["outcome"], isReturned: boolean) => {
      turn = undefined
      failed = outcome === "unknown" ? request : undefined
      world.appends.push({
        process: name,
        invokedNs,
        ...(isReturned ? { returnedNs: world.timeNs } : {}),
        outcome,
        events: outcome === "ok" ? answer ?? [] : request.events.map(sent),
        claims: request.claims,
        ...(request.condition === undefined ? {} : { condition: request.condition })
      })
    }
    turn = () => {
      if (random.chance(0.1)) {
        // the request is lost, or late
        if (random.chance(0.5)) world.late.push(request)
        return record("unknown", random.chance(0.7))
      }
      answer = execute(world, request)
      turn = () => {
        const isAnswerLost = random.chance(0.15)
        record(isAnswerLost ? "unknown" : answer === undefined ? "fail" : "ok", !isAnswerLost || random.chance(0.7))
      }
    }
  }
  const read = () => {
    const stream = random.pick(STREAMS) ?? ""
    const invokedNs = world.timeNs
    turn = () => {
      const rows = world.log.filter((row) => row.stream === stream)
      const from = random.chance(0.7) ? 0 : random.int(rows.length + 1)
      const isToEnd = random.chance(0.8)
      const ids = rows.slice(from, isToEnd ? undefined : from + 3).map(({ id }) => id)
      turn = () => {
        turn = undefined
        world.reads.push({ process: name, stream, invokedNs, returnedNs: world.timeNs, from, ids, isToEnd })
      }
    }
  }
  return {
    step: () => {
      if (turn !== undefined) return turn()
      if (failed !== undefined && random.chance(0.7)) return append(retryOf(world, failed))
      if (random.chance(0.3)) return read()
      return append(random.chance(0.08) ? reuse(world) : propose(world, name))
    },
    end: () => {
      for (let open = turn; open !== undefined; open = turn) {
        world.timeNs += 1n
        open()
      }
    }
  }
}

const propose = (world: World, process: string): Request => {
  const { random } = world
  const streams = STREAMS.filter(() => random.chance(0.3))
  const written = streams.length === 0 ? [random.pick(STREAMS) ?? ""] : streams
  const events = written.flatMap((stream) =>
    Array.from({ length: 1 + random.int(3) }, () => ({
      id: `${process}-${world.nextId++}`,
      stream,
      digest: `d${random.int(1_000_000)}`,
      tags: TAGS.filter(() => random.chance(0.3))
    }))
  )
  const others = STREAMS.filter((stream) => !written.includes(stream) && random.chance(0.2))
  return {
    events,
    claims: [...written, ...others].map((stream) => ({ stream, expected: claimOn(world, stream) })),
    ...(random.chance(0.3)
      ? { condition: { tags: [random.pick(TAGS) ?? ""], after: Math.max(0, world.log.length - random.int(2)) } }
      : {})
  }
}

const claimOn = (world: World, stream: string): Claim["expected"] => {
  const count = countOf(world, stream)
  if (world.random.chance(0.3)) return "any"
  if (count === 0) return "noStream"
  if (world.random.chance(0.2)) return "streamExists"
  // now and then a stale one
  return world.random.chance(0.9) ? count - 1 : Math.max(0, count - 2)
}

/** The same events; what it says about the streams may be newer. */
const retryOf = (world: World, request: Request): Request =>
  world.random.chance(0.5)
    ? request
    : { ...request, claims: request.claims.map(({ stream }) => ({ stream, expected: claimOn(world, stream) })) }

/** An id that is there, with another content or among other events. */
const reuse = (world: World): Request => {
  const { random } = world
  const row = random.pick(world.log)
  const request = propose(world, "reuse")
  if (row === undefined) return request
  const { id, stream, tags } = row
  return { events: [...request.events, { id, stream, tags, digest: "other" }], claims: request.claims }
}

const makeFollower = (world: World, subscription: string, matches: Following["matches"]): Actor => {
  const { random } = world
  let incarnation = 0
  let after = 0
  let reached = 0
  let deliveries: Array<Delivery> = []
  const stop = () => {
    world.followings.push({ subscription, incarnation, after, matches, deliveries, reached })
    incarnation++
    // the checkpoint is somewhere behind
    after += random.int(reached - after + 1)
    reached = after
    deliveries = []
  }
  return {
    step: () => {
      const upTo = Math.min(world.log.length, reached + 1 + random.int(4))
      for (const row of world.log.slice(reached, upTo)) {
        if (matches(row)) deliveries.push({ position: row.position, id: row.id, atNs: world.timeNs })
      }
      reached = upTo
      if (random.chance(0.05)) stop()
    },
    end: stop
  }
}
