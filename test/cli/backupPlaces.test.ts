import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parsePlace } from "../../src/cli/internal/backupPlace.ts"
import { encryptionKey, signingKeys } from "../backup/fixtures.ts"
import { chain, codeOf, setUp } from "./backupPlaceSetUp.ts"

describe("keys of backups", () => {
  it.live("come from files and from the environment, in every form in which people keep them", () =>
    Effect.gen(function*() {
      const { backup, root, write } = yield* setUp
      const key = encryptionKey(1, "shop-2026")
      yield* write({ to: 5, encryption: key })
      const missing = yield* backup("cat", "--json")
      expect([missing.code, codeOf(missing)]).toStrictEqual([5, "ES-2012"])

      const bytes = Buffer.alloc(32, 1)
      const forms = [bytes, bytes.toString("hex"), `${bytes.toString("base64")}\n`, bytes.toString("base64url")]
      for (const [index, form] of forms.entries()) {
        const directory = join(root, String(index))
        mkdirSync(directory)
        const file = join(directory, "shop-2026.key")
        writeFileSync(file, form, { mode: 0o600 })
        expect(yield* backup("cat", "--key-file", file)).toMatchObject({ code: 0, err: "" })
      }
      const environment = { EVENT_STORE_BACKUP_KEYS: `other:${"00".repeat(32)}, shop-2026:${bytes.toString("hex")}` }
      Object.assign(process.env, environment)
      const { code } = yield* Effect.ensuring(
        backup("verify"),
        Effect.sync(() => delete process.env["EVENT_STORE_BACKUP_KEYS"])
      )
      expect(code).toBe(0)

      writeFileSync(join(root, "shop-2026.key"), randomBytes(32), { mode: 0o644 })
      const wrong = yield* backup("cat", "--key-file", join(root, "shop-2026.key"), "--json")
      expect([wrong.code, codeOf(wrong)]).toStrictEqual([5, "ES-2013"])
      expect(wrong.err).toContain("chmod 600")
    }))

  it.live.each(
    [
      ["empty", ""],
      ["short", "abcdef"],
      ["hexadecimal of 16 bytes", "00112233445566778899aabbccddeeff"],
      ["a password", "correct horse battery staple"],
      ["large", "x".repeat(100_000)]
    ] as const
  )("are refused when they are %s, and never printed", ([, text]) =>
    Effect.gen(function*() {
      const { backup, root } = yield* chain
      const file = join(root, "bad.key")
      writeFileSync(file, text, { mode: 0o600 })
      const ran = yield* backup("list", "--key-file", file, "--json")
      expect([ran.code, codeOf(ran)]).toStrictEqual([65, "ES-2002"])
      if (text !== "") expect(ran.err).not.toContain(text)
    }))

  it.live("that are trusted let nothing else in", () =>
    Effect.gen(function*() {
      const { backup, root, write } = yield* setUp
      const { signing, trusted } = signingKeys("ann")
      const other = signingKeys("ann")
      const signed = yield* write({ to: 5, signing })
      const trust = join(root, "ann.pub.pem")
      writeFileSync(trust, trusted[0]?.publicKey ?? "", { mode: 0o600 })
      expect(yield* backup("verify", "--trust", trust)).toMatchObject({ code: 0 })
      const foreign = join(root, "ann.pem")
      writeFileSync(foreign, other.trusted[0]?.publicKey ?? "", { mode: 0o600 })
      const ran = yield* backup("describe", signed.id, "--trust", foreign, "--json")
      expect([ran.code, codeOf(ran)]).toStrictEqual([65, "ES-2015"])

      const newest = yield* backup("describe", "--trust", foreign, "--json")
      expect([newest.code, codeOf(newest)]).toStrictEqual([65, "ES-2015"])

      const unsigned = yield* write({ to: 5 })
      expect((yield* backup("describe", unsigned.id)).code).toBe(0)
      expect(codeOf(yield* backup("describe", unsigned.id, "--trust", trust, "--json"))).toBe("ES-2015")
      expect(codeOf(yield* backup("list", "--trust", join(root, "none.pem"), "--json"))).toBe("ES-1301")
      writeFileSync(foreign, "-----BEGIN PRIVATE KEY-----", { mode: 0o600 })
      expect(codeOf(yield* backup("list", "--trust", foreign, "--json"))).toBe("ES-2002")
    }))
})

describe("a place of backups", () => {
  const parse = (text: string, environment = {}) => Effect.result(parsePlace(text, "--dest", environment))

  it.effect.each(
    [
      ["backups", { _tag: "Directory", path: "backups" }],
      ["/var/backups/a b", { _tag: "Directory", path: "/var/backups/a b" }],
      ["C:\\backups", { _tag: "Directory", path: "C:\\backups" }],
      ["file:/var/backups", { _tag: "Directory", path: "/var/backups" }],
      ["file:///var/backups", { _tag: "Directory", path: "/var/backups" }],
      ["s3://my-bucket", { options: { bucket: "my-bucket", prefix: undefined } }],
      ["s3://my-bucket/a/b/", { options: { bucket: "my-bucket", prefix: "a/b" } }],
      ["s3://my.bucket/a?region=eu-west-3", { options: { prefix: "a", region: "eu-west-3" } }],
      ["s3://my-bucket/a?profile=second.one&region=eu-west-3", {
        options: { profile: "second.one", region: "eu-west-3" }
      }],
      ["S3://my-bucket/a?endpoint=http://127.0.0.1:9000", { options: { endpoint: "http://127.0.0.1:9000" } }]
    ] as const
  )("%j is understood", ([text, expected]) =>
    Effect.gen(function*() {
      expect(yield* parse(text)).toMatchObject({ success: expected })
    }))

  it.effect.each([
    "",
    "  ",
    "a\0b",
    "gs://bucket/a",
    "https://bucket.s3.amazonaws.com",
    "file:",
    "file://host/share",
    "s3:bucket",
    "s3://",
    "s3://B",
    "s3://Upper/a",
    "s3://bucket/../other",
    "s3://bucket/a//b",
    "s3://bucket/a?secret=s3cret",
    "s3://bucket/a?region=a?region=b",
    "s3://bucket/a?profile=s3cret&profile=b",
    "s3://bucket/a?profile=s3cret%0a[x]",
    "s3://bucket/a?profile=",
    "s3://bucket/a?endpoint=ftp://x",
    "s3://bucket/a?endpoint=http://key:s3cret@host",
    "s3://key:s3cret@bucket/a"
  ])("%j is refused without repeating secrets", (text) =>
    Effect.gen(function*() {
      const result = yield* parse(text)
      expect(result).toMatchObject({ failure: { exitCode: 64 } })
      expect(JSON.stringify(result)).not.toContain("s3cret")
    }))

  it.effect("has its endpoint from the environment where it names none", () =>
    Effect.gen(function*() {
      const environment = { AWS_ENDPOINT_URL: "http://a:1", AWS_ENDPOINT_URL_S3: "http://b:2" }
      expect(yield* parse("s3://bucket", environment)).toMatchObject({
        success: { options: { endpoint: "http://b:2" } }
      })
    }))
})
