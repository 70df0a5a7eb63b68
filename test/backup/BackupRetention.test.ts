import { assert, describe, it } from "@effect/vitest"
import { DateTime, Result } from "effect"
import { BackupRetention } from "../../src/backup/index.ts"
import { makeRandom } from "./fixtures.ts"

type Backup = Parameters<typeof BackupRetention.plan>[1][number]

/** One of a log that grows by an event a second, unless it is said how far it reaches. */
const backup = (at: string, parent?: string, rest: Partial<Backup> = {}): Backup => ({
  id: at,
  incarnation: "history",
  parent: parent === undefined ? undefined : { id: parent, chain: "" },
  startedAt: DateTime.makeUnsafe(at),
  until: DateTime.makeUnsafe(at).epochMilliseconds / 1_000,
  ...rest
})

const plan = (policy: BackupRetention.RetentionPolicy, backups: ReadonlyArray<Backup>) =>
  Result.getOrThrow(BackupRetention.plan(policy, backups))

const kept = (policy: BackupRetention.RetentionPolicy, backups: ReadonlyArray<Backup>) =>
  plan(policy, backups).keep.map(({ id }) => id)

describe("BackupRetention", () => {
  it("keeps the last so many", () => {
    const backups = ["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"].map((at) => backup(at))
    assert.deepStrictEqual(kept({ keepLast: 2 }, backups), ["2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"])
    assert.deepStrictEqual(kept({ keepLast: 9 }, backups).length, 3)
  })

  it("keeps the newest of each day, week, month and year in which there is one", () => {
    const backups = [
      "2024-06-01T12:00:00Z",
      "2025-12-31T12:00:00Z",
      "2026-01-01T12:00:00Z",
      "2026-01-04T12:00:00Z", // a Sunday
      "2026-01-05T12:00:00Z", // a Monday
      "2026-01-05T18:00:00Z",
      "2026-03-01T12:00:00Z"
    ].map((at) => backup(at))
    assert.deepStrictEqual(kept({ daily: 2 }, backups), ["2026-03-01T12:00:00Z", "2026-01-05T18:00:00Z"])
    assert.deepStrictEqual(kept({ weekly: 3 }, backups), [
      "2026-03-01T12:00:00Z",
      "2026-01-05T18:00:00Z",
      "2026-01-04T12:00:00Z"
    ])
    assert.deepStrictEqual(kept({ monthly: 3 }, backups), [
      "2026-03-01T12:00:00Z",
      "2026-01-05T18:00:00Z",
      "2025-12-31T12:00:00Z"
    ])
    assert.deepStrictEqual(kept({ yearly: 9 }, backups), [
      "2026-03-01T12:00:00Z",
      "2025-12-31T12:00:00Z",
      "2024-06-01T12:00:00Z"
    ])
    assert.deepStrictEqual(plan({ daily: 1, yearly: 1 }, backups).keep, [
      { id: "2026-03-01T12:00:00Z", because: ["daily", "yearly"] }
    ])
  })

  it("begins days where the time zone does, also when clocks change", () => {
    const late = [backup("2026-01-01T22:30:00Z"), backup("2026-01-01T23:30:00Z")]
    assert.strictEqual(kept({ daily: 5 }, late).length, 1)
    assert.strictEqual(kept({ daily: 5, timeZone: "Europe/Berlin" }, late).length, 2)
    // 25 hours: 2026-10-25 in Berlin
    const autumn = [backup("2026-10-24T22:30:00Z"), backup("2026-10-25T22:30:00Z"), backup("2026-10-25T23:30:00Z")]
    assert.deepStrictEqual(kept({ daily: 9, timeZone: "Europe/Berlin" }, autumn), [
      "2026-10-25T23:30:00Z",
      "2026-10-25T22:30:00Z"
    ])
    // 23 hours: 2026-03-29 in Berlin; two backups within the hour that is left out elsewhere
    const spring = ["2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"]
    assert.deepStrictEqual(kept({ daily: 9, timeZone: "Europe/Berlin" }, spring.map((at) => backup(at))), [
      "2026-03-29T22:00:00Z",
      "2026-03-29T21:59:59Z",
      "2026-03-28T22:59:59Z"
    ])
    // the week, and the month, that end in that night
    assert.deepStrictEqual(kept({ weekly: 9, timeZone: "Europe/Berlin" }, spring.map((at) => backup(at))), [
      "2026-03-29T22:00:00Z",
      "2026-03-29T21:59:59Z"
    ])
    const march = ["2026-03-31T21:59:59Z", "2026-03-31T22:00:00Z"].map((at) => backup(at))
    assert.strictEqual(kept({ monthly: 9, timeZone: "Europe/Berlin" }, march).length, 2)
    assert.strictEqual(kept({ monthly: 9, timeZone: "America/New_York" }, march).length, 1)
    // Samoa had no 2011-12-30
    const samoa = ["2011-12-30T09:59:59Z", "2011-12-30T10:00:00Z"].map((at) => backup(at))
    assert.strictEqual(kept({ daily: 9, timeZone: "Pacific/Apia" }, samoa).length, 2)
    const newYear = [backup("2025-12-31T23:30:00Z"), backup("2026-01-01T00:30:00Z")]
    assert.strictEqual(kept({ yearly: 5, timeZone: "Asia/Tokyo" }, newYear).length, 1)
  })

  it("keeps what a kept backup goes on from, and removes the last of a chain first", () => {
    const backups = [
      backup("2026-01-01T00:00:00Z"),
      backup("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
      backup("2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"),
      backup("2026-01-04T00:00:00Z"),
      backup("2026-01-05T00:00:00Z", "2026-01-04T00:00:00Z"),
      backup("2026-01-06T00:00:00Z", "2026-01-05T00:00:00Z")
    ]
    const { keep, remove } = plan({ keepLast: 2 }, backups)
    assert.deepStrictEqual(keep, [
      { id: "2026-01-06T00:00:00Z", because: ["last"] },
      { id: "2026-01-05T00:00:00Z", because: ["last", "parent"] },
      { id: "2026-01-04T00:00:00Z", because: ["parent"] }
    ])
    assert.deepStrictEqual(remove, ["2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"])
  })

  it("takes no wrong clock's word for which backup is the newest", () => {
    const at = (startedAt: string, until: number, rest: Partial<Backup> = {}) =>
      backup(startedAt, undefined, { until, ...rest })
    // a clock that was years ahead once
    const ahead = [at("2030-01-01T00:00:00Z", 10), at("2026-01-02T00:00:00Z", 20), at("2026-01-03T00:00:00Z", 30)]
    assert.deepStrictEqual(kept({ keepLast: 1 }, ahead), ["2026-01-03T00:00:00Z"])
    // and one that was set back
    const behind = [at("2026-01-01T00:00:00Z", 10), at("2026-01-02T00:00:00Z", 20), at("1970-01-01T00:00:01Z", 30)]
    assert.deepStrictEqual(kept({ keepLast: 1 }, behind), ["1970-01-01T00:00:01Z"])
    assert.deepStrictEqual(kept({ daily: 9 }, behind).length, 3)
    // a shorter log of another history is not an older one
    const restored = [at("2026-01-01T00:00:00Z", 900), at("2026-01-02T00:00:00Z", 5, { incarnation: "restored" })]
    assert.deepStrictEqual(kept({ keepLast: 1 }, restored), ["2026-01-02T00:00:00Z"])
  })

  it("counts and removes nothing whose chain is not whole", () => {
    const backups = [
      backup("2026-01-01T00:00:00Z"),
      backup("2026-01-02T00:00:00Z", "gone"),
      backup("2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"),
      backup("2026-01-04T00:00:00Z", "2026-01-04T00:00:00Z")
    ]
    assert.deepStrictEqual(plan({ keepLast: 1 }, backups), {
      keep: [{ id: "2026-01-01T00:00:00Z", because: ["last"] }],
      remove: [],
      orphaned: ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"]
    })
  })

  it("refuses a policy that would keep nothing, or is none", () => {
    const backups = [backup("2026-01-01T00:00:00Z")]
    const policies = [{}, { keepLast: 0 }, { keepLast: -1 }, { daily: 1.5 }, { keepLast: Number.NaN }, {
      keepLast: 1,
      timeZone: "Mars/Olympus"
    }]
    for (const policy of policies) {
      assert.isTrue(Result.isFailure(BackupRetention.plan(policy, backups)), JSON.stringify(policy))
    }
  })

  it("whatever the backups and the policy: nothing that is kept is broken, nothing is lost from sight, and it settles", () => {
    const random = makeRandom(5)
    const upTo = (most: number) => Math.floor(random() * (most + 1))
    for (let trial = 0; trial < 600; trial++) {
      // clocks are wrong now and then in every second trial
      const isClockRight = trial % 2 === 0
      const histories = isClockRight ? 2 : 1
      const backups: Array<Backup> = []
      let seconds = 0
      for (let index = upTo(30); index > 0; index--) {
        seconds += upTo(30 * 86_400)
        const error = isClockRight || random() < 0.7 ? 0 : upTo(800 * 86_400) - 400 * 86_400
        const at = DateTime.formatIso(DateTime.makeUnsafe(Date.UTC(2024, 0, 1) + (seconds + error) * 1_000))
        const incarnation = `history ${upTo(histories - 1)}`
        const before = backups.filter((each) => each.incarnation === incarnation)
        const roll = random()
        const parent = roll < 0.6 && before.length > 0
          ? before[upTo(before.length - 1)]!.id
          : roll < 0.63
          ? "gone"
          : undefined
        if (backups.every(({ id }) => id !== at)) backups.push(backup(at, parent, { incarnation, until: seconds }))
      }
      const policy = {
        keepLast: 1 + upTo(3),
        daily: upTo(5),
        weekly: upTo(5),
        monthly: upTo(5),
        yearly: upTo(2),
        timeZone: ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"][upTo(3)]!
      }
      const { keep, orphaned, remove } = plan(policy, backups)
      const keptIds = new Set(keep.map(({ id }) => id))
      const byId = new Map(backups.map((each) => [each.id, each]))
      assert.sameMembers([...keptIds, ...remove, ...orphaned], backups.map(({ id }) => id))
      for (const id of keptIds) {
        for (let next = byId.get(id)?.parent?.id; next !== undefined; next = byId.get(next)?.parent?.id) {
          assert.isTrue(keptIds.has(next))
        }
      }
      // at every step of the removal, what is left has its parents
      for (const [index, id] of remove.entries()) {
        const left = new Set(remove.slice(index + 1))
        for (const other of left) assert.notStrictEqual(byId.get(other)?.parent?.id, id)
      }
      const whole = backups.filter(({ id }) => !orphaned.includes(id))
      const newest = whole.at(-1)
      if (newest !== undefined) assert.isTrue(keptIds.has(newest.id))
      // the rules say the same of what is left
      const after = plan(policy, backups.filter(({ id }) => keptIds.has(id)))
      assert.sameMembers(after.keep.map(({ id }) => id), [...keptIds])
      assert.deepStrictEqual(after.remove, [])
    }
  })
})
